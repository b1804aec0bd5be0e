"""Decision trees, forests and boosted trees, without Spark."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from saved_by_hand import CLASSIFIER, REGRESSOR, Leaf, Split, ensemble, node_columns, save, tree, write

from wmlclient.scoring import ArchiveError, UnsupportedModel
from wmlclient.scoring.blocks import DenseBlock, SparseBlock, rows_of
from wmlclient.scoring.columns import Column, Frame, Invalid
from wmlclient.scoring.registry import load_stage
from wmlclient.scoring.saved import read_stage
from wmlclient.scoring.stages import trees_batch, trees_forest
from wmlclient.scoring.values import Sparse

FOREST = "classification.RandomForestClassificationModel"
FORESTS = "regression.RandomForestRegressionModel"
BOOSTED = "classification.GBTClassificationModel"
BOOSTEDS = "regression.GBTRegressionModel"
INFINITY, NAN = math.inf, math.nan


@pytest.fixture(autouse=True, params=["nested", "arrays"])
def way_down(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it with a small model's way down a tree, and with a large one's."""
    if request.param == "arrays":
        monkeypatch.setattr(trees_forest, "MAX_NESTED", 0)


def step(folder: Path) -> Any:
    """The only step of a saved stage."""
    frame = Frame([Column("features", "vector")])
    load_stage(read_stage(folder)).bind(frame)
    (only,) = frame.steps
    return only


def beside(value: float) -> tuple[float, float, float]:
    return math.nextafter(value, -INFINITY), value, math.nextafter(value, INFINITY)


def test_a_threshold_goes_left_when_equal(tmp_path: Path) -> None:
    saved = tree(tmp_path / "m", REGRESSOR, Split(0, Leaf(1.0), Leaf(2.0), 0.1), 1)
    row = step(saved).row
    assert [row([value]) for value in beside(0.1)] == [1.0, 1.0, 2.0]
    assert [row([value]) for value in (-INFINITY, INFINITY, NAN, -0.0)] == [1.0, 2.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("left", "categories", "expected"),
    [
        # value:           0    1    2    3    4  unseen: 5, 1.5, -1, NaN
        ([0.0, 3.0], 5, "LRRLR RRRR"),
        # The side with fewer categories is looked at, and what is unseen goes to the other.
        ([0.0, 1.0, 3.0], 5, "LLRLR LLLL"),
        ([1.0, 2.0], 4, "RLLRR RRRR"),
        ([], 4, "RRRRR RRRR"),
        ([0.0, 1.0, 2.0], 3, "LLLLL LLLL"),
    ],
)
def test_categories(tmp_path: Path, left: list[float], categories: int, expected: str) -> None:
    saved = tree(
        tmp_path / "m", REGRESSOR, Split(0, Leaf(1.0), Leaf(2.0), left, categories), 1, leafCol="leaf"
    )
    only = step(saved)
    values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 1.5, -1.0, NAN]
    wanted = [1.0 if side == "L" else 2.0 for side in expected.replace(" ", "")]
    assert [only.row([value])[0] for value in values] == wanted
    assert only.row([-0.0]) == only.row([0.0])
    # Leaves are counted from left to right as they were saved.
    assert [only.row([value])[1] for value in values] == [side - 1.0 for side in wanted]
    predictions, leaves = only.batch(DenseBlock([np.array([*values, -0.0])], 10))
    assert predictions.tolist() == [*wanted, wanted[0]]
    assert leaves.tolist() == [side - 1.0 for side in (*wanted, wanted[0])]


KINDS = [6, -1, -1, 3, 40, -1, 2]
"""For each feature: the number of its categories, or -1."""


def grown(chance: random.Random, depth: int, classes: int = 3) -> Leaf | Split:
    if depth == 0 or chance.random() < 0.1:
        return Leaf(chance.gauss(0, 1), [float(chance.randint(0, 9)) for _ in range(classes)])
    feature = chance.randrange(len(KINDS))
    sides = [grown(chance, depth - 1, classes) for _ in range(2)]
    if KINDS[feature] < 0:
        return Split(feature, *sides, chance.choice((0.0, 1.5, -2.0, chance.gauss(0, 3))))
    left = [float(c) for c in range(KINDS[feature]) if chance.random() < 0.5]
    return Split(feature, *sides, left, KINDS[feature])


