"""Regressions, cluster models, mixtures, topics and recommendations: without Spark."""

from __future__ import annotations

import json
import logging
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from regression_cases import (
    ANSWERS,
    CASES,
    CENTERS,
    COVARIANCES,
    PAIRS,
    RATINGS,
    ROWS,
    bisecting,
    glm,
    isotonic,
    kmeans,
    linear,
    machine,
    mixture,
    recommender,
    survival,
    topics,
)
from saved_by_hand import VECTOR, save

from wmlclient.scoring import ArchiveError, InputError, UnsupportedModel, parity
from wmlclient.scoring.blocks import DenseBlock, SparseBlock, rows_of
from wmlclient.scoring.columns import Column, Drop, Frame, Invalid, Step
from wmlclient.scoring.registry import Stage, load_stage
from wmlclient.scoring.saved import read_stage
from wmlclient.scoring.values import Sparse

INFINITY, NAN = math.inf, math.nan
Make = Callable[[Path], Path]


def stage(folder: Path) -> Stage:
    return load_stage(read_stage(folder))


def step(folder: Path, kind: str = "vector", **more: str) -> Step:
    """The only step of a saved stage."""
    columns = [Column("features", kind), *(Column(name, type) for name, type in more.items())]
    frame = Frame(columns)
    stage(folder).bind(frame)
    (only,) = frame.steps
    return only


def outputs(only: Step, *values: Any) -> list[Any]:
    found = only.row(*values)
    return list(found) if len(only.names) > 1 else [found]


