"""A native stream engine for tests, on a real broker, and what its streams tell."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from exactly_once import Heard, make_spec
from waiting import eventually

from wmlclient.runner.broker import Broker
from wmlclient.runner.engine.ports import StreamSpec
from wmlclient.runner.processes import alive
from wmlclient.runner.streams.clients import connection
from wmlclient.runner.streams.engine import NativeStreams


class StreamStand:
    """A stream engine and what its streams tell."""

    def __init__(self, broker: Broker, home: Path) -> None:
        self.broker, self.home = broker, home
        self.streams = NativeStreams(home)
        self.heard: dict[str, Heard] = {}

    def spec(self, partitions: int = 1, **more: Any) -> StreamSpec:
        return make_spec(self.broker, self.home, partitions, **more)

    def start(self, spec: StreamSpec) -> Heard:
        heard = self.heard[spec.stream_id] = Heard()
        self.streams.start_stream(spec, heard)
        eventually(heard.kinds, what=self.logs)
        assert heard.kinds() == ["running"], heard.events
        return heard

    def pids(self, spec: StreamSpec) -> list[int]:
        return self.streams.pids(spec.stream_id)

    def kill(self, spec: StreamSpec, choose: Callable[[list[int]], int] = lambda pids: pids[0]) -> None:
        """``kill -9`` of a worker that lives; the engine may not have heard yet of the one before."""
        living = eventually(lambda: [pid for pid in self.pids(spec) if alive(pid)], what=self.logs)
        os.kill(choose(living), signal.SIGKILL)

    def logs(self) -> str:
        return "\n".join(path.read_text()[-3000:] for path in (self.home / "logs").glob("stream-*.log"))

    def configure(self, topic: str, name: str, value: str) -> None:
        """Set one setting of a topic."""
        from confluent_kafka.admin import (  # type: ignore[attr-defined]
            AdminClient,
            AlterConfigOpType,
            ConfigEntry,
            ConfigResource,
        )
        from kafka_stand import endpoint_of

        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        admin = AdminClient(connection(endpoint_of(self.broker, topic)))
        admin.incremental_alter_configs([resource])[resource].result(30)


@pytest.fixture
def stand(broker: Broker, tmp_path: Path) -> Iterator[StreamStand]:
    """An engine whose streams end with the test."""
    made = StreamStand(broker, tmp_path)
    yield made
    made.streams.close()
