"""Polynomials and interactions beside Spark's."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from harness import TIMES, prove
from vectors import vectors

pytestmark = pytest.mark.spark


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 2, 4, 6])
def test_polynomial_expansion(spark: Any, tmp_path: Path, degree: int, size: int) -> None:
    from pyspark.ml.feature import PolynomialExpansion

    chance = random.Random(size)
    odd = [0.0, -0.0, "NaN", "Infinity", "-Infinity", 1e200, -1e-200, 1.5, -2.0, 3.0, 0.1]
    rows: list[list[Any]] = [[[chance.choice(odd) for _ in range(size)]] for _ in range(500 * TIMES)]
    for _ in range(500 * TIMES):
        kept = sorted(chance.sample(range(size), chance.randint(0, size)))
        rows.append([[size, kept, [chance.choice(odd) for _ in kept]]])
    rows += [[[chance.gauss(0, 2) for _ in range(size)]] for _ in range(500 * TIMES)]
    stage = PolynomialExpansion(inputCol="v", outputCol="o", degree=degree)
    proof = prove(spark, stage, vectors("v"), tmp_path, values=[*rows, [None]], rows=0)
    assert proof.refused == 1
    assert proof.bit_equal


def test_polynomials_of_wide_vectors(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.feature import PolynomialExpansion

    wide = [0.5 + (j % 7) * 0.25 for j in range(700)]
    rows = [[wide], [[1 << 15, [3, 9, 30000], [2.0, 0.0, -1.5]]], [[1 << 20, [1], [1.0]]]]
    stage = PolynomialExpansion(inputCol="v", outputCol="o", degree=2)
    proof = prove(spark, stage, vectors("v"), tmp_path, values=rows, rows=0)
    assert proof.refused == 1
    assert proof.bit_equal


def test_interaction_of_numbers(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.feature import Interaction

    schema = "a double, b int, c float, d bigint"
    rows = [
        [0.0, 1, 1.0, 1],
        [-0.0, 1, 1.0, 1],
        ["NaN", 0, 0.1, 2**53 + 1],
        [None, 1, 1.0, 1],
        [1.0, 0, 0.0, 0],
    ]
    for count in (1, 2, 4):
        stage = Interaction(inputCols=list("abcd")[:count], outputCol="o")
        proof = prove(spark, stage, schema, tmp_path / str(count), values=rows, nulls=True, invalid=True)
        assert proof.refused
        assert proof.bit_equal


@pytest.mark.parametrize("invalid", ["error", "keep"])
def test_interaction_of_categories(spark: Any, tmp_path: Path, invalid: str) -> None:
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import Bucketizer, Interaction, StringIndexer

    train = spark.createDataFrame([(c, float(i)) for i, c in enumerate("aabbccdd")], "s string, x double")
    inf = float("inf")
    stages = [
        StringIndexer(inputCol="s", outputCol="i", handleInvalid=invalid),
        Bucketizer(inputCol="x", outputCol="b", splits=[-inf, 0.0, 2.5, inf], handleInvalid=invalid),
        Interaction(inputCols=["i", "x", "b"], outputCol="o"),
        Interaction(inputCols=["x", "i"], outputCol="p"),
    ]
    model = Pipeline(stages=stages).fit(train)
    rows = [["a", 0.0], ["b", -0.0], ["zz", 1.0], ["a", "NaN"], ["a", None], [None, 1.0]]
    proof = prove(spark, model, "s string, x double", tmp_path, values=rows, invalid=True)
    assert proof.refused
    assert proof.bit_equal


@pytest.mark.parametrize("invalid", ["error", "keep"])
def test_interaction_of_vectors(spark: Any, tmp_path: Path, invalid: str) -> None:
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import Interaction, OneHotEncoder, StringIndexer, VectorAssembler

    train = spark.createDataFrame(
        [(c, float(i), i) for i, c in enumerate("aabbccdd")], "s string, x double, n int"
    )
    stages = [
        StringIndexer(inputCol="s", outputCol="i", handleInvalid=invalid),
        OneHotEncoder(inputCol="i", outputCol="h", dropLast=False),
        VectorAssembler(inputCols=["x", "i", "n"], outputCol="v", handleInvalid="keep"),
        VectorAssembler(inputCols=["v", "h"], outputCol="w", handleInvalid="keep"),
        Interaction(inputCols=["v", "h"], outputCol="o"),
        Interaction(inputCols=["n", "v", "x", "i"], outputCol="p"),
        Interaction(inputCols=["w", "i"], outputCol="q"),
    ]
    model = Pipeline(stages=stages).fit(train)
    rows = [["a", 0.0, 1], ["b", -0.0, 0], ["d", "NaN", 0], ["zz", 1.0, 1], ["a", None, 1], [None, 1.0, 2]]
    proof = prove(
        spark, model, "s string, x double, n int", tmp_path, values=rows, rows=1000, invalid=True, least=0.2
    )
    assert proof.refused
    assert proof.bit_equal
