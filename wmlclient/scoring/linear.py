# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Inner products as Spark's ``BLAS.dot`` and ``BLAS.gemv`` compute them, sparse or dense on either side.

A sparse vector or matrix contributes only where a value is stored: with an infinite or NaN feature that is not the
same as multiplying by zero. Sums run in index order. Spark does the same wherever one side is sparse, so those are
equal to the last bit; for two dense sides its BLAS sums in lanes whose number depends on the processor, and the
difference is in the last bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import DenseBlock, Floats, SparseBlock
from wmlclient.scoring.cells import Matrix
from wmlclient.scoring.columns import Invalid
from wmlclient.scoring.values import Sparse, to_dense


def dotter(weights: list[float] | Sparse, start: float = 0.0) -> Callable[[Any], float]:
    """The row function ``vector -> start + vector . weights``, summed from ``start`` on."""
    if isinstance(weights, Sparse):
        return _sparse_dotter(weights, start)
    size = len(weights)

    def dot(vector: Any) -> float:
        total = start
        if vector.__class__ is list:
            if len(vector) != size:
                raise _mismatch(len(vector), size)
            for value, weight in zip(vector, weights):
                total += value * weight
            return total
        if vector.size != size:
            raise _mismatch(vector.size, size)
        for index, value in zip(vector.indices, vector.values):
            total += value * weights[index]
        return total

    return dot


def _sparse_dotter(weights: Sparse, start: float) -> Callable[[Any], float]:
    size = weights.size
    pairs = list(zip(weights.indices, weights.values))
    lookup = dict(pairs).get

    def dot(vector: Any) -> float:
        total = start
        if vector.__class__ is list:
            if len(vector) != size:
                raise _mismatch(len(vector), size)
            for index, weight in pairs:
                total += vector[index] * weight
            return total
        if vector.size != size:
            raise _mismatch(vector.size, size)
        for index, value in zip(vector.indices, vector.values):
            stored = lookup(index)
            if stored is not None:
                total += value * stored
        return total

    return dot


def _mismatch(found: int, wanted: int) -> Invalid:
    return Invalid(f"the vector has {found} values, the model was fitted on {wanted}")


class Dot:
    """``vector -> start + vector . weights``: for one row, and for all rows of a block to the same bit."""

    def __init__(self, weights: list[float] | Sparse, start: float = 0.0) -> None:
        self.row = dotter(weights, start)
        self._start = start
        if isinstance(weights, Sparse):
            self._size = weights.size
            self._pairs = list(zip(weights.indices, weights.values))
            self._stored: np.ndarray[Any, np.dtype[np.bool_]] | None = np.zeros(weights.size, dtype=np.bool_)
            self._stored[weights.indices] = True
        else:
            self._size = len(weights)
            self._pairs = list(enumerate(weights))
            self._stored = None
        self._weights = np.array(to_dense(weights), dtype=np.float64)

    def block(self, block: DenseBlock | SparseBlock) -> Floats | None:
        """The answers for all rows, or ``None`` if their size is not the model's."""
        count = len(block)
        if isinstance(block, DenseBlock):
            if len(block.features) != self._size:
                return None
            total: Floats = np.full(count, self._start)
            for index, weight in self._pairs:
                total += block.features[index] * weight
            return total
        if block.size != self._size:
            return None
        rows, indices, values = block.row_numbers(), block.indices, block.values
        if self._stored is not None:
            both = self._stored[indices]
            rows, indices, values = rows[both], indices[both], values[both]
        products = values * self._weights[indices]
        if self._start:
            rows = np.concatenate([np.arange(count), rows])
            products = np.concatenate([np.full(count, self._start), products])
        # bincount adds one after the other, as the row function does; add.reduceat would not.
        sums = np.bincount(rows, weights=products, minlength=count)
        return sums.astype(np.float64, copy=False)


class Margins:
    """``vector -> matrix . vector + intercepts``: for one row, and for all rows of a block to the same bit."""

    def __init__(self, matrix: Matrix, intercepts: list[float]) -> None:
        self._by_column = matrix.by_column
        self._intercepts = intercepts
        starts = intercepts if matrix.by_column else [0.0] * len(intercepts)
        self._dots = [Dot(row, start) for row, start in zip(matrix.rows, starts)]
        pairs = [(dot.row, intercept) for dot, intercept in zip(self._dots, intercepts)]
        if matrix.by_column:
            self.row: Callable[[Any], list[float]] = lambda vector: [dot(vector) for dot, _ in pairs]
        else:
            self.row = lambda vector: [dot(vector) + intercept for dot, intercept in pairs]

    def block(self, block: DenseBlock | SparseBlock) -> list[Floats] | None:
        """For each row of the matrix, the margins of all rows of the block; ``None`` if the size is not right."""
        totals: list[Floats] = []
        for dot, intercept in zip(self._dots, self._intercepts):
            total = dot.block(block)
            if total is None:
                return None
            totals.append(total if self._by_column else total + intercept)
        return totals
