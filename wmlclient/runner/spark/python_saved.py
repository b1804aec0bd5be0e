"""Pipelines that PySpark has saved by itself, made readable for the JVM.

``Pipeline([..., OneVsRest(...)]).fit(df).save(path)`` writes the very folders that Scala would, but for the class
names, since PySpark's ``OneVsRestModel`` and tuned models have no Java writer of their own.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from wmlclient.scoring.classes import PYTHON


def for_java(model_dir: Path) -> Path:
    """The folder, or a copy of it in which Java's class names stand for PySpark's.

    A copy stays as long as the process's temporary folder: some models read their Parquet files when they score.
    """
    changed = dict(_changed(model_dir))
    if not changed:
        return model_dir
    copies = Path(tempfile.mkdtemp(prefix="for-java-"))
    copy = copies / "model"
    # Hard links: the Parquet files, which are what is large, stay where they are.
    shutil.copytree(model_dir, copy, copy_function=_link)
    for name, text in changed.items():
        part = copy / name
        part.unlink()
        part.with_name(f".{part.name}.crc").unlink(missing_ok=True)
        part.write_text(text, "utf-8")
    return copy


def _changed(model_dir: Path) -> Iterator[tuple[Path, str]]:
    for part in model_dir.rglob("metadata/part-*"):
        text = part.read_text("utf-8")
        metadata = json.loads(text) if text.strip() else {}
        if metadata.get("class") in PYTHON:
            named = {**metadata, "class": java_name(metadata["class"])}
            yield part.relative_to(model_dir), json.dumps(named) + "\n"


def java_name(name: str) -> str:
    """The Java class of a class of PySpark.

    >>> java_name("pyspark.ml.pipeline.PipelineModel"), java_name("pyspark.ml.tuning.CrossValidatorModel")
    ('org.apache.spark.ml.PipelineModel', 'org.apache.spark.ml.tuning.CrossValidatorModel')
    """
    return name.replace("pyspark.ml.pipeline.", "pyspark.ml.").replace("pyspark.", "org.apache.spark.", 1)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(source, target)