def some_rows(chance: random.Random, count: int) -> list[list[float]]:
    special = [0.0, -0.0, 1.5, -2.0, NAN, INFINITY, -INFINITY, 1e300]
    rows = []
    for _ in range(count):
        row = []
        for kind in KINDS:
            usual = chance.gauss(0, 3) if kind < 0 else float(chance.randrange(kind + 2))
            row.append(chance.choice(special) if chance.random() < 0.15 else usual)
        rows.append(row)
    return rows


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("depth", [0, 2, 4, 7, 11])
def test_rows_and_columns_find_the_leaf_that_the_rules_say(tmp_path: Path, depth: int, seed: int) -> None:
    chance = random.Random(1000 * depth + seed)
    roots = [grown(chance, depth) for _ in range(chance.choice((1, 3, 17)))]
    only = step(ensemble(tmp_path / "m", FORESTS, roots, len(KINDS), leafCol="leaf", numTrees=len(roots)))
    rows = some_rows(chance, 300)
    numbers = [{id(leaf): float(number) for number, leaf in enumerate(root.leaves())} for root in roots]
    wanted = [[of[id(root.reached(row))] for root, of in zip(roots, numbers, strict=True)] for row in rows]
    found = [only.row(row) for row in rows]
    assert [leaves for _, leaves in found] == wanted
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    predictions, leaves = only.batch(DenseBlock(columns, len(rows)))
    assert leaves.rows() == wanted
    assert predictions.tolist() == [prediction for prediction, _ in found]


def test_dense_sparse_and_mixed_columns_agree(tmp_path: Path) -> None:
    chance = random.Random(5)
    roots = [grown(chance, 6) for _ in range(5)]
    only = step(ensemble(tmp_path / "m", FOREST, roots, len(KINDS), leafCol="leaf"))
    rows = [row if chance.random() < 0.5 else [0.0] * 4 + row[4:] for row in some_rows(chance, 200)]
    one_by_one = [only.row(row) for row in rows]
    sparse = [
        Sparse(len(row), [at for at, value in enumerate(row) if value], [value for value in row if value])
        for row in rows
    ]
    assert [only.row(vector) for vector in sparse] == one_by_one
    ends = np.cumsum([len(vector.indices) for vector in sparse])
    indices = np.array([index for vector in sparse for index in vector.indices], dtype=np.int64)
    values = np.array([value for vector in sparse for value in vector.values])
    mixed = [row if at % 3 else vector for at, (row, vector) in enumerate(zip(rows, sparse, strict=True))]
    for column in (rows, sparse, SparseBlock(len(KINDS), ends, indices, values), mixed):
        out = [rows_of(block) for block in only.batch(column)]
        assert [list(row) for row in zip(*out, strict=True)] == [list(row) for row in one_by_one]


def test_columns_with_a_null_or_a_short_vector_are_left_to_the_rows(tmp_path: Path) -> None:
    saved = tree(tmp_path / "m", REGRESSOR, Split(2, Leaf(1.0), Split(3, Leaf(2.0), Leaf(3.0), 0.0), 0.0), 4)
    only = step(saved)
    good = [0.0, 0.0, 1.0, 1.0]
    for bad in ([0.0, 0.0, 1.0], None, Sparse(3, [], [])):
        assert only.batch([good, bad]) is None
        assert only.batch([bad]) is None
    # Only what is asked for has to be there.
    assert only.row([9.0, 9.0, -1.0]) == 1.0
    assert only.row(Sparse(3, [2], [-1.0])) == 1.0
    for short in ([9.0, 9.0, 1.0], Sparse(3, [2], [1.0]), [], Sparse(0, [], [])):
        with pytest.raises(Invalid, match="the model asks for number"):
            only.row(short)
    with pytest.raises(AttributeError):
        only.row(None)


