"""Values on their way out of a session."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from wmlclient.runner.kernels.workspace import DEPTH, Refused, plain


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2.5, "a", None, True), [1, 2.5, "a", None, True]),
        (float("nan"), None),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.array(["2017-10-05"], "datetime64[s]"), ["2017-10-05T00:00:00"]),
        (pd.DataFrame({"b": [1, 2], "a": ["x", None]}), {"b": [1, 2], "a": ["x", None]}),
        (pd.DataFrame({"t": [pd.Timestamp(2017, 10, 5), pd.NaT]}), {"t": ["2017-10-05T00:00:00", None]}),
        (pd.Series([1.0, float("nan")]), [1.0, None]),
        (pd.NA, None),
        (datetime.date(2017, 10, 5), "2017-10-05"),
        ({1: {"a": ()}}, {"1": {"a": []}}),
        ("\ud800", "\ufffd" * 3),
        (-(2**63), -(2**63)),
    ],
)
def test_values(value: Any, expected: Any) -> None:
    assert plain(value) == expected


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [object(), {1}, b"bytes", 2**64, -(2**63) - 1, nested(DEPTH), 1j])
def test_what_has_no_form(value: Any) -> None:
    with pytest.raises(Refused, match="`r` cannot be answered"):
        plain(value, "r")
    assert plain(nested(DEPTH - 1)) == nested(DEPTH - 1)
