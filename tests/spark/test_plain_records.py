"""Which records a stream takes as they are, by one comparison, and which it looks into: told by real Spark."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wmlclient.runner.spark.records import RecordReader

pytestmark = pytest.mark.spark

KINDS = {"id": "integer", "text": "string", "x": "double", "sure": "boolean"}
ALL: dict[str, Any] = {"id": 1, "text": "a, b", "x": 1.5, "sure": True}
STYLES: list[dict[str, Any]] = [{}, {"separators": (",", ":")}]
#: Columns that must be there, and those that may be missing or null.
NEEDS: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("text",), ("id", "x", "sure")),
    (("id", "sure"), ("text", "x")),
    (("sure",), ("id", "text", "x")),
    ((), ("id", "text", "x", "sure")),
]
NEVER = [
    '{"id": 1, "text": "a",  "x": 1.5, "sure": true}',
    '{"id": 1,"text": "a", "x": 1.5, "sure": true}',
    ' {"id": 1, "text": "a", "x": 1.5, "sure": true}',
    '{"text": "a", "id": 1, "x": 1.5, "sure": true}',
    '{"id": 1, "text": "a", "x": 1.50, "sure": true}',
    '{"id": 1, "text": "a", "x": 1.5, "sure": true, "more": 1}',
    '{"id": 1, "id": 1, "text": "a", "x": 1.5, "sure": true}',
    '{"id": "1", "text": "a", "x": 1.5, "sure": true}',
    '{"id": 1, "text": "a\\tb", "x": 1.5, "sure": true}',
    '{"id": 1, "text": "a\\\\", "x": 1.5, "sure": true}',
    '{"id": 1, "text": null, "x": 1.5, "sure": null}',
    '{"id":1,"text":"a","x":1.5,"sure":true}}',
    '{"id":1,"text":": a","x":1.5,"sure":true',
    "{}",
    "",
    None,
]


def reader(needed: tuple[str, ...]) -> RecordReader:
    fields = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in KINDS.items()]
    return RecordReader({"type": "struct", "fields": fields}, needed, needed)


def plain(spark: Any, needed: tuple[str, ...], texts: list[str | None]) -> list[bool]:
    from pyspark.sql import functions as F
    from pyspark.sql.types import StructType

    read = reader(needed)
    schema = StructType.fromJson(json.loads(read.schema_json()))
    frame = spark.createDataFrame(list(enumerate(texts)), "at int, s string").coalesce(1)
    frame = frame.select("at", "s", F.from_json("s", schema, read.parse_options()).alias("r"))
    rows = frame.selectExpr("at", f"{read.odd(())} IS NULL AS plain").collect()
    return [row.plain for row in sorted(rows)]


@pytest.mark.parametrize(("needed", "others"), NEEDS)
def test_what_is_written_as_usual_is_plain(
    spark: Any, needed: tuple[str, ...], others: tuple[str, ...]
) -> None:
    records = [ALL, *({name: ALL[name] for name in ALL if name != other} for other in others)]
    records += [{name: ALL[name] for name in needed or ("x",)}]
    texts = [json.dumps(record, **style) for record in records for style in STYLES]

    found = plain(spark, needed, [*texts, *NEVER])

    assert dict(zip(texts, found, strict=False)) == dict.fromkeys(texts, True)
    rest = dict(zip(NEVER, found[len(texts) :], strict=True))
    assert rest == dict.fromkeys(NEVER, False)


def test_without_a_needed_column_a_record_is_looked_into(spark: Any) -> None:
    lacking = json.dumps({name: value for name, value in ALL.items() if name != "text"})
    assert plain(spark, ("text",), [lacking, json.dumps(ALL)]) == [False, True]
