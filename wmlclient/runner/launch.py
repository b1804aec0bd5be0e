"""Starts a runner as a child process that ends with this one, and talks to it.

The standard library only: this is what the client half imports.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import shutil
import site
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

logger = logging.getLogger("wmlclient.runner.launch")

START_SECONDS = 60.0
#: With the broker, whose jars are fetched the first time.
KAFKA_SECONDS = 900.0
STOP_SECONDS = 45.0

# A forked child must not hold the pipe open: the runner would outlive us.
_PIPES: weakref.WeakSet[IO[bytes]] = weakref.WeakSet()

# They belong to a service that the user has elsewhere; the child makes its own.
_NOT_INHERITED = ("WMLCLIENT_USERNAME", "WMLCLIENT_PASSWORD", "WMLCLIENT_INSTANCE_ID")


class RunnerFailed(Exception):
    """The runner did not start, or has ended.

    Attributes:
        code: Stable, machine-readable.
        message: What is wrong and what to do, with the last lines of its log where nothing better is known.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


class LocalRunner:
    """A runner of this process's own, on loopback and a free port.

    It ends with :meth:`stop`, with the interpreter, or when this process is killed: its end of the pipe says so.

    Args:
        home: Folder that keeps models and deployments; None for a temporary one that goes with the runner.
        kafka: Start the embedded broker at once; else it starts on the first :meth:`kafka_credentials`.
        spark_master: Spark where a request names none.
        log: File of the runner's log; ``logs/runner.log`` in its home by default.
        allow_uncertified: Score natively what cannot be compared with Spark.

    Example:
        >>> with LocalRunner() as runner:  # doctest: +SKIP
        ...     runner.credentials["url"]
        'http://127.0.0.1:41234'
    """

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        kafka: bool = False,
        spark_master: str = "local[2]",
        log: str | os.PathLike[str] | None = None,
        allow_uncertified: bool = False,
    ) -> None:
        self._given_home = Path(home).expanduser().absolute() if home is not None else None
        self._kafka = kafka
        self._spark_master = spark_master
        self._log = Path(log) if log is not None else None
        self._allow_uncertified = allow_uncertified
        self._process: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize[..., Any] | None = None
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._asking = threading.Lock()
        self.home: Path | None = self._given_home
        self._credentials: dict[str, Any] | None = None

    @property
    def credentials(self) -> dict[str, Any]:
        """What ``credentials.json`` holds: ``url``, ``username``, ``password``, ``instance_id``, perhaps ``kafka``.

        Raises:
            RunnerFailed: It was not started.
        """
        if self._credentials is None:
            raise RunnerFailed("runner_not_started", "The runner was not started: call start() first.")
        return self._credentials

    @property
    def pid(self) -> int | None:
        """The runner's process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def log(self) -> Path:
        """The runner's log file."""
        if self._log is not None:
            return self._log
        assert self.home is not None
        return self.home / "logs" / "runner.log"

    def start(self) -> LocalRunner:
        """Start it and wait until it is ready; nothing to do where it runs. Returns itself.

        Raises:
            RunnerFailed: With the reason, or the last lines of its log.
        """
        if self.pid is not None:
            return self
        temporary = None
        if self._given_home is None:
            temporary = tempfile.mkdtemp(prefix="wmlclient-")
            self.home = Path(temporary)
        try:
            self._process = self._spawn()
        except OSError as error:
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)
            raise RunnerFailed("runner_not_started", f"The runner cannot be started: {error}") from error
        if self._process.stdin is not None:
            _PIPES.add(self._process.stdin)
        # Bound to the process that started it: a forked child that ends must not end our runner.
        self._end = weakref.finalize(self, _end, self._process, temporary, os.getpid())
        self._lines = queue.SimpleQueue()
        reader = threading.Thread(
            target=_read, args=(self._process.stdout, self._lines), name="runner-lines", daemon=True
        )
        reader.start()
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def kafka_credentials(self) -> dict[str, Any]:
        """Credentials of the embedded broker, which is started where it does not run.

        Raises:
            RunnerFailed: No Java, no jars, or the runner has ended.
        """
        answer = self._ask("kafka", KAFKA_SECONDS)
        kafka: dict[str, Any] = answer["kafka"]
        self.credentials["kafka"] = kafka
        return kafka

    def stop(self) -> None:
        """End it and all that it started, and wait for that. Twice is fine."""
        if self._end is not None:
            self._end()
        self._process = None
        self._credentials = None

    def __enter__(self) -> LocalRunner:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        where = self._credentials["url"] if self._credentials is not None else "not started"
        return f"<LocalRunner {where}>"

    def _spawn(self) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = [sys.executable, "-m", "wmlclient.runner", "--home", str(self.home), "--port", "0"]
        command += ["--spark-master", self._spark_master, "--control-stdin"]
        # It answers to this process's user alone, with that user's rights.
        command += ["--data-folder", Path.home().anchor]
        if self._kafka:
            command.append("--kafka")
        if self._allow_uncertified:
            command.append("--allow-uncertified")
        with open(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as sink:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                env=_environment(os.environ),
                # Ctrl-C in a terminal or a notebook is for the client; it ends its runner when it ends.
                start_new_session=True,
            )

    def _await_ready(self) -> None:
        deadline = time.monotonic() + (KAFKA_SECONDS if self._kafka else START_SECONDS)
        line = self._next(deadline)
        if line.get("event") != "ready":
            raise RunnerFailed(
                str(line.get("code", "runner_failed")), str(line.get("message", "The runner did not start."))
            )
        assert self.home is not None
        text = (self.home / "credentials.json").read_text(encoding="utf-8")
        self._credentials = json.loads(text)

    def _ask(self, op: str, seconds: float) -> dict[str, Any]:
        with self._asking:
            process = self._process
            if process is None or process.stdin is None:
                raise RunnerFailed("runner_not_started", "The runner was not started: call start() first.")
            try:
                process.stdin.write(json.dumps({"op": op}).encode() + b"\n")
                process.stdin.flush()
            except (OSError, ValueError):
                raise self._ended() from None
            answer = self._next(time.monotonic() + seconds)
        if not answer.get("ok"):
            raise RunnerFailed(str(answer.get("code", "runner_failed")), str(answer.get("message", "")))
        return answer

    def _next(self, deadline: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise RunnerFailed(
                "runner_timeout", f"The runner gave no answer in time; see {self.log}:\n{self._last_lines()}"
            ) from None
        if line is None:
            raise self._ended()
        return line

    def _ended(self) -> RunnerFailed:
        process = self._process
        code = None
        if process is not None:
            try:
                code = process.wait(5)
            except subprocess.TimeoutExpired:
                pass
        return RunnerFailed(
            "runner_ended", f"The runner has ended (exit code {code}); see {self.log}:\n{self._last_lines()}"
        )

    def _last_lines(self, count: int = 15) -> str:
        try:
            with open(self.log, "rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - 8192))
                lines = file.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-count:])


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    env = {name: value for name, value in own.items() if name not in _NOT_INHERITED}
    # A file in the user's folder that is named like a module of ours or of Python's must not be taken for it.
    env["PYTHONSAFEPATH"] = "1"
    root = str(Path(__file__).resolve().parents[2])
    if root not in site.getsitepackages() and root != site.getusersitepackages():
        env["PYTHONPATH"] = os.pathsep.join(part for part in (root, env.get("PYTHONPATH", "")) if part)
    return env


def _read(stream: IO[bytes], lines: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    try:
        with stream:
            for line in stream:
                try:
                    lines.put(json.loads(line))
                except ValueError:
                    logger.warning("the runner wrote a line that is no answer")
    finally:
        lines.put(None)


def _end(process: subprocess.Popen[bytes], temporary: str | None, owner: int) -> None:
    """End the process and wait for it, so that nothing is left, not even a zombie."""
    if os.getpid() != owner:
        return
    try:
        if process.stdin is not None:
            try:
                process.stdin.close()
            except OSError:  # it has ended by itself
                pass
        for ask, seconds in ((None, STOP_SECONDS), (process.terminate, 5.0), (process.kill, None)):
            if ask is not None:
                logger.warning("the runner %d does not end; sending it a signal", process.pid)
                ask()
            try:
                process.wait(seconds)
                break
            except subprocess.TimeoutExpired:
                continue
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _close_pipes() -> None:
    for pipe in list(_PIPES):
        try:
            pipe.close()
        except OSError:
            pass


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_pipes)
