"""From a function to what a web service says of it, and values on their way there and back."""

from __future__ import annotations

import datetime as dt
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import own_arithmetic
import pandas as pd
import pytest

from wmlclient import errors, functions, values


def everything(
    a: int,
    b: float,
    c: str,
    d: bool,
    e: list[float],
    f: np.ndarray,
    g: np.matrix,
    h: pd.DataFrame,
    i: float = 2.0,
) -> list[str]:
    return []


def no_type(x) -> float:  # type: ignore[no-untyped-def]
    return 1.0


def no_return(x: float):  # type: ignore[no-untyped-def]
    return 1.0


def many(*x: float) -> float:
    return 1.0


def of_dates(x: dt.date) -> float:
    return 1.0


def unknown(x: Unknown) -> float:  # type: ignore[name-defined]  # noqa: F821
    return 1.0


def test_types_come_from_annotations() -> None:
    defined = functions.define(everything)
    kinds = [
        "integer",
        "numeric",
        "character",
        "logical",
        "vector",
        "vector",
        "matrix",
        "data.frame",
        "numeric",
    ]
    assert defined.inputs == dict(zip("abcdefghi", kinds, strict=True))
    assert defined.outputs == {"result": "vector"}
    assert defined.code == "result = packed_function(a=a, b=b, c=c, d=d, e=e, f=f, g=g, h=h, i=i)"


def test_outputs_may_be_named() -> None:
    defined = functions.define(no_return, {"p": float, "q": "data.frame"})
    assert defined.outputs == {"p": "numeric", "q": "data.frame"}
    assert defined.code.splitlines()[1:] == ["p = result['p']", "q = result['q']"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (no_type, "The parameter x of no_type has no type. Write one, such as `x: float`."),
        (no_return, "no_return does not say what it returns"),
        (many, r"many takes \*x: .*: a web service has named inputs only"),
        (of_dates, "x: .*date.* is no type of a web service"),
        (unknown, "The annotations of unknown cannot be read"),
    ],
)
def test_functions_that_are_none(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(errors.ConfigError, match=message):
        functions.define(function)


def test_packed_with_its_own_modules_and_values() -> None:
    factor = 5

    def scaled(x: float) -> float:
        return factor * own_arithmetic.scaled(x)

    packed = functions.pack(scaled)
    assert b"own_arithmetic" in packed
    assert pickle.loads(packed)(2.0) == 30.0
    # The module went along: its code is in the bytes, and nothing is left registered.
    assert b"FACTOR" in packed
    import cloudpickle

    assert "own_arithmetic" not in cloudpickle.list_registry_pickle_by_value()


def test_what_cannot_be_packed() -> None:
    lock = __import__("threading").Lock()

    def locked(x: float) -> float:
        return x if lock else 0.0

    with pytest.raises(errors.ConfigError, match="locked cannot be packed: cannot pickle"):
        functions.pack(locked)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (np.array([[1, 2]]), [[1, 2]]),
        (np.float64(1.5), 1.5),
        (float("inf"), None),
        (pd.Series([1, None]), [1.0, None]),
        (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), {"a": [1, 2], "b": ["x", None]}),
        ((1, "a", None, True), [1, "a", None, True]),
        (dt.date(2017, 6, 1), "2017-06-01"),
        (pd.NaT, None),
    ],
)
def test_values_as_they_are_sent(value: Any, sent: Any) -> None:
    assert values.to_json(value) == sent


def test_values_that_are_not_sent() -> None:
    with pytest.raises(errors.PayloadError, match="x cannot be sent: set") as caught:
        values.to_json([{1}], "x")
    assert caught.value.column == "x"


def test_values_as_they_come_back() -> None:
    assert values.from_json([1, 2], "vector").tolist() == [1, 2]
    assert values.from_json({"a": [1]}, "data.frame").to_dict("list") == {"a": [1]}
    assert values.from_json(None, "matrix") is None
    assert values.from_json("a", "character") == "a"
