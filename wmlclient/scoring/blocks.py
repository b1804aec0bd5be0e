# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Whole columns, as the vectorised stages pass them.

A column is one of: a ``list`` of row values (any type, nulls allowed), a one-dimensional ``float64`` array (doubles
without nulls), a :class:`DenseBlock` or a :class:`SparseBlock` (vectors without nulls), or a :class:`WordsBlock`
(arrays of strings without nulls).
"""

from __future__ import annotations

from collections.abc import Callable
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

    __slots__ = ("_index_rows", "_rows", "ends", "indices", "size", "values")

    def __init__(self, size: int, ends: Ints, indices: Ints, values: Floats) -> None:
        self.size = size
        self.ends = ends
        self.indices = indices
        self.values = values
        self._rows: list[Sparse] | None = None
        self._index_rows: list[list[list[int]]] = []

    def __len__(self) -> int:
        return len(self.ends)

    def with_values(self, values: Floats) -> SparseBlock:
        """The same places with other values; what was made of the indices is shared."""
        block = SparseBlock(self.size, self.ends, self.indices, values)
        block._index_rows = self._index_rows
        return block

    def row_numbers(self) -> Ints:
        """For each stored value, the row it belongs to."""
        counts = np.diff(self.ends, prepend=0)
        return np.repeat(np.arange(len(self.ends)), counts)

    def rows(self) -> list[Sparse]:
        """The rows, each a sparse vector."""
        if self._rows is None:
            size = self.size
            values = _sliced(self.values, self.ends)
            self._rows = [Sparse(size, some, own) for some, own in zip(self._indices(), values)]
        return self._rows

    def json(self) -> list[Any]:
        """The rows as online answers show them: ``[size, indices, values]``."""
        size = self.size
        values: list[Any] = _sliced(self.values, self.ends)
        if not np.isfinite(self.values).all():
            values = list(map(json_floats, values))
        return [[size, some, own] for some, own in zip(self._indices(), values)]

    def _indices(self) -> list[list[int]]:
        if not self._index_rows:
            self._index_rows.append(_sliced(self.indices, self.ends))
        return self._index_rows[0]


class WordsBlock:
    """Words of some rows, as parts of one text in UTF-8; Python's strings are made when they are asked for.

    Attributes:
        text: The text, uint8.
        starts: Where each word starts, shape (words,).
        ends: Where it ends.
        counts: How many words each row has, shape (rows,).
    """

    __slots__ = ("_make", "_rows", "counts", "ends", "starts", "text")

    def __init__(
        self,
        text: NDArray[np.uint8],
        starts: Ints,
        ends: Ints,
        counts: Ints,
        make: Callable[[], list[list[str]]],
    ) -> None:
        self.text = text
        self.starts = starts
        self.ends = ends
        self.counts = counts
        self._make = make
        self._rows: list[list[str]] | None = None

    def __len__(self) -> int:
        return len(self.counts)

    def rows(self) -> list[list[str]]:
        """The rows, each a list of strings."""
        if self._rows is None:
            self._rows = self._make()
        return self._rows


def _sliced(values: Any, ends: Ints) -> list[Any]:
    """The values of each row as a list."""
    flat = values.tolist()
    stops = ends.tolist()
    return [flat[start:stop] for start, stop in zip([0, *stops], stops)]


Block: TypeAlias = "list[Any] | Floats | DenseBlock | SparseBlock | WordsBlock"


def rows_of(column: Block) -> list[Any]:
    """The column's values, row by row, as plain Python values."""
    if isinstance(column, list):
        return column
    if isinstance(column, np.ndarray):
        values: list[Any] = column.tolist()
        return values
    return column.rows()


def listed(column: Block) -> list[Any] | None:
    """The column as a list, if it is one or holds words."""
    if isinstance(column, WordsBlock):
        return column.rows()
    return column if isinstance(column, list) else None


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
