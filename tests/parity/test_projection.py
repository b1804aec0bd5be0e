"""PCA, the cosine transform and random projections beside Spark's."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from harness import TIMES, prove, rows_each
from vectors import vectors

pytestmark = pytest.mark.spark


def trained(spark: Any, size: int = 6, rows: int = 50) -> Any:
    from pyspark.ml.linalg import Vectors

    chance = random.Random(7)
    return spark.createDataFrame(
        [(Vectors.dense([chance.gauss(0, 1 + j) for j in range(size)]),) for _ in range(rows)], vectors("v")
    )


def made(size: int, count: int, spread: float = 1.0) -> list[list[Any]]:
    """Rows of ordinary vectors, dense and sparse."""
    chance = random.Random(size)
    rows: list[list[Any]] = []
    for _ in range(count):
        rows.append([[chance.gauss(0, spread) for _ in range(size)]])
        kept = sorted(chance.sample(range(size), chance.randint(0, size)))
        rows.append([[size, kept, [chance.gauss(0, spread) for _ in kept]]])
    return rows


@pytest.mark.parametrize("k", [1, 3, 6])
def test_pca(spark: Any, tmp_path: Path, k: int) -> None:
    from pyspark.ml.feature import PCA

    model = PCA(inputCol="v", outputCol="o", k=k).fit(trained(spark))
    rows = [
        *made(6, TIMES * rows_each(3) // 2),
        [[0.0] * 6],
        [[6, [], []]],
        [[1.0, 2.0]],
        [[7, [1], [1.0]]],
        [None],
    ]
    proof = prove(spark, model, vectors("v"), tmp_path, values=rows, rows=0)
    assert proof.refused == 3  # the sizes, and the null
    assert proof.comparison.largest_difference <= 1e-13


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 32, 64, 100, 127, 1000])
def test_dct(spark: Any, tmp_path: Path, size: int, inverse: bool) -> None:
    from pyspark.ml.feature import DCT

    stage = DCT(inputCol="v", outputCol="o", inverse=inverse)
    rows = [*made(size, 200 * TIMES), [[0.0] * size], [["NaN"] * size], [[size, [], []]], [None]]
    rows += [[["NaN", *[1.0] * (size - 1)]], [[*[1.0] * (size - 1), "NaN"]]]
    proof = prove(spark, stage, vectors("v"), tmp_path, values=rows, rows=0)
    assert proof.refused == 1
    assert proof.comparison.largest_difference <= 1e-12


@pytest.mark.parametrize("tables", [1, 5])
def test_bucketed_random_projection_lsh(spark: Any, tmp_path: Path, tables: int) -> None:
    from pyspark.ml.feature import BucketedRandomProjectionLSH

    hashing = BucketedRandomProjectionLSH(
        inputCol="v", outputCol="o", bucketLength=0.3, numHashTables=tables, seed=3
    )
    rows = [*made(6, 1000), *made(6, 100, 1e6), [[0.0] * 6], [[6, [], []]], [["NaN"] * 6], [[1.0]], [None]]
    proof = prove(
        spark,
        hashing.fit(trained(spark)),
        vectors("v"),
        tmp_path,
        values=rows,
        rows=rows_each(3),
        invalid=True,
    )
    assert proof.refused == 2
    assert proof.bit_equal
