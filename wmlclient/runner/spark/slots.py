"""What Real-time Mode needs: a task slot for each partition of the source, for as long as the stream runs."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from wmlclient.runner.engine.ports import KafkaEndpoint, StreamSetupError, StreamSpec
from wmlclient.runner.spark.models import leaves
from wmlclient.runner.spark.session import Session

logger = logging.getLogger("wmlclient.runner.spark.driver")

_SECONDS = 20.0
#: Executors of a cluster that has just been asked for them are waited for.
_EXECUTOR_SECONDS = 30.0


class Slots:
    """The task slots of one driver, and which streams hold them.

    Args:
        session: The driver's session.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}
        self._others: set[str] = set()

    def check(self, spec: StreamSpec) -> None:
        """Look whether what a stream needs is there now.

        Raises:
            StreamSetupError: As :meth:`take`.
        """
        self.take(spec)
        self.free(spec.stream_id)

    def take(self, spec: StreamSpec) -> None:
        """Note what a stream needs.

        Raises:
            StreamSetupError: It is not there: ``realtime_needs_slots``, or ``spark_slots_taken`` where streams in
                Real-time Mode hold all of them.
        """
        realtime = spec.latency == "realtime"
        needed = partitions(spec.source) if realtime else 1
        with self._lock:
            if not realtime and not self._held:
                self._others.add(spec.stream_id)
                return
            total = self._total(needed)
            free = total - sum(self._held.values())
            if realtime and free - (1 if self._others else 0) < needed:
                raise StreamSetupError(
                    "realtime_needs_slots", _too_few(spec, needed, total, free, self._others)
                )
            if not realtime and free < 1:
                raise StreamSetupError(
                    "spark_slots_taken",
                    f"Streams in real time hold all {total} task slots of this Spark. Name another Spark service, or "
                    "stop one of them.",
                )
            if realtime:
                self._held[spec.stream_id] = needed
            else:
                self._others.add(spec.stream_id)

    def free(self, stream_id: str) -> None:
        """It needs them no more."""
        with self._lock:
            self._held.pop(stream_id, None)
            self._others.discard(stream_id)

    def _total(self, enough: int) -> int:
        context = self._session.spark.sparkContext()
        deadline = time.monotonic() + _EXECUTOR_SECONDS
        while not context.isLocal() and time.monotonic() < deadline:
            # The driver is one of them.
            if len(context.statusTracker().getExecutorInfos()) > 1 and context.defaultParallelism() >= enough:
                break
            time.sleep(0.2)
        return int(context.defaultParallelism())


def _too_few(spec: StreamSpec, needed: int, total: int, free: int, others: set[str]) -> str:
    kept = ", one of which other streams need" if others else ""
    return (
        f"Real-time Mode needs {needed} task slots at once, one for each partition of {spec.source.topic}; of the "
        f"{total} of this Spark {free} are free{kept}. Name a Spark service with more cores, such as "
        f"local[{needed + 1}], or leave `latency` out."
    )


def partitions(source: KafkaEndpoint) -> int:
    """How many partitions a topic has.

    Raises:
        StreamSetupError: The cluster does not tell.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    from wmlclient.runner.streams.clients import connection

    try:
        told = AdminClient(connection(source), logger=logger).list_topics(source.topic, timeout=_SECONDS)
    except KafkaException as error:
        raise StreamSetupError(
            "broker_unavailable", f"The Kafka cluster does not answer: {error}", True
        ) from None
    return len(told.topics[source.topic].partitions)


def dropping(session: Session, model: Any) -> str | None:
    """Why rows of a model could get lost unseen in Real-time Mode, in words that continue a sentence; None if not."""
    for stage in leaves(session, model):
        if (
            stage.hasParam("handleInvalid")
            and str(stage.getOrDefault(stage.getParam("handleInvalid"))) == "skip"
        ):
            return f"stage {stage.uid()} drops rows (its handleInvalid is skip), and none could tell which"
    return None
