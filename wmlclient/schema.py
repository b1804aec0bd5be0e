"""Spark schemas as plain JSON (``StructType.jsonValue()``), with or without a Spark at hand."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import re
from collections.abc import Mapping
from typing import Any

from wmlclient.errors import PayloadError

# Spark's SQL names and aliases, to the names of its JSON.
_SQL_NAMES = {
    "boolean": "boolean",
    "byte": "byte",
    "tinyint": "byte",
    "short": "short",
    "smallint": "short",
    "int": "integer",
    "integer": "integer",
    "long": "long",
    "bigint": "long",
    "float": "float",
    "real": "float",
    "double": "double",
    "string": "string",
    "binary": "binary",
    "date": "date",
    "timestamp": "timestamp",
    "timestamp_ntz": "timestamp_ntz",
}
_NUMPY_NAMES = {
    "bool": "boolean",
    "int8": "byte",
    "int16": "short",
    "int32": "integer",
    "int64": "long",
    "uint8": "short",
    "uint16": "integer",
    "uint32": "long",
    "uint64": "long",
    "float16": "float",
    "float32": "float",
    "float64": "double",
}


def to_schema(given: Any) -> dict[str, Any]:
    """A schema in any of its forms, as JSON.

    Args:
        given: a Spark ``StructType``, its JSON as dict or text, or DDL such as ``"id int, text string"``.

    Raises:
        PayloadError: it is none of these.
    """
    if hasattr(given, "jsonValue"):
        given = given.jsonValue()
    if isinstance(given, str):
        text = given.strip()
        if not text.startswith("{"):
            return struct(parse_ddl(text))
        try:
            given = json.loads(text)
        except ValueError:
            raise PayloadError("The schema is not JSON.") from None
    if (
        not isinstance(given, Mapping)
        or given.get("type") != "struct"
        or not isinstance(given.get("fields"), list)
    ):
        raise PayloadError(
            "The schema is no StructType. Give df.schema, its JSON, or DDL such as 'id int, text string'."
        )
    for field in given["fields"]:
        if not isinstance(field, Mapping) or not field.get("name") or "type" not in field:
            raise PayloadError("The schema has a field without name or type.")
    return {"type": "struct", "fields": [dict(field) for field in given["fields"]]}


def struct(columns: list[tuple[str, Any]]) -> dict[str, Any]:
    """The schema of columns given as (name, type)."""
    return {
        "type": "struct",
        "fields": [{"name": n, "type": t, "nullable": True, "metadata": {}} for n, t in columns],
    }


def parse_ddl(text: str) -> list[tuple[str, Any]]:
    """Columns of a DDL text with simple types and arrays of them; anything richer wants a StructType."""
    columns = []
    for part in re.split(r",(?![^(<]*[)>])", text):
        match = re.fullmatch(r"\s*(?:`([^`]+)`|(\w+))\s*:?\s+([\w<>(), ]+?)\s*", part)
        if match is None:
            raise PayloadError(f"Schema {part.strip()!r}: not of the form 'name type'.")
        columns.append((match[1] or match[2], _sql_type(match[3].strip().lower())))
    return columns


def _sql_type(name: str) -> Any:
    if name in _SQL_NAMES:
        return _SQL_NAMES[name]
    array = re.fullmatch(r"array<(.+)>", name)
    if array:
        return {"type": "array", "elementType": _sql_type(array[1].strip()), "containsNull": True}
    if re.fullmatch(r"(decimal|varchar|char)(\(\d+(\s*,\s*\d+)?\))?", name):
        return (
            name.replace(" ", "")
            if name.startswith("decimal(")
            else {"decimal": "decimal(10,0)"}.get(name, "string")
        )
    raise PayloadError(f"Schema: unknown type {name!r}. Give a StructType, or its JSON.")


def of_pandas(frame: Any) -> dict[str, Any]:
    """The schema that Spark would give this pandas DataFrame."""
    return struct([(str(name), _pandas_type(frame[name], str(name))) for name in frame.columns])


def of_rows(rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The schema of rows given as dicts."""
    names = list(rows[0]) if rows else []
    return struct([(name, _values_type([row.get(name) for row in rows], name)) for name in names])


def _pandas_type(column: Any, name: str) -> Any:
    kind = getattr(column.dtype, "kind", "O")
    if kind == "M":
        return "timestamp"
    known = _NUMPY_NAMES.get(str(column.dtype).lower())  # also the nullable Int64, Float64, boolean
    if known or str(column.dtype) == "boolean":
        return known or "boolean"
    return _values_type(column.dropna().tolist(), name)


def _values_type(values: list[Any], name: str) -> Any:
    types = {_value_type(value, name) for value in values if value is not None}
    arrays = {t for t in types if isinstance(t, tuple)}
    if arrays:
        if len(arrays) == len(types):
            inner = {t[1] for t in arrays} - {None}
            return {"type": "array", "elementType": _widest(inner, name), "containsNull": True}
        raise PayloadError(f"Column {name!r} holds arrays and other values.", column=name)
    return _widest(types, name)


def _widest(types: set[Any], name: str) -> str:
    if not types:
        return "string"
    if len(types) == 1:
        return str(next(iter(types)))
    if types == {"long", "double"}:
        return "double"
    raise PayloadError(
        f"Column {name!r} holds values of several types: {', '.join(sorted(map(str, types)))}. "
        "Give the schema with training_schema=.",
        column=name,
    )


def _value_type(value: Any, name: str) -> Any:
    if hasattr(value, "dtype") and not getattr(value, "ndim", 0):  # a numpy scalar
        value = value.item()
    for python, spark in (
        (bool, "boolean"),
        (int, "long"),
        (float, "double"),
        (str, "string"),
        (dt.datetime, "timestamp"),
        (dt.date, "date"),
        (decimal.Decimal, "decimal(38,18)"),
        (bytes, "binary"),
    ):
        if isinstance(value, python):
            return spark
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        inner = {_value_type(item, name) for item in value if item is not None}
        return ("array", _widest(inner, name) if inner else None)
    raise PayloadError(
        f"Column {name!r}: no Spark type for a {type(value).__name__}. Give the schema with training_schema=.",
        column=name,
    )


def mark_target(schema: dict[str, Any], label: str | None) -> dict[str, Any]:
    """The same schema with the label's column marked as the target, as the service wants it."""
    fields = []
    for field in schema["fields"]:
        metadata = dict(field.get("metadata") or {})
        metadata.pop("modeling_role", None)
        if field["name"] == label:
            metadata["modeling_role"] = "target"
        fields.append({**field, "metadata": metadata})
    return {"type": "struct", "fields": fields}
