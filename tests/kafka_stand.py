"""Fixtures and helpers of the Kafka tests: a real broker, and a stream with a desk to send and read records at."""

from __future__ import annotations

import itertools
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from spark_stand import Fitted
from waiting import eventually

with warnings.catch_warnings():
    # kafka-python reads its own files in a way that Python 3.11 and 3.12 warn of; from here on it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka.admin  # noqa: F401

from wmlclient.runner.broker import Broker
from wmlclient.runner.engine.ports import KafkaEndpoint, StreamEvent, StreamSpec
from wmlclient.runner.spark.runner import DriverRunner
from wmlclient.runner.topics import KafkaTopicAdmin, client_options

_numbers = itertools.count()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The embedded broker, with SASL."""
    with Broker(tmp_path_factory.mktemp("broker")) as started:
        yield started


def endpoint_of(broker: Broker, topic: str) -> KafkaEndpoint:
    given: Any = broker.credentials()
    brokers = tuple(given["kafka_brokers_sasl"])
    return KafkaEndpoint(
        brokers, topic, given["security_protocol"], given["user"] or None, given["password"] or None
    )


class Stream:
    """One stream with its topics and events."""

    def __init__(self, broker: Broker, runner: DriverRunner, model: Fitted, checkpoints: Path) -> None:
        name = f"t{next(_numbers)}-{time.time_ns()}"
        self.runner = runner
        self._ends = [endpoint_of(broker, f"{name}-{part}") for part in ("in", "out", "dead")]
        for end in self._ends:
            KafkaTopicAdmin().ensure(end, create=True)
        self.spec = StreamSpec(
            stream_id=name,
            model_dir=model.path,
            input_schema=model.schema,
            source=self._ends[0],
            target=self._ends[1],
            dead_letter=self._ends[2],
            checkpoint_dir=str(checkpoints / name),
            created_at_ms=int(time.time() * 1000),
            model_digest="sha256:feed",
        )
        self.events: list[StreamEvent] = []
        self._lock = threading.Lock()

    def on_event(self, event: StreamEvent) -> None:
        with self._lock:
            self.events.append(event)

    def kinds(self) -> list[str]:
        with self._lock:
            return [event.kind for event in self.events]

    def start(self, runner: DriverRunner | None = None) -> None:
        """Start it and wait until it runs."""
        self.runner = runner or self.runner
        self.events.clear()
        self.runner.start_stream(self.spec, self.on_event)
        eventually(lambda: {"running", "failed"} & set(self.kinds()), 150, "RUNNING")
        assert self.kinds()[0] == "running", self.events

    def stop(self) -> None:
        self.runner.stop_stream(self.spec.stream_id)

    def failure(self) -> StreamEvent:
        eventually(lambda: "failed" in self.kinds(), 150, "failed")
        return next(event for event in self.events if event.kind == "failed")

    def send(self, records: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]]) -> None:
        """Send (key, value, headers)."""
        from kafka import KafkaProducer

        producer = KafkaProducer(**client_options(self.spec.source))
        try:
            sent = [
                producer.send(self.spec.source.topic, value, key=key, headers=headers)
                for key, value, headers in records
            ]
            for future in sent:
                future.get(30)
        finally:
            producer.close()

    def scored(self, count: int, seconds: float = 150) -> list[Any]:
        return self._read(self.spec.target, count, seconds)

    def dead(self, count: int, seconds: float = 150) -> list[Any]:
        return self._read(self.spec.dead_letter, count, seconds)

    def _read(self, end: KafkaEndpoint, count: int, seconds: float) -> list[Any]:
        """At least so many records of a topic from its start, and what comes within a moment after them."""
        from kafka import KafkaConsumer

        consumer = KafkaConsumer(
            end.topic, auto_offset_reset="earliest", group_id=None, **client_options(end)
        )
        found: list[Any] = []
        try:
            deadline = time.monotonic() + seconds
            while len(found) < count:
                assert time.monotonic() < deadline, f"{len(found)} of {count} records; {self.events}"
                for records in consumer.poll(500).values():
                    found += records
            for records in consumer.poll(500).values():
                found += records
            return found
        finally:
            consumer.close()


@pytest.fixture
def make_stream(
    broker: Broker, runner: DriverRunner, pipelines: dict[str, Fitted], tmp_path: Path
) -> Iterator[Any]:
    made: list[Stream] = []

    def make(name: str = "text") -> Stream:
        made.append(Stream(broker, runner, pipelines[name], tmp_path))
        return made[-1]

    yield make
    for stream in made:
        stream.stop()
