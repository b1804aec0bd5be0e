"""Binarizer, Bucketizer and Imputer beside Spark's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import SPARK_3, prove
from vectors import vectors

pytestmark = pytest.mark.spark

INF = float("inf")
NULLS = not SPARK_3
"""Of a null, Binarizer makes 0.0 since Spark 4; it made null before."""
ODD = [[0.0], [-0.0], ["NaN"], ["Infinity"], ["-Infinity"], [None], [1e308], [-1e308], [5e-324], [-5e-324]]


@pytest.mark.parametrize("threshold", [0.0, -0.0, 0.5, -1.0, INF, -INF])
def test_binarizer_of_doubles(spark: Any, tmp_path: Path, threshold: float) -> None:
    from pyspark.ml.feature import Binarizer

    stage = Binarizer(inputCol="a", outputCol="o", threshold=threshold)
    values = [*(row for row in ODD if NULLS or row != [None]), [0.5], [-1.0]]
    proof = prove(spark, stage, "a double", tmp_path, values=values, nulls=NULLS, invalid=True, least=1.0)
    assert proof.bit_equal


@pytest.mark.parametrize("threshold", [0.0, 0.5, -0.5, -INF])
def test_binarizer_of_vectors(spark: Any, tmp_path: Path, threshold: float) -> None:
    from pyspark.ml.feature import Binarizer

    stage = Binarizer(inputCol="v", outputCol="o", threshold=threshold)
    rows = [[[0.0, -0.0, 0.5, "NaN"]], [[9, [0, 8], [-0.5, 0.0]]], [[9, [], []]], [[3, [1], ["NaN"]]], [None]]
    rows += [[[n, list(range(k)), [1.0] * k]] for n in range(1, 13) for k in range(n + 1)]
    proof = prove(spark, stage, vectors("v"), tmp_path, values=rows, invalid=True)
    assert proof.refused == 1


def test_binarizer_of_several_columns(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.feature import Binarizer

    several = {"inputCols": ["a", "b"], "outputCols": ["c", "d"]}
    each = Binarizer(thresholds=[0.5, -1.0], **several)
    prove(spark, each, "a double, b double", tmp_path / "each", nulls=NULLS, invalid=True)
    prove(spark, Binarizer(threshold=2.0, **several), "a double, b double", tmp_path / "one", nulls=NULLS)


SPLITS = [-INF, -1.0, -0.0, 0.1, 1e300, INF]


@pytest.mark.parametrize("invalid", ["error", "keep", "skip"])
@pytest.mark.parametrize("kind", ["double", "float", "int", "bigint", "tinyint"])
def test_bucketizer(spark: Any, tmp_path: Path, invalid: str, kind: str) -> None:
    from pyspark.ml.feature import Bucketizer

    stage = Bucketizer(inputCol="a", outputCol="o", splits=SPLITS, handleInvalid=invalid)
    floats = kind in ("double", "float")
    rows = [*ODD, [0.1], [1e300 if kind == "double" else 1e30]] if floats else [[0], [-1], [-2], [None]]
    hints = None if floats else {}
    proof = prove(spark, stage, f"a {kind}", tmp_path, values=rows, nulls=True, invalid=True, hints=hints)
    assert bool(proof.dropped) == (invalid == "skip")
    assert bool(proof.refused) == (invalid == "error" and floats)


@pytest.mark.parametrize("splits", [[-1.0, 0.0, 1.0], [0.0, 1.0, 2.0], [-2.0, -1.0, 0.0], [-0.0, 1.0, 3.5]])
@pytest.mark.parametrize("invalid", ["error", "keep", "skip"])
def test_bucketizer_with_ends(spark: Any, tmp_path: Path, splits: list[float], invalid: str) -> None:
    from pyspark.ml.feature import Bucketizer

    stage = Bucketizer(inputCol="a", outputCol="o", splits=splits, handleInvalid=invalid)
    rows = [*ODD, *([split] for split in splits), [splits[-1] + 1e-15], [splits[0] - 1e-15], [1e9]]
    proof = prove(spark, stage, "a double", tmp_path, values=rows, nulls=True)
    assert proof.refused > 4


def test_bucketizer_of_several_columns(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.feature import Bucketizer

    for invalid in ("error", "keep", "skip"):
        stage = Bucketizer(
            inputCols=["a", "b"],
            outputCols=["c", "d"],
            splitsArray=[SPLITS, [-100.0, 0.0, 100.0]],
            handleInvalid=invalid,
        )
        rows = [["NaN", 1], [1.0, None], [None, None], [1.0, 101], ["NaN", 101], [None, -101]]
        prove(spark, stage, "a double, b int", tmp_path / invalid, values=rows, nulls=True, invalid=True)


def test_buckets_have_names(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import Bucketizer, IndexToString

    stages = [
        Bucketizer(inputCol="a", outputCol="b", splits=[-INF, -1024.5, 0.0, 1e7, INF]),
        IndexToString(inputCol="b", outputCol="name"),
    ]
    model = Pipeline(stages=stages).fit(spark.createDataFrame([(1.0,)], "a double"))
    prove(spark, model, "a double", tmp_path)


@pytest.mark.parametrize("missing", [float("nan"), 0.0, -1.5])
@pytest.mark.parametrize("strategy", ["mean", "median", "mode"])
def test_imputer(spark: Any, tmp_path: Path, missing: float, strategy: str) -> None:
    from pyspark.ml.feature import Imputer

    schema = "a double, b float, c int, d bigint, e smallint"
    rows = [(1.1, 2.5, 3, 4, 5), (2.3, 0.1, 4, 2**53 + 1, 5), (-1.5, 7.7, 9, 1, 2), (0.0, 0.0, 0, 0, 0)]
    names = {"inputCols": list("abcde"), "outputCols": [f"{name}_" for name in "abcde"]}
    model = Imputer(missingValue=missing, strategy=strategy, **names).fit(spark.createDataFrame(rows, schema))
    edges = [
        ["NaN", "NaN", None, 2**53 + 1, None],
        [None, None, 0, 2**63 - 1, 0],
        [-0.0, 0.1, 1, -(2**63), -1],
    ]
    edges += [["Infinity", "-Infinity", 1, 2**62 + 1, 1]]
    proof = prove(spark, model, schema, tmp_path, values=edges, nulls=True, invalid=True, least=1.0)
    assert proof.bit_equal


@pytest.mark.parametrize("missing", [float("nan"), 0.1])
def test_imputer_of_columns_without_nulls(spark: Any, tmp_path: Path, missing: float) -> None:
    from pyspark.ml.feature import Imputer

    schema = "a double, b float"
    names = {"inputCols": ["a", "b"], "outputCols": ["a_", "b_"]}
    train = spark.createDataFrame([(1.1, 2.5), (2.3, 0.1), (0.1, 0.5)], schema)
    model = Imputer(missingValue=missing, **names).fit(train)
    edges = [["NaN", "NaN"], [0.1, 0.1], [-0.0, 0.0], ["Infinity", "-Infinity"]]
    proof = prove(spark, model, schema, tmp_path, values=edges, invalid=True, least=1.0)
    assert proof.bit_equal


def test_columns_without_nulls(spark: Any, tmp_path: Path) -> None:
    """A null sends a column to the row functions; so here is none."""
    from pyspark.ml.feature import Binarizer, Bucketizer

    inside = [[0.0], [-0.0], [0.5], [-1.0], [1.0]]
    stages = [
        Binarizer(inputCol="a", outputCol="o", threshold=0.5),
        Bucketizer(inputCol="a", outputCol="o", splits=[-1.0, 0.0, 0.5, 1.0]),
    ]
    for number, stage in enumerate(stages):
        # -0.0 beside a border of 0.0 is for the row function, too
        rows = [[0.0], *inside[2:]] if number else [*inside, ["NaN"], ["Infinity"]]
        proof = prove(spark, stage, "a double", tmp_path / str(number), values=rows * 100, rows=0, least=1.0)
        assert proof.bit_equal
