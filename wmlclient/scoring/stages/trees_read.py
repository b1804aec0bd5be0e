"""Decision trees as Spark saves them, and the way down a tree for one row.

Source: ``DecisionTreeModelReadWrite``, ``EnsembleModelReadWrite``, ``CategoricalSplit``, ``ContinuousSplit`` and
``InternalNode`` of Spark 4.2.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from wmlclient.scoring.blocks import Floats
from wmlclient.scoring.cells import Cells
from wmlclient.scoring.columns import Invalid
from wmlclient.scoring.saved import SavedStage

MAX_CATEGORIES = 1_000_000


@frozen
class Tree:
    """A tree by its nodes, in pre-order: node 0 is the root, and a node comes before its children.

    Attributes:
        features: The feature that a node asks for, -1 for a leaf.
        splits: What it asks: a threshold, ``feature <= threshold`` going left; or a set of categories, those in it
            going left.
        left: Left children. For a set, Spark keeps the smaller side; here left and right are swapped where that is
            the right side, so that an unseen category goes where it goes in Spark.
        right: Right children.
        leaves: The number of a leaf, counted from left to right; -1 for an inner node.
        predictions: By leaf.
        stats: The impurity statistics, for a classifier one count for each class; shape (leaves, statistics).
    """

    features: Sequence[int]
    splits: Sequence[Any]
    left: Sequence[int]
    right: Sequence[int]
    leaves: Sequence[int]
    predictions: list[float]
    stats: Floats


def read_tree(saved: SavedStage) -> Tree:
    """The only tree of a decision tree model."""
    columns = saved.columns()
    if "prediction" not in columns:
        raise saved.damaged("its nodes are missing")
    cells = _Nodes(saved, columns)
    tree = _tree(saved, cells, np.arange(len(cells.ids)), {})
    _check_kinds(saved, [tree])
    return tree


def read_ensemble(saved: SavedStage) -> tuple[list[Tree], list[float]]:
    """The trees of a forest or of boosted trees, and their weights."""
    # Spark 4 names the columns _1, _2, _3; Spark 3 named them treeID, metadata, weights.
    about = [list(row.values()) for row in saved.rows("treesMetadata")]
    if any(len(row) != 3 for row in about):
        raise saved.damaged("its list of trees is not whole")
    weights = {row[0]: row[2] for row in about}
    columns = saved.columns()
    if list(columns) != ["treeID", "nodeData"]:
        raise saved.damaged("its nodes are missing")
    cells = _Nodes(saved, columns["nodeData"])
    numbers = _numbers(saved, columns["treeID"])
    order = numbers.argsort(kind="stable")
    found, starts = np.unique(numbers[order], return_index=True)
    expected = saved.metadata.get("numTrees")
    if found.tolist() != sorted(weights) or len(found) != expected or not len(found):
        raise saved.damaged(f"it has {len(found)} trees where {expected} are expected")
    known: dict[Any, Any] = {}
    trees = [_tree(saved, cells, rows, known) for rows in np.split(order, starts[1:])]
    _check_kinds(saved, trees)
    return trees, [weights[tree] for tree in found.tolist()]


def _numbers(saved: SavedStage, cells: Cells) -> NDArray[Any]:
    if not isinstance(cells, np.ndarray):
        raise saved.damaged("a node of a tree has a null, or no number where one is expected")
    return cells


class _Nodes:
    """What matters here of the columns, one tree after the other as lists: all at once would take ten times the memory
    of the trees, in pieces that are not given back."""

    def __init__(self, saved: SavedStage, columns: Cells) -> None:
        if not isinstance(columns, dict):
            raise saved.damaged("a node of a tree is null")
        try:
            split = columns["split"]
            if not isinstance(split, dict):
                raise saved.damaged("a split of a tree is null")
            names = ("id", "prediction", "leftChild", "rightChild")
            plain = {name: columns[name] for name in names}
            plain |= {name: split[name] for name in ("featureIndex", "numCategories")}
            lists = split["leftCategoriesOrThreshold"], columns["impurityStats"]
        except KeyError:
            raise saved.damaged("its nodes are not whole") from None
        self._plain = {name: _numbers(saved, cells) for name, cells in plain.items()}
        if any(not isinstance(cells, tuple) for cells in lists):
            raise saved.damaged("a node of a tree has a null")
        self._values, self._stats = lists
        self._saved = saved
        self.ids = self._plain["id"]

    def of(self, rows: NDArray[np.intp]) -> dict[str, list[Any]]:
        """By name, what stands in these rows."""
        cells: dict[str, list[Any]] = {name: column[rows].tolist() for name, column in self._plain.items()}
        values, offsets = self._values
        ends = zip(offsets[rows].tolist(), offsets[rows + 1].tolist(), strict=True)
        return {**cells, "values": [values[start:end].tolist() for start, end in ends]}

    def stats(self, rows: NDArray[np.intp]) -> Floats:
        """The statistics in these rows, shape (rows, statistics)."""
        values, offsets = self._stats
        starts: NDArray[Any] = offsets[rows]
        counts = np.unique(offsets[rows + 1] - starts)
        if len(counts) != 1:
            raise self._saved.damaged("a leaf has not as many statistics as the others")
        found: Floats = values[starts[:, None] + np.arange(counts[0])].astype(np.float64)
        return found


def _tree(saved: SavedStage, of_all: _Nodes, rows: NDArray[np.intp], known: dict[Any, Any]) -> Tree:
    count = len(rows)
    rows = rows[of_all.ids[rows].argsort(kind="stable")]
    if not count or (of_all.ids[rows] != np.arange(count)).any():
        raise saved.damaged("the nodes of a tree are not numbered from 0 on")
    cells = of_all.of(rows)
    splits: list[Any] = [None] * count
    features, left, right, leaves = (array("i", [-1]) * count for _ in range(4))
    limit = saved.metadata.get("numFeatures")
    children: list[int] = []
    for node in range(count):
        sides = cells["leftChild"][node], cells["rightChild"][node]
        if sides[0] == -1:
            continue
        if not all(node < side < count for side in sides):
            raise saved.damaged("a node of a tree comes after its child")
        children += sides
        feature = cells["featureIndex"][node]
        if type(limit) is not int or not 0 <= feature < limit:
            raise saved.damaged(f"a tree asks for the feature {feature}, of {limit}")
        features[node] = feature
        split, swapped = _split(saved, cells["values"][node], cells["numCategories"][node])
        # Trees ask the same questions again and again: one object for each is enough.
        splits[node] = known.setdefault(split, split)
        left[node], right[node] = reversed(sides) if swapped else sides
    if len(children) != count - 1 or len(set(children)) != count - 1:
        raise saved.damaged("the nodes of a tree are not a tree")
    predictions: list[float] = []
    in_order: list[int] = []
    open_nodes = [0]
    while open_nodes:
        node = open_nodes.pop()
        if features[node] >= 0:
            # Leaves are counted from left to right as they were saved, not as they may be swapped here.
            open_nodes += (cells["rightChild"][node], cells["leftChild"][node])
            continue
        leaves[node] = len(predictions)
        prediction = cells["prediction"][node]
        # Not the zeros, of which there are two.
        predictions.append(known.setdefault(prediction, prediction) if prediction else prediction)
        in_order.append(node)
    return Tree(features, splits, left, right, leaves, predictions, of_all.stats(rows[in_order]))


def _split(saved: SavedStage, values: list[float], categories: int) -> tuple[Any, bool]:
    """A threshold or a set of categories; and whether the set is that of the right side."""
    if categories == -1:
        if len(values) != 1:
            raise saved.damaged(f"a split has {len(values)} thresholds")
        if values[0] != values[0]:
            raise saved.damaged("the threshold of a split is NaN")
        return values[0], False
    if not 0 <= categories <= MAX_CATEGORIES:
        raise saved.refuse(f"a split has {categories} categories")
    if not all(0.0 <= value < categories and value.is_integer() for value in values):
        raise saved.damaged("a split has a category that its feature has not")
    chosen = frozenset(values)
    if len(values) <= categories // 2:
        return chosen, False
    return frozenset(map(float, range(categories))) - chosen, True


class _Absent:
    """Stands for a value that the vector is too short for: only asking for it is an error, as in Spark."""

    def __init__(self, size: int, feature: int) -> None:
        self._reason = (
            f"the vector has {size} values, but the model asks for number {feature}, counted from 0"
        )

    def __le__(self, other: object) -> bool:
        raise Invalid(self._reason)

    def __hash__(self) -> int:
        raise Invalid(self._reason)

    __eq__ = object.__eq__


def _check_kinds(saved: SavedStage, trees: Sequence[Tree]) -> None:
    """Every feature is split by thresholds or by categories, and never by both, as Spark's own trees are."""
    kinds: dict[int, type] = {}
    for tree in trees:
        for feature, split in zip(tree.features, tree.splits, strict=True):
            if feature >= 0 and kinds.setdefault(feature, split.__class__) is not split.__class__:
                raise saved.refuse(f"it splits feature {feature} by thresholds and by categories")


