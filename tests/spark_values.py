"""Values of PySpark as JSON. Needs pyspark alone: the corpus is made in environments without this project."""

from __future__ import annotations

import math
from typing import Any


def to_json(value: Any) -> Any:
    """A value of PySpark as online answers show it."""
    from pyspark.ml.linalg import DenseVector, SparseVector

    if isinstance(value, DenseVector):
        return [to_json(float(v)) for v in value.values]
    if isinstance(value, SparseVector):
        return [value.size, [int(i) for i in value.indices], [to_json(float(v)) for v in value.values]]
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
