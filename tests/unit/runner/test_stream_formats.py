"""Records that are no plain JSON: what is read, what goes aside and why, and what is written."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
from confluent_kafka import KafkaException
from saved_models import TEXT_SCHEMA, text_pipeline
from schema_registry import SchemaRegistry, schema_registry

from wmlclient.runner.engine.ports import StreamSetupError
from wmlclient.runner.streams.model import Formats, Outcome, StreamModel
from wmlclient.runner.streams.readers import to_json
from wmlclient.runner.streams.registry import frame
from wmlclient.runner.streams.writers import from_json

SCHEMA = {"type": "struct", "fields": TEXT_SCHEMA["fields"][:2]}  # type: ignore[index]
AVRO = {
    "type": "record",
    "name": "Tweet",
    "fields": [
        {"name": "id", "type": ["null", "int"]},
        {"name": "text", "type": "string"},
        {"name": "at", "type": {"type": "int", "logicalType": "date"}},
        {"name": "raw", "type": "bytes"},
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text_pipeline(tmp_path_factory.mktemp("formats") / "model")


@pytest.fixture
def registry() -> Iterator[SchemaRegistry]:
    with schema_registry() as made:
        yield made


def opened(folder: Path, source: Any = None, target: Any = None) -> StreamModel:
    return StreamModel.open(folder, SCHEMA, Formats(source, target, "out"))


def reasons(outcome: Outcome) -> dict[int, tuple[str, str]]:
    return {place: tuple(verdict) for place, verdict in outcome.verdicts.items()}  # type: ignore[misc]


def avro(number: int, schema: Any, record: Any) -> bytes:
    sink = io.BytesIO()
    fastavro.schemaless_writer(sink, fastavro.parse_schema(schema), record)
    return frame(number) + sink.getvalue()


def tweet(number: int, text: str = "a b") -> dict[str, Any]:
    return {"id": number, "text": text, "at": 0, "raw": b"\xff"}


def plain(folder: Path, number: int | None, text: str = "a b") -> dict[str, Any]:
    """What the JSON formats make of a record."""
    record = {"text": text} | ({} if number is None else {"id": number})
    value = opened(folder).run([json.dumps(record).encode()]).scored[0]
    found: dict[str, Any] = json.loads(value)
    return found


def test_text_is_one_column(folder: Path) -> None:
    outcome = opened(folder, {"type": "text", "column": "text"}).run(
        [b"a b", None, b"\xff", b"", b'{"text":1}']
    )
    assert json.loads(outcome.scored[0]) == plain(folder, None)
    assert sorted(outcome.scored) == [0, 3, 4]
    assert reasons(outcome) == {1: ("decode", "null value"), 2: ("decode", "not valid UTF-8")}


def test_csv_lines(folder: Path) -> None:
    lines = [
        b"7,a b\n",
        b'8,"a, ""b"""\r\n',
        b",c",
        b"x,a",
        b"1",
        b'1,"a',
        b"1,a\n2,b",
        b"",
        b"9,",
        b'5,"a\nb"',
    ]
    outcome = opened(folder, {"type": "csv"}).run(lines)
    assert json.loads(outcome.scored[0]) == plain(folder, 7)
    assert json.loads(outcome.scored[1])["text"] == 'a, "b"'
    assert "id" not in json.loads(outcome.scored[2])
    assert json.loads(outcome.scored[9])["text"] == "a\nb"
    assert reasons(outcome) == {
        3: ("schema", "wrong type: id must be a whole number (integer)"),
        4: ("decode", "1 cells for 2 columns"),
        5: ("decode", "malformed CSV"),
        6: ("decode", "malformed CSV"),
        7: ("decode", "empty value"),
        8: ("schema", "null in field: text"),
    }


def test_csv_in_another_order_with_a_column_of_nobody(folder: Path) -> None:
    given = {"type": "csv", "columns": ["text", "who", "id"], "delimiter": ";"}
    outcome = opened(folder, given).run([b"a b;me;7"])
    assert json.loads(outcome.scored[0]) == plain(folder, 7) | {"who": "me"}


