# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Distances to cluster centers, as Spark's ``DistanceMeasure`` and ``MLUtils.fastSquaredDistance`` compute them.

Centers are dense, as Spark makes them. The Euclidean ones, squared, are equal to Spark's to the last bit; so are the
cosine ones of sparse points. For dense points of many features Spark's BLAS sums in lanes whose number depends on
the processor, so that the cosine distances of two centers that are equally near may come out in another order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import DenseBlock, Floats, SparseBlock
from wmlclient.scoring.columns import Invalid

EPSILON = 2.0**-52
_PRECISION = 1e-6


def norm_of(values: Sequence[float]) -> float:
    """``Vectors.norm(vector, 2)`` of the stored values."""
    total = 0.0
    for value in values:
        total += value * value
    return math.sqrt(total)


class Euclidean:
    """Squared Euclidean distances to some centers.

    Args:
        centers: Dense, of one size.
        norms: Their norms.
    """

    def __init__(self, centers: Sequence[list[float]], norms: Sequence[float]) -> None:
        self.size = len(centers[0])
        self.norms = list(norms)
        self._centers = list(centers)

    def point(self, vector: Any) -> tuple[float, Callable[[int], float]]:
        """The norm of a point and the function that gives its distance to a center.

        Raises:
            Invalid: Spark refuses the point: it has another size, or its norm is NaN.
        """
        if vector.__class__ is list:
            norm = norm_of(vector)
            _check(len(vector), self.size, norm)
            centers = self._centers

            def to_dense_point(place: int) -> float:
                total = 0.0
                for mine, value in zip(centers[place], vector):
                    gap = mine - value
                    total += gap * gap
                return total

            return norm, to_dense_point
        norm = norm_of(vector.values)
        _check(vector.size, self.size, norm)
        return norm, lambda place: self._to_sparse(place, vector, norm)

    def _to_sparse(self, place: int, vector: Any, norm: float) -> float:
        center = self._centers[place]
        own = self.norms[place]
        squares = own * own + norm * norm
        gap = own - norm
        dot = 0.0
        for index, value in zip(vector.indices, vector.values):
            dot += value * center[index]
        if 2.0 * EPSILON * squares / (gap * gap + EPSILON) < _PRECISION:
            return squares - 2.0 * dot
        squared = squares - 2.0 * dot
        if squared < 0.0:
            squared = 0.0
        if EPSILON * (squares + 2.0 * abs(dot)) / (squared + EPSILON) > _PRECISION:
            squared = _exact(center, vector)
        return squared

    def block(self, block: DenseBlock | SparseBlock) -> tuple[Floats, Callable[[int], Floats]] | None:
        """The same for all points of a block, or ``None`` if one of them is refused."""
        if isinstance(block, DenseBlock):
            if len(block.features) != self.size:
                return None
            norms = np.sqrt(_sum([feature * feature for feature in block.features], len(block)))
            if np.isnan(norms).any():
                return None
            return norms, lambda place: self._many_dense(place, block)
        if block.size != self.size:
            return None
        rows = block.row_numbers()
        norms = np.sqrt(_by_row(rows, block.values * block.values, len(block)))
        if np.isnan(norms).any():
            return None
        return norms, lambda place: self._many_sparse(place, block, rows, norms)

    def _many_dense(self, place: int, block: DenseBlock) -> Floats:
        total: Floats = np.zeros(len(block))
        for mine, feature in zip(self._centers[place], block.features):
            gap = mine - feature
            gap *= gap
            total += gap
        return total

    def _many_sparse(self, place: int, block: SparseBlock, rows: Any, norms: Floats) -> Floats:
        center = np.array(self._centers[place], dtype=np.float64)
        own = self.norms[place]
        dots = _by_row(rows, block.values * center[block.indices], len(block))
        squares = own * own + norms * norms
        gaps = own - norms
        plain = 2.0 * EPSILON * squares / (gaps * gaps + EPSILON) < _PRECISION
        first = squares - 2.0 * dots
        second = np.where(first < 0.0, 0.0, first)
        inexact = EPSILON * (squares + 2.0 * np.abs(dots)) / (second + EPSILON) > _PRECISION
        result: Floats = np.where(plain, first, second)
        again = np.flatnonzero(~plain & inexact)
        if len(again):
            points = block.rows()
            for row in again.tolist():
                result[row] = _exact(self._centers[place], points[row])
        return result


