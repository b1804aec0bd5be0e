"""Word vectors, target encodings, hashed features and min-hashes beside Spark's."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from harness import SPARK_3, prove, rows_each
from vectors import vectors

pytestmark = pytest.mark.spark
since_4 = pytest.mark.skipif(SPARK_3, reason="Spark 3 has no TargetEncoder")


@pytest.mark.parametrize("size", [1, 7, 100])
def test_word2vec(spark: Any, tmp_path: Path, size: int) -> None:
    from pyspark.ml.feature import Word2Vec

    chance = random.Random(5)
    words = ["spark", "kafka", "été", "😀", "", "a b", *(f"w{i}" for i in range(40))]
    train = [([chance.choice(words) for _ in range(12)],) for _ in range(100)]
    stage = Word2Vec(inputCol="w", outputCol="o", vectorSize=size, minCount=1, seed=1)
    model = stage.fit(spark.createDataFrame(train, "w array<string>"))
    rows: list[Any] = [[[]], [["unseen"]], [[None, "spark"]], [["spark"] * 500], [None]]
    rows += [
        [[chance.choice([*words, "unseen", None]) for _ in range(chance.randint(0, 40))]] for _ in range(999)
    ]
    proof = prove(spark, model, "w array<string>", tmp_path, values=rows, rows=rows_each(3))
    assert proof.refused == 1
    assert proof.bit_equal


@since_4
@pytest.mark.parametrize("invalid", ["error", "keep"])
@pytest.mark.parametrize("target", ["binary", "continuous"])
@pytest.mark.parametrize("smoothing", [0.0, 2.5])
def test_target_encoder(spark: Any, tmp_path: Path, invalid: str, target: str, smoothing: float) -> None:
    from pyspark.ml.feature import TargetEncoder

    chance = random.Random(2)
    rows = [
        (chance.choice([0, 1, 2, 5]), float(chance.choice([0, 1, 7])), float(chance.randint(0, 1)))
        for _ in range(100)
    ]
    rows += [(None, 0.0, 1.0), (None, 1.0, 0.0)]
    encoder = TargetEncoder(
        inputCols=["a", "b"],
        outputCols=["c", "d"],
        labelCol="y",
        handleInvalid=invalid,
        targetType=target,
        smoothing=smoothing,
    )
    model = encoder.fit(spark.createDataFrame(rows, "a int, b double, y double"))
    edges = [
        [0, -0.0],
        [0, "NaN"],
        [9, 0.0],
        [None, None],
        [2147483647, 0.0],
        [-1, 0.0],
        [0, 1.5],
        [0, "Infinity"],
    ]
    proof = prove(spark, model, "a int, b double", tmp_path, values=edges, nulls=True)
    assert bool(proof.refused) == (invalid == "error")
    assert proof.bit_equal


@since_4
def test_target_encoder_names_its_column(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.feature import TargetEncoder

    train = spark.createDataFrame([(1, 0.0), (1, 1.0), (2, 1.0)], "a int, y double")
    model = TargetEncoder(inputCol="a", outputCol="o", labelCol="y", handleInvalid="keep").fit(train)
    prove(spark, model, "a int", tmp_path / "one", rows=100)
    model = TargetEncoder(inputCols=["a"], labelCol="y", handleInvalid="keep").fit(train)
    proof = prove(spark, model, "a int", tmp_path / "default", rows=100)
    assert "a_indexed" in proof.scorer.output_fields(["a"])


@pytest.mark.parametrize("features", [1, 3, 64, 1 << 18])
def test_feature_hasher(spark: Any, tmp_path: Path, features: int) -> None:
    from pyspark.ml.feature import FeatureHasher

    schema = "a double, s string, t boolean, i int, l bigint"
    few = features < 64
    names = ["a", "s", "t", "i"] if few else ["a", "s", "t", "i", "l"]
    stage = FeatureHasher(inputCols=names, outputCol="o", numFeatures=features, categoricalCols=["i"])
    rows = [[0.0, "", True, 0, 0], [-0.0, "é😀", False, -1, 2**53 + 1], ["NaN", None, None, None, None]]
    proof = prove(spark, stage, schema, tmp_path, values=rows, nulls=True, invalid=True, least=1.0)
    assert proof.bit_equal


def test_feature_hasher_of_numbers_that_meet(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.feature import FeatureHasher

    stage = FeatureHasher(inputCols=["a", "b", "c", "d"], outputCol="o", numFeatures=1)
    schema = "a double, b float, c double, d smallint"
    proof = prove(spark, stage, schema, tmp_path, nulls=True, invalid=True, least=1.0)
    assert proof.bit_equal


@pytest.mark.parametrize("tables", [1, 6])
def test_min_hash_lsh(spark: Any, tmp_path: Path, tables: int) -> None:
    from pyspark.ml.feature import MinHashLSH
    from pyspark.ml.linalg import Vectors

    train = spark.createDataFrame([(Vectors.sparse(500, [1, 2], [1.0, 1.0]),)], vectors("v"))
    model = MinHashLSH(inputCol="v", outputCol="o", numHashTables=tables, seed=3).fit(train)
    chance = random.Random(4)
    rows: list[Any] = [
        [[0.0, "NaN"]],
        [[2000000000, [0, 1999999999], [1.0, 0.0]]],
        [[9, [], []]],
        [[0.0]],
        [None],
    ]
    for _ in range(1000):
        kept = sorted(chance.sample(range(500), chance.randint(1, 20)))
        rows.append([[500, kept, [chance.choice([0.0, 1.0, -0.0, 2.5]) for _ in kept]]])
        rows.append([[chance.choice([0.0, 1.0]) for _ in range(9)]])
    proof = prove(
        spark, model, vectors("v"), tmp_path, values=rows, rows=rows_each(2), hints={"v": [[0.0] * 500]}
    )
    assert proof.refused >= 3
    assert proof.bit_equal