def test_what_is_written_is_had_as_json_too(folder: Path) -> None:
    target = {"type": "csv", "output": "scores"}
    model = StreamModel.open(folder, SCHEMA, Formats(None, target, "out", plain=True))
    values = [b'{"id":1,"text":"a b"}', b"no JSON", b'{"id":2,"text":"c"}']
    found = model.run(values)
    assert sorted(found.plain) == sorted(found.scored) == [0, 2]
    whole = plain(folder, 1)
    assert json.loads(found.plain[0]) == {name: whole[name] for name in model.made}
    assert found.scored == opened(folder, None, target).run(values).scored
    assert opened(folder).run(values).plain == {}


def test_csv_out_is_read_back(folder: Path) -> None:
    model = opened(folder, None, {"type": "csv", "delimiter": ";"})
    [line] = model.run([b'{"id":7,"text":"a;b"}']).scored.values()
    [cells] = csv.reader([line.decode()], delimiter=";")
    expected = plain(folder, 7, "a;b")
    assert cells[:2] == ["7", "a;b"]
    assert json.loads(cells[list(expected).index("probability")]) == expected["probability"]
    assert float(cells[list(expected).index("prediction")]) == expected["prediction"]


def test_only_the_scores(folder: Path) -> None:
    model = opened(folder, None, {"type": "json", "output": "scores"})
    [value] = model.run([b'{"id":7,"text":"a b","who":"me"}']).scored.values()
    expected = plain(folder, 7)
    assert json.loads(value) == {name: expected[name] for name in expected if name not in ("id", "text")}


def test_avro_in(folder: Path, registry: SchemaRegistry) -> None:
    number = registry.add("in-value", "AVRO", AVRO)
    other = registry.add("in-value", "JSON", {})
    good = avro(number, AVRO, tweet(7))
    model = opened(folder, {"type": "avro", "registry": {"url": registry.url}})
    bad = [good[:-1], good + b"x", b'{"text":"a"}', frame(99), frame(other) + b"{}", None]
    outcome = model.run([good, *bad, *[good] * 9])
    assert json.loads(outcome.scored[0]) == plain(folder, 7) | {"at": "1970-01-01", "raw": "/w=="}
    assert sorted(outcome.scored) == [0, *range(7, 16)]
    assert reasons(outcome) == {
        1: ("decode", f"not what schema {number} says"),
        2: ("decode", f"not what schema {number} says"),
        3: ("decode", "without the frame that names its schema"),
        4: ("decode", "schema 99 cannot be used: Schema not found"),
        5: ("decode", f"schema {other} cannot be used: it is of type JSON"),
        6: ("decode", "null value"),
    }
    assert registry.asked == 3


def test_a_registry_that_is_away_says_nothing_about_a_record(folder: Path, registry: SchemaRegistry) -> None:
    number = registry.add("in-value", "AVRO", AVRO)
    model = opened(folder, {"type": "avro", "registry": {"url": registry.url}})
    registry.away = True
    with pytest.raises(KafkaException, match="registry 127.0.0.1 is away"):
        model.run([avro(number, AVRO, tweet(7))])
    registry.away = False
    assert len(model.run([avro(number, AVRO, tweet(7))]).scored) == 1
    registry.login = "u:s3cret"
    later = opened(
        folder, {"type": "avro", "registry": {"url": registry.url, "user": "u", "password": "wrong"}}
    )
    with pytest.raises(StreamSetupError) as refused:
        later.run([avro(number, AVRO, tweet(7))])
    assert (refused.value.code, refused.value.retriable) == ("registry_refused", False)
    let_in = opened(
        folder, {"type": "avro", "registry": {"url": registry.url, "user": "u", "password": "s3cret"}}
    )
    assert len(let_in.run([avro(number, AVRO, tweet(7))]).scored) == 1


@pytest.mark.parametrize("output", ["full", "scores"])
def test_avro_out(folder: Path, registry: SchemaRegistry, output: str) -> None:
    model = opened(folder, None, {"type": "avro", "registry": {"url": registry.url}, "output": output})
    [value] = model.run([b'{"id":7,"text":"a b","who":"me"}']).scored.values()
    [number] = registry.subjects["out-value"]
    assert value[:5] == frame(number)
    schema = json.loads(registry.schemas[number - 1][1])
    found = fastavro.schemaless_reader(io.BytesIO(value[5:]), fastavro.parse_schema(schema), None)
    expected = plain(folder, 7)
    if output == "scores":
        expected = {name: expected[name] for name in expected if name not in ("id", "text")}
    assert found.keys() == expected.keys()
    assert found["prediction"] == expected["prediction"]
    assert found["probability"] == expected["probability"] | {"size": None, "indices": None}
    assert found["words"] == expected["words"]
    # Found again, not registered again.
    opened(folder, None, {"type": "avro", "registry": {"url": registry.url}, "output": output})
    assert registry.subjects["out-value"] == [number]


