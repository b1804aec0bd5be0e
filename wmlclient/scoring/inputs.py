"""Input values, from what JSON or Python gives to what the stages take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wmlclient.scoring.java.numbers import to_float
from wmlclient.scoring.types import INTEGER_RANGES
from wmlclient.scoring.values import Sparse, float_from_json, vector_from_json

Reader = Callable[[Any], Any]


def reader(type: str) -> Reader | None:
    """What turns a value into one of the type, or ``None`` where it is one already.

    The reader raises ``ValueError`` for a value that does not fit. Nulls stay nulls.
    """
    if type == "double":
        return _double
    if type == "float":
        return _float
    if type == "vector":
        return _nullable(vector_from_json)
    if type in INTEGER_RANGES:
        return _integer(type)
    if type == "string":
        return _text
    if type == "boolean":
        return _boolean
    if type.startswith("array<"):
        element = reader(type[6:-1])
        return _array(element)
    return None


_READY: dict[str, frozenset[type]] = {
    "string": frozenset({str, type(None)}),
    "double": frozenset({float, type(None)}),
    "boolean": frozenset({bool, type(None)}),
}


def ready(type_name: str) -> frozenset[type]:
    """The Python types whose values :func:`reader` returns as they are."""
    return _READY.get(type_name, frozenset())


def _double(value: Any) -> Any:
    if value.__class__ is float or value is None:
        return value
    return float_from_json(value)


def _float(value: Any) -> Any:
    return None if value is None else to_float(float_from_json(value))


def _nullable(read: Reader) -> Reader:
    return lambda value: None if value is None else read(value)


def _integer(type: str) -> Reader:
    low, high = INTEGER_RANGES[type]

    def read(value: Any) -> Any:
        if value is None:
            return None
        if value.__class__ is not int:
            if not hasattr(value, "__index__") or isinstance(value, bool):
                raise ValueError(f"{value!r:.60} is not a whole number")
            value = value.__index__()
        if not low <= value <= high:
            raise ValueError(f"{value} does not fit {type}")
        return value

    return read


def _text(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"{value!r:.60} is not a string")


def _boolean(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    raise ValueError(f"{value!r:.60} is not true or false")


def _array(element: Reader | None) -> Reader:
    def read(value: Any) -> Any:
        if value is None:
            return None
        if hasattr(value, "tolist"):
            value = value.tolist()
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{value!r:.60} is not an array")
        return list(value) if element is None else [element(item) for item in value]

    return read


def infer_type(values: list[Any], expected: str | None) -> str:
    """The type of a column without a schema, from its values and from what the stages expect.

    What Spark's ``createDataFrame`` infers, except that numbers and arrays of numbers become what a stage expects.
    """
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return expected or "string"
    if kinds <= {int, float} and expected in ("double", "float"):
        return expected
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "bigint"
    if all(issubclass(kind, (int, float)) and kind is not bool for kind in kinds):
        return "double"
    if all(issubclass(kind, str) for kind in kinds):
        return "string"
    if kinds <= {Sparse}:
        return "vector"
    if expected == "vector" or any(hasattr(kind, "tolist") for kind in kinds):
        return "vector" if expected in (None, "vector") else expected
    if kinds <= {list, tuple}:
        items = [item for value in values if value is not None for item in value]
        return f"array<{infer_type(items, 'string' if expected == 'array<string>' else None)}>"
    return expected or "unknown"
