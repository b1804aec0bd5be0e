"""What the engine asks of the outside: a Spark that transforms and streams, a Kafka whose topics can be looked at.

The engine knows these Protocols only; the real ones are handed in by :mod:`wmlclient.runner.compose`, fakes by the
tests. All values are plain data, so that they cross a process boundary as JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Literal, Protocol, runtime_checkable

from attrs import field, frozen

from .workers import StreamProgram

SecurityProtocol = Literal["SASL_SSL", "SASL_PLAINTEXT", "PLAINTEXT", "SSL"]
Delivery = Literal["exactly_once", "at_least_once"]
EventKind = Literal["running", "progress", "failed", "stopped"]

#: Codes of a stream for which there is no Real-time Mode.
NOT_IN_REAL_TIME = frozenset(("realtime_needs_slots", "realtime_not_supported"))


class PortError(Exception):
    """A named failure of something outside the engine.

    Attributes:
        code: Stable, machine-readable, e.g. ``"java_not_found"``.
        message: One sentence for the user: what is wrong and the one thing to do next. Never a secret.
        retriable: Whether the same call may well succeed in a moment, with nothing changed by hand.
    """

    def __init__(self, code: str, message: str, retriable: bool = False) -> None:
        super().__init__(code, message, retriable)
        self.code = code
        self.message = message
        self.retriable = retriable

    def __str__(self) -> str:
        return self.message


class SparkUnavailable(PortError):
    """Spark cannot work now: no pyspark, no Java, no jars, or (``retriable``) its driver process has died."""


class TransformFailed(PortError):
    """Spark ran and refused: the model cannot be loaded or this input cannot be transformed."""

    def __init__(self, message: str, code: str = "transform_failed") -> None:
        super().__init__(code, message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.code)


class StreamSetupError(PortError):
    """A stream cannot start with these connections: broker down, wrong password, unknown topic."""


@frozen
class KafkaEndpoint:
    """One topic on one cluster.

    Attributes:
        brokers: ``host:port`` of the bootstrap brokers, at least one.
        topic: The topic's name.
        security_protocol: As Kafka spells it.
        user: SASL user, or None.
        password: SASL password, or None. Not in the repr, nor is any other secret.
        sasl_mechanism, token, token_endpoint, scope, ca, certificate, key, key_password: See
            :class:`wmlclient.kafka_login.KafkaLogin`.
    """

    brokers: tuple[str, ...]
    topic: str
    security_protocol: SecurityProtocol = "PLAINTEXT"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    sasl_mechanism: str = "PLAIN"
    token: str | None = field(default=None, repr=False)
    token_endpoint: str | None = None
    scope: str | None = None
    ca: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    key_password: str | None = field(default=None, repr=False)


@frozen
class StreamSpec:
    """All that a stream engine needs to run one stream deployment.

    Attributes:
        stream_id: The deployment's id.
        model_dir: Folder with the unpacked model, as ``PipelineModel.load`` reads it.
        input_schema: ``StructType.jsonValue()`` of the model's input, label left out.
        source: Where records are read.
        target: Where scored records go.
        dead_letter: Where records go that cannot be parsed or scored.
        checkpoint_dir: Folder that holds the stream's progress; made by the engine of the stream, removed by ours.
        created_at_ms: When the deployment was created, in milliseconds since 1970: a stream's first start reads the
            source topic from this moment on.
        model_digest: ``sha256:...`` of the model's archive.
        delivery: What is promised; Spark's sink can do no more than ``at_least_once``.
        workers: Processes that share the work, where the engine has workers.
        receipts: Whether each scored record names its source and its model in its headers.
        source_format, target_format: See :mod:`wmlclient.runner.engine.formats`; they may hold a registry's password.
        latency: ``realtime`` for Spark's Real-time Mode, else ``default``.
        program: A web service in the place of the model, which the native engine alone runs; None for a model.
    """

    stream_id: str
    model_dir: str
    input_schema: dict[str, Any]
    source: KafkaEndpoint
    target: KafkaEndpoint
    dead_letter: KafkaEndpoint
    checkpoint_dir: str
    created_at_ms: int
    model_digest: str
    delivery: Delivery = "at_least_once"
    workers: int = 1
    receipts: bool = False
    source_format: dict[str, Any] | None = field(default=None, repr=False)
    target_format: dict[str, Any] | None = field(default=None, repr=False)
    latency: str = "default"
    program: StreamProgram | None = None


@frozen
class StreamEvent:
    """What a running stream tells.

    Attributes:
        stream_id: The deployment's id.
        kind: ``running`` once records flow, ``progress`` (details = counts), ``failed`` (details = ``code``,
            ``message``, and ``retriable``: True where the driver died, not the query), ``stopped``.
        details: JSON-ready.
    """

    stream_id: str
    kind: EventKind
    details: dict[str, Any] = field(factory=dict)


@frozen
class TransformResult:
    """The table that Spark made.

    Attributes:
        fields: Output columns in Spark's order.
        values: Rows, in the order of the request's rows; vectors in the online JSON form (dense: list, sparse:
            ``[size, [indices], [values]]``), non-finite doubles as ``"NaN"``, ``"Infinity"``, ``"-Infinity"``.
        dtypes: Spark's simple string of each column, e.g. ``{"id": "int", "features": "vector"}``.
    """

    fields: list[str]
    values: list[list[Any]]
    dtypes: dict[str, str]


@runtime_checkable
class StreamEngine(Protocol):
    """What runs streams."""

    def start_stream(self, spec: StreamSpec, on_event: Callable[[StreamEvent], None]) -> None:
        """Start a stream, or go on with it where it was. Does not block; ``on_event`` is called from any thread.

        Raises:
            PortError: It cannot be started here at all.
        """
        ...

    def update_stream(self, spec: StreamSpec) -> None:
        """Have a running stream's records scored by another model from some batch on; returns when all of them are.

        Each record is scored by one of the two; where delivery is at least once, a few perhaps by both. Where the model
        cannot be loaded, the one before goes on. A stream that does not run is no error.

        Args:
            spec: The stream with that model; nothing else is changed.

        Raises:
            StreamSetupError: ``update_failed``.
        """
        ...

    def stop_stream(self, stream_id: str) -> None:
        """Stop a stream; returns when nothing of it runs. An unknown id is no error."""
        ...

    def close(self) -> None:
        """End all streams, and the processes that ran them. Twice is fine."""
        ...


@runtime_checkable
class NativeStreamEngine(StreamEngine, Protocol):
    """Streams without a JVM."""

    def refusal(self, model_dir: str, schema: dict[str, Any]) -> str | None:
        """Why this engine cannot run a model, in words that continue a sentence, or None where it can.

        Args:
            model_dir: Folder with the unpacked model.
            schema: ``StructType.jsonValue()`` of its input.
        """
        ...


class NoStreams:
    """Stands in for the native engine where its packages are not installed.

    Args:
        reason: What is missing and what to do.
    """

    def __init__(self, reason: str = "No native stream engine is set up.") -> None:
        self._reason = reason

    def refusal(self, model_dir: str, schema: dict[str, Any]) -> str | None:
        """Say what is missing."""
        return self._reason

    def start_stream(self, spec: StreamSpec, on_event: Callable[[StreamEvent], None]) -> None:
        """Say why not."""
        raise StreamSetupError("native_streams_not_found", self._reason)

    def update_stream(self, spec: StreamSpec) -> None:
        """Nothing runs."""

    def stop_stream(self, stream_id: str) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing to end."""


