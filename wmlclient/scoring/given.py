"""What is known of a model besides its stages: its input's schema and its training's label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wmlclient.scoring.columns import Column, Frame
from wmlclient.scoring.errors import InputError
from wmlclient.scoring.inputs import reader
from wmlclient.scoring.registry import Stage
from wmlclient.scoring.types import simple_type

# Stages that only hold others; a tuned model is its best model.
_WRAPPERS = ("PipelineModel", "CrossValidatorModel", "TrainValidationSplitModel")


def columns_of(schema: Mapping[str, Any]) -> list[Column]:
    """The columns of a schema, from the JSON of a Spark ``StructType``."""
    fields = schema.get("fields") if isinstance(schema, Mapping) else None
    if not isinstance(fields, list):
        raise InputError("wrong_type", None, None, "the input schema is not the JSON of a Spark StructType")
    return [Column(each["name"], simple_type(each["type"]), *_attributes(each)) for each in fields]


def _attributes(spark_field: Mapping[str, Any]) -> tuple[tuple[str, ...] | None, int | None]:
    """The labels and the vector size that Spark ML keeps in a column's metadata."""
    attributes = (spark_field.get("metadata") or {}).get("ml_attr") or {}
    labels = attributes.get("vals") if attributes.get("type") == "nominal" else None
    size = attributes.get("num_attrs")
    if size is None and isinstance(attributes.get("attrs"), dict):
        size = sum(len(group) for group in attributes["attrs"].values())
    return tuple(labels) if labels else None, size


def label_values(stage: Stage, label_col: str) -> tuple[str, ...]:
    """The labels of the first indexer of a column, or none."""
    if stage.labels and stage.labels.get(label_col):
        return stage.labels[label_col]
    return next((found for child in stage.children if (found := label_values(child, label_col))), ())


def label_value(label: str, type: str) -> Any:
    """A label, which is always text, as a value of the column's type."""
    if type == "string":
        return label
    number = float(label)
    read = reader(type)
    whole = int(label) if type not in ("double", "float") else number
    return read(whole) if read else label


def leaves(stage: Stage) -> list[tuple[str, str]]:
    """Uid and class of the stages of a pipeline, those of nested ones in their place."""
    if stage.java_class.rpartition(".")[2] in _WRAPPERS:
        return [leaf for child in stage.children for leaf in leaves(child)]
    return [(stage.uid, stage.java_class)]


def step_columns(uid: str, frame: Frame) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns that a stage reads and those it adds."""
    steps = [step for step in frame.steps if step.stage == uid]
    inputs = dict.fromkeys(frame.slots[slot].name for step in steps for slot in step.inputs)
    return tuple(inputs), tuple(name for step in steps for name in step.names)
