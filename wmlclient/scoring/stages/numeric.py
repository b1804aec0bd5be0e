# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Columns of numbers: Binarizer, Bucketizer and Imputer, for one column or several.

Source: the classes of the same name in ``org.apache.spark.ml.feature`` of Spark 4.2.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, DenseBlock, Floats, doubles_of, vectors_of
from wmlclient.scoring.columns import Column, Drop, Frame, Invalid
from wmlclient.scoring.forms import compress_block
from wmlclient.scoring.hints import same
from wmlclient.scoring.java.doubles import certain_text
from wmlclient.scoring.java.numbers import to_float
from wmlclient.scoring.registry import Params, Stage, loads, number, numbers, text, texts, training
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.stages.vectors import compress, most_stored
from wmlclient.scoring.types import INTEGER_RANGES
from wmlclient.scoring.values import Sparse

Row = Callable[[Any], Any]
Batch = Callable[[Block], "tuple[Block] | None"]


def binary_number(frame: Frame, name: str, saved: SavedStage) -> Column:
    """A column of numbers that are doubles or convert to one as Python does it; decimals are refused."""
    column = frame.numeric(name, saved.uid)
    if column.type.startswith("decimal"):
        raise saved.refuse(f"the column {name!r} is {column.type}")
    return column


def _paired(saved: SavedStage, params: Params) -> list[tuple[str, str]]:
    if params.inputCol is not None and params.inputCols is not None:
        raise saved.refuse("it has both inputCol and inputCols, which Spark does not take")
    if params.inputCols is not None and len(params.inputCols) != len(params.outputCols or ()):
        raise saved.refuse("it has not one output column for each input column")
    pairs = params.pairs()
    if not pairs or None in pairs[0]:
        raise saved.refuse("it has no input or no output column")
    return pairs


def _hints(sources: list[str], all_borders: list[list[float]]) -> dict[str, list[float]]:
    """For each column, its finite borders, what is next to them, and values between them."""
    hints: dict[str, list[float]] = {}
    for source, borders in zip(sources, all_borders):
        values = {0.5, -1.5, 40.0} if borders[0] == -math.inf and borders[-1] == math.inf else set()
        finite = [border for border in borders if border - border == 0.0]
        for border in finite:
            values |= {border, math.nextafter(border, -math.inf), math.nextafter(border, math.inf)}
        for low, high in zip(finite, finite[1:]):
            values |= {low + (high - low) * part for part in (0.1, 0.5, 0.9)}
        hints.setdefault(source, []).extend(
            value for value in sorted(values) if borders[0] <= value <= borders[-1]
        )
    return hints


# -- Binarizer --------------------------------------------------------------------------------------------------


@loads(
    "org.apache.spark.ml.feature.Binarizer",
    inputCol=text,
    outputCol=text,
    inputCols=texts,
    outputCols=texts,
    threshold=number,
    thresholds=numbers,
)
def binarizer(saved: SavedStage, params: Params) -> Stage:
    """``Binarizer`` of doubles and of vectors: 1.0 above the threshold, else 0.0, also for a null or NaN double."""
    pairs = _paired(saved, params)
    limits = [0.0 if params.threshold is None else params.threshold] * len(pairs)
    if params.thresholds is not None and params.inputCols is not None:
        limits = params.thresholds
    if len(limits) != len(pairs):
        raise saved.refuse(f"it has {len(limits)} thresholds for {len(pairs)} columns")

    def bind(frame: Frame) -> None:
        for (source, target), limit in zip(pairs, limits):
            column = frame.find(
                source, saved.uid, ("double", "vector").__contains__, "a double or a vector", "double"
            )
            if column.type == "double":
                frame.add(saved.uid, [source], [Column(target, "double")], *_above(limit))
                continue
            if limit != limit:
                raise saved.refuse("its threshold is NaN")
            row = _stored_above(limit) if limit >= 0.0 else _all_above(limit)
            output = Column(target, "vector", size=column.size)
            frame.add(saved.uid, [source], [output], row, _above_block(limit))

    hints = _hints([source for source, _ in pairs], [[-math.inf, limit, math.inf] for limit in limits])
    return Stage(saved.uid, saved.java_class, bind, hints=hints)


def _above(limit: float) -> tuple[Row, Batch]:
    def row(value: Any) -> float:
        return 1.0 if value is not None and value > limit else 0.0

    def batch(column: Block) -> tuple[Block] | None:
        values = doubles_of(column)
        return None if values is None else ((values > limit).astype(np.float64),)

    return row, batch


