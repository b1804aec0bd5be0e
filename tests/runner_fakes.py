"""Ends of the engine's ports without Spark and Kafka: they do as they are told and remember what was asked."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import waiting
from attrs import evolve

from wmlclient import scoring
from wmlclient.runner.engine.ports import (
    KafkaEndpoint,
    PortError,
    SparkUnavailable,
    StreamEvent,
    StreamSpec,
    TransformFailed,
    TransformResult,
)


class FakeSpark:
    """A Spark that gives the native scorer's numbers, and whatever trouble a test asks for.

    Attributes:
        down: Raised by everything while it is set.
        refuse: Message of the failure of every transform, or None.
        skew: Added to every prediction.
        hold: Transforms wait for it.
        calls: Number of transforms so far.
        streams: Specs of the running streams, by id.
        starts: Ids of all starts so far.
        no_realtime: Why there is no Real-time Mode, or None.
        masters: What was asked for, in order.
        jobs: Other work so far: what, and with what.
        figures: What a training measures; ``before`` is what any other measurement gives.
        trained: The saved model that a training gives.
        checked: Specs of the streams that were looked at before they were made.
        check_error: Raised by ``check_stream`` while it is set.
        start_error: Raised by ``start_stream`` while it is set.
        stop_error: Raised by ``stop_stream`` while it is set.
        update_error: Raised by ``update_stream`` while it is set.
        closed: Whether it was closed.
    """

    def __init__(self) -> None:
        self.down: SparkUnavailable | None = None
        self.refuse: str | None = None
        self.skew = 0.0
        self.hold = threading.Event()
        self.hold.set()
        self.calls = 0
        self.streams: dict[str, StreamSpec] = {}
        self.starts: list[str] = []
        self.no_realtime: str | None = None
        self.masters: list[str | None] = []
        self.checked: list[StreamSpec] = []
        self.check_error: PortError | None = None
        self.start_error: PortError | None = None
        self.update_error: PortError | None = None
        self.stop_error: PortError | None = None
        self.closed = False
        self.jobs: list[tuple[str, dict[str, Any]]] = []
        self.figures: dict[str, list[float]] = {"values": [0.9], "before": [0.5]}
        self.trained: Path | None = None
        self.asked: list[tuple[list[str], list[list[Any]]]] = []
        self._listeners: dict[str, Callable[[StreamEvent], None]] = {}

    # -- SparkPool

    def realtime_refusal(self, schema: dict[str, Any]) -> str | None:
        return self.no_realtime

    def get(self, master: str | None) -> FakeSpark:
        self.masters.append(master)
        return self

    def close(self) -> None:
        self.closed = True
        self.hold.set()

    # -- SparkRunner

    def version(self) -> str:
        if self.down is not None:
            raise self.down
        return "4.2.0"

    def check_stream(self, spec: StreamSpec) -> None:
        self.checked.append(spec)
        if self.check_error is not None:
            raise self.check_error

    def transform(
        self, model_dir: str, schema: dict[str, Any], fields: list[str], values: list[list[Any]]
    ) -> Future[TransformResult]:
        if self.down is not None:
            raise self.down
        self.calls += 1
        self.asked.append((fields, values))
        answer: Future[TransformResult] = Future()
        threading.Thread(
            target=self._transform, args=(model_dir, schema, fields, values, answer), daemon=True
        ).start()
        return answer

    def _transform(
        self,
        model_dir: str,
        schema: dict[str, Any],
        fields: list[str],
        values: list[list[Any]],
        answer: Future[TransformResult],
    ) -> None:
        self.hold.wait(30)
        try:
            if self.refuse is not None:
                raise TransformFailed(self.refuse)
            try:
                scorer = scoring.load(Path(model_dir), schema)
                if not values:
                    answer.set_result(TransformResult(scorer.output_fields(fields), [], {}))
                    return
                scored = scorer.run(fields, values)
            except scoring.UnsupportedModel:
                answer.set_result(TransformResult(fields, values, dict.fromkeys(fields, "string")))
                return
            if scored.problems:
                raise TransformFailed(str(next(iter(scored.problems.values()))))
            rows = [list(row) for row in scored.values]
            if self.skew:
                place = scored.fields.index("prediction")
                for row in rows:
                    row[place] += self.skew
            answer.set_result(TransformResult(scored.fields, rows, scored.dtypes))
        except scoring.InputError as error:
            answer.set_exception(TransformFailed(str(error)))
        except Exception as error:
            answer.set_exception(error)

    def job(self, op: str, args: dict[str, Any]) -> Future[Any]:
        self.jobs.append((op, args))
        if op == "train":
            assert self.trained is not None
            shutil.copytree(self.trained, args["target"])
        answer: Future[Any] = Future()

        def work() -> None:
            self.hold.wait(30)
            if self.refuse is not None:
                answer.set_exception(TransformFailed(self.refuse))
            else:
                answer.set_result(self.figures if op == "train" else {"values": self.figures["before"]})

        threading.Thread(target=work, daemon=True).start()
        return answer

    def start_stream(self, spec: StreamSpec, on_event: Callable[[StreamEvent], None]) -> None:
        self.starts.append(spec.stream_id)
        if self.start_error is not None:
            raise self.start_error
        self.streams[spec.stream_id] = spec
        self._listeners[spec.stream_id] = on_event
        Path(spec.checkpoint_dir).mkdir(exist_ok=True)
        on_event(StreamEvent(spec.stream_id, "running"))

    def update_stream(self, spec: StreamSpec) -> None:
        if self.update_error is not None:
            raise self.update_error
        if spec.stream_id in self.streams:
            self.streams[spec.stream_id] = spec

    def stop_stream(self, stream_id: str) -> None:
        if self.stop_error is not None:
            raise self.stop_error
        self.streams.pop(stream_id, None)

    # -- for tests

    def tell(self, stream_id: str, kind: Any, **details: Any) -> None:
        """An event of a stream; ``failed`` and ``stopped`` end it."""
        if kind in ("failed", "stopped"):
            self.streams.pop(stream_id, None)
        self._listeners[stream_id](StreamEvent(stream_id, kind, details))


class FakeStreams:
    """A native stream engine that starts nothing.

    Attributes:
        reason: Why it cannot run a model, or None.
        streams: Specs of the running streams, by id.
        starts: Ids of all starts so far.
        no_realtime: Why there is no Real-time Mode, or None.
        closed: Whether it was closed.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.trouble: PortError | None = None
        self.streams: dict[str, StreamSpec] = {}
        self.starts: list[str] = []
        self.no_realtime: str | None = None
        self.closed = False
        self._listeners: dict[str, Callable[[StreamEvent], None]] = {}

    def update_stream(self, spec: StreamSpec) -> None:
        if self.trouble is not None:
            raise self.trouble
        if spec.stream_id in self.streams:
            self.streams[spec.stream_id] = spec

    def refusal(self, model_dir: str, schema: dict[str, Any]) -> str | None:
        return self.reason

    def start_stream(self, spec: StreamSpec, on_event: Callable[[StreamEvent], None]) -> None:
        self.starts.append(spec.stream_id)
        self.streams[spec.stream_id] = spec
        self._listeners[spec.stream_id] = on_event
        on_event(StreamEvent(spec.stream_id, "running"))

    def stop_stream(self, stream_id: str) -> None:
        self.streams.pop(stream_id, None)

    def close(self) -> None:
        self.closed = True

    def tell(self, stream_id: str, kind: Any, **details: Any) -> None:
        """An event of a stream."""
        self._listeners[stream_id](StreamEvent(stream_id, kind, details))