class Cosine:
    """Cosine distances to some centers; see :class:`Euclidean`."""

    def __init__(self, centers: Sequence[list[float]], norms: Sequence[float]) -> None:
        self.size = len(centers[0])
        self.norms = list(norms)
        self._centers = list(centers)

    def point(self, vector: Any) -> tuple[float, Callable[[int], float]]:
        """The norm of a point and the function that gives its distance to a center.

        Raises:
            Invalid: Spark refuses the point: it has another size, or all its values are zero, or one is NaN.
        """
        if vector.__class__ is list:
            size, values, pairs = len(vector), vector, None
        else:
            size, values, pairs = vector.size, vector.values, list(zip(vector.indices, vector.values))
        norm = norm_of(values)
        if not norm > 0.0:
            raise Invalid("the cosine distance is not defined for a vector of zeros, nor for one with a NaN")
        if size != self.size:
            raise Invalid(f"the vector has {size} values, the model was fitted on {self.size}")
        centers, norms = self._centers, self.norms

        def distance(place: int) -> float:
            center = centers[place]
            if not norms[place] > 0.0:
                raise Invalid("the cosine distance is not defined: the center is a vector of zeros")
            dot = 0.0
            if pairs is None:
                for mine, value in zip(center, vector):
                    dot += mine * value
            else:
                for index, value in pairs:
                    dot += value * center[index]
            return 1.0 - dot / norms[place] / norm

        return norm, distance

    def block(self, block: DenseBlock | SparseBlock) -> tuple[Floats, Callable[[int], Floats]] | None:
        """The same for all points of a block, or ``None`` if one of them is refused, or a center."""
        count = len(block)
        if isinstance(block, DenseBlock):
            size, dense = len(block.features), block.features
            norms = np.sqrt(_sum([feature * feature for feature in dense], count))

            def dots(center: list[float]) -> Floats:
                return _sum([mine * feature for mine, feature in zip(center, dense)], count)

        else:
            size, sparse, rows = block.size, block, block.row_numbers()
            norms = np.sqrt(_by_row(rows, sparse.values * sparse.values, count))

            def dots(center: list[float]) -> Floats:
                weights = np.array(center, dtype=np.float64)
                return _by_row(rows, sparse.values * weights[sparse.indices], count)

        if size != self.size or not (norms > 0.0).all() or not all(own > 0.0 for own in self.norms):
            return None
        return norms, lambda place: 1.0 - dots(self._centers[place]) / self.norms[place] / norms


def _check(size: int, wanted: int, norm: float) -> None:
    if size != wanted:
        raise Invalid(f"the vector has {size} values, the model was fitted on {wanted}")
    if norm != norm:
        raise Invalid("the vector has a NaN, which has no distance to a center")


def _exact(center: list[float], vector: Any) -> float:
    """``Vectors.sqdist`` of a dense center and a sparse point."""
    stored = dict(zip(vector.indices, vector.values))
    total = 0.0
    for index, mine in enumerate(center):
        value = stored.get(index)
        gap = mine if value is None else value - mine
        total += gap * gap
    return total


def _sum(parts: list[Floats], count: int) -> Floats:
    total: Floats = np.zeros(count)
    for part in parts:
        total += part
    return total


def _by_row(rows: Any, values: Floats, count: int) -> Floats:
    """The values of each row, added one after the other."""
    sums: Floats = np.bincount(rows, weights=values, minlength=count).astype(np.float64, copy=False)
    return sums
