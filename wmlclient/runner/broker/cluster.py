"""A few embedded brokers that are one cluster: for tests of what happens when one of them goes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from wmlclient.runner.broker.config import BrokerState, Security, free_port
from wmlclient.runner.broker.server import Broker


class Cluster:
    """Brokers on loopback with one log, each of them a controller too. Topics have a copy on three of them.

    Args:
        home: Folder of their data.
        size: How many; of three, one may go.
        security: As for :class:`Broker`.

    Attributes:
        brokers: Each of them; the first has the number 1.

    Example:
        >>> with Cluster(home) as cluster:  # doctest: +SKIP
        ...     cluster.brokers[0].stop()
    """

    def __init__(self, home: Path, size: int = 3, security: Security = "sasl_plaintext") -> None:
        ports = _free_ports(2 * size)
        voters = [f"{node}@127.0.0.1:{ports[size + node - 1]}" for node in range(1, size + 1)]
        first = BrokerState.load(Path(home) / "cluster.json")
        self.brokers: list[Broker] = []
        for node in range(1, size + 1):
            folder = Path(home) / str(node)
            (folder / "kafka").mkdir(parents=True, exist_ok=True, mode=0o700)
            state = BrokerState(
                first.cluster_id,
                first.user,
                first.password,
                ports[node - 1],
                ports[size + node - 1],
                node,
                voters,
            )
            state.save(folder / "kafka" / "broker.json")
            self.brokers.append(Broker(folder, security))

    def start(self) -> Cluster:
        """Start all that do not run, and wait until they answer. Returns itself.

        Raises:
            BrokerFailed: One of them does not start.
        """
        try:
            with ThreadPoolExecutor(len(self.brokers)) as pool:  # alone, none of them is ready
                list(pool.map(lambda broker: broker.start(), self.brokers))
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop all of them. Fine to call twice."""
        with ThreadPoolExecutor(len(self.brokers)) as pool:
            list(pool.map(lambda broker: broker.stop(), self.brokers))

    def credentials(self) -> dict[str, Any]:
        """As those of one broker, with the addresses of all."""
        given: dict[str, Any] = self.brokers[0].credentials()
        return given | {"kafka_brokers_sasl": [broker.bootstrap for broker in self.brokers]}

    def __enter__(self) -> Cluster:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        port = free_port(0)
        if port not in found:
            found.append(port)
    return found
