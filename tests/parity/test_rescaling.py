"""Scalers, norms and products of vectors beside Spark's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import prove, rows_each
from vectors import vectors

pytestmark = pytest.mark.spark

INF = float("inf")
TRAIN = [[1.5, 0.0, -3.0, 7.0], [2.5, 0.0, 4.0, 7.0], [-1.0, 0.0, 1e-3, 7.0], [0.1, 0.0, 1e6, 7.0]]
EDGES = [
    [[0.0, -0.0, 0.0, -0.0]],
    [["NaN", "Infinity", "-Infinity", 0.0]],
    [[4, [], []]],
    [[4, [1, 3], [-0.0, 0.0]]],
    [[4, [0, 2], ["NaN", "Infinity"]]],
    [[1e308, 1e308, 5e-324, -5e-324]],
    [[1.5, 0.0, -3.0, 7.0]],
    [[1.0, 2.0, 3.0]],
    [[3, [0], [1.0]]],
    [[1.0, 2.0, 3.0, 4.0, 5.0]],
    [[9, [8], [1.0]]],
    [None],
]


def trained(spark: Any, rows: list[list[float]] = TRAIN) -> Any:
    from pyspark.ml.linalg import Vectors

    return spark.createDataFrame([(Vectors.dense(row),) for row in rows], vectors("v"))


def exactly(spark: Any, model: Any, folder: Path, rows: int, refuses: bool = True) -> None:
    proof = prove(spark, model, vectors("v"), folder, values=EDGES, rows=rows, invalid=True)
    assert proof.bit_equal
    assert bool(proof.refused) == refuses


def test_max_abs_scaler(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.feature import MaxAbsScaler

    exactly(spark, MaxAbsScaler(inputCol="v", outputCol="o").fit(trained(spark)), tmp_path, rows_each(1))


@pytest.mark.parametrize("ends", [(0.0, 1.0), (-2.5, 0.1), (-1.0, 1.0)])
def test_min_max_scaler(spark: Any, tmp_path: Path, ends: tuple[float, float]) -> None:
    from pyspark.ml.feature import MinMaxScaler

    scaler = MinMaxScaler(inputCol="v", outputCol="o", min=ends[0], max=ends[1])
    exactly(spark, scaler.fit(trained(spark)), tmp_path, rows_each(3))


def test_min_max_scaler_makes_vectors_sparse(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.feature import MinMaxScaler

    for size in (2, 3, 5, 12):
        train = trained(spark, [[0.0] * size, [1.0] * size])
        rows = [[[1.0] * k + [0.0] * (size - k)] for k in range(size + 1)]
        rows += [[[size, list(range(k)), [2.0] * k]] for k in range(size + 1)]
        model = MinMaxScaler(inputCol="v", outputCol="o").fit(train)
        prove(spark, model, vectors("v"), tmp_path / str(size), values=rows, rows=100)


@pytest.mark.parametrize("centring", [True, False])
@pytest.mark.parametrize("scaling", [True, False])
def test_robust_scaler(spark: Any, tmp_path: Path, centring: bool, scaling: bool) -> None:
    from pyspark.ml.feature import RobustScaler

    scaler = RobustScaler(inputCol="v", outputCol="o", withCentering=centring, withScaling=scaling)
    exactly(spark, scaler.fit(trained(spark)), tmp_path, rows_each(4), refuses=centring or scaling)


@pytest.mark.parametrize("p", [1.0, 2.0, INF, 3.0, 1.5])
def test_normalizer(spark: Any, tmp_path: Path, p: float) -> None:
    from pyspark.ml.feature import Normalizer

    stage = Normalizer(inputCol="v", outputCol="o", p=p)
    proof = prove(spark, stage, vectors("v"), tmp_path, values=[*EDGES, [[1e200, 1e200]]], invalid=True)
    assert proof.refused == 1
    assert proof.comparison.largest_difference <= (0.0 if p in (1.0, 2.0, INF) else 1e-15)


@pytest.mark.parametrize("sparse", [True, False])
def test_elementwise_product(spark: Any, tmp_path: Path, sparse: bool) -> None:
    from pyspark.ml.feature import ElementwiseProduct
    from pyspark.ml.linalg import Vectors

    by = Vectors.sparse(4, [1, 3], [0.1, -INF]) if sparse else Vectors.dense([0.1, -INF, float("nan"), 0.0])
    exactly(spark, ElementwiseProduct(inputCol="v", outputCol="o", scalingVec=by), tmp_path, rows_each(2))
