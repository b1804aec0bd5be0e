"""From the margins of a classifier to its columns: raw predictions, probabilities, predictions.

Source: ``ClassificationModel`` and ``ProbabilisticClassificationModel`` of Spark 4.2. Spark computes the prediction
from the first of the other two columns that is wanted, and asks ``predict(features)`` where neither is; the classes
override the latter, some with another answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from wmlclient.scoring.blocks import Block, DenseBlock, Floats
from wmlclient.scoring.columns import Column
from wmlclient.scoring.registry import Params, numbers, text, training
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.stages.logistic import by_thresholds

__all__ = [
    "Classifier",
    "Part",
    "classes_part",
    "combine",
    "decide_block",
    "of_two",
    "predictor",
    "probabilistic",
]


def predictor(*training_only: str, **more: Any) -> dict[str, Any]:
    """Readers of the params that all predictors have, of some that only fitting uses, and of more."""
    columns = {"featuresCol": text, "predictionCol": text}
    return {**columns, "labelCol": training, **dict.fromkeys(training_only, training), **more}


def probabilistic(*training_only: str, **more: Any) -> dict[str, Any]:
    """The same for probabilistic classifiers."""
    return predictor(*training_only, rawPredictionCol=text, probabilityCol=text, thresholds=numbers, **more)


@frozen
class Part:
    """Some of a stage's output columns, and how to compute them from what the stage found for a row.

    Attributes:
        columns: The columns.
        row: Their values for one row, in order.
        block: Their values for all rows, in order, or ``None`` if the rows have to be done one by one.
    """

    columns: Sequence[Column]
    row: Callable[[Any], Sequence[Any]]
    block: Callable[[Any], Sequence[Block] | None]


def combine(
    find: Callable[[Any], Any], find_block: Callable[[Block], Any], parts: Sequence[Part]
) -> tuple[list[Column], Callable[[Any], Any], Callable[[Block], tuple[Block, ...] | None]]:
    """The columns, the row function and the batch function of a stage.

    Args:
        find: What all parts work on, from one input value.
        find_block: The same for all rows, or ``None`` if the rows have to be done one by one.
        parts: The parts, in the order of their columns.
    """
    columns = [column for part in parts for column in part.columns]
    rows = [part.row for part in parts if part.columns]
    blocks = [part.block for part in parts if part.columns]
    if len(columns) == 1:
        only = rows[0]

        def row(value: Any) -> Any:
            return only(find(value))[0]

    elif len(rows) == 1:
        only = rows[0]

        def row(value: Any) -> Any:
            return only(find(value))

    else:

        def row(value: Any) -> Any:
            found = find(value)
            return [value for part in rows for value in part(found)]

    def batch(column: Block) -> tuple[Block, ...] | None:
        found = find_block(column)
        if found is None:
            return None
        out: list[Block] = []
        for part in blocks:
            some = part(found)
            if some is None:
                return None
            out += some
        return tuple(out)

    return columns, row, batch


@frozen
class Classifier:
    """What differs from one classifier to the next.

    Attributes:
        classes: The number of classes.
        raw: Raw predictions from what the stage found for a row; a new list.
        raw_block: The same for all rows: for each class, an array.
        probability: Probabilities from raw predictions; a new list. Raises ``Invalid``.
        probability_block: The same for all rows, or ``None`` where a row would raise.
        predict: Spark's ``predict(features)``, from what was found, where it is not simply the prediction from the
            raw predictions.
    """

    classes: int
    raw: Callable[[Any], list[float]]
    raw_block: Callable[[Any], list[Floats]]
    probability: Callable[[list[float]], list[float]]
    probability_block: Callable[[list[Floats]], list[Floats] | None] | None = None
    predict: Callable[[Any], float] | None = None


def classes_part(saved: SavedStage, params: Params, model: Classifier) -> Part:
    """The columns of a probabilistic classifier; one whose name is empty is left out.

    Raises:
        UnsupportedModel: It has not one threshold for each class; Spark refuses that, too.
    """
    thresholds = params.thresholds
    if thresholds is not None and len(thresholds) != model.classes:
        raise saved.refuse(f"it has {len(thresholds)} thresholds for {model.classes} classes")
    with_raw, with_probability = bool(params.rawPredictionCol), bool(params.probabilityCol)
    with_prediction = bool(params.predictionCol)
    columns = [
        *([Column(params.rawPredictionCol, "vector", size=model.classes)] if with_raw else ()),
        *([Column(params.probabilityCol, "vector", size=model.classes)] if with_probability else ()),
        *([Column(params.predictionCol, "double")] if with_prediction else ()),
    ]
    own = model.predict if not with_raw and not with_probability else None
    asks_probability = thresholds is not None or (with_probability and not with_raw)
    needs_probability = with_probability or (with_prediction and own is None and asks_probability)
    decide = by_thresholds(thresholds)
    raw_of, probability_of = model.raw, model.probability

    def row(found: Any) -> Sequence[Any]:
        raw = raw_of(found)
        out: list[Any] = [raw] if with_raw else []
        if needs_probability:
            probability = probability_of(raw)
            if with_probability:
                out.append(probability)
        if with_prediction:
            if own is not None:
                out.append(own(found))
            else:
                out.append(decide(probability if asks_probability else raw))
        return out

    to_probabilities = model.probability_block or _row_by_row(model.probability)

    def block(found: Any) -> Sequence[Block] | None:
        if own is not None:
            return None
        raw = model.raw_block(found)
        count = len(raw[0])
        out: list[Block] = [DenseBlock(raw, count)] if with_raw else []
        if needs_probability:
            probability = to_probabilities(raw)
            if probability is None:
                return None
            if with_probability:
                out.append(DenseBlock(probability, count))
        if with_prediction:
            out.append(decide_block(probability if asks_probability else raw, thresholds))  # type: ignore[arg-type]
        return out

    return Part(columns, row, block)


def _row_by_row(
    probability: Callable[[list[float]], list[float]],
) -> Callable[[list[Floats]], list[Floats] | None]:
    """The row function for all rows: where it calls ``exp``, NumPy's may differ from Python's in the last bit."""

    def block(raw: list[Floats]) -> list[Floats]:
        rows = [
            probability(list(values)) for values in zip(*[margin.tolist() for margin in raw], strict=True)
        ]
        return [np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)]

    return block


def of_two(
    place: int, probability: Callable[[float], float], probabilities: Callable[[Floats], Floats]
) -> tuple[Callable[[list[float]], list[float]], Callable[[list[Floats]], list[Floats]]]:
    """The probabilities of two classes, one computed from its raw prediction and the other what is missing to 1.

    Args:
        place: The class that is computed.
        probability: Its probability from its raw prediction.
        probabilities: The same for many, to the same bit.

    Returns:
        For one row, and for all.
    """

    def row(raw: list[float]) -> list[float]:
        computed = probability(raw[place])
        return [1.0 - computed, computed] if place else [computed, 1.0 - computed]

    def block(raw: list[Floats]) -> list[Floats]:
        computed = probabilities(raw[place])
        return [1.0 - computed, computed] if place else [computed, 1.0 - computed]

    return row, block


def decide_block(values: Sequence[Floats], thresholds: list[float] | None) -> Floats:
    """:func:`~wmlclient.scoring.stages.logistic.by_thresholds` for all rows; ``values`` has an array for each class."""
    best = np.zeros(len(values[0]))
    if thresholds is None:
        largest = values[0]
        rest = list(enumerate(values))[1:]
    else:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            scaled = [value / threshold for value, threshold in zip(values, thresholds, strict=True)]
        largest = np.full(len(best), -np.inf)
        rest = list(enumerate(scaled))
    for index, value in rest:
        larger = value > largest
        best[larger] = index
        largest = np.where(larger, value, largest)
    return best
