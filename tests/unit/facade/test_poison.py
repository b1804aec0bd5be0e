"""Poison records are what they say they are, for schemas of several shapes."""

from __future__ import annotations

import pytest

from wmlclient.runner.streams.decoder import Decoder
from wmlclient.testing import poison_records

SCHEMAS = {
    "text": [("id", "integer"), ("text", "string")],
    "numbers": [("a", "double"), ("b", "long"), ("c", "float"), ("d", "short")],
    "flags": [("on", "boolean"), ("at", "timestamp")],
    "arrays": [("many", {"type": "array", "elementType": "string", "containsNull": True}), ("x", "byte")],
}


def schema(name: str) -> dict[str, object]:
    fields = [{"name": n, "type": t, "nullable": True, "metadata": {}} for n, t in SCHEMAS[name]]
    return {"type": "struct", "fields": fields}


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_has_to_go_aside_is_no_row(name: str) -> None:
    needed = [column for column, _ in SCHEMAS[name]][:1]
    records = poison_records(schema(name), needed=needed)
    rows = Decoder(schema(name), needed, needed).read([record.value for record in records])
    passed = {records[place].kind: records[place].fate for place in rows.places}
    assert "aside" not in passed.values(), passed
    assert {"null key", "long ago", "ahead"} <= set(passed)
    assert len({record.kind for record in records}) == len(records) >= 15


def test_as_many_as_wanted_and_few_of_the_large_ones() -> None:
    records = poison_records(schema("text"), 2_000, seed=3)
    assert len(records) == 2_000
    assert sum(len(record.value or b"") > 100_000 for record in records) <= 20
    assert len({record.key for record in records if record.key}) == sum(r.key is not None for r in records)
    again = poison_records(schema("text"), 2_000, seed=3)
    assert [(r.kind, r.value) for r in again] == [(r.kind, r.value) for r in records]


def test_a_structtype_is_taken_as_well() -> None:
    class StructType:
        def jsonValue(self) -> dict[str, object]:
            return schema("text")

    assert {r.kind for r in poison_records(StructType())} == {r.kind for r in poison_records(schema("text"))}
