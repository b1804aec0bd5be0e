"""Regressions, cluster models, mixtures, topics and recommendations: without Spark."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from bound_steps import as_blocks, outputs, same, stage, step, vector
from regression_cases import (
    ANSWERS,
    CASES,
    COVARIANCES,
    ROWS,
    glm,
    isotonic,
    kmeans,
    mixture,
    recommender,
    topics,
)
from saved_by_hand import VECTOR, save

from wmlclient.scoring import ArchiveError, InputError, UnsupportedModel, parity
from wmlclient.scoring.blocks import DenseBlock, rows_of
from wmlclient.scoring.columns import Column, Frame, Invalid
from wmlclient.scoring.values import Sparse

INFINITY, NAN = math.inf, math.nan
Make = Callable[[Path], Path]


@pytest.mark.parametrize("name", CASES)
def test_answers_are_those_that_spark_gave(tmp_path: Path, name: str) -> None:
    only = step(CASES[name](tmp_path / "stage"))
    for row, wanted in zip(ROWS, ANSWERS[name], strict=True):
        found = outputs(only, vector(row))
        assert parity._same(found, wanted, parity._Largest()), f"{row}: {found}, not {wanted}"


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
