"""Values on their way to code and back: numpy and pandas as JSON, and JSON as numpy and pandas."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

from wmlclient.errors import PayloadError


def to_json(value: Any, name: str = "value") -> Any:
    """A value as the service takes it: arrays as lists, data frames as a dict of columns, NaN as None.

    >>> to_json({"a": (1, float("nan"))})
    {'a': [1, None]}

    Raises:
        PayloadError: it has no such form.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): to_json(item, name) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item, name) for item in value]
    kind = f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"
    if kind == "pandas.DataFrame":
        return {str(column): to_json(value[column].tolist(), name) for column in value.columns}
    if kind in ("pandas.NAType", "pandas.NaTType"):
        return None
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if hasattr(value, "tolist"):  # arrays, series, and the scalars of numpy
        return to_json(value.tolist(), name)
    raise PayloadError(
        f"{name} cannot be sent: {type(value).__name__} has no form in JSON. Give numbers, strings, lists, arrays or "
        "a data frame.",
        column=name,
    )


def from_json(value: Any, kind: str) -> Any:
    """A value that the service answered, by its type; plain where numpy or pandas is not installed.

    Args:
        value: the JSON.
        kind: one of the seven types of a web service.

    >>> from_json(3.0, "integer")
    3
    """
    if value is None:
        return None
    if kind == "integer":
        return int(value) if isinstance(value, float) else value
    try:
        if kind in ("vector", "matrix"):
            import numpy as np

            return np.array(value)
        if kind == "data.frame":
            import pandas as pd

            return pd.DataFrame(value)
    except ImportError:
        return value
    return value
