# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Logistic regression, binomial and multinomial, and what all probabilistic classifiers share.

Source: ``LogisticRegressionModel``, ``ProbabilisticClassificationModel`` and ``ml.impl.Utils.softmax`` of Spark 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, DenseBlock, Floats, vectors_of
from wmlclient.scoring.cells import Matrix
from wmlclient.scoring.columns import Column, Frame
from wmlclient.scoring.linear import Dot, Margins
from wmlclient.scoring.registry import Params, Stage, loads, number, numbers, text, training
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.values import Sparse, to_dense


def exp(value: float) -> float:
    """``Math.exp``: infinity where Python raises."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def exps(values: Floats) -> Floats:
    """The same for many. NumPy's own may differ in the last bit, and rows and columns must agree."""
    given = values.tolist()
    try:
        return np.fromiter(map(math.exp, given), np.float64, len(given))
    except OverflowError:
        return np.fromiter(map(exp, given), np.float64, len(given))


def divide(numerator: float, denominator: float) -> float:
    """Java's division, which gives infinity or NaN where Python raises."""
    if denominator:
        return numerator / denominator
    if numerator != numerator or not numerator:
        return math.nan
    return math.copysign(math.inf, numerator) * math.copysign(1.0, denominator)


def argmax(values: list[float]) -> float:
    """The index of the largest value, the first of equals; NaN is never larger."""
    best, largest = 0, values[0]
    for index, value in enumerate(values):
        if value > largest:
            best, largest = index, value
    return float(best)


def softmax(raw: list[float]) -> list[float]:
    """Spark's softmax, its answer for an infinite margin included."""
    largest = -1.7976931348623157e308
    for index, value in enumerate(raw):
        if value == math.inf:
            zeros = [v * 0.0 for v in raw]
            zeros[index] = 1.0
            return zeros
        if value > largest:
            largest = value
    powers = [exp(value - largest) for value in raw]
    total = 0.0
    for power in powers:
        total += power
    scale = divide(1.0, total)
    return [power * scale for power in powers]


def by_thresholds(thresholds: list[float] | None) -> Callable[[list[float]], float]:
    """``probability2prediction``: the largest probability, each divided by its threshold."""
    if thresholds is None:
        return argmax

    def predict(probability: list[float]) -> float:
        best, largest = 0, -math.inf
        for index, value in enumerate(probability):
            scaled = divide(value, thresholds[index])
            if scaled > largest:
                best, largest = index, scaled
        return float(best)

    return predict


def classifier_outputs(params: Params, classes: int) -> list[Column]:
    """The columns that a probabilistic classifier adds; a column whose name is empty is left out, as in Spark."""
    columns = [
        Column(params.rawPredictionCol or "", "vector", size=classes),
        Column(params.probabilityCol or "", "vector", size=classes),
        Column(params.predictionCol or "", "double"),
    ]
    return [column for column in columns if column.name]


def chosen(columns: list[Column], params: Params) -> Callable[[tuple[Any, ...]], Any] | None:
    """Picks the wanted ones of (raw, probability, prediction), or ``None`` if all three are wanted."""
    names = [params.rawPredictionCol, params.probabilityCol, params.predictionCol]
    places = [place for place, name in enumerate(names) if name]
    if len(places) == 3:
        return None
    if len(places) == 1:
        place = places[0]
        return lambda outputs: outputs[place]
    return lambda outputs: tuple(outputs[place] for place in places)


_PARAMS: dict[str, Any] = {
    "featuresCol": text,
    "rawPredictionCol": text,
    "probabilityCol": text,
    "predictionCol": text,
    "threshold": number,
    "thresholds": numbers,
    **dict.fromkeys(
        [
            "labelCol",
            "weightCol",
            "family",
            "regParam",
            "elasticNetParam",
            "maxIter",
            "tol",
            "fitIntercept",
            "standardization",
            "aggregationDepth",
            "maxBlockSizeInMB",
            "lowerBoundsOnCoefficients",
            "upperBoundsOnCoefficients",
            "lowerBoundsOnIntercepts",
            "upperBoundsOnIntercepts",
        ],
        training,
    ),
}


