"""Records that are no plain JSON, in streams on Spark: what comes out, and why not, is what the native engine says."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import fastavro
import orjson
import pytest
from exactly_once import SCHEMA
from kafka_stand import Stream
from saved_models import text_pipeline
from schema_registry import SchemaRegistry, schema_registry
from waiting import eventually

from wmlclient.runner.streams.model import Formats, StreamModel
from wmlclient.runner.streams.registry import frame

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(420)]

TEXTS: list[bytes | None] = [
    b"a b", None, b"\xff", b"", b'{"text":1}', b'with "quotes" and \\', b"two\nlines", "h\u00e9 \U0001f600".encode(),
]  # fmt: skip
LINES: list[bytes | None] = [
    b"7,a b\n", b'8,"a, ""b"""\r\n', b",c", b"x,a", b"1", b'1,"a', b"1,a\n2,b", b"", None, b"\xff,a", b"9,", b'9,""',
    b'5,"a\nb"', b"+007,x", b"5000000000,x", b"1,a,b", b"1,a\"b", b'1,"a"b', b"1, a ", b'"3",q', b"1.5,x", b" 1,x",
]  # fmt: skip
TWEET: dict[str, Any] = {
    "type": "record",
    "name": "Tweet",
    "fields": [{"name": "id", "type": ["null", "int"]}, {"name": "text", "type": ["null", "string"]}],
}
STRICT = {"type": "object", "properties": {"id": {"maximum": 100}}, "required": ["id"]}
ROWS = [
    {"id": 1, "text": "a b"},
    {"id": 2, "text": 'h\u00e9 "q"'},
    {"id": None, "text": "c"},
    {"id": 3, "text": None},
    {"id": 4, "text": "a line\u2028of two\u0085 or three"},
]
OTHERS: list[bytes | None] = [b"a b;me;7", b';"";1', b"x;y"]


def rounded(value: Any) -> Any:
    """With twelve digits of each number."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return float(f"{value:.12g}") if isinstance(value, float) else value


@pytest.mark.parametrize(
    ("source", "target", "values"),
    [
        ({"type": "text", "column": "text"}, {"type": "json", "output": "scores"}, TEXTS),
        ({"type": "csv"}, None, LINES),
        ({"type": "csv", "columns": ["text", "who", "id"], "delimiter": ";"}, None, OTHERS),
    ],
)
def test_formats(
    make_stream: Callable[..., Stream],
    tmp_path: Path,
    source: dict[str, Any],
    target: dict[str, Any] | None,
    values: list[bytes | None],
) -> None:
    model = text_pipeline(tmp_path / "model")
    native = StreamModel.open(Path(model), SCHEMA, Formats(source, target, "t"))
    expected = native.run(values)
    stream = make_stream()
    stream.spec = attrs.evolve(
        stream.spec, model_dir=str(model), input_schema=SCHEMA, source_format=source, target_format=target
    )
    stream.start()
    stream.send([(b"%d" % number, value, [("trace", b"x")]) for number, value in enumerate(values)])
    good, dead = stream.scored(len(expected.scored)), stream.dead(len(expected.verdicts))
    assert {int(record.key): rounded(json.loads(record.value)) for record in good} == {
        number: rounded(json.loads(value)) for number, value in expected.scored.items()
    }
    found = {}
    for record in dead:
        headers = {key: value.decode() for key, value in record.headers}
        found[int(record.key)] = (headers["wml.error.stage"], headers["wml.error.reason"])
        assert (record.value, headers["trace"]) == (values[int(record.key)], "x")
    assert found == {number: tuple(verdict) for number, verdict in expected.verdicts.items()}


def avro(number: int, record: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    fastavro.schemaless_writer(sink, fastavro.parse_schema(TWEET), record)
    return frame(number) + sink.getvalue()


def readable(value: bytes, kind: str, registry: SchemaRegistry) -> Any:
    """A scored record in a form that is compared."""
    if kind == "csv":
        return [
            rounded(orjson.loads(cell)) if cell.startswith(("{", "[")) else cell
            for cell in next(csv.reader([value.decode()]))
        ]
    schema = json.loads(registry.schemas[int.from_bytes(value[1:5], "big") - 1][1])
    if kind == "json_schema":
        return rounded(json.loads(value[5:]))
    return rounded(fastavro.schemaless_reader(io.BytesIO(value[5:]), fastavro.parse_schema(schema), None))


@pytest.mark.parametrize("kinds", [("avro", "avro"), ("json_schema", "json_schema"), ("avro", "csv")])
def test_formats_that_pass_through_python(
    make_stream: Callable[..., Stream], tmp_path: Path, kinds: tuple[str, str]
) -> None:
    model = text_pipeline(tmp_path / "model")
    with schema_registry() as registry:
        tweet, strict = registry.add("tweet", "AVRO", TWEET), registry.add("strict", "JSON", STRICT)
        if kinds[0] == "avro":
            values = [avro(tweet, row) for row in ROWS]
            values += [None, b"{}", frame(99) + b"x", frame(tweet) + b"\x02", frame(strict) + b"{}"]
        else:
            values = [frame(strict) + json.dumps(row).encode() for row in ROWS]
            values += [
                None,
                b"{}",
                frame(99) + b"{}",
                frame(strict) + b"{",
                frame(strict) + b'{"id":101,"text":"a"}',
            ]
        source, target = ({"type": kind, "registry": {"url": registry.url}} for kind in kinds)
        native = StreamModel.open(Path(model), SCHEMA, Formats(source, target, "t"))
        expected = native.run(values)
        assert expected.scored
        assert len(expected.verdicts) >= 5
        stream = make_stream()
        stream.spec = attrs.evolve(
            stream.spec, model_dir=str(model), input_schema=SCHEMA, source_format=source, target_format=target
        )
        stream.start()
        registry.away = True
        stream.send([(b"%d" % number, value, [("trace", b"x")]) for number, value in enumerate(values)])
        eventually(lambda: any("registry" in (e.details.get("last_error") or "") for e in stream.events), 90)
        registry.away = False
        good, dead = stream.scored(len(expected.scored)), stream.dead(len(expected.verdicts))
        found = {int(record.key): readable(record.value, kinds[1], registry) for record in good}
        assert found == {n: readable(value, kinds[1], registry) for n, value in expected.scored.items()}
        assert {dict(record.headers)["trace"] for record in good} == {b"x"}
        reasons = {}
        for record in dead:
            headers = {key: value.decode() for key, value in record.headers}
            reasons[int(record.key)] = (headers["wml.error.stage"], headers["wml.error.reason"])
            assert record.value == values[int(record.key)]
        assert reasons == {number: tuple(verdict) for number, verdict in expected.verdicts.items()}
