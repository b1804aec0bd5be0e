"""A stream deployment on Structured Streaming: Kafka, the pipeline, Kafka. In the driver process only.

All records go through one plan in the JVM, from topic to topic. Where one makes that fail, and for models that this
cannot do, batches go through :class:`wmlclient.runner.spark.batches.BatchWriter`, which finds the record. Both work on
one checkpoint, so one goes on where the other has stopped. Delivery is at least once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import frozen

from wmlclient.runner.engine.ports import StreamSetupError, StreamSpec, TransformFailed
from wmlclient.runner.spark import ages, operators, single, slots
from wmlclient.runner.spark.batches import BatchWriter
from wmlclient.runner.spark.failures import root_cause
from wmlclient.runner.spark.models import ModelCache, load
from wmlclient.runner.spark.plan import StreamPlan
from wmlclient.runner.spark.progress import Counts, ProgressDesk, lag, positions
from wmlclient.runner.spark.queries import Queries
from wmlclient.runner.spark.session import Session
from wmlclient.runner.spark.shadow import ShadowGroup
from wmlclient.runner.spark.verdict import classify, of_a_record

logger = logging.getLogger("wmlclient.runner.spark.driver")

PROGRESS_SECONDS = 1.0
# So long the end of a batch is waited for; a caller over HTTP waits, too, and one of Real-time Mode lasts two minutes.
_BORDER_SECONDS = 30.0

# Called with kind and details of an event.
Tell = Callable[[str, dict[str, Any]], None]


@frozen
class Version:
    """What a stream does with one version of its model."""

    spec: StreamSpec
    single: single.SinglePass | None
    writer: BatchWriter


class SparkStream:
    """One running stream.

    Args:
        session: The driver's session.
        models: Models that are loaded for requests, for exact reasons of single records.
        desk: Where the progress of queries comes in.
        spec: What to run.
        tell: Takes its events.
    """

    def __init__(
        self, session: Session, models: ModelCache, desk: ProgressDesk, spec: StreamSpec, tell: Tell
    ) -> None:
        self._session, self._models, self._desk, self.spec, self._tell = session, models, desk, spec, tell
        self._queries = Queries(session, spec)
        self._query: Any = None
        self._next: Version | None = None
        self._taken, self._border = threading.Event(), threading.Event()
        self._repairing = self._told = False
        self._lock = threading.Lock()
        self._counts = Counts()
        self._lag: dict[str, int] = {}
        self._offsets: dict[int, int] = {}
        self._stopping = threading.Event()
        self._ended = threading.Event()

    @property
    def realtime(self) -> bool:
        """Whether records are scored as they come."""
        return self.spec.latency == "realtime"

    def check(self) -> None:
        """Look at the model, and start nothing.

        Raises:
            StreamSetupError: The model cannot be used in a stream.
        """
        self._prepare(self.spec)

    def start(self) -> None:
        """Start the query; returns before it runs.

        Raises:
            StreamSetupError: The model cannot be used in a stream.
        """
        self._use(self._prepare(self.spec))
        self._shadow = ShadowGroup(self.spec.stream_id, self.spec.source)
        self._desk.register(self.spec.stream_id, self._take)
        self._begin()
        threading.Thread(target=self._watch, name=f"stream-{self.spec.stream_id}", daemon=True).start()

    def stop(self, seconds: float = 60.0) -> None:
        """Stop the query and wait until it is gone."""
        self._stopping.set()
        with self._lock:
            query = self._query
        if query is not None:
            query.stop()
            self._ended.wait(seconds)

    def update(self, spec: StreamSpec) -> None:
        """Go on with another version of the model, from the end of a batch on; returns when its query has begun.

        What the query before has begun of another batch by then is scored again.

        Args:
            spec: The same stream with that version.

        Raises:
            StreamSetupError: The model cannot be used in this stream; the one before goes on.
        """
        version = self._prepare(spec)
        with self._lock:
            if self._ended.is_set() or self._stopping.is_set():
                return
            self._taken.clear()
            self._border.clear()
            self._next = version
        deadline = time.monotonic() + _BORDER_SECONDS
        while not self._at_border(0.05) and time.monotonic() < deadline:
            pass
        while not self._taken.wait(0.05) and not self._ended.is_set():
            with self._lock:
                query = self._query if self._next is version else None
            # Once more where a query that has failed meanwhile was followed by another one.
            if query is not None:
                query.stop()

    def _at_border(self, seconds: float) -> bool:
        """Whether a batch has just ended, or none is under way, or there is no query to wait for."""
        if self._border.wait(seconds) or self._taken.is_set() or self._ended.is_set():
            return True
        try:
            status = self._query.status()
            return not status.isTriggerActive() and not status.isDataAvailable()
        except Exception:
            logger.debug("stream %s: its query does not tell its state", self.spec.stream_id, exc_info=True)
            return False

    def _prepare(self, spec: StreamSpec) -> Version:
        try:
            plan = StreamPlan.make(self._session, spec)
            one = self._in_one_pass(plan, spec)
        except TransformFailed as error:
            raise StreamSetupError(error.code, error.message) from None
        careful = one is not None
        return Version(
            spec,
            one,
            BatchWriter(
                self._session, self._models, spec, plan, self._stopping, self._counts, careful=careful
            ),
        )

    def _use(self, version: Version) -> None:
        self.spec, self._single, self._writer = version.spec, version.single, version.writer

    def _in_one_pass(self, plan: StreamPlan, spec: StreamSpec) -> single.SinglePass | None:
        reason = single.refusal(plan)
        if self.realtime:
            return self._in_real_time(plan, spec, reason)
        if plan.dropping:
            reason = "the model drops rows"
        if reason is not None:
            logger.info("stream %s runs batch by batch: %s", spec.stream_id, reason)
            return None
        return single.SinglePass(self._session, spec, plan, plan.model)

    def _in_real_time(self, plan: StreamPlan, spec: StreamSpec, reason: str | None) -> single.SinglePass:
        # Here a stage that would fail shall fail, as what it drops could not be found.
        model = load(self._session, spec.model_dir) if plan.dropping else plan.model
        found = single.SinglePass(self._session, spec, plan, model)
        reason = reason or slots.dropping(self._session, model)
        if reason is None:
            operator = operators.refused(self._session, found)
            reason = (
                operator and f"a stage of its model needs the operator {operator}, which Spark lacks there"
            )
        if reason is not None:
            raise StreamSetupError(
                "realtime_not_supported",
                f"There is no Real-time Mode for this stream: {reason}. Leave `latency` out.",
            )
        return found

    # -- the queries ------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        with self._lock:
            if self._stopping.is_set():
                return
            if self._single is not None and not self._repairing:
                self._query = self._queries.in_one_pass(self._single, self.realtime)
            else:
                self._query = self._queries.by_batches(self._writer, once=self.realtime)

    def _watch(self) -> None:
        try:
            while True:
                try:
                    self._await_running()
                    self._follow()
                except Exception as error:
                    if self._stopping.is_set() or not self._may_repair(error):
                        raise
                    logger.warning("stream %s: a batch failed (%s)", self.spec.stream_id, root_cause(error))
                    self._counts.trouble(root_cause(error))
                    self._repairing = True
                else:
                    if self._stopping.is_set() or not (
                        self._take_next() or (self._repairing and self.realtime)
                    ):
                        break
                    self._repairing = False
                self._begin()
                if self._next is None:
                    self._taken.set()
            self._tell("stopped", self._progress())
        except Exception as error:
            if self._stopping.is_set():
                self._tell("stopped", self._progress())
            else:
                self._fail(error)
        finally:
            self._desk.forget(self.spec.stream_id)
            self._ended.set()

    def _take_next(self) -> bool:
        """Whether another version waits, which is at work from now on."""
        with self._lock:
            version, self._next = self._next, None
        if version is not None:
            self._use(version)
        return version is not None

    def _may_repair(self, error: Exception) -> bool:
        """Whether batch by batch the stream may get over this error of the query in one pass."""
        return self._single is not None and not self._repairing and of_a_record(error)

    def _follow(self) -> None:
        """Until the query ends."""
        last: dict[str, Any] | None = None
        while not self._query.awaitTermination(int(PROGRESS_SECONDS * 1000)):
            progress = self._progress()
            if progress != last:
                self._tell("progress", progress)
                last = progress
            self._shadow.commit(self._offsets)

    def _await_running(self) -> None:
        """Until the checkpoint holds where to start: from then on no record can be missed."""
        pinned = Path(self.spec.checkpoint_dir) / "sources" / "0" / "0"
        while not self._told:
            if self._query.awaitTermination(50):
                return
            if pinned.is_file() and not str(self._query.status().message()).startswith("Initializing"):
                self._tell("running", {"query_id": str(self._query.id())})
                self._told = True

    def _take(self, progress: dict[str, Any]) -> None:
        """A batch is done; called by the thread that the JVM calls."""
        self._lag, self._offsets = lag(progress), positions(progress, "endOffset")
        self._border.set()
        counted = (progress.get("observedMetrics") or {}).get(single.COUNTS)
        if counted:
            seconds = (progress.get("durationMs") or {}).get("triggerExecution", 0) / 1000
            taken, bad = int(counted["n"]), int(counted["bad"])
            latency = ages.latency(counted, None if self.realtime else ages.ended(progress))
            self._counts.add(taken, bad, progress["batchId"], progress["timestamp"], seconds, latency)

    def _progress(self) -> dict[str, Any]:
        return {**self._counts.to_json(), "lag": self._lag}

    def _fail(self, error: Exception) -> None:
        cause = self._writer.error or error
        if isinstance(cause, StreamSetupError):
            code, message, retriable = cause.code, cause.message, cause.retriable
        else:
            code, message, retriable = classify(cause)
        logger.error("stream %s failed: %s: %s", self.spec.stream_id, code, message)
        self._tell("failed", {"code": code, "message": message, "retriable": retriable})


class Streams:
    """The streams of this driver."""

    def __init__(
        self, session: Session, models: ModelCache, tell: Callable[[str, str, dict[str, Any]], None]
    ) -> None:
        self._session, self._models, self._tell = session, models, tell
        self._lock = threading.Lock()
        self._running: dict[str, SparkStream] = {}
        self._slots = slots.Slots(session)
        self._desk = ProgressDesk(session)

    def start(self, spec: StreamSpec) -> None:
        """Start one.

        Raises:
            StreamSetupError: It cannot be.
        """

        def tell(kind: str, details: dict[str, Any]) -> None:
            if kind in ("failed", "stopped"):
                self._forget(spec.stream_id, stream)
            self._tell(spec.stream_id, kind, details)

        stream = SparkStream(self._session, self._models, self._desk, spec, tell)
        with self._lock:
            if spec.stream_id in self._running:
                raise StreamSetupError("stream_running", f"The stream {spec.stream_id} runs already.")
            self._running[spec.stream_id] = stream
        try:
            self._slots.take(spec)
            stream.start()
        except BaseException as error:
            self._forget(spec.stream_id, stream)
            if isinstance(error, StreamSetupError):
                raise
            code, message, retriable = classify(error)
            raise StreamSetupError(code, message, retriable) from error

    def check(self, spec: StreamSpec) -> None:
        """Look whether one could be started now.

        Raises:
            StreamSetupError: It could not.
        """
        self._slots.check(spec)
        SparkStream(self._session, self._models, self._desk, spec, lambda *_: None).check()

    def update(self, spec: StreamSpec) -> None:
        """Let one go on with another version of its model; an unknown id is no error.

        Raises:
            StreamSetupError: It cannot, and goes on as it was.
        """
        with self._lock:
            stream = self._running.get(spec.stream_id)
        if stream is not None:
            stream.update(spec)

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

    def _forget(self, stream_id: str, stream: SparkStream) -> None:
        with self._lock:
            if self._running.get(stream_id) is stream:
                del self._running[stream_id]
                self._slots.free(stream_id)
