"""Naive Bayes, support vectors, factorization machines, perceptrons and one against the rest, beside Spark's."""

from __future__ import annotations

import gc
import random
import warnings
from pathlib import Path
from typing import Any

import pytest
from harness import ROWS, SEED, SPARK_3, TIMES, prove, rows_each

pytestmark = pytest.mark.spark

SIZE = 6


def numbers(spark: Any, classes: int, rows: int = 300) -> Any:
    from pyspark.ml.linalg import Vectors

    chance = random.Random(5)
    data = []
    for _ in range(rows):
        values = [chance.gauss(0, 1 + j / 4) for j in range(SIZE)]
        score = values[0] - 0.5 * values[1] + values[2] * values[3] * 0.4 + chance.gauss(0, 0.5)
        label = float(min(classes - 1, max(0, int(score + classes / 2))))
        data.append((label, Vectors.dense(values)))
    return spark.createDataFrame(data, ["label", "features"])


def varied(model: Any, params: dict[str, Any]) -> Any:
    """The model with other params, which fitting has nothing to do with."""
    other = model.copy()
    for name, value in params.items():
        other.set(other.getParam(name), value)
    return other


def fitted(estimator: Any, train: Any) -> Any:
    """The model; PySpark fits its parts in a thread pool that it leaves to the garbage collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        model = estimator.fit(train)
        gc.collect()
    return model


def vectors(values: Any, count: int, seed: int = SEED) -> list[list[Any]]:
    """Dense and sparse vectors of values that ``values`` makes, some of them all zero."""
    chance = random.Random(seed)
    made: list[list[Any]] = [[[0.0] * SIZE], [[SIZE, [], []]], [[-0.0] * SIZE], [[SIZE, [1, 4], [0.0, -0.0]]]]
    while len(made) < count * TIMES:
        row = [values(chance) for _ in range(SIZE)]
        if chance.random() < 0.5:
            made.append([row])
        else:
            kept = [at for at in range(SIZE) if chance.random() < 0.5]
            made.append([[SIZE, kept, [row[at] for at in kept]]])
    return made


def counts(chance: random.Random) -> float:
    return chance.choice((0.0, 0.0, 1.0, 2.0, 7.0, 0.25, 1e-9, 1234.5, chance.random() * 20))


def bits(chance: random.Random) -> float:
    return chance.choice((0.0, 1.0, -0.0))


def moderate(chance: random.Random) -> float:
    """Numbers of a size at which the order of a sum changes no more than its last bits."""
    return chance.choice((0.0, -0.0, 1.0, chance.gauss(0, 1), chance.gauss(0, 30), 1e-12))


BAYES: list[dict[str, Any]] = [
    {},
    {"thresholds": [0.2, 0.5, 0.1]},
    {"rawPredictionCol": ""},
    {"rawPredictionCol": "", "probabilityCol": "", "thresholds": [0.2, 0.0, 0.1]},
    {"probabilityCol": ""},
    {"predictionCol": ""},
]


@pytest.mark.parametrize("kind", ["multinomial", "complement", "bernoulli", "gaussian"])
def test_naive_bayes(spark: Any, tmp_path: Path, kind: str) -> None:
    from pyspark.ml.classification import NaiveBayes
    from pyspark.ml.linalg import Vectors

    make = {"bernoulli": bits, "gaussian": moderate}.get(kind, counts)
    chance = random.Random(11)
    data = []
    for _ in range(300):
        values = [make(chance) for _ in range(SIZE)]
        data.append((float(int(values[0] + values[1] + chance.random()) % 3), Vectors.dense(values)))
    train = spark.createDataFrame(data, ["label", "features"])
    model = NaiveBayes(modelType=kind, smoothing=0.5).fit(train)
    refused = [[[-1.0, *[0.0] * 5]], [["NaN", *[0.0] * 5]], [[SIZE, [3], [-2.0]]], [[1.0] * (SIZE - 1)]]
    for params in BAYES:
        count = 1_000 if params else max(ROWS, 10_000)
        values = vectors(make, count) + refused
        proof = prove(
            spark, varied(model, params), train.select("features").schema, tmp_path,
            values=values, rows=0, least=0.9,
        )  # fmt: skip
        assert proof.rows >= count
        assert proof.refused == (1 if kind == "gaussian" else 4)


def test_gaussian_bayes_of_longer_and_odd_vectors(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.classification import NaiveBayes

    train = numbers(spark, 3)
    model = NaiveBayes(modelType="gaussian").fit(train)
    rows: list[list[Any]] = [
        [[1.0] * 9],
        [[9, [0, 7], [1.0, 5.0]]],
        [["NaN"] * 6],
        [[6, [2], ["Infinity"]]],
        [None],
    ]
    proof = prove(spark, model, train.select("features").schema, tmp_path, values=rows)
    assert proof.refused == 1


def test_linear_svc(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.classification import LinearSVC

    train = numbers(spark, 2)
    model = LinearSVC(maxIter=8).fit(train)
    rows = [[["Infinity", *[0.0] * 5]], [["NaN", *[0.0] * 5]], [[0.0] * 5], [None]]
    for params in (
        {},
        {"threshold": 0.7},
        {"threshold": -0.4, "rawPredictionCol": ""},
        {"predictionCol": ""},
    ):
        count = 1_000 if params else max(ROWS, 10_000)
        proof = prove(
            spark, varied(model, params), train.select("features").schema, tmp_path,
            values=vectors(moderate, count) + rows, rows=0,
        )  # fmt: skip
        assert proof.refused == 2
        assert proof.rows >= count


@pytest.mark.parametrize("layers", [[SIZE, 5, 3], [SIZE, 3], [SIZE, 50, 4, 3]])
def test_multilayer_perceptron(spark: Any, tmp_path: Path, layers: list[int]) -> None:
    from pyspark.ml.classification import MultilayerPerceptronClassifier

    train = numbers(spark, 3)
    model = MultilayerPerceptronClassifier(layers=layers, maxIter=8, seed=1).fit(train)
    rows = [[["Infinity", *[0.0] * 5]], [["NaN", *[0.0] * 5]], [[0.0] * 5], [[7, [], []]], [None]]
    thresholds = [0.2, 0.5, 0.1]
    for params in (
        {},
        {"thresholds": thresholds},
        {"rawPredictionCol": "", "probabilityCol": "", "thresholds": thresholds},
        {"rawPredictionCol": "", "thresholds": thresholds},
        {"probabilityCol": ""},
    ):
        if params and len(layers) != 3:
            continue
        count = 1_000 if params else max(ROWS, 10_000) if len(layers) == 3 else 2_000
        proof = prove(
            spark, varied(model, params), train.select("features").schema, tmp_path,
            values=vectors(moderate, count) + rows, rows=0,
        )  # fmt: skip
        assert proof.refused == 3
        assert proof.rows >= count


@pytest.mark.parametrize(
    "fitting", [{}, {"fitLinear": False}, {"fitIntercept": False, "factorSize": 3, "solver": "gd"}]
)
def test_factorization_machines(spark: Any, tmp_path: Path, fitting: dict[str, Any]) -> None:
    from pyspark.ml.classification import FMClassifier

    train = numbers(spark, 2)
    model = FMClassifier(maxIter=8, stepSize=0.1, seed=1, **fitting).fit(train)
    rows = [[["Infinity", *[0.0] * 5]], [["NaN", *[0.0] * 5]], [[0.0] * 5], [[7, [], []]], [None]]
    for params in (
        {},
        {"thresholds": [0.3, 0.6]},
        {"rawPredictionCol": ""},
        {"rawPredictionCol": "", "probabilityCol": ""},
        {"probabilityCol": ""},
    ):
        if params and fitting:
            continue
        count = 1_000 if params or fitting else max(ROWS, 10_000)
        proof = prove(
            spark, varied(model, params), train.select("features").schema, tmp_path,
            values=vectors(moderate, count) + rows, rows=0,
        )  # fmt: skip
        assert proof.refused == 3
        assert proof.rows >= count


def classifier(name: str) -> Any:
    from pyspark.ml import classification

    more: dict[str, Any] = {
        "LogisticRegression": {"maxIter": 10},
        "LinearSVC": {"maxIter": 10},
        "DecisionTreeClassifier": {"maxDepth": 3, "leafCol": "leaf"},
        "GBTClassifier": {"maxIter": 3},
        "NaiveBayes": {"modelType": "gaussian"},
    }
    return getattr(classification, name)(**more[name])


@pytest.mark.parametrize(
    "name", ["LogisticRegression", "LinearSVC", "DecisionTreeClassifier", "GBTClassifier", "NaiveBayes"]
)
def test_one_vs_rest(spark: Any, tmp_path: Path, name: str) -> None:
    from pyspark.ml.classification import OneVsRest

    train = numbers(spark, 3)
    model = fitted(OneVsRest(classifier=classifier(name)), train)
    rows: list[list[Any]] = [[None]]
    if not SPARK_3:  # which says 0.0 where all classes are NaN, and not -1.0
        rows += [[["Infinity", *[0.0] * 5]], [["NaN"] * 6]]
    for params in ({}, {"predictionCol": ""}):
        count = max(ROWS, 10_000) if name == "LogisticRegression" and not params else 1_000
        other = varied(model, params)
        proof = prove(
            spark, other, train.select("features").schema, tmp_path,
            values=vectors(moderate, count) + rows, rows=0,
        )  # fmt: skip
        assert proof.refused == 1
        assert proof.rows >= count


@pytest.mark.parametrize("name", ["CrossValidator", "TrainValidationSplit"])
@pytest.mark.parametrize("nested", [False, True])
def test_tuned_models(spark: Any, tmp_path: Path, name: str, nested: bool) -> None:
    from pyspark.ml import Pipeline, tuning
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.evaluation import BinaryClassificationEvaluator

    train = numbers(spark, 2)
    regression = LogisticRegression(maxIter=5)
    estimator = Pipeline(stages=[regression]) if nested else regression
    grid = tuning.ParamGridBuilder().addGrid(regression.regParam, [0.01, 1.0]).build()
    more: dict[str, Any] = {"numFolds": 2} if name == "CrossValidator" else {"trainRatio": 0.7}
    tuner = getattr(tuning, name)(
        estimator=estimator, estimatorParamMaps=grid, evaluator=BinaryClassificationEvaluator(), seed=1,
        collectSubModels=nested, **more,
    )  # fmt: skip
    model = fitted(tuner, train)
    count = rows_each(2)
    values = vectors(moderate, count)
    proof = prove(spark, model, train.select("features").schema, tmp_path, values=values, rows=0)
    assert proof.rows == len(values)
