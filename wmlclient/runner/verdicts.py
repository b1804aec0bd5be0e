"""Why a record is no row for a model, in the words that every stream engine uses."""

from __future__ import annotations

from typing import Any

NULL_VALUE = "null value"
NOT_UTF8 = "not valid UTF-8"
EMPTY = "empty value"
MALFORMED = "malformed JSON"
NOT_AN_OBJECT = "not a JSON object"
SEVERAL = "more than one JSON value"
TWICE = "a field is there twice"
MALFORMED_CSV = "malformed CSV"
#: What :func:`cells` says, as a regular expression.
CELLS = "^[0-9]+ cells for [0-9]+ columns$"
NO_FRAME = "without the frame that names its schema"
#: What is said of a payload that its registered schema does not read, as a regular expression.
UNREADABLE = "^(schema [0-9]+ cannot be used: .*|not what schema [0-9]+ says)$"
#: These, what :func:`cells` says, and :data:`UNREADABLE` are told at the stage ``decode``, all others of an unread
#: record at ``schema``.
DECODE = (NULL_VALUE, NOT_UTF8, EMPTY, MALFORMED, NOT_AN_OBJECT, SEVERAL, TWICE, MALFORMED_CSV, NO_FRAME)

WRONG_VALUE = "a value of the wrong type"
NO_VALUE = "no field of the model has a value"

#: What a broker takes in one record unless it was told otherwise.
RECORD_BYTES = 1_000_000

_JSON_TYPES = {
    "string": "a string",
    "boolean": "true or false",
    "binary": "a base64 string",
    "date": "a date",
    "timestamp": "a timestamp",
    "timestamp_ntz": "a timestamp",
}
_OBJECTS = {"array": "an array", "struct": "an object", "map": "an object", "udt": "a vector object"}


def type_name(kind: Any) -> str:
    """What a field has to be, for a person.

    Args:
        kind: The type, as the JSON of a Spark schema has it.

    >>> type_name("integer")
    'a whole number (integer)'
    """
    if isinstance(kind, dict):
        return _OBJECTS.get(str(kind.get("type")), "another type")
    if kind in ("integer", "long", "short", "byte"):
        return f"a whole number ({kind})"
    return _JSON_TYPES.get(kind, f"a number ({kind})")


def cells(given: int, columns: int) -> str:
    """A line of CSV is too short or too long."""
    return f"{given} cells for {columns} columns"


def missing(name: str) -> str:
    """A field that the model needs is not there."""
    return f"missing field: {name}"


def wrong_type(name: str, kind: Any) -> str:
    """A field holds what its column cannot."""
    return f"wrong type: {name} must be {type_name(kind)}"


def null_in(name: str) -> str:
    """A field that the model cannot take a null in holds one."""
    return f"null in field: {name}"


def too_large(limit: int) -> str:
    """The scored record does not fit."""
    return f"the scored record is larger than {limit} bytes, more than the target topic takes"


def dropped(stages: str) -> str:
    """The model made nothing of the record."""
    return f"dropped by the model ({stages}: handleInvalid)"
