"""Streams between topics of several formats, on a real broker and with a registry that goes away for a while."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest
from exactly_once import headers_of, lost_and_double, places, read, send
from schema_registry import schema_registry
from stream_stand import StreamStand
from waiting import eventually

from wmlclient.runner.streams.registry import frame

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

TWEET: dict[str, Any] = {
    "type": "record",
    "name": "Tweet",
    "fields": [{"name": "id", "type": "int"}, {"name": "text", "type": "string"}],
}


def avro(number: int, record: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    fastavro.schemaless_writer(sink, fastavro.parse_schema(TWEET), record)
    return frame(number) + sink.getvalue()


def test_avro_in_and_out_and_nothing_is_lost_while_the_registry_is_away(stand: StreamStand) -> None:
    with schema_registry() as registry:
        number = registry.add("in-value", "AVRO", TWEET)
        given = {"type": "avro", "registry": {"url": registry.url}}
        spec = stand.spec(source_format=given, target_format=given)
        heard = stand.start(spec)
        registry.away = True
        values = [avro(number, {"id": each, "text": f"tweet {each}"}) for each in range(100)]
        send(spec.source, [(b"k%d" % each, value, []) for each, value in enumerate(values)])
        send(spec.source, [(b"bad", b'{"id":1,"text":"plain JSON"}', [])])
        eventually(lambda: "registry" in (heard.progress().get("last_error") or ""), what=stand.logs)
        assert heard.progress()["records_in"] == 0
        registry.away = False
        good, dead = read(spec.target, 100), read(spec.dead_letter, 1)
        [written] = registry.subjects[f"{spec.target.topic}-value"]
        schema = fastavro.parse_schema(json.loads(registry.schemas[written - 1][1]))
        for each, record in enumerate(good):
            value = record.value()
            assert (record.key(), value[:5]) == (b"k%d" % each, frame(written))
            found: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
            assert (found["id"], found["text"]) == (each, f"tweet {each}")
            assert found["prediction"] in (0.0, 1.0)
        [letter] = dead
        assert letter.value() == b'{"id":1,"text":"plain JSON"}'
        assert headers_of(letter)["wml.error.reason"] == "without the frame that names its schema"
        assert lost_and_double(places(spec), good + dead) == (0, 0)


def test_text_in_and_only_the_scores_out(stand: StreamStand) -> None:
    spec = stand.spec(
        source_format={"type": "text", "column": "text"}, target_format={"type": "json", "output": "scores"}
    )
    stand.start(spec)
    send(spec.source, [(b"k", b"what a day", [("trace", b"x")])])
    [record] = read(spec.target, 1)
    found = json.loads(record.value())
    assert "text" not in found
    assert found["words"] == ["what", "a", "day"]
    assert (record.key(), headers_of(record)["trace"]) == (b"k", "x")