def test_json_with_a_schema_in_and_out(folder: Path, registry: SchemaRegistry) -> None:
    schema = {"type": "object", "required": ["text"], "properties": {"id": {"type": "integer", "minimum": 5}}}
    number = registry.add("in-value", "JSON", schema)
    where = {"registry": {"url": registry.url}}
    model = opened(
        folder, {"type": "json_schema", **where}, {"type": "json_schema", **where, "subject": "mine"}
    )
    payloads = [
        b'{"id":7,"text":"a b","who":"me"}',
        b'{"id":1,"text":"a"}',
        b'{"id":7}',
        b"{",
        b'{"id":7,"id":8,"text":"a"}',
    ]
    outcome = model.run([*(frame(number) + payload for payload in payloads), payloads[0]])
    [value] = outcome.scored.values()
    [written] = registry.subjects["mine"]
    assert value[:5] == frame(written)
    assert json.loads(value[5:]) == plain(folder, 7) | {"who": "me"}
    assert reasons(outcome) == {
        1: ("schema", f"not what schema {number} says: id fails minimum"),
        2: ("schema", f"not what schema {number} says: the record fails required"),
        3: ("decode", "malformed JSON"),
        4: ("decode", "a field is there twice"),
        5: ("decode", "without the frame that names its schema"),
    }


@pytest.mark.parametrize("kind", ["avro", "json_schema", "csv"])
def test_what_spark_has_written_as_json_is_made_the_same(
    folder: Path, registry: SchemaRegistry, kind: str
) -> None:
    given = {"type": kind} | ({} if kind == "csv" else {"registry": {"url": registry.url}})
    values = [b'{"id":1,"text":"a b"}', b'{"text":"h\xc3\xa9"}']
    model = opened(folder, target=given)
    types = {"id": "int", "text": "string", **model.made}
    make = from_json(given, "out", list(types), list(types.values()))
    assert make([*opened(folder).run(values).scored.values()]) == [*model.run(values).scored.values()]
    assert make([]) == []


def test_numbers_that_json_has_not_are_numbers_in_avro(registry: SchemaRegistry) -> None:
    given = {"type": "avro", "registry": {"url": registry.url}}
    make = from_json(given, "out", ["x", "v"], ["double", "vector"])
    [value] = make([b'{"x":"NaN","v":{"type":0,"size":3,"indices":[1],"values":["Infinity"]}}'])
    schema = fastavro.parse_schema(json.loads(registry.schemas[-1][1]))
    found: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
    assert math.isnan(found["x"])
    assert found["v"]["values"] == [math.inf]
    with pytest.raises(StreamSetupError, match="of the type timestamp") as caught:
        from_json(given, "out", ["at"], ["timestamp"])
    assert caught.value.code == "format_not_supported"


def test_avro_as_json(registry: SchemaRegistry) -> None:
    number = registry.add("in-value", "AVRO", AVRO)
    read = to_json({"type": "avro", "registry": {"url": registry.url}})
    found = read(avro(number, AVRO, tweet(1)))
    assert isinstance(found, bytes)
    assert json.loads(found) == {"id": 1, "text": "a b", "at": "1970-01-01", "raw": "/w=="}
    assert read(b"{}") == ("decode", "without the frame that names its schema")


@pytest.mark.parametrize(
    ("target", "code", "retriable"),
    [
        ({"type": "avro", "subject": "closed"}, "schema_refused", False),
        ({"type": "avro", "registry": {"url": "http://127.0.0.1:9"}}, "registry_unavailable", True),
    ],
)
def test_what_cannot_begin_says_why(
    folder: Path, registry: SchemaRegistry, target: dict[str, Any], code: str, retriable: bool
) -> None:
    with pytest.raises(StreamSetupError) as caught:
        opened(folder, None, {"registry": {"url": registry.url}, **target})
    assert (caught.value.code, caught.value.retriable) == (code, retriable)
