"""Schemas from DDL, JSON, pandas and plain rows are what Spark itself would say."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import types as T

from wmlclient import schema
from wmlclient.errors import PayloadError

STRUCT = T.StructType(
    [
        T.StructField("id", T.IntegerType()),
        T.StructField("text", T.StringType()),
        T.StructField("v", T.ArrayType(T.DoubleType())),
        T.StructField("big number", T.LongType()),
        T.StructField("price", T.DecimalType(10, 2)),
        T.StructField("at", T.TimestampType()),
    ]
)


@pytest.mark.parametrize(
    "given",
    [
        STRUCT,
        STRUCT.jsonValue(),
        STRUCT.json(),
        "id int, text STRING, v array<double>, `big number` bigint, price decimal(10, 2), at timestamp",
        "id: integer, text: string, v: ARRAY<DOUBLE>, `big number`: long, price: decimal(10,2), at: timestamp",
    ],
)
def test_every_form_gives_sparks_json(given: Any) -> None:
    assert schema.to_schema(given) == STRUCT.jsonValue()


@pytest.mark.parametrize(
    "given",
    [
        "",
        "id",
        "id int,",
        "id wrong",
        "{",
        '{"type":"array"}',
        7,
        [],
        {"type": "struct"},
        {"type": "struct", "fields": [{}]},
    ],
)
def test_what_is_no_schema_is_refused(given: Any) -> None:
    with pytest.raises(PayloadError):
        schema.to_schema(given)


def test_of_pandas() -> None:
    frame = pd.DataFrame(
        {
            "i": [1, 2],
            "i4": pd.Series([1, 2], dtype="int32"),
            "f": [1.0, None],
            "t": ["a", None],
            "b": [True, False],
            "n": pd.array([1, None], dtype="Int64"),
            "d": pd.to_datetime(["2026-01-01", None]),
            "z": pd.to_datetime(["2026-01-01", None], utc=True),
            "day": [dt.date(2026, 1, 1), None],
            "v": [[1.0, 2], None],
            "c": pd.Categorical(["x", "y"]),
            "none": [None, None],
        }
    )

    found = {f["name"]: f["type"] for f in schema.of_pandas(frame)["fields"]}

    array = {"type": "array", "elementType": "double", "containsNull": True}
    assert found == {
        "i": "long",
        "i4": "integer",
        "f": "double",
        "t": "string",
        "b": "boolean",
        "n": "long",
        "d": "timestamp",
        "z": "timestamp",
        "day": "date",
        "v": array,
        "c": "string",
        "none": "string",
    }
    T.StructType.fromJson(schema.of_pandas(frame))  # Spark reads it


def test_of_rows_takes_the_widest_type_and_refuses_a_mix() -> None:
    found = schema.of_rows([{"a": 1, "b": None}, {"a": 2.5, "b": "x"}])
    assert [f["type"] for f in found["fields"]] == ["double", "string"]

    for rows in ([{"a": 1}, {"a": "x"}], [{"a": [1]}, {"a": 1}], [{"a": object()}]):
        with pytest.raises(PayloadError, match="Column 'a'"):
            schema.of_rows(rows)


def test_the_target_is_marked_and_nothing_else_changed() -> None:
    given = STRUCT.jsonValue()
    given["fields"][0]["metadata"] = {"modeling_role": "target", "unit": "m"}
    kept = json.dumps(given)

    marked = schema.mark_target(given, "text")

    roles = {f["name"]: f["metadata"] for f in marked["fields"]}
    assert roles["text"] == {"modeling_role": "target"}
    assert roles["id"] == {"unit": "m"}
    assert json.dumps(given) == kept
