"""A published function as a Kafka stream: each record run apart from others, once, whatever its code does."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from exactly_once import Record, lost_and_double, places, read, send
from stream_stand import StreamStand
from waiting import eventually

from wmlclient import Client
from wmlclient.runner.engine.kernels import Limits
from wmlclient.runner.engine.workers import StreamProgram
from wmlclient.runner.kernels import guard
from wmlclient.runner.processes import alive
from wmlclient.runner.streams.engine import NativeStreams

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


def classify(id: int, text: str) -> str:
    """What becomes of a text."""
    if text == "raise":
        raise ValueError("no such text")
    if text == "end":
        os._exit(3)
    if text == "look":
        # What a worker of the stream has: the logins of Kafka come to it through its pipe.
        return " ".join(sorted(os.environ)) + f" {os.getppid()}"
    # State that another record would find, if there were any.
    seen = classify.__dict__.setdefault("seen", [])
    seen.append(id)
    return f"{text.upper()} {len(seen)}"


def test_a_function_is_a_stream(wml_client: Client, kafka_broker: Any) -> None:
    service = wml_client.services.publish(classify, version="1.0")
    source, target = kafka_broker.topic(partitions=2), kafka_broker.topic()
    try:
        stream = service.deploy("texts", source=source, target=target, receipts=True, workers=2)
        stream.wait(60)
        good = [{"id": number, "text": "a", "more": [number]} for number in range(60)]
        bad = [
            {"id": 100, "text": "raise"},
            {"id": 101, "text": "end"},
            {"id": 102},
            {"id": "x", "text": "a"},
        ]
        source.send([*good[:30], *bad, *good[30:], {"id": 103, "text": "look"}], key="id")

        found = {record.value["id"]: record.value for record in target.read(61, timeout=90)}
        looked = found.pop(103)["result"]
        assert found == {each["id"]: {**each, "result": "A 1"} for each in good}
        assert "KAFKA" not in looked.upper()
        assert "WMLCLIENT" not in looked.replace("WMLCLIENT_ONE_ROW", "")

        letters = {letter.record.value["id"]: letter for letter in _letters(stream, 4)}
        assert (letters[100].stage, letters[100].reason) == ("score", "ValueError: no such text")
        assert (letters[101].stage, letters[101].reason) == (
            "score", "The request was ended: its process exited with 3.",
        )  # fmt: skip
        assert (letters[102].stage, letters[102].reason) == ("schema", "missing field: text")
        assert letters["x"].stage == "schema"
        assert str(stream.audit()) == "65 records in, 61 scored, 4 dead letters: 0 missing, 0 double"

        def other(id: int, text: str) -> str:
            return "other"

        service.update(other)
        stream.wait(60)
        source.send([{"id": 200, "text": "a"}])
        assert target.read(62, timeout=60)[-1].value == {"id": 200, "text": "a", "result": "other"}
    finally:
        service.delete()


PROGRAM = StreamProgram(
    "y = 2 * x", None, [{"name": "x", "type": "integer"}], [{"name": "y", "type": "integer"}], None, 4, 30.0
)


def test_a_worker_that_is_killed_loses_and_doubles_nothing(stand: StreamStand) -> None:
    stand.streams = NativeStreams(
        stand.home, isolation={"limits": Limits(), "hidden": [stand.home], "environment": {}}
    )
    spec = stand.spec(partitions=2, program=PROGRAM)
    stand.start(spec)
    records: list[Record] = [(b"k%d" % number, b'{"x":%d}' % number, []) for number in range(300)]
    records[::50] = [(key, b"{", []) for key, _, _ in records[::50]]
    send(spec.source, records)
    for before in (20, 120):
        read(spec.target, before, more=0)
        (worker,) = stand.pids(spec)
        below = guard.descendants(worker)
        os.kill(worker, signal.SIGKILL)
        # What it had started for the code of the service ends with it.
        eventually(lambda pids=below: not any(alive(pid) for pid in pids))
    good, dead = read(spec.target, 294, 90), read(spec.dead_letter, 6)
    assert lost_and_double(places(spec), good + dead) == (0, 0)
    assert {record.value() for record in good} == {
        b'{"x":%d,"y":%d}' % (number, 2 * number) for number in range(300) if number % 50
    }
    stand.streams.stop_stream(spec.stream_id)
    assert list((stand.home / "stream-services").iterdir()) == []


def _letters(stream: Any, count: int) -> list[Any]:
    found: list[Any] = eventually(lambda: len(letters := stream.dead_letters()) >= count and letters, 60)
    return found
