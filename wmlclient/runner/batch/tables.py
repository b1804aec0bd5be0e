"""Between Arrow's columns, which files hold, and the scorer's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from wmlclient.scoring.blocks import DenseBlock, SparseBlock, WordsBlock, rows_of
from wmlclient.scoring.types import json_type, simple_type
from wmlclient.scoring.values import Sparse

#: Vectors as Spark's own Parquet files hold them.
VECTOR = pa.struct(
    [
        pa.field("type", pa.int8(), nullable=False),
        pa.field("size", pa.int32()),
        pa.field("indices", pa.list_(pa.field("element", pa.int32(), nullable=False))),
        pa.field("values", pa.list_(pa.field("element", pa.float64(), nullable=False))),
    ]
)
_TYPES: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
    "vector": VECTOR,
}
_SHORT = {kind: name for name, kind in _TYPES.items()}
#: Spark reads its own schema from here, and so a vector as a vector.
_SPARK_KEY = b"org.apache.spark.sql.parquet.row.metadata"


def arrow_type(short: str) -> pa.DataType | None:
    """The type of a column from the short name of Spark's, or None where files cannot hold it."""
    if short.startswith("array<"):
        element = arrow_type(short[6:-1])
        return None if element is None else pa.list_(pa.field("element", element))
    return _TYPES.get(short)


def values_of(column: pa.Array, short: str) -> Any:
    """A column as the scorer takes it: a float64 array where it can be one, else a list."""
    if short == "double" and column.null_count == 0:
        return np.ascontiguousarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
    if short == "vector":
        return [_vector(cell) for cell in column.to_pylist()]
    values: list[Any] = column.to_pylist()
    return values


def _vector(cell: dict[str, Any] | None) -> Any:
    if cell is None:
        return None
    if cell["type"] == 1:
        return cell["values"]
    return [cell["size"], cell["indices"], cell["values"]]


def array_of(block: Any, short: str) -> pa.Array:
    """A column of the scorer as Arrow's."""
    if short == "vector":
        return _vectors(block)
    kind = arrow_type(short)
    if isinstance(block, WordsBlock):
        return _words(block, kind)
    if isinstance(block, np.ndarray):
        return pa.array(block, type=kind)
    return pa.array(rows_of(block), type=kind)


def _words(block: WordsBlock, kind: pa.DataType | None) -> pa.Array:
    """Copied byte by byte, without a Python string on the way."""
    lengths = block.ends - block.starts
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    places = np.repeat(block.starts - offsets[:-1], lengths) + np.arange(offsets[-1])
    words = pa.StringArray.from_buffers(
        len(lengths), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(block.text[places]))
    )
    ends = np.concatenate(([0], np.cumsum(block.counts))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), words, type=kind)


def _vectors(block: Any) -> pa.Array:
    count = len(block)
    if isinstance(block, DenseBlock):
        width = len(block.features)
        flat = np.stack(block.features, axis=1).reshape(-1) if width else np.empty(0)
        ends = (
            np.arange(0, (count + 1) * width, width, dtype=np.int32)
            if width
            else np.zeros(count + 1, np.int32)
        )
        values = _lists(ends, pa.array(flat, pa.float64()), VECTOR.field("values").type)
        types = pa.array(np.ones(count, np.int8))
        return _structs(
            types, pa.nulls(count, pa.int32()), pa.nulls(count, VECTOR.field("indices").type), values
        )
    if isinstance(block, SparseBlock):
        ends = np.concatenate(([0], block.ends)).astype(np.int32)
        return _structs(
            pa.array(np.zeros(count, np.int8)),
            pa.array(np.full(count, block.size, np.int32)),
            _lists(ends, pa.array(block.indices.astype(np.int32)), VECTOR.field("indices").type),
            _lists(ends, pa.array(block.values, pa.float64()), VECTOR.field("values").type),
        )
    return pa.array([_cell(value) for value in rows_of(block)], type=VECTOR)


def _cell(value: list[float] | Sparse | None) -> dict[str, Any] | None:
    if value is None:
        return None
    if isinstance(value, Sparse):
        return {"type": 0, "size": value.size, "indices": list(value.indices), "values": list(value.values)}
    return {"type": 1, "size": None, "indices": None, "values": list(value)}


def _lists(ends: Any, values: pa.Array, kind: pa.DataType) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(ends), values, type=kind)


def _structs(*columns: pa.Array) -> pa.Array:
    return pa.StructArray.from_arrays(list(columns), fields=list(VECTOR))


def with_spark_schema(schema: pa.Schema) -> pa.Schema:
    """The schema, with Spark's own beside it where every column has a type of Spark's."""
    fields = []
    for column in schema:
        short = short_type(column.type)
        if short is None:
            return schema.remove_metadata()
        fields.append({"name": column.name, "type": json_type(short), "nullable": True, "metadata": {}})
    spark = json.dumps({"type": "struct", "fields": fields}, separators=(",", ":"))
    return schema.with_metadata({_SPARK_KEY: spark.encode()})


def short_type(kind: pa.DataType) -> str | None:
    """The short name of Spark's type for a column of a file, or None."""
    if pa.types.is_list(kind):
        element = short_type(kind.value_type)
        return None if element is None else f"array<{element}>"
    if pa.types.is_large_string(kind):
        return "string"
    return _SHORT.get(kind)


def input_types(schema: dict[str, Any]) -> dict[str, str]:
    """The short type of each column of a model's input."""
    return {column["name"]: simple_type(column["type"]) for column in schema["fields"]}


def plain_rows(table: pa.Table, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Rows for a bad-row file: what JSON cannot hold is written as a text.

    Args:
        table: The rows.
        texts: Columns to leave out, since they were made here.
    """
    kept = table.drop_columns([name for name in table.column_names if name in texts])
    return [{name: _json(value) for name, value in row.items()} for row in kept.to_pylist()]


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
