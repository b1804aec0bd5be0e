"""Spark's Real-time Mode, and what its streams tell: receipts, lag, how far they have come."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient, NewPartitions
from kafka_stand import Stream
from waiting import eventually

from wmlclient import envelope
from wmlclient.runner.engine.ports import StreamSetupError
from wmlclient.runner.streams.clients import connection

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(420)]

MakeStream = Callable[..., Stream]
Record = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]


def row(number: int, kind: str = "a") -> Record:
    return (
        str(number).encode(),
        json.dumps({"id": number, "x": 1.0, "kind": kind}).encode(),
        [("trace", b"t")],
    )


def headers_of(record: Any) -> dict[str, str]:
    return {key: value.decode() for key, value in record.headers}


def in_real_time(stream: Stream) -> Stream:
    stream.spec = attrs.evolve(stream.spec, latency="realtime")
    return stream


def test_records_are_scored_as_they_come_and_a_bad_one_does_not_stop_them(make_stream: MakeStream) -> None:
    stream = in_real_time(make_stream("strict"))
    stream.start()
    stream.send([row(number, "abc"[number % 3]) for number in range(50)])
    records = stream.scored(50)
    assert sorted(int(record.key) for record in records) == list(range(50))
    assert records[0].headers == [("trace", b"t")]
    # Batch by batch they would have come, too.
    assert not [event for event in stream.events if event.details.get("aborted")]
    assert {"prediction", "probability"} <= set(json.loads(records[0].value))
    stream.send([(b"text", b"no JSON", [])])
    [letter] = stream.dead(1)
    assert (letter.value, headers_of(letter)["wml.error.stage"]) == (b"no JSON", "decode")
    # This one fails in a stage: the query ends, the record is found, and all go on.
    stream.send([row(50), row(51, "unseen"), row(52)])
    # At least once: what the query had not settled before it ended, the first dead letter among it, may be there twice.
    eventually(lambda: b"51" in {record.key for record in stream.dead(2)}, 150)
    [found, *_] = (headers_of(record) for record in stream.dead(2) if record.key == b"51")
    assert found["wml.error.stage"] == "score"
    assert "Unseen label: unseen" in found["wml.error.reason"]
    stream.send([row(53)])
    eventually(lambda: {int(record.key) for record in stream.scored(53)} >= {*range(51), 52, 53}, 150)
    assert "failed" not in stream.kinds()


def test_real_time_without_a_slot_for_each_partition_is_refused(make_stream: MakeStream) -> None:
    stream = in_real_time(make_stream())
    topic = stream.spec.source.topic
    client = AdminClient(connection(stream.spec.source))
    client.create_partitions([NewPartitions(topic, 3)])[topic].result(30)
    with pytest.raises(StreamSetupError, match="needs 3 task slots") as caught:
        stream.runner.check_stream(stream.spec)
    assert caught.value.code == "realtime_needs_slots"
    stream.runner.start_stream(stream.spec, stream.on_event)
    failure = stream.failure().details
    assert failure["code"] == "realtime_needs_slots"
    assert "needs 3 task slots" in failure["message"]


def test_what_drops_rows_unseen_is_refused_in_real_time(make_stream: MakeStream) -> None:
    stream = in_real_time(make_stream("skipping"))
    stream.runner.start_stream(stream.spec, stream.on_event)
    failure = stream.failure().details
    assert failure["code"] == "realtime_not_supported"
    assert "StringIndexer_" in failure["message"]


@pytest.mark.parametrize(
    ("model", "reason"), [("skipping", "drops rows"), ("distinct", "needs the operator HashAggregate,")]
)
def test_what_has_no_real_time_mode_is_known_before_it_starts(
    make_stream: MakeStream, model: str, reason: str
) -> None:
    stream = in_real_time(make_stream(model))
    with pytest.raises(StreamSetupError, match=reason) as caught:
        stream.runner.check_stream(stream.spec)
    assert caught.value.code == "realtime_not_supported"
    fit = in_real_time(make_stream("strict"))
    fit.runner.check_stream(fit.spec)


def test_how_far_a_stream_has_come_is_told_by_its_group_its_lag_and_its_receipts(
    make_stream: MakeStream,
) -> None:
    stream = make_stream()
    stream.spec = attrs.evolve(stream.spec, receipts=True)
    stream.start()
    stream.send([(b"k", json.dumps({"id": n, "text": "a b"}).encode(), [("trace", b"t")]) for n in range(10)])
    by_offset = {headers_of(record)["wml.source.offset"]: record for record in stream.scored(10)}
    assert sorted(by_offset, key=int) == [str(n) for n in range(10)]
    headers = headers_of(by_offset["3"])
    assert json.loads(by_offset["3"].value)["id"] == 3
    assert headers["wml.source.topic"] == stream.spec.source.topic
    assert headers["wml.model.digest"] == "sha256:feed"
    assert headers["trace"] == "t"
    client = AdminClient(connection(stream.spec.source))
    group = ConsumerGroupTopicPartitions(envelope.group(stream.spec.stream_id))

    def committed() -> list[int]:
        [answer] = client.list_consumer_group_offsets([group]).values()
        return [place.offset for place in answer.result(30).topic_partitions]

    eventually(lambda: committed() == [10], 60)
    last = [event.details for event in stream.events if event.kind == "progress"][-1]
    assert last["lag"] == {"0": 0}
    assert (last["records_in"], last["records_out"], last["dead_letters"]) == (10, 10, 0)
    # Two of the ten are looked at.
    assert 0 < last["latency_ms"]["p50"] <= last["latency_ms"]["p99"]
    assert (last["aborted"], last["last_error"]) == (0, None)
