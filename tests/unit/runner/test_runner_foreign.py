"""Models with classes that are not Spark's own, where the server was told to take them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import saved_models


def test_a_foreign_class_is_published_where_the_server_allows_it_and_spark_scores(
    world: Any, tmp_path: Path
) -> None:
    world.foreign = True
    world.restart()
    content = saved_models.archive(saved_models.text_pipeline(tmp_path / "m", last="com.example.Ours"))
    version = world.upload(content)
    found = world.engine.certificates.checked(world.engine.store.models.version(version.id))
    assert (found["state"], found["engine"]) == ("checked", "spark")
    assert "(Ours)" in found["reason"]
    model, version = world.engine.models.published(version.model_id)
    materials = world.engine.models.materials(model, version)
    assert (materials["native"], materials["digest"]) == (False, version.digest)
    assert "com.example.Ours" in materials["stages"][-1]["reason"]


def test_a_bill_of_materials_is_made_once_and_survives_a_restart(world: Any, tmp_path: Path) -> None:
    version = world.upload(saved_models.archive(saved_models.text_pipeline(tmp_path / "m")))
    model, version = world.engine.models.published(version.model_id)
    first = world.engine.models.materials(model, version)
    assert world.engine.models.materials(model, version) is first
    world.restart()
    assert world.engine.models.materials(model, version) == first
    damaged = world.engine.contents.path(version.digest)
    damaged.write_bytes(b"")
    for folder in (world.home / "unpacked").iterdir():
        for part in folder.rglob("part-*"):
            part.write_bytes(b"")
    assert world.engine.models.materials(model, version) == first
    world.restart()
    assert world.engine.models.materials(model, version) is None
