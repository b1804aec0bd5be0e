# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Whole columns, as the vectorised stages pass them.

A column is one of: a ``list`` of row values (any type, nulls allowed), a one-dimensional ``float64`` array (doubles
without nulls), a :class:`DenseBlock` or a :class:`SparseBlock` (vectors without nulls).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wmlclient.scoring.values import Sparse, json_floats

Floats: TypeAlias = "NDArray[np.float64]"
Ints: TypeAlias = "NDArray[np.int64]"


class DenseBlock:
    """Dense vectors of one size, as columns: ``features[j]`` holds the j-th value of every row."""

    __slots__ = ("_rows", "count", "features")

    def __init__(self, features: list[Floats], count: int) -> None:
        self.features = features
        self.count = count
        self._rows: list[list[float]] | None = None

    def __len__(self) -> int:
        return self.count

    def rows(self) -> list[list[float]]:
        """The rows, each a list of floats."""
        if self._rows is None:
            if self.features:
                self._rows = list(map(list, zip(*[feature.tolist() for feature in self.features])))
            else:
                self._rows = [[] for _ in range(self.count)]
        return self._rows

    def json(self) -> list[Any]:
        """The rows as online answers show them."""
        rows = self.rows()
        if all(np.isfinite(feature).all() for feature in self.features):
            return rows
        return [json_floats(row) for row in rows]


class SparseBlock:
    """Sparse vectors of one size, row after row.

    Attributes:
        size: The vectors' size.
        ends: ``ends[i]`` is where row i ends in ``indices`` and ``values``, shape (rows,).
        indices: Indices, ascending within a row.
        values: Values, float64.
    """

    __slots__ = ("_rows", "ends", "indices", "size", "values")

    def __init__(self, size: int, ends: Ints, indices: Ints, values: Floats) -> None:
        self.size = size
        self.ends = ends
        self.indices = indices
        self.values = values
        self._rows: list[Sparse] | None = None

    def __len__(self) -> int:
        return len(self.ends)

    def row_numbers(self) -> Ints:
        """For each stored value, the row it belongs to."""
        counts = np.diff(self.ends, prepend=0)
        return np.repeat(np.arange(len(self.ends)), counts)

    def rows(self) -> list[Sparse]:
        """The rows, each a sparse vector."""
        if self._rows is None:
            size, indices, values = self.size, self.indices.tolist(), self.values.tolist()
            rows, start = [], 0
            for end in self.ends.tolist():
                rows.append(Sparse(size, indices[start:end], values[start:end]))
                start = end
            self._rows = rows
        return self._rows

    def json(self) -> list[Any]:
        """The rows as online answers show them: ``[size, indices, values]``."""
        size, indices, values = self.size, self.indices.tolist(), self.values.tolist()
        plain = bool(np.isfinite(self.values).all())
        rows, start = [], 0
        for end in self.ends.tolist():
            some = values[start:end]
            rows.append([size, indices[start:end], some if plain else json_floats(some)])
            start = end
        return rows


Block: TypeAlias = "list[Any] | Floats | DenseBlock | SparseBlock"


def rows_of(column: Block) -> list[Any]:
    """The column's values, row by row, as plain Python values."""
    if isinstance(column, list):
        return column
    if isinstance(column, np.ndarray):
        values: list[Any] = column.tolist()
        return values
    return column.rows()


def doubles_of(column: Block) -> Floats | None:
    """The column as float64, or ``None`` if it holds a null or something else."""
    if isinstance(column, np.ndarray):
        return column
    if isinstance(column, list) and set(map(type, column)) <= {float, int}:
        try:
            return np.array(column, dtype=np.float64)
        except OverflowError:
            return None
    return None


def vectors_of(column: Block) -> DenseBlock | SparseBlock | None:
    """The column as a block of vectors, or ``None`` if they differ in form or size, or one is null."""
    if isinstance(column, (DenseBlock, SparseBlock)):
        return column
    if not isinstance(column, list) or not column:
        return None
    kinds = set(map(type, column))
    if kinds == {list}:
        if len(set(map(len, column))) != 1:
            return None
        block = DenseBlock([np.array(feature, dtype=np.float64) for feature in zip(*column)], len(column))
        block._rows = column
        return block
    if kinds == {Sparse} and len({vector.size for vector in column}) == 1:
        ends = np.cumsum(np.fromiter((len(v.indices) for v in column), dtype=np.int64, count=len(column)))
        indices = np.array([i for v in column for i in v.indices], dtype=np.int64)
        values = np.array([x for v in column for x in v.values], dtype=np.float64)
        sparse = SparseBlock(column[0].size, ends, indices, values)
        sparse._rows = column
        return sparse
    return None
