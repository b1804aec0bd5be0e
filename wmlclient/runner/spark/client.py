"""One driver process seen from the runner: calls go in, answers and events come out, its death is noticed."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import Any

from wmlclient.runner import lines
from wmlclient.runner.engine.ports import PortError, SparkUnavailable, StreamSetupError, TransformFailed
from wmlclient.runner.processes import command_line, tail, wait_gone

logger = logging.getLogger("wmlclient.runner.spark")

DIED = "spark_driver_died"
START_SECONDS = 180.0
_EXIT_SECONDS = 30.0


class DriverProcess:
    """A running driver.

    Args:
        command: What to run.
        log: File that takes its stderr; appended to.
        env: Its environment.
        on_event: Called with each event's payload, from the reading thread.
        on_death: Called once, when it is gone, with the reason.
    """

    def __init__(
        self,
        command: list[str],
        *,
        log: Path,
        env: dict[str, str],
        on_event: Callable[[dict[str, Any]], None],
        on_death: Callable[[SparkUnavailable], None],
    ) -> None:
        self._log = log
        self._on_event, self._on_death = on_event, on_death
        self._lock = threading.Lock()
        self._pending: dict[int, tuple[str, Future[Any]]] = {}
        self._next_id = 0
        self._death: SparkUnavailable | None = None
        self._started: Future[dict[str, Any]] = Future()
        self._closing = False
        with open(log, "ab") as sink:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                env=env,
                # Ctrl-C in the runner's terminal is the runner's to handle.
                start_new_session=os.name == "posix",
            )
        self.facts: dict[str, Any] = {}
        threading.Thread(target=self._read, name=f"spark-driver-{self._process.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id of the Python half; the JVM's is ``facts["jvm_pid"]``."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can take calls."""
        return self._death is None and not self._closing

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until its session stands.

        Raises:
            SparkUnavailable: It failed, died or is too slow.
        """
        try:
            self.facts = self._started.result(seconds)
        except FutureTimeout:
            self.kill()
            raise SparkUnavailable(
                "spark_start_timeout",
                f"Spark was not ready after {seconds:.0f} s; see {self._log}.",
                retriable=True,
            ) from None

    def call(self, op: str, **args: Any) -> Future[Any]:
        """Send a request. The future fails with the error that the driver answered, or with its death."""
        future: Future[Any] = Future()
        with self._lock:
            if self._death is not None:
                future.set_exception(self._death)
                return future
            number = self._next_id = self._next_id + 1
            self._pending[number] = (op, future)
        line = lines.encode({"id": number, "op": op, "args": args})
        try:
            self._write(line)
        except OSError:
            # The reading thread sees the same end, and fails all that waits.
            logger.debug("the driver's pipe is closed")
        return future

    def close(self, seconds: float = _EXIT_SECONDS) -> None:
        """Ask it to stop its streams and end; kill it where it takes longer."""
        self._closing = True
        self.call("exit")
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            logger.warning("the Spark driver %d does not end; killing it", self.pid)
            self.kill()
        self._close_stdin()

    def kill(self) -> None:
        """End it at once; its JVM notices that its parent is gone."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        self._close_stdin()
        # The JVM would end by itself as well, when it comes to look.
        jvm = self.facts.get("jvm_pid")
        if jvm and "java" in command_line(jvm):
            with contextlib.suppress(OSError):
                os.kill(jvm, getattr(signal, "SIGKILL", signal.SIGTERM))
            wait_gone(jvm, 10.0)

    def _close_stdin(self) -> None:
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()

    def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with self._lock:
            try:
                self._process.stdin.write(line)
                self._process.stdin.flush()
            except ValueError:
                raise OSError("closed") from None

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                try:
                    self._take(lines.decode(line))
                except Exception:
                    logger.exception("a line of the Spark driver could not be used")
        self._bury()

    def _take(self, message: lines.Message) -> None:
        if "ready" in message:
            self._started.set_result(message["ready"])
        elif "failed" in message:
            error = message["failed"]
            self._started.set_exception(SparkUnavailable(error["code"], error["message"]))
        elif "event" in message:
            self._on_event(message["event"])
        else:
            with self._lock:
                op, future = self._pending.pop(message["id"])
            if "error" in message:
                future.set_exception(_error_of(op, message["error"]))
            else:
                future.set_result(message["result"])

    def _bury(self) -> None:
        code = self._process.wait()
        self._close_stdin()
        if self._closing:
            text = "Spark was closed."
        else:
            text = f"The Spark driver process ended unexpectedly (code {code}); see {self._log}. Try again."
            logger.warning("%s Its last lines:\n%s", text, tail(self._log, 10))
        death = SparkUnavailable(DIED, text, retriable=not self._closing)
        with self._lock:
            self._death = death
            pending, self._pending = self._pending, {}
        if not self._started.done():
            self._started.set_exception(death)
        for _, future in pending.values():
            future.set_exception(death)
        self._on_death(death)


def _error_of(op: str, error: dict[str, Any]) -> PortError:
    code, message = error["code"], error["message"]
    if op in ("transform", "evaluate", "train", "score_files"):
        return TransformFailed(message, code)
    if op in ("start_stream", "check_stream"):
        return StreamSetupError(code, message, bool(error.get("retriable")))
    return SparkUnavailable(code, message)


def driver_command(folder: Path, foreign: bool = False) -> list[str]:
    """How a driver is started; ``foreign`` has it load stages that are not Spark's own."""
    command = [sys.executable, "-m", "wmlclient.runner.spark.driver", "--dir", str(folder)]
    return [*command, "--allow-foreign-classes"] if foreign else command