def used_features(trees: Sequence[Tree]) -> list[int]:
    """The features that some node asks for, ascending."""
    return sorted({feature for tree in trees for feature in tree.features if feature >= 0})


def expander(used: list[int]) -> Callable[[Any], Sequence[Any]]:
    """The row function ``vector -> the values of the used features``, dense or sparse."""
    if not used:
        # A tree that is one leaf looks at nothing; Spark's answers even where the vector is null.
        return lambda vector: ()
    place = {feature: at for at, feature in enumerate(used)}
    find = place.get
    count = len(used)
    last = used[-1]
    same = last + 1 == count
    pick: Callable[[Any], Any] = itemgetter(*used) if count > 1 else lambda vector: (vector[last],)

    def short(vector: list[float]) -> list[Any]:
        size = len(vector)
        return [vector[at] if at < size else _Absent(size, at) for at in used]

    def expand(vector: Any) -> Sequence[Any]:
        if vector.__class__ is list:
            if len(vector) <= last:
                return short(vector)
            return vector if same else pick(vector)
        values: list[Any] = [0.0] * count
        size = vector.size
        if size <= last:
            values = [0.0 if at < size else _Absent(size, at) for at in used]
        for index, value in zip(vector.indices, vector.values):  # noqa: B905 - hot
            at = find(index)
            if at is not None:
                values[at] = value
        return values

    return expand