@runtime_checkable
class SparkRunner(StreamEngine, Protocol):
    """One Spark driver, on one master. Its streams go on from their checkpoints."""

    def version(self) -> str:
        """Spark's version; starts the driver where it does not run yet.

        Raises:
            SparkUnavailable: With the reason and what to do.
        """
        ...

    def transform(
        self, model_dir: str, schema: dict[str, Any], fields: list[str], values: list[list[Any]]
    ) -> Future[TransformResult]:
        """``PipelineModel.load(model_dir).transform(rows)``.

        Calls for one ``model_dir`` that meet are run as one Spark job; each answer holds its own request's rows, in
        order. The future fails with :class:`TransformFailed` or :class:`SparkUnavailable`.

        Args:
            model_dir: Folder with the unpacked model.
            schema: ``StructType.jsonValue()`` that covers ``fields``.
            fields: Columns of ``values``.
            values: Rows of JSON values.
        """
        ...

    def check_stream(self, spec: StreamSpec) -> None:
        """Look whether a stream could be started now. Blocks while the driver starts and loads the model.

        Args:
            spec: The stream; its id is of no other one.

        Raises:
            StreamSetupError: Why it could not; one of :data:`NOT_IN_REAL_TIME` where there is no Real-time Mode for it.
            SparkUnavailable: The driver cannot be started.
        """
        ...

    def job(self, op: str, args: dict[str, Any]) -> Future[Any]:
        """Other work of the driver; plain data in and out. Blocks only while the driver starts.

        Args:
            op: ``evaluate``: rows (``schema``, ``fields``, ``values``) through ``model_dir``, measured by
                ``method`` and ``metrics``; gives ``{"values"}``. ``train``: fits the pipeline in
                ``pipeline_dir`` to the rows, saves it as ``target`` and measures it and ``model_dir`` on the rows of
                ``held``; gives ``{"values", "before"}``.
            args: As ``op`` says.

        Raises:
            SparkUnavailable: The driver cannot be started.
        """
        ...


