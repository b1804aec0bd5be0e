# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""One classifier for each class, against the rest.

Source: ``OneVsRestModel`` and ``ml.functions`` of Spark 4.2. It is as exact as the models that it is made of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import evolve

from wmlclient.scoring.blocks import Block, DenseBlock, Floats
from wmlclient.scoring.columns import Column, Frame, Step
from wmlclient.scoring.registry import Params, Stage, load_stage, loads, text
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.stages.classified import Part, combine, decide_block, predictor


@loads(
    "org.apache.spark.ml.classification.OneVsRestModel",
    "pyspark.ml.classification.OneVsRestModel",
    **predictor("weightCol", "classifier", rawPredictionCol=text),
)
def one_vs_rest_model(saved: SavedStage, params: Params) -> Stage:
    """``OneVsRestModel``: the second raw prediction of each class's model; the largest one wins."""
    classes = saved.metadata.get("numClasses")
    if type(classes) is not int or classes < 1:
        raise saved.damaged("it has no number of classes")
    children = [saved.child(f"model_{index}") for index in range(classes)]
    stages = [_only_raw(child, params.featuresCol) for child in children]
    with_raw, with_prediction = bool(params.rawPredictionCol), bool(params.predictionCol)
    columns = [
        *([Column(params.rawPredictionCol, "vector", size=classes)] if with_raw else ()),
        *([Column(params.predictionCol, "double")] if with_prediction else ()),
    ]

    def row(raw: list[float]) -> Sequence[Any]:
        out: list[Any] = [raw] if with_raw else []
        if with_prediction:
            out.append(_largest(raw))
        return out

    def block(raw: list[Floats]) -> Sequence[Block] | None:
        out: list[Block] = [DenseBlock(raw, len(raw[0]))] if with_raw else []
        if with_prediction:
            if not all((margin > -math.inf).all() for margin in raw):
                return None  # NaN, which the row function passes over
            out.append(decide_block(raw, None))
        return out

    part = Part(columns, row, block)

    def bind(frame: Frame) -> None:
        column = frame.vector(params.featuresCol, saved.uid)
        if not columns:
            return
        steps = [_step(child, stage, column) for child, stage in zip(children, stages)]
        rows, batches = [step.row for step in steps], [step.batch for step in steps]

        def find_block(given: Block) -> list[Floats] | None:
            out = []
            for batch in batches:
                found = batch(given) if batch is not None else None
                second = None if found is None else _second(found[0])
                if second is None:
                    return None
                out.append(second)
            return out

        _, run, run_block = combine(lambda vector: [raw(vector)[1] for raw in rows], find_block, [part])
        frame.add(saved.uid, [params.featuresCol], columns, run, run_block)

    return Stage(saved.uid, saved.java_class, bind, hints=stages[0].hints)


def _only_raw(child: SavedStage, features: str) -> Stage:
    """The model of one class, made to read the common features and to give its raw prediction alone."""
    given = child.params()
    wanted = {"featuresCol": features, "rawPredictionCol": "rawPrediction", "predictionCol": ""}
    wanted.update((name, "") for name in ("probabilityCol", "leafCol") if name in given)
    metadata = {**child.metadata, "paramMap": {**child.metadata.get("paramMap", {}), **wanted}}
    return load_stage(evolve(child, metadata=metadata))


def _step(child: SavedStage, stage: Stage, features: Column) -> Step:
    frame = Frame([features])
    stage.bind(frame)
    if len(frame.steps) != 1 or frame.steps[0].names != ("rawPrediction",):
        raise child.refuse("it is no classifier with a raw prediction")
    return frame.steps[0]


def _second(column: Block) -> Floats | None:
    """The second value of each vector."""
    if isinstance(column, DenseBlock):
        return column.features[1] if len(column.features) > 1 else None
    if isinstance(column, list):
        return np.array([raw[1] for raw in column], dtype=np.float64)
    return None


def _largest(raw: list[float]) -> float:
    """``array_argmax``: -1 if all are NaN or minus infinity."""
    best, largest = -1, -math.inf
    for index, value in enumerate(raw):
        if value > largest:
            best, largest = index, value
    return float(best)
