"""Spark schemas as JSON (``StructType.jsonValue()``): what a model is scored with, and whether a schema is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import field_error

#: Names that Spark writes for simple types; those with arguments are matched by their prefix.
_SIMPLE = frozenset(
    (
        *("string", "boolean", "byte", "short", "integer", "long", "float", "double", "binary"),
        *("date", "timestamp", "timestamp_ntz", "void", "variant"),
    )
)
_WITH_ARGUMENTS = ("decimal(", "char(", "varchar(", "interval", "string collate", "time(")
#: Older clients write SQL's names.
_ALIASES = frozenset(("int", "bigint", "smallint", "tinyint", "decimal"))


def label_column(body: Mapping[str, Any]) -> str | None:
    """The column of the training data that holds the labels, or None.

    ``label_column`` of the request; without it the column whose metadata says ``modeling_role: target``.
    """
    named = body.get("label_column")
    if named:
        return str(named)
    for column in (body.get("training_data_schema") or {}).get("fields", ()):
        if (column.get("metadata") or {}).get("modeling_role") == "target":
            return str(column["name"])
    return None


def input_schema(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a row to be scored consists of, or None where the request named no schema.

    ``input_data_schema`` of the request; without it the training schema minus the label, as the service derived it.
    """
    given = body.get("input_data_schema")
    if given:
        return dict(given)
    training = body.get("training_data_schema")
    if not training:
        return None
    label = label_column(body)
    return {"type": "struct", "fields": [column for column in training["fields"] if column["name"] != label]}


def check_struct(schema: Any, where: str) -> None:
    """Return where this is the JSON of a ``StructType``.

    Args:
        schema: What the request holds.
        where: Name of the member of the request, for the error.

    Raises:
        Invalid: ``invalid_request_payload``, naming the place.
    """
    if (
        not isinstance(schema, dict)
        or schema.get("type") != "struct"
        or not isinstance(schema.get("fields"), list)
    ):
        raise field_error(
            where, f"`{where}` is not a Spark schema: expected {{'type': 'struct', 'fields': [...]}}."
        )
    names = set()
    for index, column in enumerate(schema["fields"]):
        place = f"{where}.fields[{index}]"
        if not isinstance(column, dict) or not isinstance(column.get("name"), str) or not column["name"]:
            raise field_error(place, f"`{place}` has no name.")
        if column["name"] in names:
            raise field_error(place, f"`{where}` names the column {column['name']!r} twice.")
        names.add(column["name"])
        if not isinstance(column.get("nullable", True), bool):
            raise field_error(place, f"`{place}.nullable` is not a boolean.")
        if not isinstance(column.get("metadata") or {}, dict):
            raise field_error(place, f"`{place}.metadata` is not an object.")
        _check_type(column.get("type"), f"{place}.type")


def _check_type(kind: Any, where: str) -> None:
    if isinstance(kind, str):
        if kind in _SIMPLE or kind in _ALIASES or kind.startswith(_WITH_ARGUMENTS):
            return
        raise field_error(where, f"`{where}` is not a Spark type: {kind[:80]!r}.")
    if isinstance(kind, dict):
        name = kind.get("type")
        if name == "struct":
            return check_struct(kind, where)
        if name == "array":
            return _check_type(kind.get("elementType"), f"{where}.elementType")
        if name == "map":
            _check_type(kind.get("keyType"), f"{where}.keyType")
            return _check_type(kind.get("valueType"), f"{where}.valueType")
        if name == "udt":
            return None
    raise field_error(where, f"`{where}` is not a Spark type.")