def _stored_above(limit: float) -> Row:
    """For a threshold of 0 and more: what is not stored stays 0."""

    def row(vector: Any) -> list[float] | Sparse:
        if vector.__class__ is list:
            size = len(vector)
            indices = [index for index, value in enumerate(vector) if value > limit]
        else:
            size = vector.size
            indices = [index for index, value in zip(vector.indices, vector.values) if value > limit]
        return compress(size, indices, [1.0] * len(indices))

    return row


def _all_above(limit: float) -> Row:
    """For a negative threshold: 1.0 but where a value other than zero is not above it, so NaN gives 1.0."""

    def row(vector: Any) -> list[float] | Sparse:
        if vector.__class__ is list:
            size, indices, stored = len(vector), range(len(vector)), vector
        else:
            size, indices, stored = vector.size, vector.indices, vector.values
        values = [1.0] * size
        zeros = 0
        for index, value in zip(indices, stored):
            if value and value <= limit:
                values[index] = 0.0
                zeros += 1
        if size - zeros > most_stored(size):
            return values
        above = [index for index, value in enumerate(values) if value]
        return Sparse(size, above, [1.0] * len(above))

    return row


def _above_block(limit: float) -> Batch:
    def batch(column: Block) -> tuple[Block] | None:
        block = vectors_of(column)
        if not isinstance(block, DenseBlock):
            return None
        if limit >= 0.0:
            features = [(feature > limit).astype(np.float64) for feature in block.features]
        else:
            features = [1.0 - ((feature <= limit) & (feature != 0.0)) for feature in block.features]
        return (compress_block(DenseBlock(features, len(block))),)

    return batch


# -- Bucketizer -------------------------------------------------------------------------------------------------


def _splits_array(value: Any) -> list[list[float]]:
    if not isinstance(value, list):
        raise ValueError("is not an array")
    return [numbers(item) for item in value]


@loads(
    "org.apache.spark.ml.feature.Bucketizer",
    inputCol=text,
    outputCol=text,
    inputCols=texts,
    outputCols=texts,
    splits=numbers,
    splitsArray=_splits_array,
    handleInvalid=text,
)
def bucketizer(saved: SavedStage, params: Params) -> Stage:
    """``Bucketizer``: ``handleInvalid`` is about NaN alone; what lies outside the splits is always refused.

    ``skip`` drops a row where any of the input columns is null or NaN; otherwise a null stays null.
    """
    pairs = _paired(saved, params)
    all_splits = [params.splits] if params.inputCols is None else params.splitsArray
    if all_splits is None or len(all_splits) != len(pairs) or None in all_splits:
        raise saved.refuse("it has not one list of splits for each input column")
    for splits in all_splits:
        if len(splits) < 3 or not all(low < high for low, high in zip(splits, splits[1:])):
            raise saved.damaged("its splits do not ascend")
    invalid = params.handleInvalid or "error"
    if invalid not in ("error", "skip", "keep"):
        raise saved.refuse(f"handleInvalid is {invalid!r}")
    sources = [source for source, _ in pairs]

    def bind(frame: Frame) -> None:
        for source in sources:
            binary_number(frame, source, saved)
        for (source, target), splits in zip(pairs, all_splits):
            labels = _bucket_names(splits)
            others = [other for other in sources if other != source] if invalid == "skip" else []
            row = _bucket(splits, invalid)
            frame.add(
                saved.uid,
                [source, *others],
                [Column(target, "double", labels=labels)],
                _with_others(row) if others else row,
                _bucket_batch(splits, invalid),
            )

    return Stage(saved.uid, saved.java_class, bind, hints=_hints(sources, all_splits))


def _bucket_names(splits: list[float]) -> tuple[str, ...] | None:
    """What Spark calls the buckets in the column's ML attributes; unknown if Javas differ on a split's digits."""
    bounds = [certain_text(split) for split in splits]
    if None in bounds:
        return None
    return tuple(f"{low}, {high}" for low, high in zip(bounds, bounds[1:]))


def _bucket(splits: list[float], invalid: str) -> Row:
    first, last, final = splits[0], splits[-1], float(len(splits) - 2)
    extra = float(len(splits) - 1)
    # Java's search holds -0.0 below 0.0.
    zeros = {sign: _zero_bucket(splits, sign) for sign in (1.0, -1.0)}

    def row(value: Any) -> float | None:
        if value is None:
            if invalid == "skip":
                raise Drop("it is null")
            return None
        if value.__class__ is int:
            value = float(value)
        if value == 0.0:
            found = zeros[math.copysign(1.0, value)]
            if found is not None:
                return found
        elif first <= value < last:
            return float(bisect_right(splits, value) - 1)
        elif value == last:
            return final
        elif value != value:
            if invalid == "keep":
                return extra
            if invalid == "skip":
                raise Drop("it is NaN")
            raise Invalid("it is NaN; handleInvalid='keep' would give NaN a bucket of its own")
        raise Invalid(f"{value} is outside the splits, which go from {first} to {last}")

    return row


