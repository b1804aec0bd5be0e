"""A stream deployment on Structured Streaming: Kafka, the pipeline, Kafka. In the driver process only.

Each micro-batch is read, judged, scored and sent in one Spark job, which also counts the records that cannot be
parsed; only where there are any, a second one sends those to the dead-letter topic. Delivery is at least once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wmlclient.runner.engine.ports import StreamSetupError, StreamSpec, TransformFailed
from wmlclient.runner.spark.batches import BatchWriter
from wmlclient.runner.spark.failures import chain, of_kafka, root_cause
from wmlclient.runner.spark.kafka_options import source_options
from wmlclient.runner.spark.models import ModelCache
from wmlclient.runner.spark.plan import StreamPlan
from wmlclient.runner.spark.session import Session

logger = logging.getLogger("wmlclient.runner.spark.driver")

PROGRESS_SECONDS = 2.0
_INTERFACE = "org.apache.spark.sql.execution.streaming.sources.PythonForeachBatchFunction"

# Called with kind and details of an event.
Tell = Callable[[str, dict[str, Any]], None]


class MicroBatchStream:
    """One running stream.

    Args:
        session: The driver's session.
        models: Models that are loaded for requests, for exact reasons of single records.
        spec: What to run.
        tell: Takes its events.
    """

    def __init__(self, session: Session, models: ModelCache, spec: StreamSpec, tell: Tell) -> None:
        self._session, self._models, self.spec, self._tell = session, models, spec, tell
        self._query: Any = None
        self._writer: BatchWriter | None = None
        self._stopping = threading.Event()
        self._ended = threading.Event()

    def start(self) -> None:
        """Start the query; returns before it runs.

        Raises:
            StreamSetupError: The model cannot be used in a stream.
        """
        try:
            plan = StreamPlan.make(self._session, self.spec)
        except TransformFailed as error:
            raise StreamSetupError(error.code, error.message) from None
        writer = self._writer = BatchWriter(self._session, self._models, self.spec, plan, self._stopping)
        Path(self.spec.checkpoint_dir).mkdir(parents=True, exist_ok=True)
        source = self._session.spark.readStream().format("kafka")
        for key, value in source_options(self.spec).items():
            source = source.option(key, value)
        out = source.load().writeStream().queryName(self.spec.stream_id)
        out = out.option("checkpointLocation", Path(self.spec.checkpoint_dir).absolute().as_uri())
        self._session.foreach_batch(out, _Batch(writer))
        self._query = out.start()
        threading.Thread(target=self._watch, name=f"stream-{self.spec.stream_id}", daemon=True).start()

    def stop(self, seconds: float = 60.0) -> None:
        """Stop the query and wait until it is gone."""
        self._stopping.set()
        if self._query is not None:
            self._query.stop()
            self._ended.wait(seconds)

    def _watch(self) -> None:
        try:
            self._await_running()
            last: dict[str, Any] | None = None
            while not self._query.awaitTermination(int(PROGRESS_SECONDS * 1000)):
                progress = self._progress()
                if progress != last:
                    self._tell("progress", progress)
                    last = progress
            self._tell("stopped", self._progress())
        except Exception as error:
            if self._stopping.is_set():
                self._tell("stopped", self._progress())
            else:
                self._fail(error)
        finally:
            self._ended.set()

    def _await_running(self) -> None:
        """Until the checkpoint holds where to start: from then on no record can be missed."""
        pinned = Path(self.spec.checkpoint_dir) / "sources" / "0" / "0"
        while True:
            if self._query.awaitTermination(50):
                return
            if pinned.is_file() and not str(self._query.status().message()).startswith("Initializing"):
                self._tell("running", {"query_id": str(self._query.id())})
                return

    def _progress(self) -> dict[str, Any]:
        assert self._writer is not None
        return self._writer.counts.to_json()

    def _fail(self, error: Exception) -> None:
        cause = getattr(self._writer, "error", None) or error
        code, message, retriable = classify(cause)
        logger.error("stream %s failed: %s: %s", self.spec.stream_id, code, message)
        self._tell("failed", {"code": code, "message": message, "retriable": retriable})


class _Batch:
    """What the JVM calls with each micro-batch."""

    def __init__(self, writer: BatchWriter) -> None:
        self._writer = writer

    def call(self, frame: Any, batch_id: int) -> None:
        try:
            self._writer.write(frame, batch_id)
        except BaseException as error:
            # Spark matches a regular expression against the Python traceback that py4j hands it, and overflows the
            # stack on a long one. The writer keeps the error itself.
            raise RuntimeError(type(error).__name__) from None

    class Java:
        implements = [_INTERFACE]


def classify(error: BaseException) -> tuple[str, str, bool]:
    """Code, message and whether trying again may help, of the error that ended a query."""
    links = chain(error)
    text = " ".join(link.message for link in links)
    message = root_cause(error)
    if isinstance(error, OSError | EOFError) or links[0].kind.startswith("Py4J"):
        # No exception of the JVM's but none of its answers: it is gone, and this process about to follow.
        return "spark_driver_died", f"Spark does not answer any more: {message}", True
    if "data may have been missed" in text or "KAFKA_DATA_LOSS" in text or "data may have been lost" in text:
        return (
            "data_lost",
            f"Records that this stream has not read yet are gone from the source topic: {message} "
            "Delete the deployment and create it again to go on from now.",
            False,
        )
    if any(link.kind.endswith(("AuthenticationException", "AuthorizationException")) for link in links):
        return "broker_authentication_failed", f"Kafka refuses this connection: {message}", False
    if any("UnknownTopicOrPartition" in link.kind for link in links) or "UNKNOWN_TOPIC" in text:
        return "topic_not_found", f"A topic of the stream does not exist any more: {message}", False
    if of_kafka(error) or "TimeoutException" in text:
        return "broker_unavailable", f"The Kafka cluster does not answer: {message}", True
    return "stream_failed", message, False


# The engines that can run a stream, by name; micro-batch is the only one yet.
ENGINES: dict[str, type[MicroBatchStream]] = {"micro_batch": MicroBatchStream}


class Streams:
    """The streams of this driver."""

    def __init__(
        self, session: Session, models: ModelCache, tell: Callable[[str, str, dict[str, Any]], None]
    ) -> None:
        self._session, self._models, self._tell = session, models, tell
        self._lock = threading.Lock()
        self._running: dict[str, MicroBatchStream] = {}

    def start(self, spec: StreamSpec, engine: str = "micro_batch") -> None:
        """Start one.

        Raises:
            StreamSetupError: It cannot be.
        """

        def tell(kind: str, details: dict[str, Any]) -> None:
            if kind in ("failed", "stopped"):
                self._forget(spec.stream_id, stream)
            self._tell(spec.stream_id, kind, details)

        stream = ENGINES[engine](self._session, self._models, spec, tell)
        with self._lock:
            if spec.stream_id in self._running:
                raise StreamSetupError("stream_running", f"The stream {spec.stream_id} runs already.")
            self._running[spec.stream_id] = stream
        try:
            stream.start()
        except BaseException as error:
            self._forget(spec.stream_id, stream)
            if isinstance(error, StreamSetupError):
                raise
            code, message, retriable = classify(error)
            raise StreamSetupError(code, message, retriable) from error

    def stop(self, stream_id: str) -> None:
        """Stop one; an unknown id is no error."""
        with self._lock:
            stream = self._running.get(stream_id)
        if stream is not None:
            stream.stop()
            self._forget(stream_id, stream)

    def stop_all(self, seconds: float) -> None:
        """Stop all of them at once."""
        with self._lock:
            ids = list(self._running)
        threads = [threading.Thread(target=self.stop, args=(stream_id,), daemon=True) for stream_id in ids]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _forget(self, stream_id: str, stream: MicroBatchStream) -> None:
        with self._lock:
            if self._running.get(stream_id) is stream:
                del self._running[stream_id]
