"""Regression models beside Spark's."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from harness import ROWS, by_index, parse, prove
from vectors import vectors

pytestmark = pytest.mark.spark

MANY = max(ROWS, 10_000)
ODD = [
    [["NaN", 0.0, 1.0]],
    [["Infinity", "-Infinity", 0.0]],
    [[-0.0, -0.0, -0.0]],
    [[3, [], []]],
    [[3, [0, 2], [0.0, 5e-324]]],
    [[3, [1], ["-Infinity"]]],
    [[1e308, 1e308, -1e308]],
    [[1e3, 1e3, 1e3]],
    [[-1e3, -1e3, -1e3]],
    [None],
    [[1.0, 2.0]],
    [[4, [3], [1.0]]],
]
REFUSED = 3  # of the odd rows: null, and two of another size


def trained(spark: Any, size: int = 3, *, sparse: bool = True) -> Any:
    """Rows to fit on: features, and labels of all kinds that a family asks for."""
    from pyspark.ml.linalg import Vectors

    chance = random.Random(size)
    rows = []
    for number in range(200):
        values = [chance.gauss(0.0, 1.0) if chance.random() < 0.8 else 0.0 for _ in range(size)]
        eta = 1.0 + sum(0.1 * (place % 3 - 1) * value for place, value in enumerate(values))
        stored = {place: value for place, value in enumerate(values) if value}
        features = Vectors.sparse(size, stored) if sparse and number % 3 == 0 else Vectors.dense(values)
        likely = chance.random() < 1.0 / (1.0 + math.exp(-eta))
        rows.append((features, eta + chance.gauss(0.0, 0.1), float(likely), abs(eta) + 0.5, values[0]))
    return spark.createDataFrame(rows, ["features", "label", "binary", "positive", "x"]).coalesce(1)


@pytest.mark.parametrize("size", [1, 3, 7, 40])
@pytest.mark.parametrize("penalty", [0.0, 0.08])
def test_linear_regression(spark: Any, tmp_path: Path, size: int, penalty: float) -> None:
    from pyspark.ml.regression import LinearRegression

    model = LinearRegression(regParam=penalty, elasticNetParam=1.0).fit(trained(spark, size))
    odd = ODD if size == 3 else []
    proof = prove(
        spark, model, vectors("features"), tmp_path, values=odd, rows=MANY, invalid=size < 8, nulls=True
    )
    assert size >= 8 or proof.bit_equal
    assert proof.refused >= (REFUSED if odd else 1)


def test_linear_regression_with_the_loss_of_huber(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.regression import LinearRegression

    model = LinearRegression(loss="huber").fit(trained(spark))
    proof = prove(spark, model, vectors("features"), tmp_path, values=ODD, invalid=True)
    assert proof.bit_equal


LINKS = [
    ("gaussian", "identity"),
    ("gaussian", "log"),
    ("gaussian", "inverse"),
    ("binomial", "logit"),
    ("binomial", "probit"),
    ("binomial", "cloglog"),
    ("poisson", "log"),
    ("poisson", "identity"),
    ("poisson", "sqrt"),
    ("gamma", "inverse"),
    ("gamma", "identity"),
    ("gamma", "log"),
]
EXACT = {"identity", "inverse", "sqrt"}


def with_params(model: Any, **params: Any) -> Any:
    """The model with other params: what it was fitted for makes no difference to how it scores."""
    copy = model.copy()
    for name, value in params.items():
        copy.set(copy.getParam(name), value)
    return copy


def glm_input() -> Any:
    from pyspark.sql.types import DoubleType, StructField

    return vectors("features").add(StructField("offset", DoubleType()))


@pytest.fixture(scope="module")
def glm(spark: Any) -> Any:
    """A gaussian model."""
    from pyspark.ml.regression import GeneralizedLinearRegression

    return GeneralizedLinearRegression().fit(trained(spark))


@pytest.mark.parametrize(("family", "link"), LINKS)
def test_glm_of_each_family_and_link(spark: Any, tmp_path: Path, glm: Any, family: str, link: str) -> None:
    model = with_params(glm, family=family, link=link, offsetCol="offset", linkPredictionCol="link")
    values = [[*row, 0.5] for row in ODD] + [[[0.0, 0.0, 0.0], "NaN"], [[0.0, 0.0, 0.0], "Infinity"]]
    near = [
        [[0.0, 0.0, 0.0], edge - glm.intercept] for edge in (0.0, 1e-16, 36.8, -36.8, 709.9, -745.2, 40.0)
    ]

    def cancelled(row: Mapping[str, Any]) -> float:
        features = by_index(row["features"] or [])
        values = [row["link"], row["offset"], *(features.get(at, 0.0) for at in range(3))]
        if not all(isinstance(each, float) and math.isfinite(each) for each in values) or not row["link"]:
            return 1.0
        terms = [weight * each for weight, each in zip(glm.coefficients, values[2:], strict=True)]
        return max(1.0, *(abs(each / values[0]) for each in [glm.intercept, values[1], *terms]))

    proof = prove(
        spark,
        model,
        glm_input(),
        tmp_path,
        values=values + near + [[None, None]],
        rows=MANY,
        invalid=True,
        nulls=True,
        cancelled=cancelled,
    )
    assert link not in EXACT or proof.bit_equal
    assert proof.refused >= REFUSED


def test_glm_takes_the_link_of_its_family(spark: Any, tmp_path: Path, glm: Any) -> None:
    for family in ("Gaussian", "BINOMIAL", "poisson", "gamma"):
        model = with_params(glm, family=family, offsetCol="")
        prove(spark, model, vectors("features"), tmp_path / family, values=ODD, rows=500, invalid=True)


def test_glm_without_an_offset_or_a_link_column(spark: Any, tmp_path: Path, glm: Any) -> None:
    proof = prove(spark, glm, vectors("features"), tmp_path, values=ODD, invalid=True, nulls=True)
    assert proof.bit_equal


@pytest.mark.parametrize("variance", [0.0, 1.0, 1.6, 2.0, 3.5])
def test_tweedie(spark: Any, tmp_path: Path, glm: Any, variance: float) -> None:
    for power in (None, 0.0, 1.0, -1.0, 0.5, 0.3, -2.0, 3.0):
        given = {} if power is None else {"linkPower": power}
        model = with_params(glm, family="tweedie", variancePower=variance, **given)
        prove(spark, model, vectors("features"), tmp_path / str(power), values=ODD, rows=1000, invalid=True)


@pytest.mark.parametrize("kind", ["int", "bigint", "float", "tinyint"])
def test_glm_with_an_offset_of_another_type(spark: Any, tmp_path: Path, glm: Any, kind: str) -> None:
    schema = vectors("features").add(parse(f"offset {kind}").fields[0])
    model = with_params(glm, family="poisson", offsetCol="offset")
    proof = prove(spark, model, schema, tmp_path, nulls=True)
    assert proof.rows > 1000


def test_glm_may_show_the_link_alone(spark: Any, tmp_path: Path, glm: Any) -> None:
    alone = with_params(glm, predictionCol="", linkPredictionCol="link")
    assert prove(spark, alone, vectors("features"), tmp_path, values=ODD).comparison.columns.keys() == {
        "features",
        "link",
    }


@pytest.mark.parametrize("size", [3, 12])
@pytest.mark.parametrize("factors", [1, 5])
def test_factorization_machine(spark: Any, tmp_path: Path, size: int, factors: int) -> None:
    from pyspark.ml.regression import FMRegressor

    # Spark 4.2 cannot fit it on some sparse vectors.
    frame = trained(spark, size, sparse=False)
    model = FMRegressor(factorSize=factors, maxIter=4, fitLinear=factors > 1).fit(frame)
    odd: Sequence[Any] = ODD if size == 3 else []
    prove(spark, model, vectors("features"), tmp_path, values=odd, rows=MANY, invalid=size < 8)


def isotonic_edges(model: Any) -> list[float]:
    """The boundaries, and the doubles beside and between them."""
    found = [float(value) for value in model.boundaries.toArray()]
    beside = [math.nextafter(x, way) for x in found for way in (-math.inf, math.inf)]
    return [*found, *beside, *((x + y) / 2.0 for x, y in zip(found, found[1:], strict=False))]


@pytest.mark.parametrize("rising", [True, False])
def test_isotonic_regression(spark: Any, tmp_path: Path, rising: bool) -> None:
    from pyspark.ml.regression import IsotonicRegression

    model = IsotonicRegression(featuresCol="x", isotonic=rising).fit(trained(spark))
    values = [[v] for v in isotonic_edges(model)] + [
        ["NaN"],
        ["Infinity"],
        ["-Infinity"],
        [0.0],
        [-0.0],
        [None],
    ]
    proof = prove(
        spark, model, "x double", tmp_path, values=values, rows=MANY, invalid=True, nulls=True, least=1
    )
    assert proof.bit_equal


def test_isotonic_regression_knows_two_zeros(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.regression import IsotonicRegression

    rows = [(-1.0, -2.0), (0.0, 1.0), (0.5, 1.5), (0.5, 1.5), (2.0, 7.0)]
    model = IsotonicRegression(featuresCol="x").fit(spark.createDataFrame(rows, ["x", "label"]).coalesce(1))
    values = [[0.0], [-0.0], [0.5], [-1.0], [5e-324], [-5e-324]]
    proof = prove(spark, model, "x double", tmp_path, values=values, least=1)
    assert proof.bit_equal


def test_isotonic_regression_of_a_vector(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.regression import IsotonicRegression

    model = IsotonicRegression(featureIndex=1).fit(trained(spark))
    edges = isotonic_edges(model)
    values = [[[0.0, v, 0.0]] for v in edges] + [[[2, [1], [v]]] for v in edges]
    odd = [[[1.0]], [[1, [], []]], [None], [[3, [0, 2], [1.0, 1.0]]], [[0.0, "NaN"]]]
    proof = prove(spark, model, vectors("features"), tmp_path, values=odd + values, rows=MANY, invalid=True)
    assert proof.bit_equal
    assert proof.refused == 3


@pytest.mark.parametrize("shown", [("prediction", ""), ("prediction", "q"), ("", "q")])
def test_survival(spark: Any, tmp_path: Path, shown: tuple[str, str]) -> None:
    from pyspark.ml.regression import AFTSurvivalRegression

    prediction, quantiles = shown
    model = AFTSurvivalRegression(
        labelCol="positive",
        censorCol="binary",
        maxIter=5,
        quantileProbabilities=[1e-9, 0.1, 0.5, 0.999999],
    ).fit(trained(spark))
    model = with_params(model, predictionCol=prediction, **({"quantilesCol": quantiles} if quantiles else {}))
    proof = prove(
        spark,
        model,
        vectors("features"),
        tmp_path,
        values=ODD,
        rows=MANY,
        invalid=True,
        nulls=True,
        least=0.4,
    )
    assert proof.refused >= REFUSED
