"""Decision trees for whole columns: all trees, all rows, a few NumPy calls.

Going down each tree for each row costs NumPy four lookups a level. This asks each question once instead. Spark's
splits of a feature fall on few distinct thresholds (``maxBins``, by default 32, less one), so a row becomes one small
number for each feature: the bin between two thresholds, or the category. For a tree whose leaves are numbered from
left to right, a table gives for each bin of a feature the set of leaves that the answers to *all* of the tree's
questions about this feature leave open, as bits. The AND over the features leaves the leaf that is reached as the
lowest bit. (QuickScorer, Lucchese et al., SIGIR 2015, has the idea.) Two things make it fast in NumPy: the words of
all trees stand side by side, so that one lookup copies a whole line of them, and features with few bins share a table.

A tree with more than 64 leaves is cut where it has 64 branches; from there it is gone down level by level.

Comparisons are those of the row function, on the same doubles, so that both find the same leaf always.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from wmlclient.scoring.blocks import Floats
from wmlclient.scoring.stages.trees_read import Tree

Indices: TypeAlias = "NDArray[np.intp]"
Nodes: TypeAlias = "NDArray[np.int32]"
Words: TypeAlias = "NDArray[np.unsignedinteger[Any]]"

_Question: TypeAlias = "tuple[int, Any, int, int]"
"""A tree, what it asks, the first end that a no loses, and the first that it does not."""

WORD = 64
SHARED_BYTES = 32 << 10
"""Features share a table while it is not larger than this, which the first cache has room for."""
MAX_BYTES = 256 << 10
"""Words of trees times rows that are looked at together, so that they stay in the second cache."""
COMPARED = 96
"""Up to so many bins, all thresholds are compared; a binary search is faster for more."""
MAX_TABLES = 64 << 20
"""Bytes of all tables up to which tops are looked up; Spark's own trees stay far below."""
FEW = 8
"""A table holds the trees that ask for its features alone where they are less than one in so many."""


