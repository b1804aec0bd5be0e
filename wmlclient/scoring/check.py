# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Input validation, made for tables: one pass over each column, at the speed of C where all is well."""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from wmlclient.scoring.errors import InputError
from wmlclient.scoring.types import INTEGER_RANGES, simple_type
from wmlclient.scoring.values import vector_from_json

__all__ = ["check_table"]

_NON_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})
_WORDS = {
    "string": "a string",
    "double": "a number",
    "float": "a number",
    "boolean": "true or false",
    "vector": "a vector ([v, ...] or [size, [i, ...], [v, ...]])",
    "date": 'a date ("2026-01-31")',
    "timestamp": 'a timestamp ("2026-01-31T12:00:00Z")',
    "timestamp_ntz": 'a timestamp ("2026-01-31T12:00:00")',
}
_NONE = type(None)


def check_table(
    schema: Mapping[str, Any],
    fields: Sequence[str],
    values: Sequence[Sequence[Any]],
    *,
    required: Collection[str] | None = None,
) -> None:
    """Checks a scoring payload against the model's input.

    Numbers follow JSON: a whole number will do for a double, but not ``1.0`` for a whole number. ``"NaN"``,
    ``"Infinity"`` and ``"-Infinity"`` are doubles. Null will do where the schema says ``nullable``.

    Args:
        schema: The input, as the JSON of a Spark ``StructType``.
        fields: The payload's column names.
        values: Its rows.
        required: Names that must be among the fields; without it, all of the schema's.

    Raises:
        InputError: ``kind`` is ``duplicate_field``, ``unknown_field``, ``missing_field``, ``no_rows``,
            ``row_length`` or ``wrong_type``; ``field`` and ``row`` say where.

    Example:
        >>> schema = {"type": "struct", "fields": [
        ...     {"name": "age", "type": "integer", "nullable": True, "metadata": {}}]}
        >>> check_table(schema, ["age"], [[31], [None]])
        >>> check_table(schema, ["age"], [[31], ["old"]])
        Traceback (most recent call last):
        ...
        wmlclient.scoring.errors.InputError: row 1, field 'age': expected a whole number (int), got the string 'old'
    """
    known = {column["name"]: column for column in schema["fields"]}
    seen: set[str] = set()
    for name in fields:
        if not isinstance(name, str):
            raise InputError("unknown_field", None, None, f"a field's name is not a string: {name!r:.60}")
        if name in seen:
            raise InputError("duplicate_field", name, None, f"the field {name!r:.80} is there twice")
        if name not in known:
            raise InputError(
                "unknown_field",
                name,
                None,
                f"unknown field {name!r:.80}: the model's input has {_listed(known)}",
            )
        seen.add(name)
    for name in known if required is None else required:
        if name not in seen:
            raise InputError("missing_field", name, None, f"the field {name!r:.80} is missing")
    if not values:
        raise InputError("no_rows", None, None, "there are no rows to score: 'values' is empty")
    _check_lengths(len(fields), values)
    for name, column in zip(fields, zip(*values)):
        spark = known[name]
        _check_column(name, simple_type(spark["type"]), spark.get("nullable", True), column)


def _check_lengths(width: int, values: Sequence[Any]) -> None:
    if set(map(type, values)) <= {list, tuple} and set(map(len, values)) == {width}:
        return
    for number, row in enumerate(values):
        if not isinstance(row, (list, tuple)):
            raise InputError("row_length", None, number, f"row {number} is not an array, but {_shown(row)}")
        if len(row) != width:
            raise InputError(
                "row_length",
                None,
                number,
                f"row {number} has {len(row)} values, but there are {width} fields",
            )


def _check_column(name: str, type: str, nullable: bool, column: tuple[Any, ...]) -> None:
    quick, one = _checks(type)
    kinds = set(map(_type, column))
    if _NONE in kinds:
        if not nullable:
            number = column.index(None)
            raise InputError(
                "wrong_type", name, number, f"row {number}, field {name!r:.80}: null is not allowed"
            )
        kinds.discard(_NONE)
    if quick is not None and quick(kinds, column):
        return
    for number, value in enumerate(column):
        if value is not None and not one(value):
            raise InputError(
                "wrong_type",
                name,
                number,
                f"row {number}, field {name!r:.80}: expected {_expected(type)}, got {_shown(value)}",
            )


