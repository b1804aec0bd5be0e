"""What the fixtures ``kafka_broker`` and ``kafka_cluster`` hand out."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any, cast

from attrs import define, field

from wmlclient.connections import KafkaConnection
from wmlclient.errors import BrokerError, ConfigError
from wmlclient.testing.nodes import KafkaNode
from wmlclient.topics import KafkaTopic

_LEADER_SECONDS = 30.0


@define
class _Topics:
    connection: KafkaConnection
    _topics: list[KafkaTopic] = field(factory=list, init=False, repr=False)

    @property
    def brokers(self) -> tuple[str, ...]:
        """``host:port`` of each of its brokers."""
        return self.connection.brokers

    def topic(self, name: str = "test", *, partitions: int = 1) -> KafkaTopic:
        """A new, empty topic, deleted after the test with its dead letters.

        Args:
            name: how its name begins; something unique follows.
            partitions: how many.
        """
        topic = self.connection.topic(f"{name}-{uuid.uuid4().hex[:12]}").create(partitions)
        self._topics.append(topic)
        return topic

    def _delete_topics(self) -> None:
        while self._topics:
            topic = self._topics.pop()
            topic.delete()
            self.connection.topic(f"{topic.name[:236]}.dead-letters").delete()


@define
class KafkaBroker(_Topics):
    """A Kafka broker for one test.

    A broker that ``KAFKA_URI`` or ``--wml-url`` name is somebody's: it is not to be broken.

    Attributes:
        connection: how to reach it.
    """

    _node: KafkaNode | None = field(default=None, repr=False)

    def kill(self) -> None:
        """Ends it at once, as a crash would. :meth:`restart` brings it back, and so does the end of the test."""
        self._own().kill()

    def pause(self) -> None:
        """Has it stand still: connections stay open, and nothing answers."""
        self._own().pause()

    def resume(self) -> None:
        """Has it go on after :meth:`pause`."""
        self._own().resume()

    def restart(self) -> None:
        """Stops it in good order, where it runs, and starts it again at the same address, with its topics."""
        self._own().restart()

    def clean(self) -> None:
        """Has it run again, and deletes the topics that this test made."""
        if self._node is not None:
            self._node.mend()
        self._delete_topics()

    def _own(self) -> KafkaNode:
        if self._node is None:
            raise ConfigError(
                "This broker was not started by the tests, and is not theirs to break. "
                "Run them without KAFKA_URI, --wml-url and --wml-credentials."
            )
        return self._node


@define
class KafkaCluster(_Topics):
    """Kafka brokers that are one cluster, for one test.

    Attributes:
        connection: how to reach it.
        nodes: each of its brokers, with ``kill()``, ``pause()``, ``resume()`` and ``restart()``.
    """

    nodes: tuple[KafkaNode, ...] = ()

    def leader(self, topic: KafkaTopic, partition: int = 0) -> KafkaNode:
        """The broker that takes a partition's records: one that runs.

        After ``kill()`` it waits until another one leads, up to half a minute.

        Raises:
            BrokerError: there is none, or no such partition.
        """
        from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

        def none(_state: Any) -> KafkaNode:
            raise BrokerError(f"Partition {partition} of {topic.name!r} has no leader now.", retriable=True)

        again = Retrying(
            retry=retry_if_result(lambda node: node is None),
            stop=stop_after_delay(_LEADER_SECONDS),
            wait=wait_fixed(0.2),
            retry_error_callback=none,
        )
        return cast(KafkaNode, again(self._running_leader, topic, partition))

    def _running_leader(self, topic: KafkaTopic, partition: int) -> KafkaNode | None:
        from wmlclient.groups import leaders

        # A broker that has not heard yet names the one that is gone.
        number = leaders(topic).get(partition)
        return next((node for node in self.nodes if node.number == number and node.pid), None)

    def clean(self) -> None:
        """Has all of them run again, and deletes the topics that this test made."""
        for node in self.nodes:
            node.mend()
        self._delete_topics()


def embedded_node(owner: Any) -> KafkaNode:
    """The embedded broker of a client's own runner."""
    local = owner._local
    file = Path(local.home) / "kafka" / "broker.pid"

    def find() -> int | None:
        try:
            pid = int(file.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None
        return pid if _runs(pid) else None

    return KafkaNode(1, find, local.kafka)


def cluster_of(brokers: Any) -> KafkaCluster:
    """The fixture's view of a started cluster."""
    connection = KafkaConnection.from_credentials(brokers.credentials(), create_topics=True)
    nodes = tuple(
        KafkaNode(number, lambda each=each: each.pid, each.start)  # type: ignore[misc]
        for number, each in enumerate(brokers.brokers, 1)
    )
    return KafkaCluster(connection, nodes)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
