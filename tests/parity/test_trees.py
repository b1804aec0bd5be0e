"""Decision trees, forests and boosted trees beside Spark's: thresholds hit exactly, categories seen and unseen."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from harness import ROWS, SEED, prove

pytestmark = pytest.mark.spark

SIZE = 8
CATEGORIES = {5: 2, 6: 6, 7: 9}
"""The last three features are categories; the others are numbers, some of them repeated, which makes ties."""
EDGES = 5000


def rows(classes: int, count: int = 1200, seed: int = 7) -> list[tuple[float, list[float]]]:
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        values = [
            chance.gauss(0, 1),
            chance.gauss(5, 100),
            float(chance.randint(-4, 4)),
            chance.random() ** 4,
        ]
        values.append(chance.choice((0.0, 0.0, 0.0, 1e-9, -1e9, 2.5)))
        values += [float(chance.randrange(n)) for n in CATEGORIES.values()]
        score = values[0] + (values[6] in (1.0, 4.0)) - (values[7] in (0.0, 3.0, 8.0)) + values[2] / 4
        score += chance.gauss(0, 0.3)
        label = score if classes == 0 else float(min(classes - 1, max(0, int(score + classes / 2))))
        made.append((label, values))
    return made


def training(spark: Any, classes: int, weights: bool = False) -> Any:
    """A column of vectors whose metadata says which features are categories."""
    from pyspark.ml.feature import VectorIndexer
    from pyspark.ml.linalg import Vectors
    from pyspark.sql.functions import col, rand

    data = [(label, Vectors.dense(values)) for label, values in rows(classes)]
    frame = spark.createDataFrame(data, ["label", "numbers"])
    indexer = VectorIndexer(inputCol="numbers", outputCol="features", maxCategories=9, handleInvalid="keep")
    # -4 ... 4 has nine values, too: a category whose index is not its value would hide its threshold.
    indexed = indexer.fit(frame).transform(frame).select("label", "features")
    return (
        indexed.withColumn("weight", 0.5 + rand(3))
        if weights
        else indexed.select(col("label"), col("features"))
    )


@cache
def ulps(value: float) -> tuple[float, float, float]:
    return value, math.nextafter(value, math.inf), math.nextafter(value, -math.inf)


def edges(
    model: Any, size: int = SIZE, seed: int = SEED, categories: Mapping[int, int] = CATEGORIES
) -> list[list[Any]]:
    """Rows on the model's own edges: thresholds and the doubles beside them, and what no category is."""
    chance = random.Random(seed)
    found: dict[int, list[float]] = {
        at: [0.0, -0.0, 1.0, -1.0, 1e300, -1e-300, 4.9e-324] for at in range(size)
    }
    assert (" in {" in model.toDebugString) == bool(categories), "the test would prove too little"
    for feature, threshold in re.findall(r"feature (\d+) (?:<=|>) (\S+?)\)", model.toDebugString):
        found[int(feature)] += ulps(float(threshold))
    assert max(map(len, found.values())) > 12, "no thresholds were found"
    for feature, count in categories.items():
        if feature < size:
            found[feature] += [*map(float, range(count + 2)), 0.5, -1.0, 1.0000000000000002]
    odd = ["NaN", "Infinity", "-Infinity"]
    made: list[list[Any]] = []
    for number in range(EDGES):
        values = [chance.choice(found[at]) for at in range(size)]
        if number % 20 == 0:
            values[chance.randrange(size)] = chance.choice(odd)  # type: ignore[call-overload]
        if number % 2:
            made.append([values])
        else:
            kept = [at for at in range(size) if chance.random() < 0.6]
            made.append([[size, kept, [values[at] for at in kept]]])
    made.append([[*values, 3.5]])  # longer than the model asks for
    return made


