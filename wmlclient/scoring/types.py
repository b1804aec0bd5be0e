"""Spark SQL types, as the JSON of a ``StructType`` names them, and as short names.

The short names are Spark's ``simpleString`` (``string``, ``bigint``, ``array<string>`` ...), with ``vector`` and
``matrix`` for the two types of Spark ML.
"""

from __future__ import annotations

from typing import Any

__all__ = ["INTEGER_RANGES", "NUMERIC", "VECTOR_UDT", "json_type", "simple_type"]

VECTOR_UDT: dict[str, Any] = {
    "type": "udt",
    "class": "org.apache.spark.ml.linalg.VectorUDT",
    "pyClass": "pyspark.ml.linalg.VectorUDT",
    "sqlType": {
        "type": "struct",
        "fields": [
            {"name": "type", "type": "byte", "nullable": False, "metadata": {}},
            {"name": "size", "type": "integer", "nullable": True, "metadata": {}},
            {
                "name": "indices",
                "type": {"type": "array", "elementType": "integer", "containsNull": False},
                "nullable": True,
                "metadata": {},
            },
            {
                "name": "values",
                "type": {"type": "array", "elementType": "double", "containsNull": False},
                "nullable": True,
                "metadata": {},
            },
        ],
    },
}

_SHORT = {"integer": "int", "long": "bigint", "short": "smallint", "byte": "tinyint"}
_LONG = {short: name for name, short in _SHORT.items()}
_UDTS = {"VectorUDT": "vector", "MatrixUDT": "matrix"}

INTEGER_RANGES = {
    "tinyint": (-(1 << 7), (1 << 7) - 1),
    "smallint": (-(1 << 15), (1 << 15) - 1),
    "int": (-(1 << 31), (1 << 31) - 1),
    "bigint": (-(1 << 63), (1 << 63) - 1),
}
NUMERIC = frozenset(INTEGER_RANGES) | {"double", "float"}


def simple_type(json: Any) -> str:
    """The short name of a type in a schema's JSON.

    >>> simple_type({"type": "array", "elementType": "string", "containsNull": True})
    'array<string>'
    """
    if isinstance(json, str):
        return _SHORT.get(json, json)
    if not isinstance(json, dict):
        return "unknown"
    kind = json.get("type")
    if kind == "array":
        return f"array<{simple_type(json.get('elementType'))}>"
    if kind == "map":
        return f"map<{simple_type(json.get('keyType'))},{simple_type(json.get('valueType'))}>"
    if kind == "udt":
        name = str(json.get("class") or json.get("pyClass") or "").rpartition(".")[2]
        return _UDTS.get(name, "udt")
    if kind == "struct":
        fields = json.get("fields") or []
        return "struct<" + ",".join(f"{f.get('name')}:{simple_type(f.get('type'))}" for f in fields) + ">"
    return "unknown"


def json_type(simple: str) -> Any:
    """The JSON of a type from its short name; the reverse of :func:`simple_type` for what stages give and take."""
    if simple == "vector":
        return VECTOR_UDT
    if simple.startswith("array<"):
        return {"type": "array", "elementType": json_type(simple[6:-1]), "containsNull": True}
    return _LONG.get(simple, simple)
