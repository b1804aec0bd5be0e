"""What the driver looks at before Spark loads a model, and what it hands to Spark."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import saved_models

from wmlclient.runner.engine.ports import TransformFailed
from wmlclient.runner.spark.client import driver_command
from wmlclient.runner.spark.models import check_classes, load
from wmlclient.runner.spark.python_saved import for_java


def metadata(folder: Path, **changes: Any) -> None:
    """Changes what a stage's metadata says."""
    part = next((folder / "metadata").glob("part-*"))
    part.write_text(json.dumps(json.loads(part.read_text()) | changes))


class Jvm:
    """Stands for py4j's view of the JVM: remembers what was loaded, and the class names that were in it."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.org = self.apache = self.spark = self.ml = self.PipelineModel = self

    def load(self, uri: str) -> str:
        folder = Path(uri.removeprefix("file:"))
        self.names = sorted(json.loads(p.read_text())["class"] for p in folder.rglob("metadata/part-*"))
        return uri


class Session:
    def __init__(self) -> None:
        self.jvm = Jvm()


def test_only_sparks_own_classes_are_loaded(tmp_path: Path) -> None:
    session = Session()
    folder = saved_models.text_pipeline(tmp_path / "m")
    load(session, str(folder))  # type: ignore[arg-type]
    assert "org.apache.spark.ml.feature.HashingTF" in session.jvm.names

    session.jvm.names = []
    for name in (
        "com.example.Stage",
        "org.apache.spark.ml.feature.Shell",
        "org.apache.spark.ml.r.ALSWrapper",
    ):
        metadata(folder / "stages" / "1_HashingTF_2", **{"class": name})
        with pytest.raises(TransformFailed, match=rf"'HashingTF_2'.*{name}.*--allow-foreign-classes"):
            load(session, str(folder))  # type: ignore[arg-type]
    assert session.jvm.names == []

    load(session, str(folder), foreign=True)  # type: ignore[arg-type]
    assert "org.apache.spark.ml.r.ALSWrapper" in session.jvm.names


def test_the_driver_is_told_to_load_foreign_classes_only_if_asked(tmp_path: Path) -> None:
    assert "--allow-foreign-classes" not in driver_command(tmp_path)
    assert "--allow-foreign-classes" in driver_command(tmp_path, foreign=True)


@pytest.mark.parametrize("place", ["stages/1_HashingTF_2/metadata", "stages/1_HashingTF_2/data", "deep/er"])
def test_a_foreign_class_is_found_wherever_it_stands(tmp_path: Path, place: str) -> None:
    folder = saved_models.text_pipeline(tmp_path / "m")
    saved_models.write_stage(folder / place / "x", "com.example.Evil", "Evil_1", {})
    with pytest.raises(TransformFailed, match=r"com\.example\.Evil|tampered"):
        check_classes(folder)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(TransformFailed, match="not a saved Spark ML pipeline"):
        check_classes(tmp_path)


def test_what_pyspark_saved_is_handed_over_with_javas_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    folder = saved_models.text_pipeline(tmp_path / "m")
    metadata(folder, **{"class": "pyspark.ml.pipeline.PipelineModel"})
    (folder / "metadata" / ".part-00000-0-c000.txt.crc").write_bytes(b"of the old text")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    session = Session()
    load(session, str(folder))  # type: ignore[arg-type]
    assert session.jvm.names[0] == "org.apache.spark.ml.PipelineModel"
    copy = for_java(folder)
    assert copy != folder
    assert not list(copy.glob("metadata/.*.crc"))
    assert {p.relative_to(copy) for p in copy.rglob("*.parquet")} == {
        p.relative_to(folder) for p in folder.rglob("*.parquet")
    }
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_what_scala_saved_is_handed_over_as_it_is(tmp_path: Path) -> None:
    folder = saved_models.text_pipeline(tmp_path / "m")
    assert for_java(folder) == folder
