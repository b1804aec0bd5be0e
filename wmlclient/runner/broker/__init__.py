"""The embedded Kafka broker: a real one, one node, on loopback."""

from __future__ import annotations

from wmlclient.runner.broker.server import Broker, BrokerFailed

__all__ = ["Broker", "BrokerFailed"]
