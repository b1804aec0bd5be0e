"""The embedded Kafka broker: a real one, on loopback; and a cluster of a few."""

from __future__ import annotations

from wmlclient.runner.broker.cluster import Cluster
from wmlclient.runner.broker.server import Broker, BrokerFailed

__all__ = ["Broker", "BrokerFailed", "Cluster"]