def proven(spark: Any, model: Any, train: Any, folder: Path, least: int = 10_000) -> Any:
    values = edges(model)[-least // 2 :]
    proof = prove(
        spark, model, train.select("features").schema, folder,
        values=values, rows=max(ROWS if least > EDGES else 0, least - len(values)), invalid=True, least=1.0,
    )  # fmt: skip
    assert proof.rows >= least
    return proof


def varied(model: Any, params: dict[str, Any]) -> Any:
    """The model with other params, which fitting has nothing to do with."""
    other = model.copy()
    for name, value in params.items():
        other.set(other.getParam(name), value)
    return other


CLASSIFIER: list[dict[str, Any]] = [
    {"leafCol": "leaf"},
    {"thresholds": [0.2, 0.5, 0.1]},
    {"thresholds": [0.0, 0.5, 0.1], "rawPredictionCol": ""},
    {"rawPredictionCol": ""},
    {"rawPredictionCol": "", "probabilityCol": ""},
    {"rawPredictionCol": "", "probabilityCol": "", "thresholds": [0.2, 0.5, 0.01], "leafCol": "leaf"},
    {"probabilityCol": ""},
    {"predictionCol": "", "rawPredictionCol": "", "probabilityCol": "", "leafCol": "leaf"},
]


@pytest.mark.parametrize("impurity", ["gini", "entropy"])
def test_decision_tree_classifier(spark: Any, tmp_path: Path, impurity: str) -> None:
    from pyspark.ml.classification import DecisionTreeClassifier

    train = training(spark, 3)
    model = DecisionTreeClassifier(maxDepth=6, seed=1, impurity=impurity).fit(train)
    assert proven(spark, model, train, tmp_path).bit_equal
    for params in CLASSIFIER if impurity == "gini" else ():
        proven(spark, varied(model, params), train, tmp_path, 1_000)


@pytest.mark.parametrize("impurity", ["gini", "entropy"])
def test_random_forest_classifier(spark: Any, tmp_path: Path, impurity: str) -> None:
    from pyspark.ml.classification import RandomForestClassifier

    train = training(spark, 3)
    model = RandomForestClassifier(numTrees=7, maxDepth=5, seed=1, impurity=impurity).fit(train)
    assert proven(spark, model, train, tmp_path).bit_equal
    for params in CLASSIFIER if impurity == "gini" else ():
        proven(spark, varied(model, params), train, tmp_path, 1_000)


def test_deep_forest_of_two_classes(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.classification import RandomForestClassifier

    train = training(spark, 2, weights=True)
    forest = RandomForestClassifier(
        numTrees=5, maxDepth=12, seed=1, leafCol="leaf", weightCol="weight", maxBins=200
    )
    model = forest.fit(train)
    assert max(tree.numNodes for tree in model.trees) > 200
    assert proven(spark, model, train, tmp_path).bit_equal


def test_gbt_classifier(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.classification import GBTClassifier

    train = training(spark, 2)
    model = GBTClassifier(maxIter=8, maxDepth=4, seed=1).fit(train)
    proven(spark, model, train, tmp_path)
    for params in (
        {"leafCol": "leaf"},
        {"thresholds": [0.3, 0.6]},
        {"thresholds": [0.3, 0.6], "rawPredictionCol": "", "probabilityCol": ""},
        {"rawPredictionCol": ""},
        {"rawPredictionCol": "", "probabilityCol": ""},
        {"probabilityCol": ""},
        {"predictionCol": ""},
    ):
        proven(spark, varied(model, params), train, tmp_path, 1_000)


def test_decision_tree_regressor(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.regression import DecisionTreeRegressor

    train = training(spark, 0)
    model = DecisionTreeRegressor(maxDepth=8, seed=1, varianceCol="variance", leafCol="leaf").fit(train)
    assert proven(spark, model, train, tmp_path).bit_equal
    for params in ({"leafCol": ""}, {"predictionCol": "", "leafCol": ""}, {"varianceCol": "", "leafCol": ""}):
        proven(spark, varied(model, params), train, tmp_path, 1_000)


def test_random_forest_regressor(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.regression import RandomForestRegressor

    train = training(spark, 0)
    model = RandomForestRegressor(numTrees=6, maxDepth=9, seed=1).fit(train)
    assert proven(spark, model, train, tmp_path).bit_equal
    proven(spark, varied(model, {"leafCol": "leaf"}), train, tmp_path, 1_000)
    alone = RandomForestRegressor(numTrees=1, maxDepth=4, seed=1, bootstrap=False).fit(train)
    assert proven(spark, alone, train, tmp_path, 1_000).bit_equal


@pytest.mark.parametrize("loss", ["squared", "absolute"])
def test_gbt_regressor(spark: Any, tmp_path: Path, loss: str) -> None:
    from pyspark.ml.regression import GBTRegressor

    train = training(spark, 0)
    model = GBTRegressor(maxIter=6, maxDepth=7, seed=1, lossType=loss).fit(train)
    proven(spark, model, train, tmp_path, 10_000 if loss == "squared" else 1_000)
    if loss == "squared":
        proven(spark, varied(model, {"leafCol": "leaf"}), train, tmp_path, 1_000)


def test_thresholds_alone(spark: Any, tmp_path: Path) -> None:
    """Without a category there is another way down."""
    from pyspark.ml.classification import RandomForestClassifier
    from pyspark.ml.linalg import Vectors

    data = [(label, Vectors.dense(values)) for label, values in rows(2)]
    frame = spark.createDataFrame(data, ["label", "features"])
    model = RandomForestClassifier(numTrees=3, maxDepth=6, seed=1).fit(frame)
    schema = frame.select("features").schema
    proof = prove(spark, model, schema, tmp_path, values=edges(model, categories={}), invalid=True, least=1.0)
    assert proof.bit_equal


def test_wide_sparse_vectors(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.classification import RandomForestClassifier
    from pyspark.ml.linalg import Vectors

    chance = random.Random(3)
    data = []
    for _ in range(300):
        kept = sorted(chance.sample(range(400), 60))
        values = [float(chance.randint(1, 3)) for _ in kept]
        data.append(
            (float(sum(v for k, v in zip(kept, values, strict=True) if k % 3 == 0) > 40), kept, values)
        )
    frame = spark.createDataFrame(
        [(label, Vectors.sparse(5000, kept, values)) for label, kept, values in data], ["label", "features"]
    )
    model = RandomForestClassifier(numTrees=20, maxDepth=7, seed=1).fit(frame)
    rows = [[[5000, kept, values]] for _, kept, values in data]
    proof = prove(spark, model, frame.select("features").schema, tmp_path, values=rows, least=1.0)
    assert proof.bit_equal


def test_short_vectors_and_nulls(spark: Any, tmp_path: Path) -> None:
    """A vector that is too short fails only where a tree asks for what it lacks; a null fails."""
    from pyspark.ml.classification import DecisionTreeClassifier

    train = training(spark, 3)
    model = DecisionTreeClassifier(maxDepth=3, seed=1).fit(train)
    chance = random.Random(SEED)
    rows: list[list[Any]] = []
    for size in range(SIZE + 1):
        rows += [[[chance.gauss(0, 5) for _ in range(size)]] for _ in range(8)]
        rows.append([[size, list(range(size)), [1.0] * size]])
    rows += [[None]] * 2
    proof = prove(spark, model, train.select("features").schema, tmp_path, values=rows)
    assert 2 < proof.refused < len(rows)


def test_a_single_leaf_asks_for_nothing(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.regression import DecisionTreeRegressor

    train = training(spark, 0)
    model = DecisionTreeRegressor(maxDepth=0, leafCol="leaf", varianceCol="variance").fit(train)
    rows: list[list[Any]] = [[None], [[]], [[3, [], []]], [[1.0] * SIZE]]
    prove(spark, model, train.select("features").schema, tmp_path, values=rows, least=1.0)
