"""Logistic regression beside Spark's."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from harness import prove

pytestmark = pytest.mark.spark


def training(spark: Any, classes: int, size: int = 6, rows: int = 300) -> Any:
    from pyspark.ml.linalg import Vectors

    chance = random.Random(5)
    data = []
    for _ in range(rows):
        values = [chance.gauss(0, 1 + j) for j in range(size)]
        score = values[0] - 0.5 * values[1] + 0.2 * values[2] + chance.gauss(0, 0.5)
        label = float(min(classes - 1, max(0, int(score + classes / 2))))
        data.append((label, Vectors.dense(values)))
    return spark.createDataFrame(data, ["label", "features"])


BINOMIAL: list[dict[str, Any]] = [
    {},
    {"threshold": 0.0},
    {"threshold": 1.0},
    {"threshold": 0.3},
    {"thresholds": [0.2, 0.8]},
    {"rawPredictionCol": ""},
    {"rawPredictionCol": "", "threshold": 0.4},
    {"rawPredictionCol": "", "probabilityCol": ""},
    {"probabilityCol": ""},
    {"predictionCol": ""},
    {"regParam": 0.1, "elasticNetParam": 1.0},
    {"fitIntercept": False},
    {"family": "multinomial"},
]
MULTINOMIAL: list[dict[str, Any]] = [
    {},
    {"thresholds": [0.1, 0.5, 0.3, 0.9]},
    {"thresholds": [0.0, 0.5, 0.3, 0.9]},
    {"rawPredictionCol": ""},
    {"rawPredictionCol": "", "probabilityCol": ""},
    {"probabilityCol": "", "thresholds": [0.1, 0.5, 0.3, 0.9]},
    {"predictionCol": ""},
    {"regParam": 0.05, "elasticNetParam": 1.0},
    {"fitIntercept": False},
]


@pytest.mark.parametrize("params", BINOMIAL)
def test_binomial(spark: Any, tmp_path: Path, params: dict[str, Any]) -> None:
    from pyspark.ml.classification import LogisticRegression

    train = training(spark, 2)
    model = LogisticRegression(maxIter=20, **params).fit(train)
    rows = [
        [[0.0] * 6],
        [[6, [], []]],
        [["Infinity", *[0.0] * 5]],
        [["NaN", *[0.0] * 5]],
        [[6, [2], ["-Infinity"]]],
    ]
    rows += [[[1e300] * 6], [[0.0] * 5], [[7, [], []]]]
    proof = prove(spark, model, train.select("features").schema, tmp_path, values=rows, invalid=True)
    assert proof.refused == 2


@pytest.mark.parametrize("params", MULTINOMIAL)
def test_multinomial(spark: Any, tmp_path: Path, params: dict[str, Any]) -> None:
    from pyspark.ml.classification import LogisticRegression

    train = training(spark, 4)
    model = LogisticRegression(maxIter=20, **params).fit(train)
    rows = [
        [[0.0] * 6],
        [[6, [], []]],
        [["Infinity", *[0.0] * 5]],
        [["NaN", *[0.0] * 5]],
        [[6, [2], ["-Infinity"]]],
    ]
    rows += [[[1e300] * 6], [[0.0] * 5]]
    proof = prove(spark, model, train.select("features").schema, tmp_path, values=rows, invalid=True)
    assert proof.refused == 1


@pytest.mark.parametrize("classes", [2, 3])
def test_sparse_coefficients(spark: Any, tmp_path: Path, classes: int) -> None:
    """Strong L1 on many features: Spark saves the coefficients sparse."""
    from pyspark.ml.classification import LogisticRegression

    train = training(spark, classes, size=60)
    model = LogisticRegression(maxIter=20, regParam=0.1, elasticNetParam=1.0).fit(train)
    assert type(model.coefficientMatrix).__name__ == "SparseMatrix"
    rows = [[["Infinity"] + [0.0] * 59], [[60, list(range(60)), [1e200] * 60]], [["NaN"] * 60]]
    prove(spark, model, train.select("features").schema, tmp_path, values=rows, invalid=True)
