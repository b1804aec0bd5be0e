"""Values of PySpark as JSON. Needs pyspark alone: the corpus is made in environments without this project."""

from __future__ import annotations

import math
from functools import cache
from typing import Any


@cache
def _vectors() -> tuple[type, type]:
    from pyspark.ml.linalg import DenseVector, SparseVector

    return DenseVector, SparseVector


def to_json(value: Any) -> Any:
    """A value of PySpark as online answers show it."""
    # Millions of values come through here, most of them of these kinds.
    kind = value.__class__
    if kind is float:
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if kind is str or kind is int or value is None:
        return value
    dense, sparse = _vectors()
    if isinstance(value, dense):
        return [to_json(v) for v in value.values.tolist()]
    if isinstance(value, sparse):
        return [value.size, value.indices.tolist(), [to_json(v) for v in value.values.tolist()]]
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return value
