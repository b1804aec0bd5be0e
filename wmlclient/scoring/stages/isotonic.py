"""Isotonic regression: a line from boundary to boundary.

Source: ``org.apache.spark.mllib.regression.IsotonicRegressionModel`` of Spark 4.2.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, DenseBlock, Floats, doubles_of, vectors_of
from wmlclient.scoring.columns import Column, Frame, Invalid
from wmlclient.scoring.java.maths import less
from wmlclient.scoring.registry import Params, Stage, integer, loads, text, training
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.stages.logistic import divide
from wmlclient.scoring.values import Sparse


@loads(
    "org.apache.spark.ml.regression.IsotonicRegressionModel",
    featuresCol=text,
    predictionCol=text,
    featureIndex=integer,
    isotonic=training,
    labelCol=training,
    weightCol=training,
)
def isotonic_regression_model(saved: SavedStage, params: Params) -> Stage:
    """``IsotonicRegressionModel``, on a column of doubles or on one value of a vector."""
    boundaries, predictions = saved.only("data", "boundaries", "predictions")
    if len(boundaries) != len(predictions):
        raise saved.damaged("it has not one prediction for each boundary")
    if not boundaries:
        raise saved.refuse("it was fitted on no rows")
    if any(not left <= right for left, right in zip(boundaries, boundaries[1:], strict=False)):
        raise saved.damaged("its boundaries do not ascend")
    index = params.featureIndex or 0
    predict = _predictor(boundaries, predictions)
    predict_many = _many(boundaries, predictions)

    def value(feature: Any) -> Any:
        return None if feature is None else predict(feature)

    def values(column: Block) -> tuple[Block] | None:
        array = doubles_of(column)
        return None if array is None else predict_many(array)

    def of_vector(vector: Any) -> float:
        return predict(_at(vector, index))

    def of_vectors(column: Block) -> tuple[Block] | None:
        block = vectors_of(column)
        if not isinstance(block, DenseBlock) or index >= len(block.features):
            return None
        return predict_many(block.features[index])

    def bind(frame: Frame) -> None:
        column = frame.find(
            params.featuresCol, saved.uid, ("double", "vector").__contains__, "a double or a vector", "double"
        )
        row: Any
        batch: Any
        row, batch = (of_vector, of_vectors) if column.type == "vector" else (value, values)
        frame.add(saved.uid, [params.featuresCol], [Column(params.predictionCol, "double")], row, batch)

    hints = {params.featuresCol: [Sparse(index + 1, [], []), *_around(boundaries)]}
    return Stage(saved.uid, saved.java_class, bind, hints=hints)


def _around(boundaries: list[float]) -> list[float]:
    """Boundaries, and what lies just beside and between them."""
    few = boundaries[:: max(1, len(boundaries) // 100)]
    beside = [math.nextafter(x, way) for x in few for way in (math.inf, -math.inf)]
    return [*few, *beside, *((x + y) / 2.0 for x, y in zip(few, few[1:], strict=False))]


def _at(vector: Any, index: int) -> float:
    if vector.__class__ is list:
        if index >= len(vector):
            raise Invalid(f"the vector has {len(vector)} values, and featureIndex is {index}")
        return vector[index]  # type: ignore[no-any-return]
    if index >= vector.size:
        raise Invalid(f"the vector has {vector.size} values, and featureIndex is {index}")
    place = bisect_left(vector.indices, index)
    if place < len(vector.indices) and vector.indices[place] == index:
        return vector.values[place]  # type: ignore[no-any-return]
    return 0.0


def _binary_search(boundaries: list[float], key: float) -> int:
    """``java.util.Arrays.binarySearch``: of equal boundaries it may find any, but always the same."""
    low, high = 0, len(boundaries) - 1
    while low <= high:
        middle = (low + high) >> 1
        boundary = boundaries[middle]
        if less(boundary, key):
            low = middle + 1
        elif less(key, boundary):
            high = middle - 1
        else:
            return middle
    return -(low + 1)


def _plain(boundaries: list[float]) -> bool:
    """Whether any search finds what Java's does: no two boundaries are equal, none is a zero, which has two signs."""
    return 0.0 not in boundaries and all(
        left < right for left, right in zip(boundaries, boundaries[1:], strict=False)
    )


def _predictor(boundaries: list[float], predictions: list[float]) -> Callable[[float], float]:
    count = len(boundaries)
    plain = _plain(boundaries)

    def predict(key: float) -> float:
        if plain and key == key:
            place = bisect_left(boundaries, key)
            if place < count and boundaries[place] == key:
                return predictions[place]
        else:
            found = _binary_search(boundaries, key)
            if found >= 0:
                return predictions[found]
            place = -found - 1
        if place == 0:
            return predictions[0]
        if place == count:
            return predictions[-1]
        x1, y1, x2, y2 = boundaries[place - 1], predictions[place - 1], boundaries[place], predictions[place]
        return y1 + divide((y2 - y1) * (key - x1), x2 - x1)

    return predict


def _many(boundaries: list[float], predictions: list[float]) -> Callable[[Floats], tuple[Block] | None]:
    """The same for all values of an array, or ``None`` where the search is not the plain one."""
    x = np.array(boundaries, dtype=np.float64)
    y = np.array(predictions, dtype=np.float64)
    plain = len(x) > 1 and _plain(boundaries)

    def predict(keys: Floats) -> tuple[Block] | None:
        if not plain:
            return None
        with np.errstate(all="ignore"):
            place = np.searchsorted(x, keys)
            at = np.clip(place, 1, len(x) - 1)
            x1, y1, x2, y2 = x[at - 1], y[at - 1], x[at], y[at]
            lines = y1 + (y2 - y1) * (keys - x1) / (x2 - x1)
            inside = np.minimum(place, len(x) - 1)
            exact = (x[inside] == keys) | (place == 0) | (place == len(x))
            return (np.where(exact, y[inside], lines),)

    return predict