@loads("org.apache.spark.ml.classification.LogisticRegressionModel", **_PARAMS)
def logistic_regression_model(saved: SavedStage, params: Params) -> Stage:
    """``LogisticRegressionModel``."""
    classes, features, intercepts, matrix, multinomial = saved.only(
        "data", "numClasses", "numFeatures", "interceptVector", "coefficientMatrix", "isMultinomial"
    )
    if not isinstance(matrix, Matrix) or matrix.num_cols != features:
        raise saved.damaged("its coefficients do not fit its number of features")
    intercept = to_dense(intercepts)
    if len(intercept) != matrix.num_rows:
        raise saved.damaged("it has not one intercept for each row of coefficients")
    if params.thresholds is not None and len(params.thresholds) != classes:
        raise saved.refuse(f"it has {len(params.thresholds)} thresholds for {classes} classes")
    columns = classifier_outputs(params, classes)
    pick = chosen(columns, params)
    row, batch = (
        _multinomial(matrix, intercept, params) if multinomial else _binomial(matrix, intercept[0], params)
    )
    if pick is not None:
        row, batch = _picked(row, batch, pick)

    def bind(frame: Frame) -> None:
        frame.vector(params.featuresCol, saved.uid)
        if columns:
            frame.add(saved.uid, [params.featuresCol], columns, row, batch)

    return Stage(saved.uid, saved.java_class, bind, hints={params.featuresCol: [Sparse(features, [], [])]})


def _picked(row: Any, batch: Any, pick: Callable[[tuple[Any, ...]], Any]) -> tuple[Any, Any]:
    def some_batch(column: Block) -> Any:
        outputs = batch(column)
        if outputs is None:
            return None
        picked = pick(outputs)
        return picked if isinstance(picked, tuple) else (picked,)

    return lambda vector: pick(row(vector)), some_batch


def _binomial(matrix: Matrix, intercept: float, params: Params) -> tuple[Any, Any]:
    both = Dot(matrix.rows[0])
    dot = both.row
    threshold = _threshold(params)
    if threshold == 0.0:
        limit = -math.inf
    elif threshold == 1.0:
        limit = math.inf
    else:
        limit = math.log(divide(threshold, 1.0 - threshold))
    from_raw = bool(params.rawPredictionCol)
    power, infinity = math.exp, math.inf

    def row(vector: Any) -> tuple[list[float], list[float], float]:
        margin = dot(vector) + intercept
        try:
            no = 1.0 / (1.0 + power(margin))
        except OverflowError:
            no = 1.0 / (1.0 + infinity)
        yes = 1.0 - no
        positive = margin > limit if from_raw else yes > threshold
        return [-margin, margin], [no, yes], 1.0 if positive else 0.0

    if not from_raw and not params.probabilityCol:
        # With neither column Spark asks predict(), whose score is 1 / (1 + exp(-margin)).
        def row(vector: Any) -> tuple[list[float], list[float], float]:
            score = 1.0 / (1.0 + exp(-(dot(vector) + intercept)))
            return [], [], 1.0 if score > threshold else 0.0

        return row, _no_batch

    def batch(column: Block) -> tuple[Block, ...] | None:
        block = vectors_of(column)
        margins = None if block is None else both.block(block)
        if margins is None:
            return None
        margins = margins + intercept
        no = 1.0 / (1.0 + exps(margins))
        yes = 1.0 - no
        prediction = (margins > limit if from_raw else yes > threshold).astype(np.float64)
        return DenseBlock([-margins, margins], len(margins)), DenseBlock([no, yes], len(margins)), prediction

    return row, batch


def _no_batch(column: Block) -> None:
    return None


def _threshold(params: Params) -> float:
    if params.thresholds is not None:
        no, yes = params.thresholds
        return divide(1.0, 1.0 + divide(no, yes))
    return 0.5 if params.threshold is None else float(params.threshold)


def _multinomial(matrix: Matrix, intercept: list[float], params: Params) -> tuple[Any, Any]:
    both = Margins(matrix, intercept)
    margins_of = both.row
    predict = by_thresholds(params.thresholds)
    # Spark predicts from the first of these columns that it has to compute anyway.
    from_raw = params.thresholds is None and bool(params.rawPredictionCol or not params.probabilityCol)

    def finish(raw: list[float]) -> tuple[list[float], list[float], float]:
        probability = softmax(raw)
        return raw, probability, predict(raw if from_raw else probability)

    def row(vector: Any) -> tuple[list[float], list[float], float]:
        return finish(margins_of(vector))

    def batch(column: Block) -> tuple[Block, ...] | None:
        block = vectors_of(column)
        totals = None if block is None else both.block(block)
        if totals is None:
            return None
        rows = [finish(list(raw)) for raw in zip(*[total.tolist() for total in totals])]
        return [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows]

    return row, batch