def test_a_single_leaf_asks_for_nothing(tmp_path: Path) -> None:
    only = step(tree(tmp_path / "m", REGRESSOR, Leaf(4.5), 4))
    assert only.row(None) == only.row([]) == 4.5
    assert only.batch(DenseBlock([np.zeros(3)], 3))[0].tolist() == [4.5] * 3


def test_classes(tmp_path: Path) -> None:
    root = Split(0, Leaf(0.0, [3.0, 1.0, 0.0]), Leaf(2.0, [1.0, 1.0, 2.0]), 0.0)
    only = step(tree(tmp_path / "m", CLASSIFIER, root, 1, thresholds=None, leafCol="leaf"))
    assert only.names == ("rawPrediction", "probability", "prediction", "leaf")
    assert only.row([-1.0]) == [[3.0, 1.0, 0.0], [0.75, 0.25, 0.0], 0.0, 0.0]
    assert only.row([1.0]) == [[1.0, 1.0, 2.0], [0.25, 0.25, 0.5], 2.0, 1.0]
    raw = only.row([1.0])[0]
    raw.append(7.0)  # a caller may do as he likes with an answer
    assert only.row([1.0])[0] == [1.0, 1.0, 2.0]


def test_thresholds_and_missing_columns(tmp_path: Path) -> None:
    root = Split(0, Leaf(0.0, [3.0, 1.0]), Leaf(1.0, [1.0, 3.0]), 0.0)

    def run(**params: Any) -> Any:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        only = step(tree(folder, CLASSIFIER, root, 1, **params))
        row = only.row([1.0])
        columns = only.batch(DenseBlock([np.array([1.0])], 1))
        if columns is not None:
            blocks = [rows_of(column)[0] for column in columns]
            assert blocks == (row if len(only.names) > 1 else [row])
        return row

    assert run(thresholds=[0.1, 0.9]) == [[1.0, 3.0], [0.25, 0.75], 0.0]
    assert run(thresholds=[0.0, 0.9], rawPredictionCol="") == [[0.25, 0.75], 0.0]
    # With neither column Spark reads the leaf's own prediction, and the thresholds are not looked at.
    assert run(thresholds=[0.1, 0.9], rawPredictionCol="", probabilityCol="") == 1.0
    assert run(thresholds=[0.1, 0.9], probabilityCol="") == [[1.0, 3.0], 0.0]
    assert run(predictionCol="", probabilityCol="") == [1.0, 3.0]
    with pytest.raises(UnsupportedModel, match="3 thresholds for 2 classes"):
        run(thresholds=[0.1, 0.2, 0.3])


def test_forests_vote_with_shares(tmp_path: Path) -> None:
    roots = [
        Split(0, Leaf(0.0, [3.0, 1.0]), Leaf(1.0, [0.0, 9.0]), 0.0),
        Leaf(0.0, [1.0, 2.0]),
        Leaf(0.0, [0.0, 0.0]),  # no data: no vote
    ]
    only = step(ensemble(tmp_path / "m", FOREST, roots, 1, weights=[5.0, 6.0, 7.0]))
    raw, probability, prediction = only.row([-1.0])
    assert raw == [0.75 + 1.0 / 3.0, 0.25 + 2.0 / 3.0]
    total = raw[0] + raw[1]
    assert probability == [raw[0] / total, raw[1] / total]
    assert prediction == 0.0
    alone = step(ensemble(tmp_path / "n", FOREST, roots[2:], 1))
    with pytest.raises(Invalid, match="leaves without training data"):
        alone.row([1.0])
    assert alone.batch(DenseBlock([np.array([1.0])], 1)) is None


