"""Cluster models beside Spark's."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from harness import ROWS, SPARK_3, TIMES, prove
from vectors import vectors

from wmlclient import scoring

pytestmark = pytest.mark.spark

MANY = max(ROWS, 10_000)
FAR = [[1e300, 0.0, 0.0], [1e155, 1e155, 1e155], [1e-300, 1e-300, 0.0], [1e8, 1e8, -1e8]]


def points(spark: Any, size: int = 3, count: int = 240) -> Any:
    """Points around a few places, a third of them sparse."""
    from pyspark.ml.linalg import Vectors

    chance = random.Random(size)
    rows = []
    for number in range(count):
        spot = number % 5
        values = [float((spot * (place + 3)) % 7 - 3) + chance.gauss(0.0, 0.4) for place in range(size)]
        if number % 3 == 0:
            rows.append((Vectors.sparse(size, {p: v for p, v in enumerate(values) if p % 2 == 0}),))
        else:
            rows.append((Vectors.dense(values),))
    return spark.createDataFrame(rows, ["features"]).coalesce(1)


def reloaded(model: Any, folder: Path) -> Any:
    """The model as Spark loads it again, which is not always what was saved."""
    from pyspark.ml import PipelineModel

    path = str(folder / "saved")
    PipelineModel([model]).write().save(path)
    return PipelineModel.load(path)


def between(centers: Sequence[Any]) -> list[list[Any]]:
    """The centers, and the points halfway from one to another, dense and sparse."""
    found = [[float(v) for v in center] for center in centers]
    halves = [[(a + b) / 2.0 for a, b in zip(x, y, strict=True)] for x in found for y in found]
    dense = [*found, *halves]
    return [[row] for row in dense] + [[[len(row), list(range(len(row))), row]] for row in dense]


def odd(size: int) -> list[list[Any]]:
    """Points that are refused, or nearly."""
    return [
        [None],
        [[1.0] * (size + 1)],
        [[size - 1, [], []]],
        [["NaN", *[0.0] * (size - 1)]],
        [[size, [0], ["NaN"]]],
        [["Infinity", *[0.0] * (size - 1)]],
        [[size, [0], ["-Infinity"]]],
        [[0.0] * size],
        [[size, [], []]],
        [[-0.0] * size],
        *([[row] for row in FAR] if size == 3 else []),
        *([[[3, [0, 1, 2], row]] for row in FAR] if size == 3 else []),
    ]


@pytest.mark.parametrize("size", [3, 12])
@pytest.mark.parametrize("k", [2, 6])
def test_kmeans(spark: Any, tmp_path: Path, size: int, k: int) -> None:
    from pyspark.ml.clustering import KMeans

    model = KMeans(k=k, seed=1, maxIter=4).fit(points(spark, size))
    values = odd(size) + between(model.clusterCenters())
    proof = prove(spark, model, vectors("features"), tmp_path, values=values, rows=MANY, invalid=True)
    assert proof.refused >= 5


def test_kmeans_forgets_that_it_was_cosine(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.clustering import KMeans

    fitted = KMeans(k=5, seed=1, distanceMeasure="cosine").fit(points(spark))
    model = reloaded(fitted, tmp_path)
    values = odd(3) + between(model.stages[0].clusterCenters())
    proof = prove(spark, model, vectors("features"), tmp_path, values=values, rows=MANY)
    assert proof.refused >= 5


def test_kmeans_of_one_cluster_and_of_equal_centers(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.clustering import KMeans
    from pyspark.ml.linalg import Vectors

    same = spark.createDataFrame([(Vectors.dense([1.0, 2.0]),)] * 3, ["features"]).coalesce(1)
    for k in (2, 3):
        model = KMeans(k=k, seed=1).fit(same)
        prove(spark, model, vectors("features"), tmp_path / str(k), values=odd(2) + [[[1.0, 2.0]]], rows=200)


def test_kmeans_of_many_clusters_has_no_shortcuts(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.clustering import KMeans

    model = KMeans(k=600, seed=1, maxIter=1, initMode="random").fit(points(spark, 3, 700))
    centers = [[[float(v) for v in center]] for center in model.clusterCenters()]
    assert len(centers) ** 2 * 3 >= 1_000_000
    prove(spark, model, vectors("features"), tmp_path, values=odd(3) + centers, rows=300)


@pytest.mark.parametrize("size", [3, 12])
@pytest.mark.parametrize("measure", ["euclidean", "cosine"])
def test_bisecting_kmeans(spark: Any, tmp_path: Path, size: int, measure: str) -> None:
    from pyspark.ml.clustering import BisectingKMeans

    model = BisectingKMeans(k=6, seed=1, maxIter=4, distanceMeasure=measure).fit(points(spark, size))
    values = odd(size) + (between(model.clusterCenters()) if measure == "euclidean" else [])
    if SPARK_3:  # sends what is infinitely far from both sides to the first cluster
        values = [row for row in values if "'" not in repr(row)]
    proof = prove(spark, model, vectors("features"), tmp_path, values=values, rows=MANY, invalid=not SPARK_3)
    assert SPARK_3 or proof.refused >= (8 if measure == "cosine" else 5)


def test_bisecting_kmeans_that_could_not_divide(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.clustering import BisectingKMeans
    from pyspark.ml.linalg import Vectors

    same = spark.createDataFrame([(Vectors.dense([1.0, 2.0]),)] * 3, ["features"]).coalesce(1)
    model = BisectingKMeans(k=4, seed=1).fit(same)
    prove(spark, model, vectors("features"), tmp_path, values=odd(2), rows=200)


@pytest.mark.parametrize("element", ["double", "float"])
@pytest.mark.parametrize("stage", ["KMeans", "BisectingKMeans", "GaussianMixture", "LDA"])
def test_arrays_are_dense_vectors(spark: Any, tmp_path: Path, stage: str, element: str) -> None:
    from pyspark.ml import clustering
    from pyspark.sql.types import ArrayType, DoubleType, FloatType, StructField, StructType

    # Spark takes no array that may hold a null.
    array = ArrayType(DoubleType() if element == "double" else FloatType(), containsNull=False)
    schema = StructType([StructField("features", array)])
    rows = [([float(n % 4), float(n % 3), 1.0 + n % 5],) for n in range(60)]
    frame = spark.createDataFrame(rows, schema).coalesce(1)
    model = getattr(clustering, stage)(k=2, seed=1, maxIter=2).fit(frame)
    values = [[[0.5, 0.25, 1.0]], [[0.0, 0.0, 0.0]], [[3.0, 1.0, 7.5]], [[1.0, 2.0]], [None]]
    chance = random.Random(5)
    values += [[[round(chance.uniform(0.0, 9.0), 2) for _ in range(3)]] for _ in range(500)]
    proof = prove(spark, model, schema, tmp_path, values=values, rows=0)
    assert proof.refused == (1 if stage == "LDA" else 2)


@pytest.mark.parametrize("size", [1, 3, 12])
def test_gaussian_mixture(spark: Any, tmp_path: Path, size: int) -> None:
    from pyspark.ml.clustering import GaussianMixture

    model = GaussianMixture(k=3, seed=1, maxIter=5).fit(points(spark, size))
    means = [[[float(v) for v in g.mean]] for g in model.gaussians]
    proof = prove(
        spark, model, vectors("features"), tmp_path, values=odd(size) + means, rows=MANY, invalid=size < 8
    )
    assert proof.refused >= 3


@pytest.mark.parametrize("shown", [("probability", ""), ("", "prediction")])
def test_gaussian_mixture_may_show_less(spark: Any, tmp_path: Path, shown: tuple[str, str]) -> None:
    from pyspark.ml.clustering import GaussianMixture

    probability, prediction = shown
    model = GaussianMixture(k=2, seed=1, maxIter=2).fit(points(spark))
    model.setProbabilityCol(probability).setPredictionCol(prediction)
    prove(spark, model, vectors("features"), tmp_path, values=odd(3))


def test_gaussian_mixture_of_a_singular_covariance(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.clustering import GaussianMixture
    from pyspark.ml.linalg import Vectors

    chance = random.Random(8)
    rows = [(Vectors.dense([x, 2.0 * x, 1.0]),) for x in (chance.gauss(0.0, 1.0) for _ in range(100))]
    model = GaussianMixture(k=2, seed=1, maxIter=3).fit(spark.createDataFrame(rows, ["features"]).coalesce(1))
    values = [[[float(v) for v in row[0]]] for row in rows]
    prove(spark, model, vectors("features"), tmp_path, values=values, rows=500)


def documents(size: int, count: int, seed: int) -> list[list[Any]]:
    """Term counts, for the most part sparse."""
    chance = random.Random(seed)
    rows: list[list[Any]] = []
    for number in range(count):
        terms = sorted(chance.sample(range(size), chance.randint(0, 12)))
        counts = [float(chance.choice([1, 1, 2, 3, 10, 0.5, 0.0])) for _ in terms]
        if number % 4:
            rows.append([[size, terms, counts]])
        else:
            filled = dict(zip(terms, counts, strict=True))
            rows.append([[filled.get(term, 0.0) for term in range(size)]])
    return rows


@pytest.mark.parametrize("k", [2, 7])
def test_lda(spark: Any, tmp_path: Path, k: int) -> None:
    from pyspark.ml.clustering import LDA
    from pyspark.ml.linalg import Vectors

    texts = [
        (Vectors.sparse(*row[0]) if len(row[0]) == 3 else Vectors.dense(row[0]),)
        for row in documents(30, 150, 1)
    ]
    frame = spark.createDataFrame(texts, ["features"]).coalesce(1)
    model = LDA(k=k, seed=3, maxIter=4, optimizer="online").fit(frame)
    values = documents(30, MANY * TIMES, 2)
    values += [[None], [[1.0] * 31], [[40, [35], [1.0]]], [[40, [3], [1.0]]], [[2, [0], [1.0]]], [[0.0, 5.0]]]
    values += [[[30, [0, 1], [1e-9, 1e-12]]], [[30, [3], ["NaN"]]], [[30, [3, 4], [1e6, 1e7]]]]
    proof = prove(spark, model, vectors("features"), tmp_path, values=values, rows=0)
    assert proof.refused == 3


def test_distributed_lda_is_refused(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml import PipelineModel
    from pyspark.ml.clustering import LDA

    frame = points(spark).selectExpr("array(1.0D, 2.0D) as features")
    model = LDA(k=2, maxIter=1, optimizer="em").fit(frame)
    PipelineModel([model]).write().save(str(tmp_path / "model"))
    with pytest.raises(scoring.UnsupportedModel, match="random seed"):
        scoring.load(tmp_path / "model")
