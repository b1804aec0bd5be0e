"""Slicers, selectors, size hints and categories of vectors beside Spark's."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from harness import TIMES, prove, rows_each
from vectors import vectors

pytestmark = pytest.mark.spark

EDGES = [
    [[0.0, -0.0, 1.0, 2.0, "NaN"]],
    [[5, [0, 1, 4], [0.0, -0.0, 1.0]]],
    [[5, [], []]],
    [[1.0, 2.0]],
    [[2, [0], [1.0]]],
    [[1.0] * 7],
    [[9, [0, 8], [1.0, 1.0]]],
    [None],
]


def exactly(spark: Any, model: Any, folder: Path, **more: Any) -> Any:
    proof = prove(spark, model, vectors("v"), folder, values=EDGES, invalid=True, **more)
    assert proof.bit_equal
    return proof


@pytest.mark.parametrize("indices", [[0], [1, 4], [4, 0, 2], [0, 1, 2, 3, 4]])
def test_vector_slicer(spark: Any, tmp_path: Path, indices: list[int]) -> None:
    from pyspark.ml.feature import VectorSlicer

    hints = {"v": [[0.0] * 5]}
    proof = exactly(
        spark,
        VectorSlicer(inputCol="v", outputCol="o", indices=indices),
        tmp_path,
        hints=hints,
        rows=rows_each(4),
    )
    assert proof.refused


def labelled(spark: Any) -> Any:
    from pyspark.ml.linalg import Vectors

    chance = random.Random(1)
    rows = [
        (Vectors.dense([chance.randint(0, 1 + j) + y * (j % 2) for j in range(5)]), float(y))
        for y in (0, 1)
        for _ in range(30)
    ]
    return spark.createDataFrame(rows, ["v", "y"])


def test_selectors(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.feature import ChiSqSelector, UnivariateFeatureSelector, VarianceThresholdSelector

    by_kind = UnivariateFeatureSelector(featuresCol="v", outputCol="o", labelCol="y")
    selectors = [
        ChiSqSelector(featuresCol="v", outputCol="o", labelCol="y", numTopFeatures=3),
        by_kind.setFeatureType("continuous").setLabelType("categorical").setSelectionThreshold(2),
        VarianceThresholdSelector(featuresCol="v", outputCol="o", varianceThreshold=0.5),
    ]
    for number, selector in enumerate(selectors):
        model = selector.fit(labelled(spark))
        assert 0 < len(model.selectedFeatures) < 5
        proof = exactly(spark, model, tmp_path / str(number), hints={"v": [[0.0] * 5]}, rows=rows_each(1))
        assert proof.refused


@pytest.mark.parametrize("invalid", ["error", "skip", "optimistic"])
def test_vector_size_hint(spark: Any, tmp_path: Path, invalid: str) -> None:
    from pyspark.ml import PipelineModel
    from pyspark.ml.feature import VectorAssembler, VectorSizeHint

    hint = VectorSizeHint(inputCol="v", size=5, handleInvalid=invalid)
    proof = exactly(spark, hint, tmp_path / "alone")
    assert bool(proof.refused) == (invalid == "error")
    assert bool(proof.dropped) == (invalid == "skip")
    # After a hint, VectorAssembler knows how many NaN stand for a null.
    after = VectorAssembler(inputCols=["v", "v"], outputCol="o", handleInvalid="keep")
    prove(spark, PipelineModel([hint, after]), vectors("v"), tmp_path / "after", values=EDGES[:3], nulls=True)


@pytest.mark.parametrize("invalid", ["error", "keep", "skip"])
def test_vector_indexer(spark: Any, tmp_path: Path, invalid: str) -> None:
    from pyspark.ml.feature import VectorIndexer
    from pyspark.ml.linalg import Vectors

    train = [Vectors.dense([j % 3 - 1, 0.5 * (j % 2), j, -7.0, j % 4 * 0.1]) for j in range(20)]
    data = spark.createDataFrame([(row,) for row in train], vectors("v"))
    model = VectorIndexer(inputCol="v", outputCol="o", maxCategories=4, handleInvalid=invalid).fit(data)
    assert sorted(model.categoryMaps) == [0, 1, 3, 4]
    chance = random.Random(3)
    rows: list[Any] = [[[float(v) for v in chance.choice(train)]] for _ in range(2000 * TIMES)]
    for _ in range(2000 * TIMES):
        row = [float(v) for v in chance.choice(train)]
        row[chance.randrange(5)] = chance.choice([-0.0, 0.0, 9.0, "NaN", 0.5])
        rows.append([row])
        kept = [j for j, v in enumerate(row) if v or chance.random() < 0.5]
        rows.append([[5, kept, [row[j] for j in kept]]])
    proof = prove(spark, model, vectors("v"), tmp_path, values=[*rows, *EDGES], rows=0, least=0.3)
    assert proof.refused
    assert bool(proof.dropped) == (invalid == "skip")
    assert proof.bit_equal