@pytest.mark.parametrize("spark", ["3.4.4", "3.5.1", "4.0.0", "4.2.0"])
def test_boosted_trees(tmp_path: Path, spark: str) -> None:
    roots = [Split(0, Leaf(-1.0), Leaf(1.0), 0.0), Split(1, Leaf(0.25), Leaf(-3.0), [0.0], 2)]
    saved = ensemble(tmp_path / "m", BOOSTED, roots, 2, weights=[1.0, 0.1], spark=spark)
    margin = 1.0 * 1.0 + 0.1 * 0.25
    no = 1.0 / (1.0 + math.exp(2.0 * margin))
    assert step(saved).row([1.0, 0.0]) == [[-margin, margin], [no, 1.0 - no], 1.0]
    numbers = step(ensemble(tmp_path / "n", BOOSTEDS, roots, 2, weights=[1.0, 0.1], spark=spark))
    assert numbers.row([1.0, 0.0]) == margin
    assert numbers.row([-1.0, 1.0]) == -1.0 + 0.1 * -3.0
    huge = [Leaf(-1e308), Leaf(-1e308)]
    certain = step(ensemble(tmp_path / "o", BOOSTED, huge, 2, spark=spark))
    assert certain.row([0.0, 0.0]) == [[INFINITY, -INFINITY], [1.0, 0.0], 0.0]


def test_variance_of_a_leaf(tmp_path: Path) -> None:
    root = Split(0, Leaf(1.0, [4.0, 10.0, 30.0]), Leaf(2.0, [0.0, 0.0, 0.0]), 0.0)
    only = step(tree(tmp_path / "m", REGRESSOR, root, 1, varianceCol="variance", leafCol="leaf"))
    assert only.names == ("prediction", "variance", "leaf")
    assert only.row([0.0]) == [1.0, (30.0 - 10.0 * 10.0 / 4.0) / 4.0, 0.0]
    assert only.row([1.0]) == [2.0, 0.0, 1.0]


def broken(change: Any) -> list[dict[str, Any]]:
    nodes = Split(
        0, Leaf(1.0, [1.0, 0.0]), Split(1, Leaf(2.0, [0.0, 1.0]), Leaf(3.0, [1.0, 1.0]), 0.5), 0.5
    ).nodes(0)
    change(nodes)
    return nodes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: n[2].update(leftChild=0), "comes after its child"),
        (lambda n: n[2].update(leftChild=2), "comes after its child"),
        (lambda n: n[2].update(leftChild=99), "comes after its child"),
        (lambda n: n[0].update(leftChild=3), "are not a tree"),
        (lambda n: n[2].update(leftChild=-1), "are not a tree"),
        (lambda n: n.pop(), "comes after its child"),
        (lambda n: n.pop(1), "numbered from 0"),
        (lambda n: n.clear(), "numbered from 0"),
        (lambda n: n[2]["split"].update(featureIndex=2), "asks for the feature 2, of 2"),
        (lambda n: n[2]["split"].update(featureIndex=-1), "asks for the feature -1, of 2"),
        (lambda n: n[0]["split"].update(leftCategoriesOrThreshold=[]), "has 0 thresholds"),
        (lambda n: n[0]["split"].update(leftCategoriesOrThreshold=[NAN]), "is NaN"),
        (lambda n: n[0]["split"].update(leftCategoriesOrThreshold=[4.0], numCategories=4), "has not"),
        (lambda n: n[0]["split"].update(leftCategoriesOrThreshold=[0.5], numCategories=4), "has not"),
        (lambda n: n[1].update(impurityStats=[1.0]), "as many statistics as the others"),
        (lambda n: n[1].update(impurityStats=[1.0, -1.0]), "one count for each class"),
        (lambda n: n[1].update(impurityStats=[1.0, NAN]), "one count for each class"),
    ],
)
def test_a_damaged_tree_is_no_tree(tmp_path: Path, change: Any, message: str) -> None:
    data = node_columns(broken(change))
    saved = save(tmp_path / "m", CLASSIFIER, {}, data, numFeatures=2, numClasses=2)
    with pytest.raises(ArchiveError, match=message):
        load_stage(read_stage(saved))


def test_what_is_refused(tmp_path: Path) -> None:
    both = Split(0, Leaf(1.0), Split(0, Leaf(1.0), Leaf(2.0), [1.0], 3), 0.5)
    with pytest.raises(UnsupportedModel, match="by thresholds and by categories"):
        load_stage(read_stage(tree(tmp_path / "a", REGRESSOR, both, 1)))
    many = Split(0, Leaf(1.0), Leaf(2.0), [1.0], 2_000_000_000)
    with pytest.raises(UnsupportedModel, match="2000000000 categories"):
        load_stage(read_stage(tree(tmp_path / "b", REGRESSOR, many, 1)))
    with pytest.raises(UnsupportedModel, match="'surprise' is not known"):
        load_stage(read_stage(tree(tmp_path / "c", REGRESSOR, Leaf(1.0), 1, surprise=1)))