@runtime_checkable
class SparkPool(Protocol):
    """The drivers, one for each master, started on first use."""

    def get(self, master: str | None) -> SparkRunner:
        """The runner for this master URL; None means the default one."""
        ...

    def realtime_refusal(self, schema: dict[str, Any]) -> str | None:
        """Why no stream of a model can run in Spark's Real-time Mode, in words that continue a sentence; None if not.

        Whether there are task slots enough, and what the model's stages are, :meth:`SparkRunner.check_stream` tells.

        Args:
            schema: ``StructType.jsonValue()`` of the model's input.
        """
        ...

    def close(self) -> None:
        """End all drivers. Twice is fine."""
        ...


@runtime_checkable
class TopicAdmin(Protocol):
    """Looks at topics before a stream starts, so that a wrong connection has a clear error."""

    def ensure(self, endpoint: KafkaEndpoint) -> KafkaEndpoint:
        """Return when the topic exists and can be described; on the service's own broker it is made first.

        Returns:
            The endpoint, where it is now: the service's own broker may have another port since a restart.

        Raises:
            StreamSetupError: ``broker_unavailable``, ``broker_authentication_failed``, ``topic_not_found``, ...
        """
        ...


@frozen
class BatchSpec:
    """All that a batch job needs. Its places may hold secrets, so they are not in the repr.

    Attributes:
        job_id: The deployment's id.
        model_dir: Folder with the unpacked model.
        schema: ``StructType.jsonValue()`` of the model's input.
        engine: ``native`` or ``spark``.
        reason: Why that engine.
        spark_master: Where Spark runs; None for the runner's own.
        source: See :mod:`wmlclient.runner.engine.places`, as the next two.
        target: Where scored rows go.
        bad_rows: Where rows go that cannot be read or scored.
    """

    job_id: str
    model_dir: str
    schema: dict[str, Any]
    engine: str
    reason: str
    spark_master: str | None
    source: dict[str, Any] = field(repr=False)
    target: dict[str, Any] = field(repr=False)
    bad_rows: dict[str, Any] = field(repr=False)


@frozen
class BatchEvent:
    """What a job tells.

    Attributes:
        job_id: The deployment's id.
        kind: ``progress`` and ``completed`` (details = counts of rows), ``failed`` (details = ``code``, ``message``).
        details: JSON-ready.
    """

    job_id: str
    kind: str
    details: dict[str, Any] = field(factory=dict)


@runtime_checkable
class BatchRunner(Protocol):
    """What runs batch jobs."""

    def start(self, spec: BatchSpec, on_event: Callable[[BatchEvent], None]) -> None:
        """Start a job. Does not block; ``on_event`` is called from any thread."""
        ...

    def stop(self, job_id: str) -> None:
        """End a job, whose events then end, too. An unknown id is no error."""
        ...

    def sweep(self, job_id: str, places: Sequence[dict[str, Any]]) -> None:
        """Remove what a job that does not run has left of files and uploads at these places. Never fails."""
        ...

    def close(self) -> None:
        """End all jobs. Twice is fine."""
        ...
