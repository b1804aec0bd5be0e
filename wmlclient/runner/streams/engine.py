"""The native stream engine: worker processes, kept alive, and what they tell put together."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, define, evolve, field

from wmlclient.runner.engine.ports import StreamEvent, StreamSetupError, StreamSpec
from wmlclient.runner.streams.process import WorkerProcess

logger = logging.getLogger("wmlclient.runner.streams")

OnEvent = Callable[[StreamEvent], None]

#: Seconds before a worker that has died is replaced, by its deaths in a row while nothing moved; after the last one the
#: stream has failed.
PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
#: A worker that tells nothing for so long stands still, whatever its process looks like, and is replaced.
SILENT_SECONDS = 90.0
_STOP_SECONDS = 45.0
_LOOK_SECONDS = 5.0
_UPDATE_SECONDS = 120.0

_SUMS = ("records_in", "records_out", "dead_letters", "batches", "aborted")
_RATES = ("records_per_second", "records_out_per_second", "dead_letters_per_second")


@define(eq=False)
class _Slot:
    """One worker's place, filled anew when it dies."""

    name: str
    process: WorkerProcess | None = None
    deaths: int = 0
    restarts: int = 0
    heard: float = 0.0
    latest: dict[str, Any] = field(factory=dict)
    before: dict[str, float] = field(factory=dict)
    digest: str | None = None
    refused: dict[str, Any] | None = None


@define(eq=False)
class _Stream:
    spec: StreamSpec
    on_event: OnEvent
    slots: list[_Slot] = field(factory=list)
    lock: threading.RLock = field(factory=threading.RLock)
    loaded: threading.Condition = field(factory=threading.Condition)
    running: bool = False
    over: bool = False

    def tell(self, kind: Any, details: dict[str, Any]) -> None:
        try:
            self.on_event(StreamEvent(self.spec.stream_id, kind, details))
        except Exception:
            logger.exception("the listener of stream %s failed", self.spec.stream_id)


