"""Scored rows as records: one compact JSON object each, in the form of Spark's ``to_json``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import orjson

from wmlclient.runner.streams import texts
from wmlclient.scoring.blocks import DenseBlock, SparseBlock, rows_of
from wmlclient.scoring.values import Sparse, json_floats

#: Types whose values are written as Spark writes them. The others (dates, decimals, maps) are Spark's to write.
_PLAIN = frozenset(("string", "boolean", "tinyint", "smallint", "int", "bigint"))
_WRITTEN = _PLAIN | {"double", "float", "vector"}

_Shape = Callable[[Any], list[Any]]


def writes(type: str) -> bool:
    """Whether values of a short type are written here as Spark writes them.

    >>> writes("array<string>"), writes("timestamp")
    (True, False)
    """
    inner = type[6:-1] if type.startswith("array<") else type
    return inner in _WRITTEN


class Encoder:
    """Writes rows of some columns.

    Args:
        names: The columns, in order.
        types: Their short types.
        known: How many of them, the first ones, came with the record; its unknown fields are written behind those.
    """

    def __init__(self, names: Sequence[str], types: Sequence[str], known: int) -> None:
        self._names = list(names)
        self._taken = frozenset(names)
        self._known = known
        self._types = list(types)
        self._shapes = [shape_of(type) for type in types]
        members = (orjson.dumps(name).replace(b"%", b"%%") + b":%b" for name in names)
        self._form = b"{" + b",".join(members) + b"}"

    def write(self, columns: Sequence[Any], extras: dict[int, dict[str, str]]) -> list[bytes]:
        """The records of some columns.

        Args:
            columns: As the scorer gives them.
            extras: By row: names and JSON texts of fields that the model does not know. What the model makes wins.

        Returns:
            A JSON object for each row. A column without a value is left out.
        """
        names = self._names
        if not extras and columns and len(columns[0]) >= texts.LEAST:
            made = texts.Texts(self._shapes, self._types).of(list(columns))
            if made is not None:
                return [self._form % row for row in zip(*made, strict=True)]
        shaped = [shape(column) for shape, column in zip(self._shapes, columns, strict=True)]
        whole = [None not in column for column in shaped]
        if not extras and all(whole):
            dumps = orjson.dumps
            return [dumps(dict(zip(names, row, strict=True))) for row in zip(*shaped, strict=True)]
        return [self._one(row, extras.get(at)) for at, row in enumerate(zip(*shaped, strict=True))]

    def _one(self, row: tuple[Any, ...], extra: dict[str, str] | None) -> bytes:
        pairs = list(zip(self._names, row, strict=True))
        first = _inner(pairs[: self._known])
        made = _inner(pairs[self._known :])
        unknown = b",".join(
            orjson.dumps(name) + b":" + text.encode()
            for name, text in (extra or {}).items()
            if name not in self._taken
        )
        return b"{" + b",".join(part for part in (first, unknown, made) if part) + b"}"


def _inner(pairs: list[tuple[str, Any]]) -> bytes:
    return orjson.dumps({name: value for name, value in pairs if value is not None})[1:-1]


def shape_of(type: str) -> _Shape:
    """What turns a column of a short type into values that orjson writes as Spark would."""
    if type == "vector":
        return _vectors
    if type == "double":
        return _doubles
    if type == "float":
        return lambda column: [_single(value) for value in rows_of(column)]
    if type.startswith("array<"):
        inner = type[6:-1]
        if inner in _PLAIN:
            return rows_of
        shape = shape_of(inner)
        return lambda column: [row if row is None else shape(row) for row in rows_of(column)]
    return rows_of


def _doubles(column: Any) -> list[Any]:
    if isinstance(column, np.ndarray):
        values: list[Any] = column.tolist()
        return values if np.isfinite(column).all() else json_floats(values)
    return [value if value is None else _finite(float(value)) for value in rows_of(column)]


def _finite(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _single(value: Any) -> Any:
    """A float32 with no more digits than it has."""
    if value is None:
        return None
    return _finite(float(str(np.float32(value))))


def _vectors(column: Any) -> list[Any]:
    if isinstance(column, DenseBlock):
        return [{"type": 1, "values": values} for values in column.json()]
    if isinstance(column, SparseBlock):
        return [
            {"type": 0, "size": size, "indices": indices, "values": values}
            for size, indices, values in column.json()
        ]
    return [_vector(value) for value in rows_of(column)]


def _vector(value: list[float] | Sparse | None) -> Any:
    if value is None:
        return None
    if isinstance(value, Sparse):
        return {
            "type": 0,
            "size": value.size,
            "indices": value.indices,
            "values": json_floats(value.values),
        }
    return {"type": 1, "values": json_floats(value)}
