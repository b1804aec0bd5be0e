"""Whatever holds rows becomes one table, and what does not fit is named by column and row."""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import enum
import json
import uuid
from collections import namedtuple
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.ml.linalg import DenseVector, SparseVector
from pyspark.sql import Row

from wmlclient.errors import PayloadError
from wmlclient.payload import Table, to_table

NAN, INF = float("nan"), float("inf")
Tweet = namedtuple("Tweet", ["id", "text"])
EXPECTED = Table(["id", "text"], [[1, "a"], [2, "b"]])


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        ([{"id": 1, "text": "a"}, {"text": "b", "id": 2}], None),
        ([(1, "a"), [2, "b"]], ["id", "text"]),
        ({"fields": ["id", "text"], "values": [[1, "a"], [2, "b"]]}, None),
        ({"values": ((1, "a"), (2, "b")), "fields": ("id", "text")}, None),
        ([Tweet(1, "a"), Tweet(2, "b")], None),
        ([Row(id=1, text="a"), Row(id=2, text="b")], None),
        (pd.DataFrame({"id": [1, 2], "text": ["a", "b"]}), None),
        (pd.DataFrame({"text": ["a", "b"], "extra": [0, 0], "id": [1, 2]}, index=[9, 9]), ["id", "text"]),
        (np.array([(1, "a"), (2, "b")], dtype=[("id", "i4"), ("text", "U3")]), None),
        (np.array([[1, "a"], [2, "b"]], dtype=object), ["id", "text"]),
        (({"id": i, "text": t} for i, t in ((1, "a"), (2, "b"))), None),
        ([{"id": 1, "text": "a", "extra": 0}, {"id": 2, "text": "b"}], ["id", "text"]),
    ],
)
def test_every_form_of_rows(data: Any, fields: Any) -> None:
    assert to_table(data, fields) == EXPECTED


@pytest.mark.parametrize(
    "row", [{"id": 1, "text": "a"}, Tweet(1, "a"), Row(id=1, text="a"), pd.Series({"id": 1, "text": "a"})]
)
def test_one_row(row: Any) -> None:
    assert to_table(row) == Table(["id", "text"], [[1, "a"]])


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (2**70, 2**70),
        ("ü", "ü"),
        (1.5, 1.5),
        (NAN, "NaN"),
        (INF, "Infinity"),
        (-INF, "-Infinity"),
        ([1.0, NAN, [None]], [1.0, "NaN", [None]]),
        ((1, 2), [1, 2]),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.float64(NAN), "NaN"),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array([1.0, INF]), [1.0, "Infinity"]),
        (np.datetime64("2026-01-02T03:04:05.000000006"), "2026-01-02T03:04:05"),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (np.datetime64("NaT"), None),
        (pd.NA, None),
        (pd.NaT, None),
        (pd.Timestamp("2026-01-02T03:04:05Z"), "2026-01-02T03:04:05+00:00"),
        (dt.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (decimal.Decimal("1.5"), 1.5),
        (decimal.Decimal("NaN"), "NaN"),
        (b"\x00\x01", "AAE="),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (DenseVector([1.0, NAN]), [1.0, "NaN"]),
        (SparseVector(4, {1: 2.0, 3: INF}), [4, [1, 3], [2.0, "Infinity"]]),
        (Row(a=1, b=[2.0]), {"a": 1, "b": [2.0]}),
        ({"k": np.int8(1)}, {"k": 1}),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
    ],
)
def test_values(value: Any, expected: Any) -> None:
    table = to_table([{"c": value}])

    assert table.values == [[expected]]
    assert type(table.values[0][0]) is type(expected)
    assert json.loads(table.encode()) == {"fields": ["c"], "values": [[expected]]}