def vector(row: Any) -> Any:
    return Sparse(*row) if isinstance(row[1], list) else row


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit, NaN being NaN."""
    return repr(a) == repr(b)


@pytest.mark.parametrize("name", CASES)
def test_answers_are_those_that_spark_gave(tmp_path: Path, name: str) -> None:
    only = step(CASES[name](tmp_path / "stage"))
    for row, wanted in zip(ROWS, ANSWERS[name], strict=True):
        found = outputs(only, vector(row))
        assert parity._same(found, wanted, parity._Largest()), f"{row}: {found}, not {wanted}"


def as_blocks(rows: list[list[float]]) -> tuple[DenseBlock, SparseBlock]:
    sparse = [[(at, value) for at, value in enumerate(row) if value != 0.0] for row in rows]
    ends = np.cumsum([len(row) for row in sparse])
    indices = np.array([at for row in sparse for at, _ in row], dtype=np.int64)
    values = np.array([value for row in sparse for _, value in row], dtype=np.float64)
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return DenseBlock(columns, len(rows)), SparseBlock(len(rows[0]), ends, indices, values)


CLUSTERS = ("kmeans", "kmeans, once cosine", "bisecting", "bisecting, cosine")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("odd", [False, True])
def test_rows_and_columns_agree_to_the_last_bit(tmp_path: Path, name: str, odd: bool) -> None:
    chance = random.Random(name)
    values = [0.0, 1.0, 2.25, 0.1, *([-0.0] if odd and name != "topics" else [])]
    if name != "topics":
        values += [-2.25, 1e-9]
    if odd and name != "topics":
        values += [INFINITY, -1e308, 1e308, *([NAN] if name not in CLUSTERS else [])]
    rows = [[chance.choice(values) for _ in range(3)] for _ in range(300)]
    if name == "bisecting, cosine":
        rows = [row for row in rows if any(row)]
    only = step(CASES[name](tmp_path / "stage"))
    assert only.batch is not None
    answered = 0
    for block in as_blocks(rows):
        columns = only.batch(block)
        if columns is None:
            continue
        answered += 1
        whole = list(zip(*map(rows_of, columns), strict=True))
        for row, found in zip(block.rows(), whole, strict=True):
            assert same(outputs(only, row), list(found)), row
    assert answered == {"isotonic": 0, "mixture": 1, "topics": 1}.get(name, 2)


@pytest.mark.parametrize("name", CASES)
def test_a_vector_of_another_size_is_refused(tmp_path: Path, name: str) -> None:
    only = step(CASES[name](tmp_path / "stage"))
    if name == "isotonic":
        short: list[Any] = [[1.0], Sparse(1, [], [])]
    elif name == "topics":  # Spark looks at the indices only
        short = [[1.0] * 4, Sparse(4, [3], [1.0])]
    else:
        short = [[1.0, 2.0], Sparse(4, [3], [1.0]), [1.0] * 4]
    for given in short:
        with pytest.raises(Invalid, match="the vector has"):
            only.row(given)
        block = DenseBlock([np.ones(9)] * len(given), 9) if isinstance(given, list) else None
        assert block is None or only.batch is None or only.batch(block) is None


@pytest.mark.parametrize("name", CASES)
def test_a_null_is_an_error(tmp_path: Path, name: str) -> None:
    only = step(CASES[name](tmp_path / "stage"))
    with pytest.raises((AttributeError, TypeError)):
        only.row(None)
    assert only.batch is not None
    assert only.batch([[1.0, 1.0, 1.0], None]) is None


def test_hints_are_vectors_of_the_right_size(tmp_path: Path) -> None:
    for number, (name, make) in enumerate(CASES.items()):
        hints = stage(make(tmp_path / str(number))).hints["features"]
        assert hints[0] == Sparse(2 if name == "isotonic" else 3, [], [])


# -- generalized linear models ----------------------------------------------------------------------------------


def test_an_offset_shifts_and_its_null_makes_nulls(tmp_path: Path) -> None:
    only = step(glm(family="poisson", offsetCol="o", linkPredictionCol="link")(tmp_path / "a"), o="int")
    assert only.names == ("link", "prediction")
    assert only.row([1.0, 2.0, 0.5], 2) == (-0.75 + 2.0, math.exp(1.25))
    assert only.row([1.0, 2.0, 0.5], None) == (None, None)
    assert only.row(None, None) == (None, None)
    assert only.batch is not None
    dense, _ = as_blocks([[1.0, 2.0, 0.5]] * 9)
    assert only.batch(dense, [2] * 9) == ([1.25] * 9, [math.exp(1.25)] * 9)
    assert only.batch(dense, [2] * 8 + [None]) is None
    alone = step(glm(offsetCol="o")(tmp_path / "b"), o="double")
    assert alone.row([1.0, 2.0, 0.5], None) is None


def test_an_empty_offset_column_is_none(tmp_path: Path) -> None:
    assert len(step(glm(offsetCol="")(tmp_path / "a")).inputs) == 1


def test_an_offset_is_a_number(tmp_path: Path) -> None:
    frame = Frame([Column("features", "vector"), Column("o", "string")])
    with pytest.raises(InputError, match="a number"):
        stage(glm(offsetCol="o")(tmp_path / "a")).bind(frame)


@pytest.mark.parametrize(
    ("params", "eta", "wanted"),
    [
        ({}, INFINITY, 1.7976931348623157e308),
        ({}, -INFINITY, -1.7976931348623157e308),
        ({}, NAN, NAN),
        ({"family": "poisson"}, -800.0, 1e-16),
        ({"family": "poisson"}, 800.0, 1.7976931348623157e308),
        ({"family": "gamma"}, 0.0, 1.7976931348623157e308),
        ({"family": "binomial"}, 800.0, 1.0 - 1e-16),
        ({"family": "binomial"}, -800.0, 1e-16),
        ({"family": "tweedie", "linkPower": 0.5}, -3.0, 9.0),
        ({"family": "tweedie", "linkPower": -0.5, "variancePower": 1.5}, 0.0, 1.7976931348623157e308),
        ({"family": "tweedie", "linkPower": 1.0, "variancePower": 1.5}, -3.0, 1e-16),
        ({"family": "tweedie", "variancePower": 2.0}, 4.0, 0.25),
        ({"family": "tweedie", "linkPower": 0.3}, -1.0, NAN),
    ],
)
def test_the_mean_is_kept_in_its_range(
    tmp_path: Path, params: dict[str, Any], eta: float, wanted: float
) -> None:
    only = step(glm(**params, offsetCol="o")(tmp_path / "a"), o="double")
    assert same(only.row([0.0, 0.0, 0.0], eta - 0.1 if math.isfinite(eta) else eta), wanted)


def test_a_link_that_is_not_set_is_that_of_the_family(tmp_path: Path) -> None:
    # A default of another Spark is no choice of the user's.
    folder = glm(family="poisson")(tmp_path / "a")
    path = folder / "metadata" / "part-00000"
    document = json.loads(path.read_text())
    document["defaultParamMap"]["link"] = "identity"
    path.write_text(json.dumps(document))
    assert step(folder).row([0.0, 0.0, 0.0]) == math.exp(0.1)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (glm(family="gaussian", link="logit"), "does not go with the link"),
        (glm(family="quasi"), "family is 'quasi'"),
        (glm(wholeNew=1), "parameter 'wholeNew' is not known"),
        (isotonic(()), "fitted on no rows"),
        (mixture([[[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], COVARIANCES[1]]), "not symmetric"),
        (mixture([[[NAN] * 3] * 3, COVARIANCES[1]]), "eigenvalues"),
        (topics("DistributedLDAModel"), "random seed"),
        (topics(shape=0.5), "gammaShape is 0.5"),
        (recommender("guess"), "coldStartStrategy is 'guess'"),
        (recommender(itemCol="user"), "one column"),
        (recommender(factors=[(1, [0.0] * 3), (1, [1.0] * 3)]), "twice"),
    ],
)
def test_what_is_not_exact_is_refused(tmp_path: Path, make: Make, says: str) -> None:
    with pytest.raises(UnsupportedModel, match=says):
        stage(make(tmp_path / "a"))


def test_association_rules_are_refused(tmp_path: Path) -> None:
    folder = save(
        tmp_path / "a", "fpm.FPGrowthModel", {"labelCol": None, "featuresCol": None, "minSupport": 0.1}
    )
    with pytest.raises(UnsupportedModel, match="order of the items"):
        stage(folder)


def sparse_center(folder: Path) -> Path:
    center = {"type": 0, "size": 3, "indices": [0], "values": [1.0]}
    data = {
        "clusterIdx": pa.array([0], pa.int32()),
        "clusterCenter": pa.array([center], VECTOR),
    }
    return save(folder, "clustering.KMeansModel", {"labelCol": None}, data)


def test_a_sparse_center_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="a center is a sparse vector"):
        stage(sparse_center(tmp_path / "a"))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (isotonic((1.0, 0.0)), "do not ascend"),
        (kmeans([[1.0], [1.0, 2.0]]), "differ in size"),
        (mixture(COVARIANCES[:1]), "one mean and one covariance"),
        (mixture([[[1.0]], [[1.0]]]), "does not fit its covariance"),
        (recommender(factors=[(1, [0.0] * 2)]), "not 3 factors"),
    ],
)
def test_what_does_not_fit_is_damaged(tmp_path: Path, make: Make, says: str) -> None:
    with pytest.raises(ArchiveError, match=says):
        stage(make(tmp_path / "a"))


# -- isotonic regression ----------------------------------------------------------------------------------------


def test_isotonic_regression_of_a_double(tmp_path: Path) -> None:
    only = step(isotonic()(tmp_path / "a"), kind="double")
    assert only.row(None) is None
    assert only.row(-7.0) == only.row(-1.0) == 0.1
    assert only.row(99.0) == only.row(NAN) == only.row(INFINITY) == 0.1 * 27
    assert only.row(0.0) == 0.1 * 3
    # Java holds -0.0 to be below 0.0, so it is on the line, and the line has another last bit.
    assert same(only.row(-0.0), 0.1 + (0.1 * 3 - 0.1) * 1.0 / 1.0)
    assert only.batch is not None
    assert only.batch([1.0, None]) is None


def test_isotonic_regression_in_columns(tmp_path: Path) -> None:
    only = step(isotonic((-1.0, 0.5, 2.0, 2.5))(tmp_path / "a"), kind="double")
    keys = [
        -9.0,
        -1.0,
        -0.0,
        0.0,
        0.5,
        math.nextafter(0.5, 9),
        2.2,
        2.5,
        99.0,
        NAN,
        INFINITY,
        -INFINITY,
        1e308,
    ]
    assert only.batch is not None
    (column,) = only.batch(np.array(keys))
    assert same(rows_of(column), [only.row(key) for key in keys])


def test_isotonic_regression_of_equal_boundaries(tmp_path: Path) -> None:
    # Java's binary search finds the one in the middle of what is left.
    only = step(isotonic((1.0, 1.0, 1.0, 2.0))(tmp_path / "a"), kind="double")
    assert only.row(1.0) == 0.1 * 3
    assert only.batch is not None
    assert only.batch(np.array([1.0])) is None


def test_isotonic_regression_wants_doubles(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a double or a vector"):
        step(isotonic()(tmp_path / "a"), kind="float")


# -- clusters ---------------------------------------------------------------------------------------------------


def exhaustive(point: list[float]) -> int:
    gaps = [sum((a - b) ** 2 for a, b in zip(center, point, strict=True)) for center in CENTERS]
    return gaps.index(min(gaps))


def test_kmeans_finds_the_nearest_center(tmp_path: Path) -> None:
    chance = random.Random(4)
    only = step(kmeans()(tmp_path / "a"))
    for _ in range(500):
        point = [chance.uniform(-1.0, 6.0) for _ in range(3)]
        assert only.row(point) == only.row(Sparse(3, [0, 1, 2], point)) == exhaustive(point)


def test_of_two_equally_near_centers_the_first_wins(tmp_path: Path) -> None:
    only = step(kmeans([[0.0], [2.0], [4.0]])(tmp_path / "a"))
    assert [only.row([x]) for x in (1.0, 3.0)] == [0, 1]
    assert [only.row(Sparse(1, [0], [x])) for x in (1.0, 3.0)] == [0, 1]


def test_many_centers_have_no_shortcuts(tmp_path: Path) -> None:
    chance = random.Random(5)
    centers = [[chance.random() for _ in range(4)] for _ in range(501)]
    only = step(kmeans(centers)(tmp_path / "a"))
    points = [[chance.random() for _ in range(4)] for _ in range(50)]
    dense, sparse = as_blocks(points)
    assert only.batch is not None
    wanted = [
        min(range(501), key=lambda n: sum((a - b) ** 2 for a, b in zip(centers[n], p, strict=True)))
        for p in points
    ]
    assert [only.row(p) for p in points] == wanted
    assert only.batch(dense) == (wanted,)
    assert only.batch(sparse) == (wanted,)


@pytest.mark.parametrize("name", CLUSTERS)
@pytest.mark.parametrize("point", [[NAN, 0.0, 0.0], Sparse(3, [1], [NAN])])
def test_a_nan_has_no_distance(tmp_path: Path, name: str, point: Any) -> None:
    only = step(CASES[name](tmp_path / "a"))
    with pytest.raises(Invalid, match="NaN"):
        only.row(point)
    dense, _ = as_blocks([[1.0, NAN, 1.0], [1.0, 1.0, 1.0]])
    assert only.batch is not None
    assert only.batch(dense) is None


@pytest.mark.parametrize("point", [[0.0, -0.0, 0.0], Sparse(3, [], []), Sparse(3, [1], [0.0])])
def test_zeros_have_no_angle(tmp_path: Path, point: Any) -> None:
    only = step(bisecting("cosine")(tmp_path / "a"))
    with pytest.raises(Invalid, match="zeros"):
        only.row(point)


def test_arrays_will_do_for_clusters(tmp_path: Path) -> None:
    for number, name in enumerate([*CLUSTERS, "mixture", "topics"]):
        folder = CASES[name](tmp_path / str(number))
        assert same(outputs(step(folder, kind="array<float>"), ROWS[0]), outputs(step(folder), ROWS[0]))
        with pytest.raises(InputError, match="a vector or an array of doubles"):
            step(folder, kind="array<int>")


def test_kmeans_says_that_spark_forgets_the_cosine(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "wmlclient.scoring"):
        stage(kmeans()(tmp_path / "a"))
        assert not caplog.records
        stage(kmeans(distanceMeasure="cosine")(tmp_path / "b"))
    assert "distanceMeasure='cosine'" in caplog.text


def test_a_broken_tree_is_damaged(tmp_path: Path) -> None:
    for number, (key, value) in enumerate([("rootId", 77), ("rootId", None), ("distanceMeasure", "far")]):
        folder = bisecting("euclidean")(tmp_path / str(number))
        path = folder / "data" / "metadata" / "part-00000"
        path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
        with pytest.raises((ArchiveError, UnsupportedModel), match="root|distance measure"):
            stage(folder)
    folder = bisecting("euclidean")(tmp_path / "none")
    (folder / "data" / "metadata" / "part-00000").write_text("{")
    with pytest.raises(ArchiveError, match="not readable"):
        stage(folder)


def test_a_tree_of_another_version(tmp_path: Path) -> None:
    folder = bisecting("cosine")(tmp_path / "a")
    path = folder / "data" / "metadata" / "part-00000"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({"class": document["class"], "version": "1.0", "rootId": -1}))
    assert [step(folder).row(vector(row)) for row in ROWS] == [each for (each,) in ANSWERS["bisecting"]]


# -- mixtures and topics ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("probability", "prediction"), [("", "prediction"), ("probability", "")])
def test_a_mixture_may_show_less(tmp_path: Path, probability: str, prediction: str) -> None:
    only = step(mixture(probabilityCol=probability, predictionCol=prediction)(tmp_path / "a"))
    assert only.names == ((prediction or probability),)
    wanted = ANSWERS["mixture"][0][1 if prediction else 0]
    assert parity._same(only.row(ROWS[0]), wanted, parity._Largest())
    dense, _ = as_blocks([ROWS[0]] * 9)
    assert only.batch is not None
    (column,) = only.batch(dense)
    assert same(rows_of(column), [only.row(ROWS[0])] * 9)


def test_a_wide_mixture_scores_rows_and_columns_alike(tmp_path: Path) -> None:
    chance = random.Random(6)
    size = 14
    root = np.array([[chance.gauss(0.0, 1.0) for _ in range(size)] for _ in range(size)])
    covariance = (root @ root.T / size + np.eye(size)).tolist()
    from saved_by_hand import MATRIX, dense, matrix

    data = {
        "weights": pa.array([[1.0]], pa.list_(pa.float64())),
        "mus": pa.array([[dense([0.5] * size)]], pa.list_(VECTOR)),
        "sigmas": pa.array([[matrix(covariance)]], pa.list_(MATRIX)),
    }
    folder = save(
        tmp_path / "a", "clustering.GaussianMixtureModel", {"labelCol": None, "probabilityCol": "p"}, data
    )
    only = step(folder)
    rows = [[chance.gauss(0.0, 1.0) for _ in range(size)] for _ in range(40)]
    dense_block, sparse_block = as_blocks(rows)
    assert only.batch is not None
    columns = only.batch(dense_block)
    assert same(
        [outputs(only, row) for row in rows], [list(r) for r in zip(*map(rows_of, columns), strict=True)]
    )
    for row, other in zip(rows, sparse_block.rows(), strict=True):
        assert parity._same(outputs(only, row), outputs(only, other), parity._Largest())


def test_a_singular_covariance_has_a_density_where_it_has_some(tmp_path: Path) -> None:
    flat = [[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 0.0]]
    only = step(mixture([flat, flat])(tmp_path / "a"))
    probability, prediction = only.row([1.0, 1.0, 1.0])
    assert prediction == 0 or probability[1] > probability[0]
    assert sum(probability) == pytest.approx(1.0)


def test_a_document_without_terms_has_no_topics(tmp_path: Path) -> None:
    only = step(topics()(tmp_path / "a"))
    for empty in ([0.0, -0.0, 0.0], Sparse(3, [], []), Sparse(3, [1], [0.0])):
        assert only.row(empty) == [0.0, 0.0]
    _, sparse = as_blocks([[0.0, 0.0, 0.0]] * 9)
    assert only.batch is not None
    assert only.batch(sparse) == ([[0.0, 0.0]] * 9,)


def test_topics_look_at_indices_not_at_sizes(tmp_path: Path) -> None:
    only = step(topics()(tmp_path / "a"))
    assert only.row(Sparse(99, [0], [1.0])) == only.row(Sparse(3, [0], [1.0]))
    assert len(only.row([2.0])) == 2
    _, sparse = as_blocks([[0.0, 0.0, 0.0, 1.0]] * 9)
    assert only.batch is not None
    assert only.batch(sparse) is None


def test_topics_of_a_nan(tmp_path: Path) -> None:
    assert same(step(topics()(tmp_path / "a")).row([NAN, 1.0, 0.0]), [NAN, NAN])


# -- recommendations --------------------------------------------------------------------------------------------


def ratings(folder: Path, user: str = "int", item: str = "int") -> Step:
    frame = Frame([Column("user", user), Column("item", item)])
    stage(folder).bind(frame)
    assert [column.type for column in frame.columns] == ["int", "int", "float"]
    (only,) = frame.steps
    return only


def test_ratings_are_those_that_spark_gave(tmp_path: Path) -> None:
    only = ratings(recommender()(tmp_path / "a"))
    assert same([only.row(*pair) for pair in PAIRS], RATINGS)
    assert only.batch is not None
    (column,) = only.batch(*map(list, zip(*PAIRS, strict=True)))
    assert same(column, RATINGS)


@pytest.mark.parametrize("pair", [(7, 99), (99, 1), (99, 99)])
def test_a_cold_start_drops_the_row_or_says_nan(tmp_path: Path, pair: tuple[int, int]) -> None:
    assert math.isnan(ratings(recommender()(tmp_path / "a")).row(*pair))
    only = ratings(recommender("Drop")(tmp_path / "b"))
    with pytest.raises(Drop):
        only.row(*pair)
    assert only.batch is not None
    assert only.batch([7, pair[0]], [1, pair[1]]) is None
    assert only.batch([7, 7], [1, 1]) is not None


@pytest.mark.parametrize("pair", [(None, 1), (7, None), (2**31, 1), (7, -(2**31) - 1)])
def test_ids_are_whole_numbers_of_32_bits(tmp_path: Path, pair: tuple[Any, Any]) -> None:
    only = ratings(recommender()(tmp_path / "a"), "bigint", "smallint")
    with pytest.raises(Invalid):
        only.row(*pair)


def test_ids_that_are_doubles_are_left_to_spark(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="give it as one"):
        ratings(recommender()(tmp_path / "a"), "double")


def test_a_rank_must_be_known(tmp_path: Path) -> None:
    folder = recommender()(tmp_path / "a")
    path = folder / "metadata" / "part-00000"
    path.write_text(json.dumps({**json.loads(path.read_text()), "rank": "3"}))
    with pytest.raises(ArchiveError, match="rank"):
        stage(folder)


def test_a_stage_may_add_nothing(tmp_path: Path) -> None:
    for number, make in enumerate(
        [linear(predictionCol=""), glm(predictionCol=""), survival(predictionCol=""), mixture([*COVARIANCES])]
    ):
        frame = Frame([Column("features", "vector")])
        stage(make(tmp_path / str(number))).bind(frame)
        assert bool(frame.steps) == (number == 3)


def test_a_factorization_machine_must_fit(tmp_path: Path) -> None:
    folder = machine(tmp_path / "a")
    assert step(folder).row([0.0, 0.0, 0.0]) == 0.1
