"""Streams on real Spark and a real broker: nothing lost, nothing silent, nothing stopped by a bad record."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from kafka_stand import Stream
from spark_stand import Fitted
from waiting import eventually

from wmlclient.runner import verdicts
from wmlclient.runner.broker import Broker
from wmlclient.runner.processes import alive
from wmlclient.runner.spark.pool import DriverPool
from wmlclient.runner.spark.runner import DriverRunner

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(420)]

MakeStream = Callable[..., Stream]
Record = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]


def tweet(number: int, **more: Any) -> Record:
    value = json.dumps({"id": number, "text": f"tweet number {number}", **more})
    return f"key-{number}".encode(), value.encode(), [("trace", f"t{number}".encode())]


def headers_of(record: Any) -> dict[str, str]:
    return {key: value.decode() for key, value in record.headers}


def test_two_hundred_records_end_to_end(
    make_stream: MakeStream, pipelines: dict[str, Fitted], runner: DriverRunner
) -> None:
    stream = make_stream()
    # Sent after the creation, before the start: must not be missed.
    stream.send([tweet(number) for number in range(50)])
    stream.start()
    stream.send([tweet(number) for number in range(50, 200)])
    records = stream.scored(200)
    assert len(records) == 200
    by_id = {json.loads(record.value)["id"]: record for record in records}
    assert sorted(by_id) == list(range(200))
    model = pipelines["text"]
    values = [[number, f"tweet number {number}"] for number in range(200)]
    answers = runner.transform(model.path, model.schema, ["id", "text"], values).result(150)
    for number, row in enumerate(answers.values):
        record = by_id[number]
        assert record.key == f"key-{number}".encode()
        assert record.headers == [("trace", f"t{number}".encode())]
        found = json.loads(record.value)
        assert list(found) == answers.fields
        expected = dict(zip(answers.fields, row, strict=True))
        assert found["probability"] == {"type": 1, "values": expected["probability"]}
        size, indices, weights = expected["hash"]
        assert found["hash"] == {"type": 0, "size": size, "indices": indices, "values": weights}
        assert found["prediction"] == expected["prediction"]
        assert found["words"] == ["tweet", "number", str(number)]
    # Compact, as Spark prints it.
    assert (
        b'{"id":0,"text":"tweet number 0","words":["tweet","number","0"],"hash":{"type":0,' in by_id[0].value
    )
    eventually(lambda: any(e.kind == "progress" and e.details["records_out"] == 200 for e in stream.events))
    stream.stop()
    assert stream.kinds()[-1] == "stopped"
    stream.stop()


def test_unknown_fields_keep_their_json_types_and_their_place(make_stream: MakeStream) -> None:
    unknown = {
        "s": "5", "i": 7, "big": 123456789012345678901234567890, "f": 0.1, "e": 1e-7, "t": True, "n": None,
        "o": {"k": [1, "2", None, {"x": False}]}, "a.b": "é😀\n\"'\\", "": "empty name", "q`'\"": [],
    }  # fmt: skip
    stream = make_stream()
    stream.start()
    stream.send([tweet(1, **unknown), tweet(2), tweet(3, prediction="mine", words="mine")])
    first, second, third = (json.loads(record.value) for record in stream.scored(3))
    assert list(first) == [
        "id",
        "text",
        *unknown,
        "words",
        "hash",
        "features",
        "rawPrediction",
        "probability",
        "prediction",
    ]
    assert {name: first[name] for name in unknown} == unknown
    assert [type(first[name]) for name in unknown] == [type(value) for value in unknown.values()]
    assert list(second) == [
        "id",
        "text",
        "words",
        "hash",
        "features",
        "rawPrediction",
        "probability",
        "prediction",
    ]
    # What the model makes wins over what came in by that name.
    assert isinstance(third["prediction"], float)
    assert third["words"] == ["tweet", "number", "3"]


BAD: list[tuple[bytes | None, str]] = [
    (b'{"id":1,"text":"a"', "malformed JSON"),
    (b"", "empty value"),
    (b" \n", "empty value"),
    (None, "null value"),
    (b"[1]", "not a JSON object"),
    (b'"text"', "not a JSON object"),
    (b"null", "not a JSON object"),
    (b'{"id":1}', "missing field: text"),
    (b"{}", "missing field: text"),
    (b'{"other":1}', "missing field: text"),
    (b'{"id":1,"text":5}', "wrong type: text must be a string"),
    (b'{"id":1,"text":{"a":1}}', "wrong type: text must be a string"),
    (b'{"id":"1","text":"a"}', "wrong type: id must be a whole number (integer)"),
    (b'{"id":1.5,"text":"a"}', "wrong type: id must be a whole number (integer)"),
    (b'{"id":5000000000,"text":"a"}', "wrong type: id must be a whole number (integer)"),
    (b'{"id":9223372036854775808,"text":"a"}', "wrong type: id must be a whole number (integer)"),
    (b'{"id":1,"text":null}', "null in field: text"),
    (b'{"id":1,"text":"\xff\xfe"}', "not valid UTF-8"),
    (b'{"id":1,"text":"a"} {"id":2,"text":"b"}', "malformed JSON"),
    (b'{"id":1,"text":"a"},{"id":2,"text":"b"}', "more than one JSON value"),
    (b'{"id":1,"text":"a"}}', "malformed JSON"),
    (b'{"id":1,"id":2,"text":"a"}', "a field is there twice"),
    (b'{"id":1,"text":"a","u":1,"u":2}', "a field is there twice"),
    (b"\x00\x00\x00\x00\x01" + b'{"id":1,"text":"a"}', "malformed JSON"),
    (b"{'id':1,'text':'a'}", "malformed JSON"),
    (b'{"id":1,"text":"\\ud83d"}', "malformed JSON"),
    (b'{"id":1,"text":"a","d":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "malformed JSON"),
]


def test_bad_records_go_aside_whole_and_good_ones_go_on(make_stream: MakeStream) -> None:
    stream = make_stream()
    stream.start()
    records: list[Record] = []
    for number, (value, _) in enumerate(BAD):
        records += [
            tweet(number),
            (f"bad-{number}".encode(), value, [("trace", b"x"), ("wml.error.stage", b"old")]),
        ]
    records.append((None, b' \n {"id": 99 , "text" : "  spaces "} ', []))
    records.append((b"no id", b'{"text":"enough"}', []))
    records.append((b"null id", b'{"id":null,"text":"enough"}', []))
    stream.send(records)
    scored, dead = stream.scored(len(BAD) + 3), stream.dead(len(BAD))
    assert len(scored) == len(BAD) + 3
    assert {record.key for record in scored} >= {None, b"no id", b"null id", b"key-0"}
    by_key = {record.key: record for record in dead}
    assert len(dead) == len(by_key) == len(BAD)
    for number, (value, reason) in enumerate(BAD):
        record = by_key[f"bad-{number}".encode()]
        assert record.value == value
        headers = headers_of(record)
        assert [key for key, _ in record.headers].count("wml.error.stage") == 1
        assert headers["wml.error.stage"] == ("decode" if reason in verdicts.DECODE else "schema")
        assert abs(int(headers["wml.source.timestamp"]) - record.timestamp) < 600_000
        assert headers["wml.error.reason"] == reason, value
        assert headers["trace"] == "x"
        assert headers["wml.source.topic"] == stream.spec.source.topic
        assert headers["wml.source.partition"] == "0"
        assert headers["wml.source.offset"] == str(2 * number + 1)
        assert headers["wml.model.digest"] == "sha256:feed"
    assert "failed" not in stream.kinds()
    stream.send([tweet(500)])
    assert json.loads(stream.scored(len(BAD) + 4)[-1].value)["id"] == 500


def test_records_that_cannot_be_scored_go_aside_with_sparks_reason(make_stream: MakeStream) -> None:
    stream = make_stream("strict")
    stream.start()

    def row(number: int, x: Any, kind: Any) -> Record:
        return f"{number}".encode(), json.dumps({"id": number, "x": x, "kind": kind}).encode(), []

    rows = [row(i, float(i), "abc"[i % 3]) for i in range(60)]
    rows[10] = row(10, 1.0, "unseen")
    rows[20] = row(20, "NaN", "a")
    rows[30] = row(30, None, "a")
    rows[40] = row(40, True, "a")
    stream.send(rows)
    assert sorted(int(record.key) for record in stream.scored(56)) == [
        i for i in range(60) if i not in (10, 20, 30, 40)
    ]
    dead = {int(record.key): headers_of(record) for record in stream.dead(4)}
    assert sorted(dead) == [10, 20, 30, 40]
    assert dead[10]["wml.error.stage"] == dead[20]["wml.error.stage"] == "score"
    assert "Unseen label: unseen" in dead[10]["wml.error.reason"]
    assert "NaN" in dead[20]["wml.error.reason"]
    assert dead[30]["wml.error.reason"] == "null in field: x"
    assert dead[40]["wml.error.reason"] == "wrong type: x must be a number (double)"


def test_a_record_that_makes_the_job_fail_is_found_among_many(make_stream: MakeStream) -> None:
    """A vector of the wrong size fails in the middle of a stage that knows no handleInvalid."""
    stream = make_stream("fragile")
    stream.start()

    def row(number: int, size: int = 3) -> Record:
        vector = {"type": 1, "values": [1.0] * size}
        return (
            str(number).encode(),
            json.dumps({"id": number, "text": "a b", "features": vector}).encode(),
            [],
        )

    bad = {3, 17, 18, 39}
    stream.send([row(number, 2 if number in bad else 3) for number in range(40)])
    assert sorted(int(record.key) for record in stream.scored(36)) == [i for i in range(40) if i not in bad]
    dead = stream.dead(4)
    assert {int(record.key) for record in dead} == bad
    assert {headers_of(record)["wml.error.stage"] for record in dead} == {"score"}
    assert all(headers_of(record)["wml.error.reason"] for record in dead)
    assert "failed" not in stream.kinds()
    eventually(lambda: stream.events[-1].details.get("dead_letters") == 4)
    told = stream.events[-1].details
    assert (told["records_in"], told["records_out"]) == (40, 36)
    assert 0 < told["latency_ms"]["p50"] <= told["latency_ms"]["p99"]


def test_a_scored_record_too_large_for_its_topic_goes_aside(make_stream: MakeStream) -> None:
    stream = make_stream()
    stream.start()
    # In it fits; with its words listed again it does not fit out.
    stream.send([tweet(1), (b"large", json.dumps({"id": 2, "text": "ab " * 200_000}).encode(), []), tweet(3)])
    assert sorted(record.key for record in stream.scored(2)) == [b"key-1", b"key-3"]
    [dead] = stream.dead(1)
    assert dead.key == b"large"
    assert headers_of(dead)["wml.error.stage"] == "oversize"
    assert "larger than" in headers_of(dead)["wml.error.reason"]


def test_stopped_records_wait_and_come_out_after_the_start(make_stream: MakeStream) -> None:
    stream = make_stream()
    stream.start()
    stream.send([tweet(number) for number in range(20)])
    stream.scored(20)
    stream.stop()
    stream.send([tweet(number) for number in range(20, 40)])
    time.sleep(2)
    assert len(stream.scored(20)) == 20
    stream.start()
    ids = [json.loads(record.value)["id"] for record in stream.scored(40)]
    assert sorted(set(ids)) == list(range(40))


def test_a_killed_driver_loses_nothing(
    make_stream: MakeStream, pipelines: dict[str, Fitted], tmp_path: Path, broker: Broker
) -> None:
    pool = DriverPool(tmp_path, default_master="local[1]")
    try:
        stream = make_stream()
        stream.start(pool.get(None))
        stream.send([tweet(number) for number in range(50)])
        stream.scored(1)
        victim, jvm = stream.runner.pid, stream.runner.jvm_pid
        assert victim
        assert jvm
        os.kill(victim, signal.SIGKILL)
        stream.send([tweet(number) for number in range(50, 100)])
        failure = stream.failure()
        assert failure.details["code"] == "spark_driver_died"
        assert failure.details["retriable"] is True
        stream.start()
        assert not alive(jvm)
        deadline = time.monotonic() + 150
        ids: set[int] = set()
        while ids != set(range(100)):
            assert time.monotonic() < deadline, sorted(set(range(100)) - ids)
            ids = {json.loads(record.value)["id"] for record in stream.scored(100)}
    finally:
        pool.close()


def test_two_streams_and_requests_side_by_side(
    make_stream: MakeStream, pipelines: dict[str, Fitted], runner: DriverRunner
) -> None:
    one, two = make_stream("text"), make_stream("skipping")
    one.start()
    two.start()
    one.send([tweet(number) for number in range(30)])
    two.send(
        [
            (b"k", json.dumps({"id": n, "x": 1.0, "kind": "zz" if n == 5 else "a"}).encode(), [])
            for n in range(10)
        ]
    )
    model = pipelines["text"]
    answer = runner.transform(model.path, model.schema, ["text"], [["meanwhile"]]).result(150)
    assert answer.values[0][1] == ["meanwhile"]
    assert len(one.scored(30)) == 30
    assert len(two.scored(9)) == 9
    [dropped] = two.dead(1)
    assert "dropped by the model (StringIndexer_" in headers_of(dropped)["wml.error.reason"]
    one.stop()
    two.send([(b"k", b'{"id":11,"x":1.0,"kind":"b"}', [])])
    assert len(two.scored(10)) == 10
    # In one pass and batch by batch: each tells how old its records were when they were done.
    for stream in (one, two):
        told = [event.details["latency_ms"] for event in stream.events if event.kind == "progress"][-1]
        assert 0 < told["p50"] <= told["p99"]


def test_what_cannot_run_fails_with_its_reason(make_stream: MakeStream) -> None:
    narrow = make_stream("narrow")
    narrow.runner.start_stream(narrow.spec, narrow.on_event)
    failure = narrow.failure()
    assert failure.details["code"] == "model_drops_columns"
    assert "SQLTransformer" in failure.details["message"]

    mismatch = make_stream("strict")
    schema = {"type": "struct", "fields": mismatch.spec.input_schema["fields"][:1]}
    mismatch.spec = attrs.evolve(mismatch.spec, input_schema=schema)
    mismatch.runner.start_stream(mismatch.spec, mismatch.on_event)
    assert mismatch.failure().details["code"] == "model_schema_mismatch"


def test_offsets_that_are_gone_are_told(make_stream: MakeStream) -> None:
    from kafka import KafkaAdminClient

    from wmlclient.runner.topics import KafkaTopicAdmin, client_options

    stream = make_stream()
    stream.start()
    stream.send([tweet(number) for number in range(10)])
    stream.scored(10)
    stream.stop()
    admin = KafkaAdminClient(**client_options(stream.spec.source))
    admin.delete_topics([stream.spec.source.topic])
    admin.close()

    def made_again() -> bool:
        try:
            KafkaTopicAdmin().ensure(stream.spec.source, create=True)
        except Exception:
            return False
        return True

    eventually(made_again)
    stream.events.clear()
    stream.runner.start_stream(stream.spec, stream.on_event)
    failure = stream.failure()
    assert failure.details["code"] in ("data_lost", "topic_not_found")
    assert failure.details["retriable"] is False


def test_no_password_in_logs_or_checkpoints(
    make_stream: MakeStream, broker: Broker, driver_home: Path, tmp_path: Path
) -> None:
    stream = make_stream()
    stream.start()
    stream.send([tweet(1)])
    stream.scored(1)
    stream.stop()
    password = str(broker.credentials()["password"]).encode()
    files = [path for base in (driver_home, tmp_path) for path in base.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert password not in path.read_bytes(), path
