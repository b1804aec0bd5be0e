# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Values as the scorer passes them between stages, and their JSON forms.

One row holds plain Python values. A dense vector is a ``list[float]``, a sparse one a :class:`Sparse`: Spark
decides which of the two a stage gives, and answers show it. Whole columns are lists of such values, or one of the
blocks of :mod:`wmlclient.scoring.blocks`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["Sparse", "finite", "json_float", "json_vector", "to_dense", "vector_from_json"]

_NAMES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Sparse:
    """A sparse vector: its size, the indices of what is stored, ascending, and the stored values.

    A stored value may be 0.0, as in Spark.
    """

    __slots__ = ("indices", "size", "values")

    def __init__(self, size: int, indices: list[int], values: list[float]) -> None:
        self.size = size
        self.indices = indices
        self.values = values

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sparse):
            return NotImplemented
        return self.size == other.size and self.indices == other.indices and self.values == other.values

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Sparse({self.size}, {self.indices}, {self.values})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Sparse, (self.size, self.indices, self.values))


def to_dense(vector: list[float] | Sparse) -> list[float]:
    """All the values of a vector."""
    if isinstance(vector, list):
        return vector
    values = [0.0] * vector.size
    for index, value in zip(vector.indices, vector.values):
        values[index] = value
    return values


def plain(value: Any) -> Any:
    """A vector, or an array of them, as lists of all values."""
    if isinstance(value, Sparse):
        return to_dense(value)
    if isinstance(value, list) and value and isinstance(value[0], Sparse):
        return [plain(item) for item in value]
    return value


def vector_size(vector: list[float] | Sparse) -> int:
    """How many values a vector has."""
    return len(vector) if isinstance(vector, list) else vector.size


def finite(values: Iterable[float]) -> bool:
    """Whether no value is NaN or infinite; a sum that overflows says no, too."""
    total = sum(values)
    return total - total == 0.0


def json_float(value: float) -> float | str:
    """The value, or the name that Spark's ``to_json`` writes for one that JSON cannot hold."""
    if value - value == 0.0:
        return value
    if value != value:
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def json_floats(values: list[float]) -> list[float] | list[float | str]:
    """The same for many values; the very list where all are finite."""
    return values if finite(values) else [json_float(v) for v in values]


def json_vector(vector: list[float] | Sparse | None) -> list[Any] | None:
    """A vector as online answers show it: ``[v, ...]`` if dense, ``[size, [i, ...], [v, ...]]`` if sparse."""
    if vector.__class__ is list:
        return json_floats(vector)
    if vector is None:
        return None
    return [vector.size, vector.indices, json_floats(vector.values)]  # type: ignore[union-attr]


def float_from_json(value: Any) -> float:
    """A number, or one of the names ``NaN``, ``Infinity``, ``-Infinity``.

    Raises:
        ValueError: It is neither.
    """
    if value.__class__ is float:
        return value
    if isinstance(value, bool):
        raise ValueError("a boolean is not a number")
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str) and value in _NAMES:
        return _NAMES[value]
    raise ValueError(f"{value!r:.60} is not a number")


def vector_from_json(value: Any) -> list[float] | Sparse:
    """A vector from one of its three JSON forms.

    ``[v, ...]`` and ``[size, [i, ...], [v, ...]]`` are what online scoring answers,
    ``{"type": 0, "size": n, "indices": [...], "values": [...]}`` and ``{"type": 1, "values": [...]}`` are what
    Spark's ``to_json`` writes.

    Raises:
        ValueError: It is none of them, or its indices do not ascend below its size.
    """
    if isinstance(value, Sparse):
        return value
    if isinstance(value, dict):
        if value.get("type") == 1:
            return _floats(value.get("values"))
        if value.get("type") == 0:
            return _sparse(value.get("size"), value.get("indices"), value.get("values"))
        raise ValueError('a vector object has "type" 0 (sparse) or 1 (dense)')
    if isinstance(value, (list, tuple)):
        if len(value) == 3 and isinstance(value[1], (list, tuple)):
            return _sparse(*value)
        return _floats(value)
    if hasattr(value, "tolist"):
        return _floats(value.tolist())
    raise ValueError(f"{type(value).__name__} is not a vector")


def _floats(values: Any) -> list[float]:
    if not isinstance(values, (list, tuple)):
        raise ValueError("a vector's values are an array of numbers")
    return [float_from_json(v) for v in values]


def _sparse(size: Any, indices: Any, values: Any) -> Sparse:
    if type(size) is not int or size < 0 or not isinstance(indices, (list, tuple)):
        raise ValueError("a sparse vector is [size, [indices], [values]]")
    numbers = _floats(values)
    if len(indices) != len(numbers) or any(type(i) is not int for i in indices):
        raise ValueError("a sparse vector has one index, a whole number, for each value")
    if any(a >= b for a, b in zip(indices, indices[1:])) or (
        indices and not 0 <= indices[0] <= indices[-1] < size
    ):
        raise ValueError(f"a sparse vector's indices ascend, from 0 to {size - 1}")
    return Sparse(size, list(indices), numbers)


def dot(vector: list[float] | Sparse, weights: Sequence[float]) -> float:
    """The inner product, summed in order."""
    total = 0.0
    if vector.__class__ is list:
        for value, weight in zip(vector, weights):
            total += value * weight
        return total
    for index, value in zip(vector.indices, vector.values):  # type: ignore[union-attr]
        total += value * weights[index]
    return total
