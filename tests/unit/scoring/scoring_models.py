"""Saved models for the tests of the scorer: folders as Spark writes them, made without Spark."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

FEATURE = "org.apache.spark.ml.feature."
LOGISTIC = "org.apache.spark.ml.classification.LogisticRegressionModel"

VECTOR = pa.struct(
    [
        ("type", pa.int8()),
        ("size", pa.int32()),
        ("indices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
    ]
)
MATRIX = pa.struct(
    [
        ("type", pa.int8()),
        ("numRows", pa.int32()),
        ("numCols", pa.int32()),
        ("colPtrs", pa.list_(pa.int32())),
        ("rowIndices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
        ("isTransposed", pa.bool_()),
    ]
)


def dense(values: Sequence[float]) -> dict[str, Any]:
    """A dense vector's struct."""
    return {"type": 1, "size": None, "indices": None, "values": list(values)}


def sparse(size: int, indices: Sequence[int], values: Sequence[float]) -> dict[str, Any]:
    """A sparse vector's struct."""
    return {"type": 0, "size": size, "indices": list(indices), "values": list(values)}


def matrix(rows: Sequence[Sequence[float]]) -> dict[str, Any]:
    """A dense, row-major matrix's struct."""
    return {
        "type": 1,
        "numRows": len(rows),
        "numCols": len(rows[0]),
        "colPtrs": None,
        "rowIndices": None,
        "values": [value for row in rows for value in row],
        "isTransposed": True,
    }


def write_stage(
    folder: Path,
    java_class: str,
    uid: str,
    params: Mapping[str, Any],
    data: pa.Table | None = None,
    spark: str = "4.2.0",
) -> Path:
    """One stage's folder."""
    (folder / "metadata").mkdir(parents=True)
    document = {
        "class": java_class,
        "uid": uid,
        "sparkVersion": spark,
        "timestamp": 0,
        "paramMap": dict(params),
    }
    (folder / "metadata" / "part-00000").write_text(json.dumps(document), "utf-8")
    if data is not None:
        (folder / "data").mkdir()
        parquet.write_table(data, folder / "data" / "part-00000.snappy.parquet")
    return folder


Spec = tuple[str, Mapping[str, Any], "pa.Table | None"]


def write_pipeline(folder: Path, stages: Sequence[Spec], spark: str = "4.2.0") -> Path:
    """A PipelineModel of stages, each (class, params, data)."""
    uids = [f"{java_class.rpartition('.')[2]}_{number}" for number, (java_class, _, _) in enumerate(stages)]
    write_stage(
        folder, "org.apache.spark.ml.PipelineModel", "PipelineModel_0", {"stageUids": uids}, spark=spark
    )
    width = len(str(len(uids)))
    for number, ((java_class, params, data), uid) in enumerate(zip(stages, uids, strict=True)):
        write_stage(folder / "stages" / f"{number:0{width}d}_{uid}", java_class, uid, params, data, spark)
    return folder


def tokenizer(source: str = "text", target: str = "words") -> Spec:
    return FEATURE + "Tokenizer", {"inputCol": source, "outputCol": target}, None


def hashing(source: str = "words", target: str = "tf", size: int = 32) -> Spec:
    return FEATURE + "HashingTF", {"inputCol": source, "outputCol": target, "numFeatures": size}, None


def idf(values: Sequence[float], source: str = "tf", target: str = "features") -> Spec:
    table = pa.table(
        {"idf": pa.array([dense(values)], VECTOR), "docFreq": pa.array([[1]]), "numDocs": pa.array([1])}
    )
    return FEATURE + "IDFModel", {"inputCol": source, "outputCol": target}, table


def indexer(labels: Sequence[str], source: str = "label_text", target: str = "label", **params: Any) -> Spec:
    table = pa.table({"labelsArray": pa.array([[list(labels)]])})
    return FEATURE + "StringIndexerModel", {"inputCol": source, "outputCol": target, **params}, table


def assembler(sources: Sequence[str], target: str = "features", **params: Any) -> Spec:
    return FEATURE + "VectorAssembler", {"inputCols": list(sources), "outputCol": target, **params}, None


def logistic(
    rows: Sequence[Sequence[float]], intercepts: Sequence[float], classes: int | None = None, **params: Any
) -> Spec:
    """A logistic regression; binomial if there is one row of coefficients."""
    table = pa.table(
        {
            "numClasses": pa.array([classes or max(2, len(rows))], pa.int32()),
            "numFeatures": pa.array([len(rows[0])], pa.int32()),
            "interceptVector": pa.array([dense(intercepts)], VECTOR),
            "coefficientMatrix": pa.array([matrix(rows)], MATRIX),
            "isMultinomial": pa.array([len(rows) > 1]),
        }
    )
    names = {
        "featuresCol": "features",
        "rawPredictionCol": "rawPrediction",
        "probabilityCol": "probability",
        "predictionCol": "prediction",
    }
    return LOGISTIC, names | params, table


def text_model(folder: Path, size: int = 32) -> Path:
    """Tokenizer, HashingTF, IDF and a binomial logistic regression, behind an indexer of the label."""
    weights = [0.5 if index % 3 else -0.75 for index in range(size)]
    factors = [1.0 + index / 7 for index in range(size)]
    stages = [indexer(["bad", "good"], "sentiment"), tokenizer(), hashing(size=size), idf(factors)]
    return write_pipeline(folder, [*stages, logistic([weights], [0.125])])


def schema(**types: str) -> dict[str, Any]:
    """The JSON of a StructType of nullable columns; vectors are called ``vector``."""
    from wmlclient.scoring.types import json_type

    return {
        "type": "struct",
        "fields": [
            {"name": name, "type": json_type(kind), "nullable": True, "metadata": {}}
            for name, kind in types.items()
        ],
    }
