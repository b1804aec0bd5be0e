"""The one place where the engine's ports get their real ends: Spark's drivers, Kafka, the embedded broker.

A runner without pyspark or Java starts and answers all the same; what needs them says what is missing.
"""

from __future__ import annotations

import importlib.util
import json
import logging
from pathlib import Path
from typing import Any

from attrs import evolve

from .engine.kernels import Kernels
from .engine.places import Folders
from .engine.ports import (
    BatchRunner,
    KafkaEndpoint,
    NativeStreamEngine,
    NoStreams,
    SparkPool,
    SparkRunner,
    SparkUnavailable,
    TopicAdmin,
)
from .engine.workers import WorkerFactory
from .settings import Settings

logger = logging.getLogger("wmlclient.runner")


class Embedded:
    """The embedded broker, started on first use.

    Args:
        home: The runner's folder.
        settings: How clients log in.
    """

    def __init__(self, home: Path, settings: Settings) -> None:
        self._home = home
        self._security = settings.kafka_security
        self._broker: Any = None

    def start(self) -> dict[str, Any]:
        """Start it where it does not run; returns its credentials.

        Raises:
            PortError: It cannot be started; the reason and what to do.
        """
        if self._broker is None:
            from .broker import Broker

            self._broker = Broker(self._home, self._security)
        self._broker.start()
        credentials: dict[str, Any] = self._broker.credentials()
        return credentials

    def owns(self, endpoint: KafkaEndpoint) -> bool:
        """Whether an endpoint is on this broker, also while it does not run, and at any port that it has had."""
        try:
            state = json.loads((self._home / "kafka" / "broker.json").read_text(encoding="utf-8"))
            return endpoint.user == state["user"] or f"127.0.0.1:{state['port']}" in endpoint.brokers
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def stop(self) -> None:
        """Stop it; its topics stay. Twice is fine."""
        if self._broker is not None:
            self._broker.stop()


class Topics:
    """Looks at topics; on the embedded broker, which it starts for that, it makes them.

    Args:
        embedded: The embedded broker.
    """

    def __init__(self, embedded: Embedded) -> None:
        self._embedded = embedded

    def ensure(self, endpoint: KafkaEndpoint) -> KafkaEndpoint:
        """See :class:`TopicAdmin`."""
        from .topics import KafkaTopicAdmin

        own = self._embedded.owns(endpoint)
        if own:
            endpoint = evolve(endpoint, brokers=tuple(self._embedded.start()["kafka_brokers_sasl"]))
        KafkaTopicAdmin().ensure(endpoint, create=own)
        return endpoint


class NoSpark:
    """Stands in for Spark where it cannot be had at all.

    Args:
        reason: What is missing and what to do.
    """

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def get(self, master: str | None) -> SparkRunner:
        """Say why not."""
        raise SparkUnavailable("pyspark_not_found", self._reason)

    def realtime_refusal(self, schema: dict[str, Any]) -> str | None:
        """Say why not."""
        return self._reason

    def close(self) -> None:
        """Nothing to end."""


def spark_pool(home: Path, settings: Settings) -> SparkPool:
    """The drivers; none is started here."""
    from .jars import connector_jars
    from .spark.pool import DriverPool

    pool: SparkPool = DriverPool(
        home,
        settings.spark_master,
        connector_jars,
        allow_foreign_classes=settings.allow_foreign_classes,
        conf=settings.spark_conf,
    )
    return pool


def topic_admin(embedded: Embedded) -> TopicAdmin:
    """What looks at topics."""
    return Topics(embedded)


def native_streams(home: Path, settings: Settings) -> NativeStreamEngine:
    """Streams without Spark; no process is started here."""
    if importlib.util.find_spec("confluent_kafka") is None:
        return NoStreams("confluent-kafka is not installed. Run: pip install 'wmlclient[local]'")
    from .streams.engine import NativeStreams

    return NativeStreams(home, isolation=_isolation(home, settings))


def kernels(home: Path, settings: Settings) -> Kernels | None:
    """Where sessions run; None where the packages for them are not installed."""
    for package in ("zmq", "jupyter_client", "ipykernel", "dill"):
        if importlib.util.find_spec(package) is None:
            logger.info("no sessions: %s is not installed", package)
            return None
    from .kernels.jupyter import JupyterKernels

    return JupyterKernels(settings.session_limits, home, _environment(settings))


def workers(home: Path, settings: Settings) -> WorkerFactory | None:
    """Where web services run; None where the packages for them are not installed."""
    if importlib.util.find_spec("dill") is None:
        return None
    from .kernels.workers import ServiceWorkers

    return ServiceWorkers(**_isolation(home, settings))


def _isolation(home: Path, settings: Settings) -> dict[str, Any]:
    """How the code of web services is held: its limits, what it must not see, its environment."""
    from .kernels.jupyter import hideable

    hidden = hideable(home)
    return {
        "limits": settings.session_limits,
        "hidden": [] if hidden is None else [hidden],
        "environment": _environment(settings),
    }


def _environment(settings: Settings) -> dict[str, str]:
    from .kernels.older import VARIABLE

    return {VARIABLE: "1"} if settings.one_row_predict else {}


def batches(home: Path, spark: SparkPool) -> BatchRunner:
    """What runs batch jobs."""
    from .batch.processes import BatchProcesses

    return BatchProcesses(home, spark)


def folders(home: Path, settings: Settings) -> Folders:
    """What batches may use of this machine: never what is the runner's own, with its keys."""
    return Folders(settings.data_folders, home)
