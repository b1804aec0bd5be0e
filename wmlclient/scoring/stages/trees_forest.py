"""A forest: the leaves that vectors reach, by row and by column.

A small model is nested tuples for single rows, and arrays for columns once there is a column. In a large one the
tuples would take most of a server's memory, so single rows go down the arrays, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from attrs import evolve

from wmlclient.scoring.blocks import Block, DenseBlock, Floats, SparseBlock, vectors_of
from wmlclient.scoring.columns import Column
from wmlclient.scoring.registry import Params
from wmlclient.scoring.stages.classified import Part
from wmlclient.scoring.stages.trees_batch import Indices, LeafFinder
from wmlclient.scoring.stages.trees_read import Tree, descent, expander, used_features
from wmlclient.scoring.values import Sparse, vector_size

MAX_EDGES = 64
MAX_NESTED = 100_000
"""Nodes up to which a model has nested tuples for rows beside the arrays for columns: faster, for more memory."""


def _above(threshold: float) -> float:
    return math.nextafter(threshold, math.inf)


def _asked(trees: Sequence[Tree], used: Sequence[int]) -> list[list[float]]:
    """For each feature, where answers change: thresholds, the next doubles above them, and categories."""
    found: dict[int, set[float]] = {feature: set() for feature in used}
    for tree in trees:
        for feature, split in zip(tree.features, tree.splits, strict=True):
            if feature >= 0:
                found[feature].update(split if isinstance(split, frozenset) else (split, _above(split)))
    return [sorted(values) or [0.0] for values in found.values()]


class Forest:
    """One tree or several: the leaves that vectors reach."""

    def __init__(self, trees: Sequence[Tree]) -> None:
        self.used = used_features(trees)
        self._predictions = [tree.predictions for tree in trees]
        self._asked = _asked(trees, self.used)
        self._expand = expander(self.used)
        self._trees: Sequence[Tree] = ()
        self._finder: LeafFinder | None = None
        if sum(len(tree.features) for tree in trees) > MAX_NESTED:
            self._finder = LeafFinder(trees, self.used, walked=True)
            self._descend = self._finder.walker(trees)
        else:
            self._trees = [evolve(tree, stats=np.empty((0, 0))) for tree in trees]
            self._descend = descent(trees, self.used)
        self.first_leaves = np.cumsum([0, *(len(values) for values in self._predictions[:-1])])

    def find(self, vector: Any) -> list[int]:
        """For each tree, the number of the leaf that a vector reaches."""
        return self._descend(self._expand(vector))

    def find_block(self, column: Block) -> Indices | None:
        """The same for all vectors, shape (trees, rows); leaves are numbered through, over all trees."""
        values = self._values(column)
        if values is None:
            return None
        if self._finder is None:  # two threads may build it, and either will do
            self._finder = LeafFinder(self._trees, self.used)
        return self._finder.find(values)

    def _values(self, column: Block) -> Floats | None:
        """The values of the used features, shape (features, rows); ``None`` if a vector is null or too short."""
        count, last = len(column), self.used[-1] if self.used else -1
        out = np.zeros((len(self.used), count))
        block = vectors_of(column)
        if isinstance(block, DenseBlock):
            if len(block.features) <= last:
                return None
            for at, feature in enumerate(self.used):
                out[at] = block.features[feature]
            return out
        if isinstance(block, SparseBlock):
            if block.size <= last:
                return None
            used = np.array(self.used, dtype=np.int64)
            place = used.searchsorted(block.indices)
            asked = place < len(used)
            asked[asked] = used[place[asked]] == block.indices[asked]
            out[place[asked], block.row_numbers()[asked]] = block.values[asked]
            return out
        if not isinstance(column, list) or not {type(vector) for vector in column} <= {list, Sparse}:
            return None
        if any(vector_size(vector) <= last for vector in column):
            return None
        out[:] = np.array([self._expand(vector) for vector in column], dtype=np.float64).T
        return out

    def edges(self, size: int) -> list[Sparse]:
        """Some vectors on the trees' own edges: thresholds, the next doubles above them, and categories."""
        values = self._asked
        count = min(MAX_EDGES, max(map(len, values), default=0))
        # A step that has no divisor in common with most lengths, so that not all features sit at the same place.
        return [
            Sparse(
                size, list(self.used), [some[(7 * row + at) % len(some)] for at, some in enumerate(values)]
            )
            for row in range(count)
        ]

    def predictions(self, weights: Sequence[float] | None = None) -> tuple[list[list[float]], Floats]:
        """What the leaves predict, times the trees' weights: by tree and leaf, and numbered through."""
        by_tree = self._predictions
        if weights is not None:
            by_tree = [[w * value for value in values] for w, values in zip(weights, by_tree, strict=True)]
        return by_tree, np.array(list(chain.from_iterable(by_tree)), dtype=np.float64)

    def leaf_part(self, params: Params) -> Part:
        """The column of leaf numbers, if one is wanted: a double for one tree, a vector for several."""
        name = params.leafCol
        first = self.first_leaves

        def block(found: Indices) -> Sequence[Block]:
            numbers = (found - first[:, None]).astype(np.float64)
            return [DenseBlock(list(numbers), numbers.shape[1])]

        return Part(
            [Column(name, "vector", size=len(self._predictions))] if name else [],
            lambda found: ([float(leaf) for leaf in found],),
            block,
        )

    def only_leaf_part(self, params: Params) -> Part:
        """The same for a model that is one tree."""
        columns = [Column(params.leafCol, "double")] if params.leafCol else []
        return Part(columns, lambda found: (float(found[0]),), lambda found: (found[0].astype(np.float64),))
