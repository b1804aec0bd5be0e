"""Indices, codes, assembled and scaled vectors beside Spark's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import prove

from wmlclient.scoring.values import json_float

pytestmark = pytest.mark.spark

COLOURS = ["red", "green", "blue", "", "NULL", "grün", "😀", "1", "1.0"]


@pytest.mark.parametrize("invalid", ["error", "keep", "skip"])
@pytest.mark.parametrize("order", ["frequencyDesc", "frequencyAsc", "alphabetDesc", "alphabetAsc"])
def test_string_indexer(spark: Any, tmp_path: Path, invalid: str, order: str) -> None:
    from pyspark.ml.feature import StringIndexer

    train = spark.createDataFrame(
        [(c,) for i, c in enumerate(COLOURS) for _ in range(i + 1)], "colour string"
    )
    model = StringIndexer(
        inputCol="colour", outputCol="index", handleInvalid=invalid, stringOrderType=order
    ).fit(train)
    proof = prove(spark, model, "colour string", tmp_path, values=[[None], ["unseen"]], nulls=True)
    assert bool(proof.refused) == (invalid == "error")
    assert bool(proof.dropped) == (invalid == "skip")


@pytest.mark.parametrize("invalid", ["error", "keep", "skip"])
@pytest.mark.parametrize("kind", ["int", "bigint", "double", "float", "smallint"])
def test_string_indexer_on_numbers(spark: Any, tmp_path: Path, invalid: str, kind: str) -> None:
    from pyspark.ml.feature import StringIndexer
    from pyspark.sql.functions import col

    given = [0, 1, -1, 7, 12345]
    doubles = [
        0.5,
        1e7,
        0.001,
        1e-5,
        123456.789,
        1e22,
        2.0**60,
        3.3333333333333335,
        float("nan"),
        float("inf"),
    ]
    if kind in ("double", "float"):
        given = [float(v) for v in given] + doubles
    train = spark.createDataFrame([(v,) for v in given], f"v {'double' if kind == 'float' else kind}")
    train = train.select(col("v").cast(kind))
    model = StringIndexer(inputCol="v", outputCol="index", handleInvalid=invalid).fit(train)
    rows: list[Any] = [[json_float(v) if isinstance(v, float) else v] for v in given]
    rows += [[99], [None]] + ([[-0.0], ["-Infinity"]] if kind in ("double", "float") else [])
    prove(spark, model, f"v {kind}", tmp_path, values=rows, nulls=True, least=0.01)


def test_string_indexer_of_several_columns(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.feature import StringIndexer

    train = spark.createDataFrame([(c, i) for i, c in enumerate(COLOURS)], "colour string, size int")
    names = {"inputCols": ["colour", "size"], "outputCols": ["a", "b"]}
    for invalid in ("error", "keep", "skip"):
        model = StringIndexer(handleInvalid=invalid, **names).fit(train)
        prove(spark, model, "colour string, size int", tmp_path / invalid, nulls=True)


def test_a_string_indexer_without_its_column_leaves_itself_out(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.feature import StringIndexer

    train = spark.createDataFrame([("a", "x"), ("b", "y")], "colour string, label string")
    model = StringIndexer(inputCols=["colour", "label"], outputCols=["i", "l"]).fit(train)
    proof = prove(spark, model, "colour string", tmp_path)
    assert proof.scorer.output_fields(["colour"]) == ["colour", "i"]


def test_index_to_string(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import IndexToString, StringIndexer

    own = IndexToString(inputCol="index", outputCol="label", labels=["a", "b", "c"])
    rows = [[0.0], [1.9], [-0.5], [2.999], [3.0], [-1.0], ["NaN"], ["Infinity"], [3e9], [None]]
    proof = prove(spark, own, "index double", tmp_path / "own", values=rows, least=0.3)
    assert proof.refused >= 5
    train = spark.createDataFrame([(c,) for c in COLOURS], "colour string")
    for invalid in ("error", "keep"):
        first = StringIndexer(inputCol="colour", outputCol="index", handleInvalid=invalid)
        model = Pipeline(stages=[first, IndexToString(inputCol="index", outputCol="again")]).fit(train)
        prove(spark, model, "colour string", tmp_path / invalid, values=[["unseen"]])


@pytest.mark.parametrize("drop", [True, False])
@pytest.mark.parametrize("invalid", ["error", "keep"])
def test_one_hot_encoder(spark: Any, tmp_path: Path, drop: bool, invalid: str) -> None:
    from pyspark.ml.feature import OneHotEncoder

    train = spark.createDataFrame([(float(i), i % 2) for i in range(5)], "a double, b int")
    model = OneHotEncoder(
        inputCols=["a", "b"], outputCols=["c", "d"], dropLast=drop, handleInvalid=invalid
    ).fit(train)
    rows = [[1.5, 0], [-0.0, 1], [5.0, 0], [-1.0, 0], ["NaN", 0], [None, 1], [0.0, None], [4.0, 2]]
    prove(spark, model, "a double, b int", tmp_path, values=rows, nulls=True)


@pytest.mark.parametrize("invalid", ["error", "keep", "skip"])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 8])
def test_vector_assembler_of_numbers(spark: Any, tmp_path: Path, invalid: str, width: int) -> None:
    from pyspark.ml.feature import VectorAssembler

    kinds = ["double", "int", "boolean", "float", "bigint", "double", "smallint", "double"][:width]
    names = [f"c{i}" for i in range(width)]
    stage = VectorAssembler(inputCols=names, outputCol="v", handleInvalid=invalid)
    zeros = [[False if k == "boolean" else 0 if "int" in k else 0.0 for k in kinds]]
    schema = ", ".join(f"{n} {k}" for n, k in zip(names, kinds, strict=True))
    prove(spark, stage, schema, tmp_path, values=zeros, nulls=True, invalid=True)


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_vector_assembler_of_zeros(spark: Any, tmp_path: Path, width: int) -> None:
    from itertools import product

    from pyspark.ml.feature import VectorAssembler

    names = [f"c{i}" for i in range(width)]
    rows = [list(row) for row in product([0.0, -0.0, 1.0, -2.5], repeat=width)]
    schema = ", ".join(f"{n} double" for n in names)
    prove(spark, VectorAssembler(inputCols=names, outputCol="v"), schema, tmp_path, values=rows)


@pytest.mark.parametrize("invalid", ["error", "keep", "skip"])
def test_vector_assembler_of_vectors(spark: Any, tmp_path: Path, invalid: str) -> None:
    from pyspark.ml import PipelineModel
    from pyspark.ml.feature import HashingTF, VectorAssembler
    from pyspark.ml.linalg import VectorUDT
    from pyspark.sql.types import ArrayType, DoubleType, StringType, StructField, StructType

    size = {"ml_attr": {"num_attrs": 6}}
    fields = [
        StructField("x", DoubleType()),
        StructField("v", VectorUDT(), True, size if invalid == "keep" else {}),
        StructField("words", ArrayType(StringType())),
    ]
    counts = HashingTF(inputCol="words", outputCol="tf", numFeatures=20)
    stage = VectorAssembler(inputCols=["x", "v", "tf"], outputCol="out", handleInvalid=invalid)
    rows = [
        [0.0, [6, [0, 3], [0.0, -0.0]], ["a"]],
        [1.0, [0.0, -0.0, "NaN", 1.0, 2.0, 3.0], []],
        ["NaN", [6, [], []], ["b", "c"]],
        [2.0, None, ["a"]],
        [None, [6, [5], [1.0]], ["a"]],
    ]
    if invalid != "keep":  # Spark takes the sizes that it does not know from the first row
        rows = rows[:3] + rows[4:]
    prove(
        spark,
        PipelineModel([counts, stage]),
        StructType(fields),
        tmp_path,
        values=rows,
        hints={"v": [[0.0] * 6]},
        invalid=True,
    )


@pytest.mark.parametrize("with_mean", [True, False])
@pytest.mark.parametrize("with_std", [True, False])
def test_standard_scaler(spark: Any, tmp_path: Path, with_mean: bool, with_std: bool) -> None:
    from pyspark.ml.feature import StandardScaler
    from pyspark.ml.linalg import Vectors

    train = spark.createDataFrame(
        [(Vectors.dense([float(i), i * 1e6, 5.0, -0.1 * i, 1e-7 * i * i]),) for i in range(20)], ["v"]
    )
    model = StandardScaler(inputCol="v", outputCol="scaled", withMean=with_mean, withStd=with_std).fit(train)
    prove(spark, model, train.schema, tmp_path, nulls=True, invalid=True)
