"""The label that a service fills in, where a stage reads it and rows to be scored, as they should, lack it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from wmlclient.scoring.errors import UnsupportedModel
from wmlclient.scoring.given import label_value
from wmlclient.scoring.registry import load_stage
from wmlclient.scoring.saved import SavedStage, read_stage
from wmlclient.scoring.scorer import Scorer, load
from wmlclient.scoring.types import simple_type

__all__ = ["LabelFiller", "label_filler", "load_labelled"]

_INDEXER = "org.apache.spark.ml.feature.StringIndexerModel"
_PIPELINE = ("org.apache.spark.ml.PipelineModel", "pyspark.ml.pipeline.PipelineModel")


@frozen
class LabelFiller:
    """Adds the label column where a stage reads it and a payload, as it should, lacks it.

    The service fills it with the indexer's first label; plain Spark would leave the stage out.

    Attributes:
        column: The column, as in a schema.
        value: What is in it.
    """

    column: dict[str, Any]
    value: Any

    @property
    def name(self) -> str:
        """The column's name."""
        return str(self.column["name"])

    def fill(
        self, schema: dict[str, Any], fields: list[str], values: list[list[Any]]
    ) -> tuple[dict[str, Any], list[str], list[list[Any]]]:
        """Schema, fields and rows with the column behind the others; as they were where it is there."""
        if self.name in fields:
            return schema, fields, values
        others = [column for column in schema["fields"] if column["name"] != self.name]
        return (
            {"type": "struct", "fields": [*others, self.column]},
            [*fields, self.name],
            [[*row, self.value] for row in values],
        )


def label_filler(
    model_dir: Path, training: Mapping[str, Any] | None, label: str | None
) -> LabelFiller | None:
    """What has to be filled in for a model, or None.

    Args:
        model_dir: Folder with the saved model.
        training: Schema of the training data: the type of the label.
        label: Column of the training data that holds the labels.
    """
    if label is None:
        return None
    for labels in _indexed(read_stage(model_dir), label):
        column = {"name": label, "type": "string", "nullable": True, "metadata": {}}
        for given in (training or {}).get("fields", ()):
            if given["name"] == label:
                column = dict(given)
        return LabelFiller(column, label_value(labels[0], simple_type(column["type"])))
    return None


def load_labelled(
    model_dir: Path, schema: dict[str, Any], label: str | None, training: Mapping[str, Any] | None = None
) -> tuple[Scorer, LabelFiller | None]:
    """A scorer that fills in the label, and what does the same for Spark.

    Args:
        model_dir: Folder with the saved model.
        schema: The input.
        label: Column of the training data that holds the labels, or None.
        training: Schema of the training data: the type of the label.

    Raises:
        ArchiveError, InputError, UnsupportedModel: As :func:`wmlclient.scoring.load`.
    """
    filler = label_filler(model_dir, training, label)
    known = schema
    if filler is not None and filler.name not in [column["name"] for column in schema["fields"]]:
        known = {"type": "struct", "fields": [*schema["fields"], filler.column]}
    return load(model_dir, known, label), filler


def _indexed(saved: SavedStage, label: str) -> Iterator[Sequence[str]]:
    if saved.java_class in _PIPELINE:
        for child in saved.children():
            yield from _indexed(child, label)
    elif saved.java_class == _INDEXER:
        try:
            labels = (load_stage(saved).labels or {}).get(label)
        except UnsupportedModel:
            return
        if labels:
            yield labels