def _zero_bucket(splits: list[float], sign: float) -> float | None:
    """The bucket of 0.0 or -0.0, or ``None`` if it is outside."""
    if splits[-1] == 0.0:
        return float(len(splits) - 2)
    zero = (0.0, sign)
    keys = [(split, math.copysign(1.0, split)) if split == 0.0 else (split, 0.0) for split in splits]
    below = sum(key <= zero for key in keys)
    return None if below in (0, len(splits)) else float(below - 1)


def _with_others(row: Row) -> Callable[..., Any]:
    def checked(value: Any, *others: Any) -> Any:
        for other in others:
            if other is None or other != other:
                raise Drop(f"another of its columns is {'null' if other is None else 'NaN'}")
        return row(value)

    return checked


def _bucket_batch(splits: list[float], invalid: str) -> Callable[..., tuple[Block] | None]:
    edges = np.array(splits, dtype=np.float64)
    first, last, extra = splits[0], splits[-1], float(len(splits) - 1)
    zero_is_an_edge = 0.0 in splits

    def batch(column: Block, *others: Block) -> tuple[Block] | None:
        values = doubles_of(column)
        if values is None:
            return None
        missing = np.isnan(values)
        if missing.any() and invalid != "keep":
            return None
        if zero_is_an_edge and np.signbit(values[values == 0.0]).any():
            return None
        for other in others:
            checked = doubles_of(other)
            if checked is None or np.isnan(checked).any():
                return None
        if ((values < first) | (values > last)).any():
            return None
        buckets: Floats = (np.searchsorted(edges, values, side="right") - 1).astype(np.float64)
        buckets[values == last] = extra - 1.0
        buckets[missing] = extra
        return (buckets,)

    return batch


# -- Imputer ----------------------------------------------------------------------------------------------------


@loads(
    "org.apache.spark.ml.feature.ImputerModel",
    inputCol=text,
    outputCol=text,
    inputCols=texts,
    outputCols=texts,
    missingValue=number,
    strategy=training,
    relativeError=training,
)
def imputer_model(saved: SavedStage, params: Params) -> Stage:
    """``ImputerModel``: nulls and missing values become the surrogate.

    Every value passes through a double, as in Spark, which rounds a ``bigint`` beyond 2^53.
    """
    surrogates = saved.row()
    pairs = _paired(saved, params)
    for source, _ in pairs:
        if not isinstance(surrogates.get(source), float):
            raise saved.damaged(f"it has no surrogate for its column {source!r:.80}")
    missing = math.nan if params.missingValue is None else params.missingValue

    def bind(frame: Frame) -> None:
        for source, _ in pairs:
            kind = binary_number(frame, source, saved).type
            if kind in INTEGER_RANGES:
                low, high = INTEGER_RANGES[kind]
                if not low <= surrogates[source] <= high:
                    raise saved.refuse(f"its surrogate for {source!r} does not fit {kind}")
        for source, target in pairs:
            if target in frame.visible:
                raise saved.refuse(f"it writes over the column {target!r}")
            kind = frame.type_of(source)
            row, batch = _imputed(kind, missing, surrogates[source])
            frame.add(saved.uid, [source], [Column(target, kind)], row, batch)

    hints = _hints([source for source, _ in pairs], [[-math.inf, missing, math.inf]] * len(pairs))
    return Stage(saved.uid, saved.java_class, bind, hints=hints, back=same(pairs))


def _imputed(kind: str, missing: float, surrogate: float) -> tuple[Row, Batch | None]:
    fill: float | int = surrogate
    if kind in INTEGER_RANGES:
        fill = int(surrogate)
    elif kind == "float":
        fill = to_float(surrogate)
    # Spark SQL holds NaN equal to NaN.
    nan = missing != missing
    largest = INTEGER_RANGES["bigint"][1]

    def row(value: Any) -> Any:
        if value is None or value == missing or (nan and value != value):
            return fill
        return value

    if kind == "bigint":

        def row(value: Any) -> Any:
            if value is None:
                return fill
            rounded = float(value)
            return fill if rounded == missing else min(int(rounded), largest)

    if kind in INTEGER_RANGES:
        return row, None

    def batch(column: Block) -> tuple[Block] | None:
        values = doubles_of(column)
        if values is None:
            return None
        return (np.where(np.isnan(values) if nan else values == missing, fill, values),)

    return row, batch
