"""Decision trees for whole columns: all trees, all rows, a few NumPy calls.

Going down each tree for each row costs NumPy four lookups a level. This asks each question once instead. Spark's
splits of a feature fall on few distinct thresholds (``maxBins``, by default 32, less one), so a row becomes one small
number for each feature: the bin between two thresholds, or the category. For a tree whose leaves are numbered from
left to right, a table gives for each bin of a feature the set of leaves that the answers to *all* of the tree's
questions about this feature leave open, as bits. The AND over the features leaves the leaf that is reached as the
lowest bit. (QuickScorer, Lucchese et al., SIGIR 2015, has the idea.) Two things make it fast in NumPy: several small
trees share the 64 bits of a word, and features with few bins share a table.

A tree with more than 64 leaves is cut where it has 64 branches; from there it is gone down level by level.

Comparisons are those of the row function, on the same doubles, so that both find the same leaf always.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from wmlclient.scoring.blocks import Floats
from wmlclient.scoring.stages.trees_read import Tree

Indices: TypeAlias = "NDArray[np.intp]"
Words: TypeAlias = "NDArray[np.uint64]"

WORD = 64
ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
SHARED_BINS = 1024
"""Features share a table up to so many combinations of their bins; 8 KB, which stay in the first cache."""
MAX_TABLES = 64 << 20
"""Bytes for all tables; beyond it, features do not share."""
MAX_CELLS = 1 << 16
"""Trees times rows that are looked at together, so that they stay in the second cache."""


class LeafFinder:
    """Finds the leaves that rows reach.

    Leaves are numbered through: those of the second tree come after those of the first.

    Args:
        trees: The trees.
        used: The features that some node asks for.
    """

    def __init__(self, trees: Sequence[Tree], used: Sequence[int]) -> None:
        self._trees = len(trees)
        place = {feature: at for at, feature in enumerate(used)}
        self._features = [_feature(trees, feature) for feature in used]
        tops = [_Top(tree) for tree in trees]
        self._pack(tops)
        self._groups = self._grouped(SHARED_BINS)
        if sum(size for _, size in self._groups) * 8 * len(self._lowest) > MAX_TABLES:
            self._groups = self._grouped(0)
        masks = [np.full((len(self._lowest), feature.bins), ALL) for feature in self._features]
        for at, (tree, top) in enumerate(zip(trees, tops, strict=True)):
            for node, start, middle in top.questions:
                feature = place[tree.features[node]]
                lost = ((1 << middle) - (1 << start)) << self._bit[at]
                right = ~self._features[feature].left(tree.splits[node])
                masks[feature][self._word[at], right] &= ~np.uint64(lost)
        self._tables = [_table([masks[member] for member in members]) for members, _ in self._groups]
        self._below = _Descent(trees, tops, place, self._features)

    def _pack(self, tops: Sequence[_Top]) -> None:
        """Gives each tree its bits, beside those of other trees if it is small."""
        self._word = np.zeros(len(tops), dtype=np.intp)
        self._bit = [0] * len(tops)
        masks, lowest, used = [], [0], 0
        for at, top in enumerate(tops):
            width = len(top.ends)
            if used + width > WORD:
                lowest.append(0)
                used = 0
            self._word[at], self._bit[at] = len(lowest) - 1, used
            masks.append(((1 << width) - 1) << used)
            lowest[-1] |= 1 << used
            used += width
        self._mask = np.array(masks, dtype=np.uint64)[:, None]
        self._lowest = np.array(lowest, dtype=np.uint64)[:, None]

    def _grouped(self, limit: int) -> list[tuple[list[int], int]]:
        """Features that share a table, and how many combinations of bins they have."""
        groups: list[tuple[list[int], int]] = []
        for at in sorted(range(len(self._features)), key=lambda at: self._features[at].bins):
            bins = self._features[at].bins
            if groups and groups[-1][1] * bins <= limit:
                members, size = groups[-1]
                groups[-1] = ([*members, at], size * bins)
            else:
                groups.append(([at], bins))
        return groups

    def find(self, columns: Floats) -> Indices:
        """The numbers of the leaves.

        Args:
            columns: The used features' values, shape (features, rows).

        Returns:
            Shape (trees, rows).
        """
        rows = columns.shape[1]
        found = np.empty((self._trees, rows), dtype=np.intp)
        step = max(64, MAX_CELLS // self._trees)
        for start in range(0, rows, step):
            part = np.ascontiguousarray(columns[:, start : start + step])
            found[:, start : start + step] = self._find(part)
        return found

    def _find(self, columns: Floats) -> Indices:
        bins = [feature.of(values) for feature, values in zip(self._features, columns, strict=True)]
        open_leaves = np.full((len(self._lowest), columns.shape[1]), ALL)
        for (members, _), (words, table) in zip(self._groups, self._tables, strict=True):
            at = bins[members[0]]
            for member in members[1:]:
                at = at * self._features[member].bins + bins[member]
            if words is None:
                open_leaves &= table.take(at, axis=1, mode="clip")
            else:
                open_leaves[words] &= table.take(at, axis=1, mode="clip")
        # In each tree's bits, all below the lowest that is set. Nothing is carried from one tree to the next, because
        # every tree has a bit left.
        below = (open_leaves & ~(open_leaves - self._lowest)) - self._lowest
        ends = _ones(below.take(self._word, axis=0) & self._mask)
        return self._below.leaves(ends, columns, bins)


@frozen
class _Feature:
    """How a feature becomes a number from 0 to ``bins - 1``.

    Attributes:
        bins: How many numbers there are.
        thresholds: The distinct thresholds, ascending: the number is how many of them are below the value, and NaN,
            which is not <= any, comes after all. ``None`` for categories: the last number is for the unseen.
    """

    bins: int
    thresholds: Floats | None

    def of(self, values: Floats) -> Indices:
        if self.thresholds is not None:
            return self.thresholds.searchsorted(values, side="left")
        unseen = self.bins - 1
        known = (values >= 0.0) & (values < unseen)
        whole = np.where(known, values, 0.0).astype(np.intp)
        return np.where(known & (whole == values), whole, unseen)

    def left(self, split: Any) -> NDArray[np.bool_]:
        """The numbers that go left at a split."""
        numbers = np.arange(self.bins)
        if self.thresholds is not None:
            found: NDArray[np.bool_] = numbers <= int(self.thresholds.searchsorted(split, side="left"))
            return found
        found = np.isin(numbers, [int(category) for category in split])
        return found


def _feature(trees: Sequence[Tree], feature: int) -> _Feature:
    splits = [s for tree in trees for f, s in zip(tree.features, tree.splits, strict=True) if f == feature]
    thresholds = [split for split in splits if split.__class__ is float]
    if len(thresholds) == len(splits):
        distinct = np.unique(np.array(thresholds, dtype=np.float64))
        return _Feature(len(distinct) + 1, distinct)
    return _Feature(int(max((max(split, default=0.0) for split in splits), default=0.0)) + 2, None)


class _Top:
    """The part of a tree that one word has room for.

    Attributes:
        ends: The nodes where it ends, from left to right: leaves, or nodes that are gone down from.
        questions: Each inner node with the first of the ends below it and the first below its right child.
    """

    def __init__(self, tree: Tree) -> None:
        inner: set[int] = set()
        queue = deque([0])
        while queue and len(inner) < WORD - 1:
            node = queue.popleft()
            if tree.features[node] >= 0:
                inner.add(node)
                queue += (tree.left[node], tree.right[node])
        self.ends: list[int] = []
        self.questions: list[tuple[int, int, int]] = []
        starts: dict[int, int] = {}
        todo: list[tuple[int, bool]] = [(0, False)]
        while todo:
            node, half = todo.pop()
            if node not in inner:
                self.ends.append(node)
            elif half:
                self.questions.append((node, starts[node], len(self.ends)))
                todo.append((tree.right[node], False))
            else:
                starts[node] = len(self.ends)
                todo += ((node, True), (tree.left[node], False))


def _table(masks: list[Words]) -> tuple[Indices | None, Words]:
    """For the words that ask for some features, which they are and the leaves left open by combination of bins."""
    table = masks[0]
    for mask in masks[1:]:
        table = (table[:, :, None] & mask[:, None, :]).reshape(len(table), -1)
    asking = np.flatnonzero((table != ALL).any(axis=1))
    if len(asking) == len(table):
        return None, table
    return asking, np.ascontiguousarray(table[asking])


class _Descent:
    """From the ends of the trees' tops to the leaves."""

    def __init__(
        self, trees: Sequence[Tree], tops: Sequence[_Top], place: dict[int, int], features: Sequence[_Feature]
    ) -> None:
        ends = np.zeros((len(trees), WORD), dtype=np.intp)
        self._deep = [at for at, top in enumerate(tops) if any(trees[at].leaves[end] < 0 for end in top.ends)]
        # What is known of each node of the deep trees, one tree after the other.
        asked: list[int] = []
        splits: list[Any] = []
        children: list[int] = []
        leaves: list[int] = []
        self._steps = 0
        first_leaf = 0
        for at, (tree, top) in enumerate(zip(trees, tops, strict=True)):
            if at not in self._deep:
                ends[at, : len(top.ends)] = [first_leaf + tree.leaves[end] for end in top.ends]
            else:
                base = len(leaves)
                ends[at, : len(top.ends)] = [base + end for end in top.ends]
                heights = [0] * len(tree.features)
                for node in range(len(heights) - 1, -1, -1):
                    if tree.features[node] >= 0:
                        heights[node] = 1 + max(heights[tree.left[node]], heights[tree.right[node]])
                self._steps = max(self._steps, *(heights[end] for end in top.ends))
                for node, feature in enumerate(tree.features):
                    inner = feature >= 0
                    asked.append(place[feature] if inner else 0)
                    splits.append(tree.splits[node] if inner else None)
                    children += (
                        (base + tree.right[node], base + tree.left[node]) if inner else (base + node,) * 2
                    )
                    leaves.append(-1 if inner else first_leaf + tree.leaves[node])
            first_leaf += len(tree.predictions)
        self._ends = ends.ravel()
        self._offset = (np.arange(len(trees)) * WORD)[:, None]
        self._asked = np.array(asked, dtype=np.intp)
        self._thresholds = np.array([s if s.__class__ is float else np.nan for s in splits], dtype=np.float64)
        self._children = np.array(children, dtype=np.intp)
        self._leaves = np.array(leaves, dtype=np.intp)
        self._categories(asked, splits, features)

    def _categories(self, asked: list[int], splits: list[Any], features: Sequence[_Feature]) -> None:
        """Where the nodes that ask for a category find what goes left; the others find that nothing does."""
        nothing = np.zeros(max((feature.bins for feature in features), default=1), dtype=np.bool_)
        zones, size = [nothing], len(nothing)
        starts = np.zeros(len(splits), dtype=np.intp)
        for node, split in enumerate(splits):
            if split.__class__ is frozenset:
                starts[node] = size
                zones.append(features[asked[node]].left(split))
                size += len(zones[-1])
        self._starts = starts
        self._left = np.concatenate(zones) if len(zones) > 1 else None

    def leaves(self, ends: NDArray[np.uint8], columns: Floats, bins: list[Indices]) -> Indices:
        """The leaves below the ends, shape (trees, rows)."""
        found = self._ends.take(ends + self._offset)
        if not self._deep:
            return found
        node = found[self._deep]
        rows = columns.shape[1]
        values, numbers = columns.ravel(), np.concatenate(bins)
        for _ in range(self._steps):
            cell = self._asked.take(node) * rows + np.arange(rows)
            left = values.take(cell) <= self._thresholds.take(node)
            if self._left is not None:
                left |= self._left.take(self._starts.take(node) + numbers.take(cell))
            node = self._children.take(2 * node + left)
        found[self._deep] = self._leaves.take(node)
        return found


def _count_ones(words: Words) -> NDArray[np.uint8]:
    """The bits that are set in each word, for NumPy before 2.0."""
    halves = words.view(np.uint16).reshape(*words.shape, 4)
    ones: NDArray[np.uint8] = _ONES_OF_16.take(halves).sum(axis=-1, dtype=np.uint8)
    return ones


_ones: Any = getattr(np, "bitwise_count", _count_ones)
_ONES_OF_16 = np.array([number.bit_count() for number in range(1 << 16)], dtype=np.uint8)