def test_an_ensemble_that_is_not_whole(tmp_path: Path) -> None:
    roots = [Leaf(1.0), Leaf(2.0)]
    saved = ensemble(tmp_path / "a", BOOSTEDS, roots, 1)
    metadata = saved / "metadata" / "part-00000"
    document = json.loads(metadata.read_text())
    metadata.write_text(json.dumps({**document, "numTrees": 3}))
    with pytest.raises(ArchiveError, match="it has 2 trees where 3 are expected"):
        load_stage(read_stage(saved))
    other = save(tmp_path / "b", BOOSTEDS, {}, numFeatures=1, numTrees=1)
    write(other / "treesMetadata", {"_1": pa.array([0])})
    with pytest.raises(ArchiveError, match="list of trees"):
        load_stage(read_stage(other))


def test_a_long_chain_of_nodes_is_no_recursion(tmp_path: Path) -> None:
    """A hostile model may be deeper than Python's stack."""
    depth = 30_000
    nodes = []
    for level in range(depth):
        at = 2 * level
        split = {"featureIndex": 0, "leftCategoriesOrThreshold": [float(level)], "numCategories": -1}
        nodes.append({**Leaf(0.0).nodes(at)[0], "leftChild": at + 1, "rightChild": at + 2, "split": split})
        nodes.append(Leaf(float(level)).nodes(at + 1)[0])
    nodes.append(Leaf(-1.0).nodes(2 * depth)[0])
    only = step(save(tmp_path / "m", REGRESSOR, {}, node_columns(nodes), numFeatures=1))
    assert only.row([123.5]) == 124.0
    assert only.row([1e9]) == -1.0


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_ones_are_counted_without_numpy_2(bits: int) -> None:
    words = np.random.default_rng(1).integers(0, 2**bits, size=(3, 50), dtype=f"u{bits // 8}")
    expected = [[int(word).bit_count() for word in row] for row in words]
    assert trees_batch._count_ones(words).tolist() == expected
    assert trees_batch._ones(words).tolist() == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SHARED_BYTES", 0),
        ("SHARED_BYTES", 1 << 24),
        ("FEW", 1),
        ("COMPARED", 0),
        ("MAX_BYTES", 1),
        ("MAX_TABLES", 0),
    ],
)
@pytest.mark.parametrize("depth", [2, 6, 9])
def test_every_way_to_look_up_finds_the_same_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: int, depth: int
) -> None:
    chance = random.Random(9)
    roots = [grown(chance, depth) for _ in range(3)]
    rows = some_rows(chance, 100)
    column = DenseBlock([np.array(values) for values in zip(*rows, strict=True)], len(rows))
    saved = ensemble(tmp_path / "m", FORESTS, roots, len(KINDS), numTrees=3)
    before = step(saved).batch(column)[0].tolist()
    monkeypatch.setattr(trees_batch, name, value)
    other = step(saved)
    assert other.batch(column)[0].tolist() == before == [other.row(row) for row in rows]


def test_hints_are_on_the_edges_of_the_trees(tmp_path: Path) -> None:
    root = Split(3, Leaf(1.0), Split(1, Leaf(2.0), Split(3, Leaf(3.0), Leaf(4.0), 0.75), [0.0, 2.0], 5), 0.5)
    empty, *edges = load_stage(read_stage(tree(tmp_path / "m", REGRESSOR, root, 6))).hints["features"]
    assert empty == Sparse(6, [], [])
    assert [edge.indices for edge in edges] == [[1, 3]] * 4
    assert {edge.values[0] for edge in edges} == {0.0, 2.0}
    assert {edge.values[1] for edge in edges} == {0.5, 0.75, math.nextafter(0.5, 1), math.nextafter(0.75, 1)}
