"""Saved Spark ML pipelines, written as Spark 4 writes them, without Spark: folders of JSON and Parquet."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

SPARK = "4.2.0"
FEATURES = 64
TEXT_SCHEMA = {
    "type": "struct",
    "fields": [
        {"name": "id", "type": "integer", "nullable": True, "metadata": {}},
        {"name": "text", "type": "string", "nullable": True, "metadata": {}},
        {"name": "label", "type": "integer", "nullable": True, "metadata": {"modeling_role": "target"}},
    ],
}

_VECTOR = pa.struct(
    [
        pa.field("type", pa.int8(), nullable=False),
        ("size", pa.int32()),
        ("indices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
    ]
)
_MATRIX = pa.struct(
    [
        pa.field("type", pa.int8(), nullable=False),
        pa.field("numRows", pa.int32(), nullable=False),
        pa.field("numCols", pa.int32(), nullable=False),
        ("colPtrs", pa.list_(pa.int32())),
        ("rowIndices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
        pa.field("isTransposed", pa.bool_(), nullable=False),
    ]
)


def _udt(name: str, python: str, fields: pa.StructType) -> dict[str, Any]:
    words = {"int8": "byte", "int32": "integer", "bool": "boolean"}
    columns = []
    for each in fields:
        kind: Any = words.get(str(each.type))
        if kind is None:
            element = {"int32": "integer", "double": "double"}[str(each.type.value_type)]
            kind = {"type": "array", "elementType": element, "containsNull": False}
        columns.append({"name": each.name, "type": kind, "nullable": each.nullable, "metadata": {}})
    return {
        "type": "udt",
        "class": f"org.apache.spark.ml.linalg.{name}",
        "pyClass": f"pyspark.ml.linalg.{python}",
        "sqlType": {"type": "struct", "fields": columns},
    }


_UDTS = {
    "interceptVector": _udt("VectorUDT", "VectorUDT", _VECTOR),
    "coefficientMatrix": _udt("MatrixUDT", "MatrixUDT", _MATRIX),
}


def write_stage(
    folder: Path, java_class: str, uid: str, params: dict[str, Any], defaults: dict[str, Any] | None = None
) -> Path:
    """The metadata of one stage."""
    metadata = folder / "metadata"
    metadata.mkdir(parents=True)
    (metadata / "_SUCCESS").touch()
    document = {
        "class": java_class,
        "timestamp": 1504700000000,
        "sparkVersion": SPARK,
        "uid": uid,
        "paramMap": params,
        "defaultParamMap": defaults or {},
    }
    (metadata / "part-00000-0-c000.txt").write_text(json.dumps(document) + "\n", encoding="utf-8")
    return folder


def text_pipeline(
    folder: Path,
    *,
    weight: float = 0.25,
    fitted: bool = True,
    last: str | None = None,
    labels: tuple[str, ...] = (),
) -> Path:
    """Tokenizer, HashingTF and LogisticRegression on a column ``text``.

    Args:
        folder: Where to write it.
        weight: Of every second feature; two weights make two models.
        fitted: A ``PipelineModel``, or the ``Pipeline`` before it.
        last: Another Java class for the last stage, e.g. one that is not Spark's own.
        labels: A ``StringIndexerModel`` of a column ``mood`` with these labels goes first.
    """
    uids = ["Tokenizer_1", "HashingTF_2", "LogisticRegression_3"]
    kind = "PipelineModel" if fitted else "Pipeline"
    all_uids = ["StringIndexer_0", *uids] if labels else uids
    write_stage(folder, f"org.apache.spark.ml.{kind}", f"{kind}_0", {"stageUids": all_uids})
    stages = [folder / "stages" / f"{index}_{uid}" for index, uid in enumerate(all_uids)]
    if labels:
        _indexer(stages.pop(0), labels)
    feature = "org.apache.spark.ml.feature"
    write_stage(stages[0], f"{feature}.Tokenizer", uids[0], {"inputCol": "text", "outputCol": "words"})
    write_stage(
        stages[1],
        f"{feature}.HashingTF",
        uids[1],
        {"inputCol": "words", "outputCol": "features", "numFeatures": FEATURES},
        {"binary": False},
    )
    java_class = "org.apache.spark.ml.classification.LogisticRegression" + ("Model" if fitted else "")
    write_stage(
        stages[2],
        last or java_class,
        uids[2],
        {"featuresCol": "features", "labelCol": "label"},
        {
            "predictionCol": "prediction",
            "probabilityCol": "probability",
            "rawPredictionCol": "rawPrediction",
            "threshold": 0.5,
        },
    )
    if fitted:
        _logistic(stages[2], weight)
    return folder


def _indexer(folder: Path, labels: tuple[str, ...]) -> None:
    params = {"inputCol": "mood", "outputCol": "label"}
    write_stage(folder, "org.apache.spark.ml.feature.StringIndexerModel", "StringIndexer_0", params)
    (folder / "data").mkdir()
    table = pa.table({"labelsArray": pa.array([[list(labels)]], pa.list_(pa.list_(pa.string())))})
    parquet.write_table(table, folder / "data" / "part-00000-0-c000.snappy.parquet")


def _logistic(folder: Path, weight: float) -> None:
    values = [weight if index % 2 else -weight / 2 for index in range(FEATURES)]
    intercept = {"type": 1, "size": None, "indices": None, "values": [0.125]}
    matrix = {
        "type": 1, "numRows": 1, "numCols": FEATURES, "colPtrs": None, "rowIndices": None,
        "values": values, "isTransposed": True,
    }  # fmt: skip
    table = pa.table(
        {
            "numClasses": pa.array([2], pa.int32()),
            "numFeatures": pa.array([FEATURES], pa.int32()),
            "interceptVector": pa.array([intercept], _VECTOR),
            "coefficientMatrix": pa.array([matrix], _MATRIX),
            "isMultinomial": pa.array([False], pa.bool_()),
        }
    )
    # Spark believes its own note in the file, not Parquet's types, about what is a vector.
    names = {"int32": "integer", "bool": "boolean"}
    columns = [
        {
            "name": column.name,
            "type": _UDTS.get(column.name) or names[str(column.type)],
            "nullable": True,
            "metadata": {},
        }
        for column in table.schema
    ]
    note = json.dumps({"type": "struct", "fields": columns})
    table = table.replace_schema_metadata({"org.apache.spark.sql.parquet.row.metadata": note})
    (folder / "data").mkdir()
    parquet.write_table(table, folder / "data" / "part-00000-0-c000.snappy.parquet")
    (folder / "data" / "_SUCCESS").touch()


def archive(folder: Path) -> bytes:
    """The folder as clients upload it: a gzipped tar of its content, named from ``./``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(folder, arcname=".")
    return buffer.getvalue()


def hostile(name: str = "../evil", link: str | None = None) -> bytes:
    """An archive with one member of this name, or a link to ``link``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        if link is not None:
            member.type, member.linkname = tarfile.SYMTYPE, link
            tar.addfile(member)
        else:
            member.size = 4
            tar.addfile(member, io.BytesIO(b"evil"))
    return buffer.getvalue()


def request(name: str = "Sentiment", **more: Any) -> dict[str, Any]:
    """What a client posts to ``/v3/ml_assets/models`` for :func:`text_pipeline`."""
    return {
        "name": name,
        "framework": {"name": "mllib", "version": "4.2", "runtimes": [{"name": "spark", "version": "4.2"}]},
        "author": {"name": "IBM"},
        "label_column": "label",
        "training_data_schema": TEXT_SCHEMA,
        "training_data_reference": [],
        "hyper_parameters": [],
        **more,
    }