def descent(trees: Sequence[Tree], used: list[int]) -> Callable[[Sequence[Any]], list[int]]:
    """The row function ``values of the used features -> the number of the leaf in each tree``."""
    place = {feature: at for at, feature in enumerate(used)}
    numbers = list(range(max(map(len, (tree.predictions for tree in trees)))))
    roots = [_nested(tree, place, numbers) for tree in trees]
    if any(split.__class__ is frozenset for tree in trees for split in tree.splits):

        def mixed(values: Sequence[Any]) -> list[int]:
            found = []
            for node in roots:
                while node.__class__ is tuple:
                    feature, split, left, right = node
                    if split.__class__ is float:
                        node = left if values[feature] <= split else right
                    else:
                        node = left if values[feature] in split else right
                found.append(node)
            return found

        return mixed

    def continuous(values: Sequence[Any]) -> list[int]:
        found = []
        for node in roots:
            while node.__class__ is tuple:
                feature, threshold, left, right = node
                node = left if values[feature] <= threshold else right
            found.append(node)
        return found

    return continuous


def _nested(tree: Tree, place: dict[int, int], numbers: list[int]) -> Any:
    """A tree as tuples in tuples: (feature, split, left, right), or the number of a leaf, one object for all trees."""
    made: list[Any] = [numbers[leaf] for leaf in tree.leaves]
    for node in range(len(made) - 1, -1, -1):
        feature = tree.features[node]
        if feature >= 0:
            made[node] = (place[feature], tree.splits[node], made[tree.left[node]], made[tree.right[node]])
    return made[0]


def variance(stats: Sequence[float]) -> float:
    """``Variance.calculate`` of (count, sum, sum of squares)."""
    count, total, squares = stats[:3]
    if count == 0:
        return 0.0
    return (squares - total * total / count) / count