class NativeStreams:
    """The real native :class:`wmlclient.runner.engine.ports.StreamEngine`.

    Args:
        home: The runner's folder; workers log to ``logs/`` in it.
        command: What a worker runs; the real one by default.
        isolation: ``limits``, ``hidden`` folders and ``environment`` of the processes in which the code of web services
            runs; without them no web service is streamed.
    """

    def __init__(
        self, home: Path, command: list[str] | None = None, isolation: Mapping[str, Any] | None = None
    ) -> None:
        self._logs = home / "logs"
        self._folders = home / "stream-services"
        self._isolation = isolation
        # What workers of the last run may have left.
        shutil.rmtree(self._folders, ignore_errors=True)
        self._command = command
        self._lock = threading.Lock()
        self._streams: dict[str, _Stream] = {}
        self._closed = threading.Event()
        self._watchdog: threading.Thread | None = None

    def refusal(self, model_dir: str, schema: dict[str, Any]) -> str | None:
        """See :meth:`wmlclient.runner.engine.ports.NativeStreamEngine.refusal`."""
        from wmlclient.runner.streams.model import refusal

        return refusal(Path(model_dir), schema)

    def start_stream(self, spec: StreamSpec, on_event: OnEvent) -> None:
        """See :meth:`wmlclient.runner.engine.ports.StreamEngine.start_stream`."""
        stream = _Stream(spec, on_event, [_Slot(str(number)) for number in range(spec.workers)])
        with self._lock:
            if self._closed.is_set():
                raise StreamSetupError("streams_closed", "The service is ending.")
            if spec.stream_id in self._streams:
                raise StreamSetupError("stream_running", f"The stream {spec.stream_id} runs already.")
            self._streams[spec.stream_id] = stream
            if self._watchdog is None:
                self._watchdog = threading.Thread(target=self._watch, name="stream-watchdog", daemon=True)
                self._watchdog.start()
        self._logs.mkdir(parents=True, exist_ok=True)
        with stream.lock:
            for slot in stream.slots:
                self._fill(stream, slot)

    def update_stream(self, spec: StreamSpec) -> None:
        """See :meth:`wmlclient.runner.engine.ports.NativeStreamEngine.update_stream`."""
        with self._lock:
            stream = self._streams.get(spec.stream_id)
        if stream is None:
            return
        with stream.lock:
            # A worker that dies meanwhile comes back with this one.
            before, stream.spec = stream.spec, spec
            for slot in stream.slots:
                slot.refused = None
                if slot.process is not None:
                    slot.process.swap(evolve(spec, workers=1))
        with stream.loaded:
            done = stream.loaded.wait_for(lambda: stream.over or _settled(stream), _UPDATE_SECONDS)
        refused = next((slot.refused for slot in stream.slots if slot.refused), None)
        if refused is None and done:
            return
        with stream.lock:
            stream.spec = before
            for slot in stream.slots:
                if slot.process is not None:
                    slot.process.swap(evolve(before, workers=1))
        raise StreamSetupError(
            "update_failed",
            f"The version cannot be loaded: {refused['message']}"
            if refused
            else f"Not all workers have the version after {_UPDATE_SECONDS:.0f} s; they go back to the one before.",
        )

    def stop_stream(self, stream_id: str) -> None:
        """See :meth:`wmlclient.runner.engine.ports.StreamEngine.stop_stream`."""
        with self._lock:
            stream = self._streams.get(stream_id)
        if stream is not None:
            self._end(stream)

    def close(self) -> None:
        """End all workers. Twice is fine."""
        self._closed.set()
        with self._lock:
            streams = list(self._streams.values())
        threads = [threading.Thread(target=self._end, args=(stream,)) for stream in streams]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def pids(self, stream_id: str) -> list[int]:
        """Process ids of a stream's workers that live."""
        with self._lock:
            stream = self._streams.get(stream_id)
        processes = [slot.process for slot in stream.slots] if stream is not None else []
        return [process.pid for process in processes if process is not None and process.alive]

    # -- workers ----------------------------------------------------------------------------------------------

    def _fill(self, stream: _Stream, slot: _Slot) -> None:
        if stream.over:
            return
        slot.heard = time.monotonic()
        holder: list[WorkerProcess] = []

        def hear(kind: str | None, details: dict[str, Any]) -> None:
            with stream.lock:
                if not stream.over and (not holder or slot.process is holder[0]):
                    self._take(stream, slot, kind, details)

        slot.process = WorkerProcess(
            # One worker's share is a worker; the others have their own.
            evolve(stream.spec, workers=1),
            slot.name,
            lasting=True,
            log=self._logs / f"stream-{stream.spec.stream_id}-{slot.name}.log",
            hear=hear,
            command=self._command,
            isolation=self._isolated(stream.spec, slot.name),
        )
        holder.append(slot.process)

    def _isolated(self, spec: StreamSpec, name: str) -> dict[str, Any] | None:
        """How the code of a stream's web service is held, as plain data; None where it has none."""
        if spec.program is None or self._isolation is None:
            return None
        return {
            "limits": asdict(self._isolation["limits"]),
            "hidden": [str(path) for path in self._isolation["hidden"]],
            "environment": dict(self._isolation["environment"]),
            "folder": str(self._folders / f"{spec.stream_id}-{name}"),
        }

    def _take(self, stream: _Stream, slot: _Slot, kind: str | None, details: dict[str, Any]) -> None:
        slot.heard = time.monotonic()
        if kind == "running":
            if not stream.running:
                stream.running = True
                stream.tell("running", {})
        elif kind == "progress":
            if details.get("records_in", 0) > slot.latest.get("records_in", 0):
                for each in stream.slots:
                    each.deaths = 0
            slot.latest = details
            stream.tell("progress", progress(stream.slots))
        elif kind in ("loaded", "not_loaded"):
            with stream.loaded:
                if kind == "loaded":
                    slot.digest = details["digest"]
                else:
                    slot.refused = details
                stream.loaded.notify_all()
        elif kind == "failed":
            self._fail(stream, details)
        elif kind is None:
            self._mourn(stream, slot, details)

    def _mourn(self, stream: _Stream, slot: _Slot, details: dict[str, Any]) -> None:
        for name in _SUMS:
            slot.before[name] = slot.before.get(name, 0) + slot.latest.get(name, 0)
        slot.latest = {"last_error": f"the worker ended with code {details['code']}"}
        if slot.deaths >= len(PAUSES):
            self._fail(
                stream,
                {
                    "code": "worker_died",
                    "message": f"A worker of the stream ends again and again (code {details['code']}); "
                    f"see {self._logs / f'stream-{stream.spec.stream_id}-{slot.name}.log'}.",
                    "retriable": True,
                },
            )
            return
        pause = PAUSES[slot.deaths]
        slot.deaths += 1
        slot.restarts += 1
        logger.warning(
            "stream %s: worker %s ended with code %s; a new one in %.1f s",
            stream.spec.stream_id, slot.name, details["code"], pause,
        )  # fmt: skip

        def fill() -> None:
            with stream.lock:
                self._fill(stream, slot)

        timer = threading.Timer(pause, fill)
        timer.daemon = True
        timer.start()

    def _fail(self, stream: _Stream, details: dict[str, Any]) -> None:
        def end() -> None:
            self._end(stream)
            stream.tell("failed", details)

        stream.over = True
        threading.Thread(target=end, name=f"failed-{stream.spec.stream_id}", daemon=True).start()

    def _end(self, stream: _Stream) -> None:
        with stream.lock:
            stream.over = True
            processes = [slot.process for slot in stream.slots if slot.process is not None]
        threads = [threading.Thread(target=each.stop, args=(_STOP_SECONDS,)) for each in processes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with self._lock:
            if self._streams.get(stream.spec.stream_id) is stream:
                del self._streams[stream.spec.stream_id]

    def _watch(self) -> None:
        """Replace workers that stand still: whoever works, or waits, tells so every second."""
        while not self._closed.wait(_LOOK_SECONDS):
            with self._lock:
                streams = list(self._streams.values())
            for stream in streams:
                for slot in stream.slots:
                    process = slot.process
                    if process is not None and time.monotonic() - slot.heard > SILENT_SECONDS:
                        logger.warning(
                            "stream %s: worker %s has said nothing for %.0f s; replacing it",
                            stream.spec.stream_id, slot.name, SILENT_SECONDS,
                        )  # fmt: skip
                        slot.heard = time.monotonic()
                        process.kill()


def _settled(stream: _Stream) -> bool:
    """Whether each worker has said whether it has the model."""
    return all(slot.digest == stream.spec.model_digest or slot.refused for slot in stream.slots)


def progress(slots: list[_Slot]) -> dict[str, Any]:
    """What the workers of a stream have done, put together."""
    told: dict[str, Any] = {
        name: sum(slot.latest.get(name, 0) + slot.before.get(name, 0) for slot in slots)
        for name in (*_SUMS, *_RATES)
    }
    lag: dict[str, int] = {}
    for slot in slots:
        lag |= slot.latest.get("lag", {})
    latest = [slot.latest for slot in slots]
    ages = [each["latency_ms"] for each in latest if each.get("latency_ms", {}).get("p50") is not None]
    times = [each["last_batch_at"] for each in latest if each.get("last_batch_at") is not None]
    errors = [each["last_error"] for each in latest if each.get("last_error")]
    return {
        **told,
        "lag": dict(sorted(lag.items(), key=lambda item: int(item[0]))),
        # The slowest worker's: a median of medians would hide it.
        "latency_ms": {share: max((each[share] for each in ages), default=None) for share in ("p50", "p99")},
        "last_batch_at": max(times, default=None),
        "last_error": errors[0] if errors else None,
        "restarts": sum(slot.restarts for slot in slots),
        "workers": len(slots),
    }