def test_missing_values_of_pandas() -> None:
    frame = pd.DataFrame(
        {
            "float": [1.0, NAN, INF],
            "text": ["a", None, NAN],
            "time": pd.to_datetime(["2026-01-02", None, "2026-01-03"]),
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "flag": pd.array([True, None, False], dtype="boolean"),
            "kind": pd.Categorical(["x", None, "y"]),
            "list": [[1.0, NAN], None, []],
        }
    )
    before = frame.copy(deep=True)

    assert to_table(frame).values == [
        [1.0, "a", "2026-01-02T00:00:00", 1, True, "x", [1.0, "NaN"]],
        ["NaN", None, None, None, None, None, None],
        ["Infinity", None, "2026-01-03T00:00:00", 3, False, "y", []],
    ]
    pd.testing.assert_frame_equal(frame, before)


def test_what_was_given_is_not_changed() -> None:
    rows = [{"id": 1, "v": [NAN, 1.0], "n": {"k": (1, 2)}}]
    kept = copy.deepcopy(rows)

    to_table(rows).values[0][1].append("mine")

    assert repr(rows) == repr(kept)


@pytest.mark.parametrize(
    ("data", "fields", "said", "column", "row"),
    [
        ([], None, "no rows", None, None),
        ({}, None, "no columns", None, None),
        (pd.DataFrame({"a": []}), None, "no rows", None, None),
        (np.empty((0, 2)), ["a", "b"], "no rows", None, None),
        ([[1]], None, "fields=", None, None),
        (np.zeros((1, 1)), None, "fields=", None, None),
        (np.zeros(2), ["a", "b"], "reshape", None, None),
        ([{"a": 1}, {"b": 1}], None, "Row 1 lacks column 'a'", "a", 1),
        ([{"a": 1}, {"a": 1, "b": 2}], None, "Row 1 has column 'b'", "b", 1),
        ([{"a": 1}, [1]], None, "Row 1 is a list", None, 1),
        ([[1], {"a": 1}], ["a"], "Row 1 is a dict", None, 1),
        ([[1, 2], [1]], ["a", "b"], "Row 1 has 1 values for 2 columns", None, 1),
        (["text"], ["a"], "Row 0 is a str", None, 0),
        ([[1, 2]], ["a", "a"], "'a' is there twice", "a", None),
        ([{1: 2}], None, "Column name 1 is a int", None, None),
        (pd.DataFrame([[1, 2]]), None, "Column name 0", None, None),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), None, "'a' is there twice", "a", None),
        (pd.DataFrame({"a": [1]}), ["b"], "no column 'b'. There are: a", "b", None),
        ([{"a": 1, "b": object()}], None, "Row 0, column 'b': a builtins.object", "b", 0),
        ([{"a": 1}, {"a": 1j}], None, "Row 1, column 'a'", "a", 1),
        ([{"a": np.complex64(1)}], None, "complex64", "a", 0),
        ([{"a": np.timedelta64(1, "s")}], None, "timedelta64", "a", 0),
        (pd.DataFrame({"a": pd.to_timedelta([1])}), None, "Row 0, column 'a'", "a", 0),
        ("a text", None, "str holds no rows", None, None),
        (7, None, "int holds no rows", None, None),
        (None, None, "NoneType holds no rows", None, None),
    ],
)
def test_what_does_not_fit_is_named(data: Any, fields: Any, said: str, column: Any, row: Any) -> None:
    with pytest.raises(PayloadError, match=said.replace("(", r"\(")) as caught:
        to_table(data, fields)

    assert (caught.value.column, caught.value.row) == (column, row)


def test_without_orjson_the_bytes_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    table = to_table([{"a": 1.25, "b": "ü\ud800"[:1], "c": None, "d": [NAN]}])
    fast = table.encode()
    monkeypatch.setitem(__import__("sys").modules, "orjson", None)

    assert json.loads(table.encode()) == json.loads(fast)


def test_half_a_surrogate_pair_is_sent_as_it_is() -> None:
    assert json.loads(to_table({"a": "\ud800"}).encode())["values"] == [["\ud800"]]