class LeafFinder:
    """Finds the leaves that rows reach.

    Leaves are numbered through: those of the second tree come after those of the first.

    Args:
        trees: The trees.
        used: The features that some node asks for.
        walked: Whether single rows will be walked down, too.
    """

    def __init__(self, trees: Sequence[Tree], used: Sequence[int], walked: bool = False) -> None:
        self._trees = len(trees)
        place = {feature: at for at, feature in enumerate(used)}
        self._features = _features(trees, used)
        bins = sum(feature.bins for feature in self._features)
        room = WORD if bins * len(trees) * WORD // 8 <= MAX_TABLES else 1
        tops = [_Top(tree, room) for tree in trees]
        widest = max(len(top.ends) for top in tops)
        bits = next(bits for bits in (8, 16, 32, 64) if widest <= bits)
        self._type = np.dtype(f"u{bits // 8}")
        questions: list[list[_Question]] = [[] for _ in used]
        for at, (tree, top) in enumerate(zip(trees, tops, strict=True)):
            for node, start, middle in top.questions:
                questions[place[tree.features[node]]].append((at, tree.splits[node], start, middle))
        self._groups = self._grouped()
        self._tables = [
            _table([self._mask(member, questions[member]) for member in members]) for members in self._groups
        ]
        self._below = _Descent(trees, tops, place, self._features, walked)

    def walker(self, trees: Sequence[Tree]) -> Callable[[Sequence[Any]], list[int]]:
        """The row function ``values of the used features -> the number of the leaf in each tree``."""
        return self._below.walker(trees, [feature.bins - 1 for feature in self._features])

    def _grouped(self) -> list[list[int]]:
        """The features, those together that share a table."""
        groups: list[list[int]] = []
        size = 0
        for at in sorted(range(len(self._features)), key=lambda at: self._features[at].bins):
            bins = self._features[at].bins
            if groups and size * bins * self._trees * self._type.itemsize <= SHARED_BYTES:
                groups[-1].append(at)
                size *= bins
            else:
                groups.append([at])
                size = bins
        return groups

    def _mask(self, at: int, questions: Sequence[_Question]) -> Words:
        """For a feature, shape (bins, trees): the ends that the answers for a bin leave open."""
        feature = self._features[at]
        everything = np.iinfo(self._type).max
        mask = np.full((feature.bins, self._trees), everything, dtype=self._type)
        for tree, split, start, middle in questions:
            lost = (1 << middle) - (1 << start)
            mask[~feature.left(split), tree] &= self._type.type(everything ^ lost)
        return mask

    def find(self, columns: Floats) -> Indices:
        """The numbers of the leaves.

        Args:
            columns: The used features' values, shape (features, rows).

        Returns:
            Shape (trees, rows).
        """
        rows = columns.shape[1]
        found = np.empty((self._trees, rows), dtype=np.intp)
        step = max(64, MAX_BYTES // (self._trees * self._type.itemsize))
        for start in range(0, rows, step):
            part = np.ascontiguousarray(columns[:, start : start + step])
            self._find(part, found[:, start : start + step])
        return found

    def _find(self, columns: Floats, out: Indices) -> None:
        bins = [feature.of(values) for feature, values in zip(self._features, columns, strict=True)]
        shape = columns.shape[1], self._trees
        open_leaves = _scratch.words(0, shape, self._type)
        open_leaves.fill(np.iinfo(self._type).max)
        buffer = _scratch.words(1, shape, self._type)
        for members, (asking, table) in zip(self._groups, self._tables, strict=True):
            at = bins[members[0]]
            for member in members[1:]:
                at = at * self._features[member].bins + bins[member]
            if asking is None:
                table.take(at, axis=0, out=buffer, mode="clip")
                open_leaves &= buffer
            else:
                open_leaves[:, asking] &= table.take(at, axis=0, mode="clip")
        # All bits below the lowest that is set; every word has one.
        below = np.subtract(open_leaves, 1, out=buffer)
        below &= ~open_leaves
        self._below.leaves(_ones(below), columns, bins, out)


class _Scratch(threading.local):
    """Memory that each thread keeps: the C library gives as much back at every call, and gets it zeroed again."""

    def __init__(self) -> None:
        self._kept = [np.empty(0, np.uint8), np.empty(0, np.uint8)]

    def words(self, place: int, shape: tuple[int, int], kind: np.dtype[Any]) -> Words:
        """An array with whatever is in it."""
        size = shape[0] * shape[1] * kind.itemsize
        if len(self._kept[place]) < size:
            self._kept[place] = np.empty(size, np.uint8)
        words: Words = self._kept[place][:size].view(kind).reshape(shape)
        return words


_scratch = _Scratch()


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
            if self.bins > COMPARED:
                return self.thresholds.searchsorted(values, side="left")
            # A binary search goes astray in the processor's branch prediction; this has no branches.
            left = np.less_equal(values, self.thresholds[:, None])
            lower: Indices = np.add.reduce(left.view(np.uint8), axis=0, dtype=np.uint8).astype(np.intp)
            return self.bins - 1 - lower
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


def _features(trees: Sequence[Tree], used: Sequence[int]) -> list[_Feature]:
    splits: dict[int, set[Any]] = {feature: set() for feature in used}
    for tree in trees:
        for feature, split in zip(tree.features, tree.splits, strict=True):
            if feature >= 0:
                splits[feature].add(split)
    return [_feature(found) for found in splits.values()]


def _feature(splits: set[Any]) -> _Feature:
    if all(split.__class__ is float for split in splits):
        distinct = np.array(sorted(splits), dtype=np.float64)
        return _Feature(len(distinct) + 1, distinct)
    return _Feature(int(max((max(split, default=0.0) for split in splits), default=0.0)) + 2, None)


class _Top:
    """The part of a tree that one word has room for, or less room.

    Attributes:
        ends: The nodes where it ends, from left to right: leaves, or nodes that are gone down from.
        questions: Each inner node with the first of the ends below it and the first below its right child.
    """

    def __init__(self, tree: Tree, room: int) -> None:
        inner: set[int] = set()
        queue = deque([0])
        while queue and len(inner) < room - 1:
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
    """For some features, the trees that ask for them, ``None`` for all, and the ends left open.

    The latter has a line for each combination of bins, and in it a word for each of the trees.
    """
    table = masks[0]
    for mask in masks[1:]:
        table = (table[:, None, :] & mask[None, :, :]).reshape(-1, table.shape[1])
    asking = np.flatnonzero((table != np.iinfo(table.dtype).max).any(axis=0))
    if len(asking) * FEW > table.shape[1]:
        return None, table
    return asking, np.ascontiguousarray(table[:, asking])


def _height(tree: Tree, nodes: Sequence[int]) -> int:
    """The longest way from one of the nodes to a leaf."""
    heights = [0] * len(tree.features)
    for node in range(len(heights) - 1, -1, -1):
        if tree.features[node] >= 0:
            heights[node] = 1 + max(heights[tree.left[node]], heights[tree.right[node]])
    return max(heights[node] for node in nodes)


class _Descent:
    """From the ends of the trees' tops to the leaves."""

    def __init__(
        self,
        trees: Sequence[Tree],
        tops: Sequence[_Top],
        place: dict[int, int],
        kinds: Sequence[_Feature],
        whole: bool,
    ) -> None:
        lookup = np.zeros(max(place, default=0) + 1, np.int32)
        lookup[list(place)] = list(place.values())
        ends = np.zeros((len(trees), WORD), dtype=np.intp)
        self._deep = [
            at for at, top in enumerate(tops) if whole or any(trees[at].leaves[end] < 0 for end in top.ends)
        ]
        # What is known of each node of the deep trees, one tree after the other.
        asked: list[Nodes] = []
        children: list[Nodes] = []
        leaves: list[Nodes] = []
        splits: list[Any] = []
        self._steps = 0
        first_leaf = 0
        for at, (tree, top) in enumerate(zip(trees, tops, strict=True)):
            if at not in self._deep:
                ends[at, : len(top.ends)] = [first_leaf + tree.leaves[end] for end in top.ends]
            else:
                base = len(splits)
                ends[at, : len(top.ends)] = [base + end for end in top.ends]
                self._steps = max(self._steps, _height(tree, top.ends))
                splits += tree.splits
                features, own = np.array(tree.features, np.int32), np.array(tree.leaves, np.int32)
                inner, itself = features >= 0, np.arange(len(own), dtype=np.int32)
                asked.append(np.where(inner, lookup[features], 0))
                sides = np.array([tree.right, tree.left], np.int32)
                children.append(base + np.where(inner, sides, itself).T.ravel())
                leaves.append(np.where(inner, -1, first_leaf + own))
            first_leaf += len(tree.predictions)
        self._ends = ends.ravel()
        self._offset = (np.arange(len(trees)) * WORD)[:, None]
        # Where no tree was cut or had its sides swapped, the ends are the leaves.
        firsts = ends[:, :1]
        plain = all(
            (ends[at, : len(top.ends)] == firsts[at] + np.arange(len(top.ends))).all()
            for at, top in enumerate(tops)
        )
        self._firsts = firsts.copy() if plain and not self._deep else None
        nothing = np.empty(0, np.int32)
        self._asked = np.concatenate([nothing, *asked]).astype(np.int32)
        self._thresholds = np.array([s if s.__class__ is float else np.nan for s in splits], dtype=np.float64)
        self._children = np.concatenate([nothing, *children]).astype(np.int32)
        self._leaves = np.concatenate([nothing, *leaves]).astype(np.int32)
        self._categories(self._asked, splits, kinds)

    def _categories(self, asked: Nodes, splits: list[Any], features: Sequence[_Feature]) -> None:
        """Where the nodes that ask for a category find what goes left; the others find that nothing does."""
        nothing = np.zeros(max((feature.bins for feature in features), default=1), dtype=np.bool_)
        zones, size = [nothing], len(nothing)
        starts = np.zeros(len(splits), dtype=np.int32)
        for node, split in enumerate(splits):
            if split.__class__ is frozenset:
                starts[node] = size
                zones.append(features[asked[node]].left(split))
                size += len(zones[-1])
        self._left = np.concatenate(zones) if len(zones) > 1 else None
        self._starts = np.empty(0, np.int32) if self._left is None else starts

    def walker(self, trees: Sequence[Tree], unseen: list[int]) -> Callable[[Sequence[Any]], list[int]]:
        """The same for the used features' values of one row, from the roots on."""
        sizes = [len(tree.features) for tree in trees]
        firsts = np.cumsum([0, *(len(tree.predictions) for tree in trees)])
        roots = list(zip(np.cumsum([0, *sizes])[:-1].tolist(), firsts[:-1].tolist(), strict=True))
        # Arrays of NumPy are slow to ask for single values.
        asked, thresholds, children = self._asked.data, self._thresholds.data, self._children.data
        leaves, starts = self._leaves.data, self._starts.data
        lefts = None if self._left is None else self._left.data

        def walk(values: Sequence[Any]) -> list[int]:
            found = []
            for node, first in roots:
                while (leaf := leaves[node]) < 0:
                    value = values[feature := asked[node]]
                    left = value <= thresholds[node]
                    if lefts is not None and (start := starts[node]):
                        known = 0.0 <= value < unseen[feature] and value == int(value)
                        left = lefts[start + (int(value) if known else unseen[feature])]
                    node = children[2 * node + left]
                found.append(leaf - first)
            return found

        return walk

    def leaves(self, ends: NDArray[np.uint8], columns: Floats, bins: list[Indices], found: Indices) -> None:
        """Writes the leaves below the ends, shape (rows, trees), to ``found``, shape (trees, rows)."""
        if self._firsts is not None:
            np.add(ends.T, self._firsts, out=found)
            return
        at = np.add(ends.T, self._offset, order="C")
        found[:] = self._ends.take(at)
        if not self._deep:
            return
        node = found[self._deep]
        rows = columns.shape[1]
        values, numbers = columns.ravel(), np.concatenate([np.empty(0, np.intp), *bins])
        for _ in range(self._steps):
            cell = self._asked.take(node) * rows + np.arange(rows)
            left = values.take(cell) <= self._thresholds.take(node)
            if self._left is not None:
                left |= self._left.take(self._starts.take(node) + numbers.take(cell))
            node = self._children.take(2 * node + left).astype(np.intp)
        found[self._deep] = self._leaves.take(node)


def _count_ones(words: Words) -> NDArray[np.uint8]:
    """The bits that are set in each word, for NumPy before 2.0."""
    if words.itemsize == 1:
        return _ONES_OF_16.take(words)
    halves = words.view(np.uint16).reshape(*words.shape, words.itemsize // 2)
    ones: NDArray[np.uint8] = _ONES_OF_16.take(halves).sum(axis=-1, dtype=np.uint8)
    return ones


_ones: Any = getattr(np, "bitwise_count", _count_ones)
_ONES_OF_16 = np.array([number.bit_count() for number in range(1 << 16)], dtype=np.uint8)
