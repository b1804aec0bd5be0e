"""What the embedded broker is told: a KRaft node on loopback, small, durable; alone, or one of a few."""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import socket
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from attrs import asdict, evolve, field, frozen

from wmlclient.runner.jaas import plain_login
from wmlclient.runner.private import write_private

Security = Literal["sasl_plaintext", "plaintext"]

# Small enough for a laptop, big enough for a few thousand records a second (measured: up in about 3 s).
HEAP = ("-Xms64m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")


def _texts(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(given)


@frozen
class BrokerState:
    """What must be the same at the next start: who may log in, and where the broker listens.

    Attributes:
        node: Its number in the cluster.
        voters: ``node@host:port`` of each controller of a cluster; none for a broker that is alone.
    """

    cluster_id: str
    user: str
    password: str = field(repr=False)
    port: int = 0
    controller_port: int = 0
    node: int = 1
    voters: tuple[str, ...] = field(default=(), converter=_texts)

    @classmethod
    def load(cls, path: Path) -> BrokerState:
        """The state kept in ``path``, or a new one."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return cls(
                cluster_id=_random_id(),
                user=secrets.token_hex(8),
                password=secrets.token_urlsafe(24),
            )

    def save(self, path: Path) -> None:
        """Keep it, readable for its owner only, whole or not at all."""
        write_private(path, json.dumps(asdict(self)))

    def with_ports(self, wanted: int) -> BrokerState:
        """Ports that are free now: the wanted one, else those of last time, else any.

        Raises:
            OSError: ``wanted`` is in use.
        """
        if self.voters:
            return self  # the others know these ports
        port = free_port(wanted) if wanted else _free_or_any(self.port)
        controller = _free_or_any(self.controller_port)
        while controller == port:
            controller = free_port(0)
        return evolve(self, port=port, controller_port=controller)


def _random_id() -> str:
    """Kafka's own form of a random id: 16 bytes as URL-safe base64, never with a dash in front.

    Its tools would read a leading dash as an option; Kafka's own generator draws again as well.
    """
    while (drawn := urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()).startswith("-"):
        pass
    return drawn


#: Below what systems hand out to connections: a broker that is down for a while finds its port free again.
PORTS = range(20_000, 32_000)
_TRIES = 50


def free_port(port: int) -> int:
    """A loopback port that can be bound now; 0 picks one, of :data:`PORTS` if it can.

    Raises:
        OSError: It is in use.
    """
    if port:
        return _bound(port)
    for candidate in random.sample(PORTS, _TRIES):
        with contextlib.suppress(OSError):
            return _bound(candidate)
    return _bound(0)


def _bound(port: int) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the broker does: a port whose old connections linger in TIME_WAIT is free.
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return int(probe.getsockname()[1])


def _free_or_any(port: int) -> int:
    try:
        return free_port(port)
    except OSError:
        return free_port(0)


#: What a broker keeps is in a folder of this name, in its own.
DATA = "data"
_ADDED = ("listeners", "advertised.listeners", "listener.security.protocol.map")


def server_properties(state: BrokerState, security: Security, more: Mapping[str, str] | None = None) -> str:
    """``server.properties`` of a broker that runs in its folder; ``more`` wins, and adds to its listeners."""
    protocol = "SASL_PLAINTEXT" if security == "sasl_plaintext" else "PLAINTEXT"
    client, controller = f"127.0.0.1:{state.port}", f"127.0.0.1:{state.controller_port}"
    copies = str(min(3, max(1, len(state.voters))))
    settings = {
        "process.roles": "broker,controller",
        "node.id": str(state.node),
        "controller.quorum.voters": ",".join(state.voters) or f"{state.node}@{controller}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "CLIENT",
        "listeners": f"CLIENT://{client},CONTROLLER://{controller}",
        "advertised.listeners": f"CLIENT://{client}",
        "listener.security.protocol.map": f"CLIENT:{protocol},CONTROLLER:{protocol}",
        # In the folder in which it runs: a path is a list for Kafka where it has a comma in it.
        "log.dirs": DATA,
        "num.partitions": "1",
        "default.replication.factor": copies,
        "auto.create.topics.enable": "true",
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": "5",
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "5",
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        # A consumer group of a notebook shall not wait 3 s for members that never come.
        "group.initial.rebalance.delay.ms": "0",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        "log.cleaner.threads": "1",
        # The default of 128 MB a partition is reserved on the disk by its indexes; a small broker has many partitions.
        "log.index.size.max.bytes": str(1024 * 1024),
    }
    if security == "sasl_plaintext":
        login = plain_login(state.user, state.password, server=True)
        settings |= {
            "sasl.enabled.mechanisms": "PLAIN",
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "sasl.mechanism.controller.protocol": "PLAIN",
            "listener.name.client.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.client.plain.sasl.jaas.config": login,
            "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.controller.plain.sasl.jaas.config": login,
        }
    for name, value in (more or {}).items():
        settings[name] = f"{settings[name]},{value}" if name in _ADDED else value
    return "".join(f"{key}={_escape(value)}\n" for key, value in settings.items())


def _escape(value: str) -> str:
    """As java.util.Properties reads it."""
    plain = value.replace("\\", "\\\\")
    return "".join(char if " " <= char <= "~" else f"\\u{ord(char):04x}" for char in plain)
