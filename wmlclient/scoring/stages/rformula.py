"""R formulas: the pipeline inside an RFormulaModel, and the two stages that only occur there.

Source: ``RFormulaModel``, ``ColumnPruner`` and ``VectorAttributeRewriter`` in ``org.apache.spark.ml.feature`` of
Spark 4.2.
"""

from __future__ import annotations

from typing import Any

from wmlclient.scoring.blocks import Block, doubles_of
from wmlclient.scoring.columns import Column, Frame, is_numeric
from wmlclient.scoring.errors import InputError
from wmlclient.scoring.registry import Params, Stage, boolean, load_stage, loads, text, training
from wmlclient.scoring.saved import SavedStage


@loads(
    "org.apache.spark.ml.feature.RFormulaModel",
    formula=training,
    featuresCol=text,
    labelCol=text,
    forceIndexLabel=boolean,
    handleInvalid=text,
    stringIndexerOrderType=training,
)
def rformula_model(saved: SavedStage, params: Params) -> Stage:
    """``RFormulaModel``: its pipeline, then the label as a double where the pipeline has not indexed it.

    The label may be missing from the input, as in Spark.
    """
    (label,) = saved.only("data", "label")
    features_col, label_col = params.featuresCol or "features", params.labelCol or "label"
    inner = load_stage(saved.child("pipelineModel"))

    def bind(frame: Frame) -> None:
        for name, what in ((features_col, "features"), (label_col, "label")):
            kept = name in frame.visible and (what == "features" or not is_numeric(frame.type_of(name)))
            if kept:
                raise InputError(
                    "duplicate_field",
                    name,
                    None,
                    f"the column {name!r} exists, but stage {saved.uid} adds it",
                )
        inner.bind(frame)
        if label and label_col not in frame.visible and label in frame.visible:
            kind = frame.type_of(label)
            if kind != "boolean" and not is_numeric(kind):
                raise saved.refuse(f"its label {label!r} is {kind}")
            if kind.startswith("decimal"):
                raise saved.refuse(f"its label {label!r} is {kind}")
            frame.add(saved.uid, [label], [Column(label_col, "double")], _double, _double_batch)

    return Stage(saved.uid, saved.java_class, bind, children=(inner,))


def _double(value: Any) -> float | None:
    return None if value is None else float(value)


def _double_batch(column: Block) -> tuple[Block] | None:
    values = doubles_of(column)
    return None if values is None else (values,)


@loads("org.apache.spark.ml.feature.ColumnPruner")
def column_pruner(saved: SavedStage, params: Params) -> Stage:
    """``ColumnPruner``: drops columns that the stages before it needed."""
    (dropped,) = saved.only("data", "columnsToPrune")
    names = frozenset(dropped)

    def bind(frame: Frame) -> None:
        frame.select([name for name in frame.visible if name not in names])

    return Stage(saved.uid, saved.java_class, bind)


@loads("org.apache.spark.ml.feature.VectorAttributeRewriter")
def vector_attribute_rewriter(saved: SavedStage, params: Params) -> Stage:
    """``VectorAttributeRewriter``: names the values of a vector anew, and moves its column to the end."""
    (name,) = saved.only("data", "vectorCol")

    def bind(frame: Frame) -> None:
        frame.vector(name, saved.uid)
        frame.select([*(other for other in frame.visible if other != name), name])

    return Stage(saved.uid, saved.java_class, bind)
