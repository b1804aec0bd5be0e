"""What the tests of native streams share: a saved model, a stream on it, records to send, and the count afterwards."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen
from confluent_kafka import Consumer, Producer, TopicPartition
from kafka_stand import endpoint_of
from saved_models import TEXT_SCHEMA, text_pipeline

from wmlclient import KafkaConnection, KafkaTopic
from wmlclient.runner.broker import Broker
from wmlclient.runner.engine.ports import KafkaEndpoint, StreamEvent, StreamSpec
from wmlclient.runner.streams.clients import connection

#: How many times as many records and accidents as in CI.
TIMES = int(os.environ.get("WMLCLIENT_STREAMS_TIMES", "1"))

_numbers = itertools.count()
SCHEMA = {"type": "struct", "fields": TEXT_SCHEMA["fields"][:2]}  # type: ignore[index]

Record = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]


def make_topic(end: KafkaEndpoint, partitions: int) -> None:
    """Make a topic with so many partitions."""
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient(connection(end))
    # As many copies as the cluster makes of a topic: three of them on three brokers.
    admin.create_topics([NewTopic(end.topic, partitions, -1)])[end.topic].result(30)


def make_spec(broker: Broker, folder: Path, partitions: int = 1, **more: Any) -> StreamSpec:
    """A stream with topics of its own."""
    name = f"n{next(_numbers)}-{time.time_ns()}"
    ends = [endpoint_of(broker, f"{name}-{part}") for part in ("in", "out", "dead")]
    for end in ends:
        make_topic(end, partitions)
    return spec_of(name, ends, folder, **more)


def spec_of(name: str, ends: Sequence[KafkaEndpoint], folder: Path, **more: Any) -> StreamSpec:
    """A stream of some topics: source, target, dead letters."""
    model = folder / "text-model"
    if not model.exists():
        text_pipeline(model)
    return StreamSpec(
        stream_id=name,
        model_dir=str(model),
        input_schema=SCHEMA,
        source=ends[0],
        target=ends[1],
        dead_letter=ends[2],
        checkpoint_dir="",
        created_at_ms=int(time.time() * 1000),
        model_digest="sha256:feed",
        **{"delivery": "exactly_once", "receipts": True, **more},
    )


def endpoint_of_topic(topic: KafkaTopic) -> KafkaEndpoint:
    """A topic of the facade as an engine has it."""
    known = topic.connection
    return KafkaEndpoint(known.brokers, topic.name, known.security_protocol, known.user, known.password)


def topic_of(end: KafkaEndpoint) -> Any:
    """The topic as the facade has it."""
    connection = KafkaConnection(
        brokers=end.brokers, user=end.user, password=end.password, security_protocol=end.security_protocol
    )
    return connection.topic(end.topic)


def send(end: KafkaEndpoint, records: Iterable[Record], times: dict[bytes | None, int] | None = None) -> None:
    """Send records and wait until they are there; ``times`` are those of some keys, milliseconds since 1970."""
    failed: list[Any] = []
    producer = Producer({**connection(end), "linger.ms": 20, "acks": "all", "message.max.bytes": 4 << 20})
    for key, value, headers in records:
        while True:
            try:
                producer.produce(
                    end.topic,
                    value,
                    key,
                    headers=list(headers),
                    timestamp=(times or {}).get(key, 0),
                    on_delivery=lambda error, _: failed.append(error) if error else None,
                )
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0
    assert failed == []


def read(end: KafkaEndpoint, count: int, seconds: float = 60, more: float = 1.0) -> list[Any]:
    """At least so many committed records of a topic, from its start, and what comes within a moment after them."""
    consumer = Consumer(
        {
            **connection(end),
            "group.id": f"reader-{next(_numbers)}-{time.time_ns()}",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([end.topic])
    found: list[Any] = []
    try:
        deadline = time.monotonic() + seconds
        while len(found) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} records in {end.topic}"
            found += [each for each in consumer.consume(5000, 0.2) if not each.error()]
        quiet = time.monotonic() + more
        while time.monotonic() < quiet:
            found += [each for each in consumer.consume(5000, 0.2) if not each.error()]
        return found
    finally:
        consumer.close()


def headers_of(record: Any) -> dict[str, str]:
    """Headers as text."""
    return {key: value.decode() for key, value in record.headers() or ()}


def place_of(record: Any) -> tuple[int, int]:
    """Partition and offset of the record that this one was made of."""
    headers = headers_of(record)
    return int(headers["wml.source.partition"]), int(headers["wml.source.offset"])


def lost_and_double(sources: Iterable[tuple[int, int]], outs: Iterable[Any]) -> tuple[int, int]:
    """How many records have no result, and how many results there are too many."""
    counted = Counter(place_of(record) for record in outs)
    expected = set(sources)
    assert set(counted) <= expected
    return len(expected - set(counted)), sum(counted.values()) - len(counted)


def tweet(number: int, **more: Any) -> Record:
    """A record that the model takes."""
    value = json.dumps({"id": number, "text": f"tweet number {number}", **more}).encode()
    return b"key-%d" % number, value, [("trace", b"t%d" % number)]


@frozen
class Heard:
    """Events of a stream."""

    events: list[StreamEvent] = field(factory=list)

    def __call__(self, event: StreamEvent) -> None:
        self.events.append(event)

    def kinds(self) -> list[str]:
        """Their kinds, progress left out."""
        return [event.kind for event in self.events if event.kind != "progress"]

    def progress(self) -> dict[str, Any]:
        """The latest."""
        return next((e.details for e in reversed(self.events) if e.kind == "progress"), {})


def places(spec: StreamSpec) -> set[tuple[int, int]]:
    """Partition and offset of every record of the source, which nobody has written in transactions."""
    consumer = Consumer({**connection(spec.source), "group.id": f"places-{time.time_ns()}"})
    try:
        found = consumer.list_topics(spec.source.topic, 30).topics[spec.source.topic]
        ends = {
            each: consumer.get_watermark_offsets(TopicPartition(spec.source.topic, each), 30)
            for each in found.partitions
        }
        return {(each, offset) for each, (low, high) in ends.items() for offset in range(low, high)}
    finally:
        consumer.close()
