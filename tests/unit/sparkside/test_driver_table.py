"""Rows to Spark's JSON lines and back: order, types, vectors, and rows that Spark drops."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wmlclient.runner.engine.ports import TransformFailed
from wmlclient.runner.spark.table import ROW, from_lines, request_schema, simple_string, to_lines

VECTOR = {"type": "udt", "class": "org.apache.spark.ml.linalg.VectorUDT", "pyClass": None, "sqlType": {}}


def column(name: str, kind: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "nullable": False, "metadata": {}}


SCHEMA = {
    "type": "struct",
    "fields": [
        column("id", "integer"),
        column("text", "string"),
        column("x", "double"),
        column("v", VECTOR),
        column("tags", {"type": "array", "elementType": "string", "containsNull": True}),
    ],
}


def lines(fields: list[str], values: list[list[Any]]) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in to_lines(request_schema(SCHEMA, fields), fields, values).splitlines()
    ]


def test_columns_come_in_the_order_of_the_request_and_may_be_null() -> None:
    asked = request_schema(SCHEMA, ["text", "id"])
    assert [field["name"] for field in asked["fields"]] == [ROW, "text", "id"]
    assert asked["fields"][1]["nullable"] is True
    assert lines(["text", "id"], [["a", 1], [None, None]]) == [
        {ROW: 0, "text": "a", "id": 1},
        {ROW: 1, "text": None, "id": None},
    ]


def test_each_row_is_one_line_whatever_it_holds() -> None:
    text = "a\nb\r\u2028\u0085c"
    assert lines(["text"], [[text]]) == [{ROW: 0, "text": text}]


def test_a_whole_number_may_be_written_as_a_float() -> None:
    assert lines(["id"], [[3.0]]) == [{ROW: 0, "id": 3}]


def test_vectors_go_in_as_structs() -> None:
    values = [[[1.5, 2]], [[4, [0, 3], [1.0, 2.0]]], [None], [[]]]
    assert [line["v"] for line in lines(["v"], values)] == [
        {"type": 1, "values": [1.5, 2]},
        {"type": 0, "size": 4, "indices": [0, 3], "values": [1.0, 2.0]},
        None,
        {"type": 1, "values": []},
    ]


@pytest.mark.parametrize(
    ("fields", "row", "message"),
    [
        (["text"], [5], 'Row 0, column "text": 5 is no string'),
        (["tags"], [["a", 1]], 'Row 0, column "tags": 1 is no string'),
        (["v"], ["x"], "a vector is a list"),
        (["v"], [[3, [0, 1], [1.0]]], "as many indices as values"),
        (["id", "text"], [1], "Row 0 has 1 values for 2 columns"),
    ],
)
def test_a_value_that_does_not_fit_is_named(fields: list[str], row: list[Any], message: str) -> None:
    with pytest.raises(TransformFailed, match=message.replace("(", r"\(")):
        lines(fields, [row])


@pytest.mark.parametrize(
    ("fields", "message"), [(["nope"], "no column 'nope'"), (["id", "id"], "named twice")]
)
def test_unknown_and_double_columns(fields: list[str], message: str) -> None:
    with pytest.raises(TransformFailed, match=message):
        request_schema(SCHEMA, fields)


OUTPUT = {
    "type": "struct",
    "fields": [column(ROW, "long"), column("text", "string"), column("v", VECTOR), column("p", "double")],
}


def test_answers_come_back_by_row_number_and_a_dropped_row_keeps_its_place() -> None:
    records = [
        {
            ROW: 2,
            "text": "c",
            "v": {"type": 1, "size": None, "indices": None, "values": [1.0, "NaN"]},
            "p": "Infinity",
        },
        {ROW: 0, "text": "a", "v": {"type": 0, "size": 3, "indices": [1], "values": [2.0]}, "p": 0.5},
    ]
    result = from_lines(json.dumps(records), OUTPUT, ["text"], [["a"], ["b"], ["c"]])
    assert result.fields == ["text", "v", "p"]
    assert result.values == [["a", [3, [1], [2.0]], 0.5], ["b", None, None], ["c", [1.0, "NaN"], "Infinity"]]
    assert result.dtypes == {"text": "string", "v": "vector", "p": "double"}


def test_simple_strings_as_spark_prints_them() -> None:
    array = {"type": "array", "elementType": "integer", "containsNull": True}
    struct = {"type": "struct", "fields": [column("a", "long"), column("b", array)]}
    assert simple_string(struct) == "struct<a:bigint,b:array<int>>"
    assert simple_string({"type": "map", "keyType": "string", "valueType": "short"}) == "map<string,smallint>"
    assert simple_string("decimal(10,2)") == "decimal(10,2)"