_type = type
_Quick = Callable[[set[type], tuple[Any, ...]], bool]
_One = Callable[[Any], bool]


@lru_cache(maxsize=256)
def _checks(type: str) -> tuple[_Quick | None, _One]:
    """For a type: a test of the whole column that may only say yes when all is well, and the test of one value."""
    if type == "string":
        return _quick_text, _is_text
    if type in ("double", "float"):
        return (lambda kinds, column: kinds <= {float}), _is_double
    if type in INTEGER_RANGES:
        low, high = INTEGER_RANGES[type]

        def quick(kinds: set[Any], column: tuple[Any, ...]) -> bool:
            return kinds == {int} and None not in column and low <= min(column) and max(column) <= high

        return quick, lambda value: _type(value) is int and low <= value <= high
    if type == "boolean":
        return (lambda kinds, column: kinds <= {bool}), lambda value: isinstance(value, bool)
    if type == "vector":
        return None, _is_vector
    if type.startswith("array<"):
        _, element = _checks(type[6:-1])
        return (
            None,
            lambda value: (
                isinstance(value, (list, tuple)) and all(item is None or element(item) for item in value)
            ),
        )
    if type == "date":
        return None, _parses(datetime.date.fromisoformat, datetime.date)
    if type in ("timestamp", "timestamp_ntz"):
        return None, _parses(_timestamp, datetime.datetime)
    if type.startswith("decimal"):
        return None, _is_decimal
    if type.startswith(("map<", "struct<")):
        return None, lambda value: isinstance(value, dict)
    return None, lambda value: True


def _quick_text(kinds: set[Any], column: tuple[Any, ...]) -> bool:
    if not kinds <= {str}:
        return False
    try:
        # A lone surrogate is no character: Spark could not store it.
        "".join(filter(None, column)).encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_double(value: Any) -> bool:
    kind = _type(value)
    if kind is float:
        return True
    if kind is int:
        try:
            float(value)
        except OverflowError:
            return False
        return True
    return kind is str and value in _NON_FINITE


def _is_vector(value: Any) -> bool:
    try:
        vector_from_json(value)
    except (ValueError, OverflowError):
        return False
    return True


def _is_decimal(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, str, decimal.Decimal)):
        return False
    try:
        return decimal.Decimal(str(value)).is_finite()
    except decimal.InvalidOperation:
        return False


_TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?(?:Z|[+-](\d\d):?(\d\d))?)?",
    re.ASCII,
)


def _timestamp(text: str) -> None:
    """Raises unless it is an ISO timestamp; ``datetime.fromisoformat`` takes fewer of them before Python 3.11."""
    found = _TIMESTAMP.fullmatch(text)
    if not found:
        raise ValueError(text)
    year, month, day, hour, minute, second, _, _ = (int(part or 0) for part in found.groups())
    datetime.datetime(year, month, day, hour, minute, second)


def _parses(parse: Callable[[str], Any], kind: type) -> _One:
    def one(value: Any) -> bool:
        if isinstance(value, kind):
            return True
        try:
            parse(value)
        except (ValueError, TypeError, AttributeError):
            return False
        return True

    return one


def _expected(type: str) -> str:
    if type in INTEGER_RANGES:
        return f"a whole number ({type})"
    if type.startswith("array<"):
        return f"an array, each item {_expected(type[6:-1])}"
    return _WORDS.get(type, type)


def _shown(value: Any) -> str:
    names = {
        str: "the string",
        bool: "",
        int: "the number",
        float: "the number",
        list: "the array",
        dict: "the object",
    }
    text = (
        "null"
        if value is None
        else {True: "true", False: "false"}.get(value, "")
        if isinstance(value, bool)
        else ""
    )
    if not text:
        text = f"{value!r:.60}"
    return f"{names.get(type(value), type(value).__name__)} {text}".strip()


def _listed(known: Mapping[str, Any]) -> str:
    names = [repr(name) for name in known]
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
