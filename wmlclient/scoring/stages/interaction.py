# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Products across columns: Interaction, equal to Spark's to the last bit.

Source: ``Interaction`` and its ``FeatureEncoder`` in ``org.apache.spark.ml.feature`` of Spark 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate
from typing import Any

from wmlclient.scoring.columns import Column, Frame, Invalid, is_numeric
from wmlclient.scoring.registry import Params, Stage, loads, text, texts
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.stages.vectors import most_stored
from wmlclient.scoring.values import Sparse

MAX_SIZE = (1 << 31) - 1
"""Spark counts the values of its answer in an ``int``."""


@loads("org.apache.spark.ml.feature.Interaction", inputCols=texts, outputCol=text)
def interaction(saved: SavedStage, params: Params) -> Stage:
    """``Interaction`` of numbers and vectors; a category counts as one column for each of its values.

    Which numbers are categories is in Spark's ML attributes, without which it takes no vector. Those of
    VectorAssembler and OneHotEncoder are known here.
    """
    names = params.inputCols or []
    if not names or len(set(names)) != len(names):
        raise saved.refuse("its input columns are none, or not distinct")

    def bind(frame: Frame) -> None:
        columns = [frame.find(name, saved.uid, _fits, "a number or a vector", "double") for name in names]
        counts = [_counts(saved, frame, column) for column in columns]
        size = math.prod(map(sum, counts))
        if size > MAX_SIZE:
            raise saved.refuse(f"its answer has {size} values")
        if any(column.type == "vector" for column in columns):
            row = _of_vectors(
                [
                    (_vector if column.type == "vector" else _number)(column.name, some)
                    for column, some in zip(columns, counts)
                ],
                [sum(some) for some in counts],
            )
        else:
            row = _of_numbers([_encoder(name, some[0]) for name, some in zip(names, counts)], size)
        frame.add(saved.uid, names, [Column(params.outputCol, "vector", size=size)], row)

    return Stage(saved.uid, saved.java_class, bind)


def _fits(type: str) -> bool:
    return type == "vector" or is_numeric(type)


def _counts(saved: SavedStage, frame: Frame, column: Column) -> list[int]:
    """For each value of a vector, or for the only one: how many columns it counts as."""
    if column.type.startswith("decimal"):
        raise saved.refuse(f"the column {column.name!r} is {column.type}")
    kinds = column.categories(column.name in frame.produced)
    if kinds is None:
        raise saved.refuse(
            f"it is not known which values of the column {column.name!r} are categories, "
            "as no VectorAssembler or OneHotEncoder made it"
            if column.type == "vector"
            else f"it is not known whether the values of the column {column.name!r} are categories"
        )
    return [max(1, kind) for kind, many in kinds for _ in range(many)]


def _category(name: str, count: int, value: Any) -> int:
    if 0 <= value < count and value == int(value):
        return int(value)
    raise Invalid(f"the column {name!r} is {value}, which is none of its {count} categories")


# -- numbers alone ------------------------------------------------------------------------------------------------

Encoder = tuple[int, Callable[[Any], tuple[int, float]]]
"""How many columns a column counts as, and what gives a value's place among them and its factor."""


def _encoder(name: str, count: int) -> Encoder:
    def category(value: Any) -> tuple[int, float]:
        if value is None:
            raise Invalid(f"the column {name!r} is null")
        return _category(name, count, value), 1.0

    def plain(value: Any) -> tuple[int, float]:
        if value is None:
            raise Invalid(f"the column {name!r} is null")
        return 0, float(value)

    return count, category if count > 1 else plain


def _of_numbers(encoders: list[Encoder], size: int) -> Callable[..., Any]:
    # Spark multiplies from the last column to the first.
    backwards = encoders[::-1]

    def row(*values: Any) -> list[float] | Sparse:
        at, product, step = 0, 1.0, 1
        for (count, encode), value in zip(backwards, reversed(values)):
            place, factor = encode(value)
            at += place * step
            step *= count
            product *= factor
        return _compressed(size, [at], [product])

    return row


def _compressed(size: int, indices: list[int], values: list[float]) -> list[float] | Sparse:
    """``Vectors.sparse(...).compressed``, where a dense vector keeps the -0.0 and a sparse one has no zeros."""
    stored = [at for at, value in enumerate(values) if value]
    if len(stored) <= most_stored(size):
        return Sparse(size, [indices[at] for at in stored], [values[at] for at in stored])
    dense = [0.0] * size
    for index, value in zip(indices, values):
        dense[index] = value
    return dense


# -- vectors among them -------------------------------------------------------------------------------------------

Places = Callable[[Any], list[tuple[int, float]]]
"""What gives the places that a value takes, ascending, and its factor at each."""


def _number(name: str, counts: list[int]) -> Places:
    _, encode = _encoder(name, counts[0])
    return lambda value: [encode(value)]


def _vector(name: str, counts: list[int]) -> Places:
    starts = [0, *accumulate(counts)]
    plain = all(count == 1 for count in counts)

    def places(vector: Any) -> list[tuple[int, float]]:
        if vector is None:
            raise Invalid(f"the column {name!r} is null")
        dense = vector.__class__ is list
        size = len(vector) if dense else vector.size
        if size != len(counts):
            raise Invalid(f"the column {name!r} has vectors of {len(counts)} values, and this one has {size}")
        # Zeros that a dense vector holds count, and those that a sparse one leaves out do not: as categories, too.
        active = enumerate(vector) if dense else zip(vector.indices, vector.values)
        if plain:
            return list(active)
        return [
            (starts[at] + _category(name, counts[at], value), 1.0) if counts[at] > 1 else (starts[at], value)
            for at, value in active
        ]

    return places


def _of_vectors(encoders: list[Places], sizes: list[int]) -> Callable[..., Any]:
    backwards = list(zip(encoders, sizes))[::-1]

    def row(*values: Any) -> list[float] | Sparse:
        indices, products, step = [0], [1.0], 1
        for (encode, size), value in zip(backwards, reversed(values)):
            active = encode(value)
            indices = [at + place * step for place, _ in active for at in indices]
            products = [product * factor for _, factor in active for product in products]
            step *= size
        return _compressed(step, indices, products)

    return row