class FakeTopics:
    """Topics that are there, or not.

    Attributes:
        error: Raised by every look while it is set.
        seen: The topic of every look.
        moved: Where the endpoints are now, if not where they were.
    """

    def __init__(self) -> None:
        self.error: PortError | None = None
        self.seen: list[str] = []
        self.moved: tuple[str, ...] | None = None

    def ensure(self, endpoint: KafkaEndpoint) -> KafkaEndpoint:
        self.seen.append(endpoint.topic)
        if self.error is not None:
            raise self.error
        return endpoint if self.moved is None else evolve(endpoint, brokers=self.moved)


class ManualDelay:
    """Calls that wait until a test lets them run.

    Attributes:
        waiting: ``(seconds, call)`` in order.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, seconds: float, call: Callable[[], None]) -> None:
        self.waiting.append((seconds, call))

    def run(self) -> float:
        """Run the first; returns the seconds that it asked for."""
        seconds, call = self.waiting.pop(0)
        call()
        return seconds


class Clock:
    """A clock that a test sets. Milliseconds when called; ``seconds()`` for tokens."""

    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def seconds(self) -> float:
        return self.now / 1000

    def forward(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


def eventually(check: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait until something is true; returns it. The limit is for a test that hangs, not a measure."""
    return waiting.eventually(check, seconds)
