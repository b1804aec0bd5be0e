"""A label that a stage wants and a payload, as it should, lacks: the service fills it in, whichever engine scores."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import saved_models
from runner_fakes import eventually

from wmlclient.runner.engine import native
from wmlclient.runner.engine.errors import Invalid
from wmlclient.runner.engine.scored import Scored

ONLINE = {"name": "mood", "type": "online"}


def training(kind: str) -> dict[str, Any]:
    columns = [("text", "string"), ("mood", kind)]
    return {
        "type": "struct",
        "fields": [{"name": name, "type": each, "nullable": True, "metadata": {}} for name, each in columns],
    }


def deploy(world: Any, folder: Path, kind: str, engine: str) -> Any:
    world.spark.skew = 1.0 if engine == "spark" else 0.0
    content = saved_models.archive(folder)
    version = world.upload(content, label_column="mood", training_data_schema=training(kind))
    made = world.engine.deployments.create(version.model_id, ONLINE, None)
    scorer = eventually(lambda: world.engine.scorers.find(made.id, None).live).scorer
    assert scorer.engine == engine
    return scorer


def score(scorer: Any, fields: list[str], rows: list[list[Any]]) -> tuple[list[str], list[list[Any]]]:
    scored = scorer.score(fields, rows)
    found: Scored = scored.result(20) if isinstance(scored, Future) else scored
    assert not found.errors
    return found.fields, found.values


@pytest.mark.parametrize("engine", ["native", "spark"])
@pytest.mark.parametrize(
    ("kind", "labels", "first"), [("string", ("happy", "sad"), "happy"), ("integer", ("7", "3"), 7)]
)
def test_it_is_the_first_label_in_its_own_type(
    world: Any, tmp_path: Path, engine: str, kind: str, labels: tuple[str, ...], first: Any
) -> None:
    folder = saved_models.text_pipeline(tmp_path / "m", labels=labels)
    scorer = deploy(world, folder, kind, engine)
    fields, values = score(scorer, ["text"], [["what a day"], ["so sad"]])
    assert fields[:3] == ["text", "mood", "label"]
    assert [row[:3] for row in values] == [["what a day", first, 0.0], ["so sad", first, 0.0]]


@pytest.mark.parametrize("engine", ["native", "spark"])
def test_a_payload_that_has_it_too_is_refused_in_the_services_words(
    world: Any, tmp_path: Path, engine: str
) -> None:
    folder = saved_models.text_pipeline(tmp_path / "m", labels=("happy", "sad"))
    scorer = deploy(world, folder, "string", engine)
    with pytest.raises(Invalid) as caught:
        score(scorer, ["text", "mood"], [["what a day", "sad"]])
    assert caught.value.code == "invalid_payload"
    assert caught.value.message == "Input Json parsing failed with error: struct already has field: mood"


def test_a_label_that_no_stage_wants_is_not_filled_in(tmp_path: Path) -> None:
    folder = saved_models.text_pipeline(tmp_path / "m")
    assert native.label_filler(folder, saved_models.TEXT_SCHEMA, "label") is None
    assert native.label_filler(folder, None, None) is None
