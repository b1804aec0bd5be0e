"""Streams: started, watched, started again after an accident, stopped, resumed, forgotten.

What runs them is a port. Here is only the bookkeeping: what the user wants (``desired``), what is (``status``), and
what to do about the difference.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any
from uuid import uuid4

from attrs import define, evolve, field

from ..store import Deployment, Store, Version
from .certificates import CertificateService
from .choice import Choice, choose, native_reason
from .clock import Later, later, now_ms
from .connections import spark_master, stream_endpoints
from .contents import Contents
from .errors import Conflict, EngineError, Invalid, NotFound
from .formats import stream_formats
from .moving import to_spark
from .ports import (
    NOT_IN_REAL_TIME,
    NativeStreamEngine,
    PortError,
    SparkPool,
    StreamEngine,
    StreamEvent,
    StreamSpec,
    TopicAdmin,
)
from .schemas import input_schema
from .service_streams import ServiceStreams
from .stream_specs import scoring, stream_spec

logger = logging.getLogger("wmlclient.runner.engine")

#: Seconds before each new try after an accident; after the last one the stream has failed.
BACKOFF = (1.0, 2.0, 4.0, 8.0, 16.0)
#: A stream that ran this long, in milliseconds, has all its tries again.
SOUND_AFTER = 60_000
#: Spark may have to be started before it answers; whoever deploys waits so many seconds for it.
ASKED_SECONDS = 30.0

#: A broker that is down at a restart of the service is most likely starting too.
_WORTH_WAITING = frozenset(("broker_unavailable",))


@define(eq=False)
class _Watch:
    """What is known of a stream only as long as the process lives.

    Attributes:
        running: Held while the stream is being started or stopped; long.
        guard: Held while the members below and the row's status change; short.
        start: Counts the starts: an event of an earlier one says nothing about this one.
        restarts: Accidents in a row.
        again: Accidents since it was started, after which it was started anew.
        trouble: The last of them, until a batch has gone well.
        since: When records began to flow, in milliseconds since 1970.
        engine: What runs it.
        progress: What it last told of itself.
    """

    running: threading.Lock = field(factory=threading.Lock)
    guard: threading.Lock = field(factory=threading.Lock)
    start: int = 0
    restarts: int = 0
    again: int = 0
    trouble: str | None = None
    since: int | None = None
    engine: StreamEngine | None = None
    progress: dict[str, Any] | None = None

    def begin(self) -> int:
        """A new start; what is on its way from the one before no longer counts."""
        self.start += 1
        self.since = None
        return self.start

    def told(self) -> dict[str, Any] | None:
        """What the stream last told of itself, with what its engine could not tell."""
        if self.progress is None and self.trouble is None:
            return None
        found = dict(self.progress or {})
        found["restarts"] = found.get("restarts", 0) + self.again
        found["last_error"] = found.get("last_error") or self.trouble
        return found


class StreamService:
    """All streams of the service.

    Args:
        store: Rows.
        contents: Archives.
        certificates: Says which engine scores a model.
        spark: Where Spark is.
        native: Streams without it.
        topics: Looks at topics.
        checkpoints: Folder of the checkpoints, one for each stream.
        services: Web services that are streams.
        delay: Calls a function later.
        clock: Milliseconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        contents: Contents,
        certificates: CertificateService,
        spark: SparkPool,
        native: NativeStreamEngine,
        topics: TopicAdmin,
        checkpoints: Path,
        services: ServiceStreams,
        delay: Later = later,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._contents = contents
        self._certificates = certificates
        self._spark = spark
        self._native = native
        self._topics = topics
        self._checkpoints = checkpoints
        self._services = services
        self._later = delay
        self._clock = clock
        self._watches: dict[str, _Watch] = {}
        self._watches_lock = threading.Lock()
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="stream")
        self._closing = False

    def choice(self, version: Version, body: Mapping[str, Any], header: str | None) -> Choice:
        """Choose what runs a stream.

        Args:
            version: The model's version.
            body: The request.
            header: ``X-Spark-Service-Instance``, or None.

        Raises:
            Invalid: See :func:`wmlclient.runner.engine.choice.choose`; or its connections are malformed.
        """
        model = self._store.models.get(version.model_id)
        schema = input_schema(model.body) if model is not None else None

        def refusal() -> str | None:
            if schema is None or version.digest is None:
                return "it was published without an input schema"
            return self._native.refusal(str(self._contents.folder(version.digest)), schema)

        def realtime_refusal() -> str | None:
            return None if schema is None else self._spark.realtime_refusal(schema)

        stream_formats(body, schema)
        ends = stream_endpoints(body)
        found = choose(body, header, ends, version.certificate, refusal, realtime_refusal)
        if found.latency == "realtime" and schema is not None and version.digest is not None:
            work, asked = scoring(self._contents, schema, version.digest), {**body, **found.to_body()}
            spec = stream_spec(f"check-{uuid4()}", asked, work, self._clock(), self._checkpoints)
            self._check_realtime(spec, spark_master(found.spark))
        return found

    def _check_realtime(self, spec: StreamSpec, master: str | None) -> None:
        """Ask Spark for slots and operators. Whatever else is in the way is told when the stream starts."""
        asked = self._pool.submit(lambda: self._spark.get(master).check_stream(self._ends(spec)))
        wait([asked], ASKED_SECONDS)
        error = asked.exception() if asked.done() else TimeoutError(f"no answer in {ASKED_SECONDS:.0f} s")
        if isinstance(error, PortError) and error.code in NOT_IN_REAL_TIME:
            raise Invalid(error.code, error.message, {"type": "field", "name": "latency"})
        if error is not None:
            logger.info("whether there is a Real-time Mode for a stream is not known yet: %r", error)

    def start(self, id: str, resumed: bool = False) -> None:
        """Bring a stream to RUNNING, in the background.

        Args:
            id: The deployment.
            resumed: It ran before, so a broker that does not answer is waited for.
        """
        watch = self._watch(id)
        with watch.guard:
            watch.restarts = watch.again = 0
            watch.trouble = None
            start = watch.begin()
        self._submit(id, watch, start, resumed)

    def stop(self, id: str) -> None:
        """Stop a stream; returns when its query is gone. Its checkpoint stays.

        Raises:
            PortError: Its engine failed to stop it.
        """
        watch = self._watch(id)
        with watch.guard:
            watch.begin()
        with watch.running:
            if watch.engine is not None:
                watch.engine.stop_stream(id)
                watch.engine = None

    def update(self, deployment: Deployment, version: Version) -> Future[None]:
        """Have a stream's records scored by another version; one that does not run takes it at its next start.

        Returns:
            Done when the version scores. It fails, and the version before goes on, with ``model_not_native`` where no
            Spark runs the stream, with the errors of formats and latencies that do not go with the version's columns,
            or with ``underlying_api_error``.
        """
        return self._pool.submit(self._update, deployment.id, version)

    def _update(self, id: str, version: Version) -> None:
        watch = self._watch(id)
        with watch.running:
            deployment = self._store.deployments.get(id)
            if deployment is None or deployment.desired == "deleted":
                raise NotFound()
            if version.id == deployment.version_id:
                return
            spec = self._spec(evolve(deployment, version_id=version.id))
            self._check_version(deployment, version, spec)
            # First what a start after an accident reads: whichever it finds, each record has one version.
            self._keep_version(id, version.id, deployment.version_id)
            try:
                if watch.engine is not None:
                    watch.engine.update_stream(self._ends(spec))
            except PortError as error:
                self._keep_version(id, deployment.version_id, deployment.previous_id)
                raise Conflict(
                    "underlying_api_error", f"The stream keeps the version before: {error.message}"
                ) from None
            logger.info("stream %s scores version %s", id, version.id)

    def _check_version(self, deployment: Deployment, version: Version, spec: StreamSpec) -> None:
        if deployment.engine == "spark":
            realtime = spec.latency == "realtime"
            reason = self._spark.realtime_refusal(spec.input_schema) if realtime else None
            if reason is not None:
                raise Invalid(
                    "latency_not_supported", f"The version cannot be streamed in real time: {reason}."
                )
            return
        certificate = self._certificates.checked(version)
        reason = self._native.refusal(spec.model_dir, spec.input_schema)
        if reason is None and certificate["engine"] != "native":
            reason = str(certificate["reason"])
        if reason is not None:
            raise Invalid("model_not_native", f"The version cannot be streamed natively: {reason}.")

    def _keep_version(self, id: str, version_id: str, previous_id: str | None) -> None:
        self._store.deployments.update(
            id, version_id=version_id, previous_id=previous_id, modified_at=self._clock()
        )

    def _ends(self, spec: StreamSpec) -> StreamSpec:
        """The stream with its topics where they are now."""
        ensure = self._topics.ensure
        return evolve(
            spec,
            source=ensure(spec.source),
            target=ensure(spec.target),
            dead_letter=ensure(spec.dead_letter),
        )

    def forget(self, id: str) -> None:
        """Remove the checkpoint of a stopped stream."""
        shutil.rmtree(self._checkpoints / id, ignore_errors=True)
        with self._watches_lock:
            self._watches.pop(id, None)

    def close(self) -> None:
        """Start nothing more and believe no more events; the runners are ended by who made them."""
        self._closing = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _watch(self, id: str) -> _Watch:
        with self._watches_lock:
            return self._watches.setdefault(id, _Watch())

    def _submit(self, id: str, watch: _Watch, start: int, resumed: bool) -> None:
        if not self._closing:
            try:
                self._pool.submit(self._start, id, watch, start, resumed)
            except RuntimeError:  # closed between the look and the call
                logger.debug("stream %s is not started: the service is closing", id)

    def _start(self, id: str, watch: _Watch, start: int, resumed: bool) -> None:
        with watch.running:
            deployment = self._store.deployments.get(id)
            if self._closing or start != watch.start or deployment is None or deployment.desired != "running":
                return
            try:
                self._spec(deployment)
                engine = self._engine(deployment)
                # Its engine, and with that what it promises, may be known only now.
                spec = self._ends(self._spec(self._store.deployments.get(id) or deployment))
                watch.engine = engine
                engine.start_stream(spec, lambda event: self._on_event(watch, start, event))
            except PortError as error:
                retriable = error.retriable or (resumed and error.code in _WORTH_WAITING)
                self._failed(id, watch, start, error.code, error.message, retriable)
            except (EngineError, ValueError) as error:
                self._failed(
                    id, watch, start, getattr(error, "code", "deserialization_error"), str(error), False
                )
            except Exception as error:
                logger.exception("stream %s cannot be started", id)
                message = f"Unexpected {type(error).__name__}; see the service's log."
                self._failed(id, watch, start, "underlying_api_error", message, False)

    def _engine(self, deployment: Deployment) -> StreamEngine:
        """What runs a stream; where it was made before its model was checked, that is waited for."""
        if deployment.engine == "spark":
            return self._spark.get(spark_master(deployment.spark_service))
        version = self._store.models.version(deployment.version_id)
        if deployment.engine is None and version is not None:
            certificate = self._certificates.checked(version)
            if certificate["engine"] == "spark":
                return to_spark(self._store, self._spark, deployment, str(certificate["reason"]))
            if certificate["engine"] is None:
                raise Invalid(
                    "model_not_checked",
                    f"The model could not be checked against Spark: {certificate['reason']}",
                )
            self._store.deployments.update(
                deployment.id, engine="native", engine_reason=native_reason(certificate)
            )
        return self._native

    def progress(self, id: str) -> dict[str, Any] | None:
        """What a running stream has last told of itself, or None."""
        watch = self._watches.get(id)
        return watch.told() if watch is not None else None

    def _spec(self, deployment: Deployment) -> StreamSpec:
        work = self._work(deployment)
        return stream_spec(deployment.id, deployment.body, work, deployment.created_at, self._checkpoints)

    def _work(self, deployment: Deployment) -> dict[str, Any]:
        """The members of a stream's specification that say what is done with its records."""
        model = self._store.models.behind(deployment.model_id)
        version = self._store.models.version(deployment.version_id)
        if model is not None and model.service is not None:
            return self._services.work(model.service)
        schema = input_schema(version.of(model).body) if model is not None and version is not None else None
        if schema is None or version is None or version.digest is None:
            raise PortError(
                "missing_latest_model_version",
                "The model has no content or no input schema; publish it with training_data_schema.",
            )
        return scoring(self._contents, schema, version.digest)

    def _on_event(self, watch: _Watch, start: int, event: StreamEvent) -> None:
        id = event.stream_id
        if event.kind == "running":
            with watch.guard:
                if self._closing or start != watch.start:
                    return
                watch.since = self._clock()
                self._store.deployments.update(id, status="RUNNING", failure=None, modified_at=watch.since)
            logger.info("stream %s is running", id)
        elif event.kind == "progress":
            if start == watch.start:
                watch.progress = event.details
                if event.details.get("batches"):
                    watch.trouble = None
        else:
            code = str(event.details.get("code", "stream_ended"))
            message = str(event.details.get("message", "The stream's query ended by itself."))
            retriable = bool(event.details.get("retriable", event.kind == "stopped"))
            self._failed(id, watch, start, code, message, retriable)

    def _failed(self, id: str, watch: _Watch, start: int, code: str, message: str, retriable: bool) -> None:
        with watch.guard:
            if self._closing or start != watch.start:
                return
            now = self._clock()
            if watch.since is not None and now - watch.since >= SOUND_AFTER:
                watch.restarts = 0
            if retriable and watch.restarts < len(BACKOFF):
                pause = BACKOFF[watch.restarts]
                watch.restarts += 1
                watch.again, watch.trouble = watch.again + 1, message
                following = watch.begin()
                logger.warning("stream %s: %s (%s); next try in %.0f s", id, message, code, pause)
                self._store.deployments.update(id, status="INITIALIZING", modified_at=now)
                self._later(pause, lambda: self._submit(id, watch, following, resumed=True))
            else:
                logger.error("stream %s has failed: %s (%s)", id, message, code)
                failure = [{"code": code, "message": message}]
                self._store.deployments.update(id, status="FAILED", failure=failure, modified_at=now)
