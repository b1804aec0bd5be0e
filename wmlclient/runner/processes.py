"""Child processes that cannot outlive this one.

A :class:`Supervised` process runs under :mod:`wmlclient.runner.supervise`, which ends it when this process closes
its pipe, ends, or is killed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wmlclient.runner import supervise
from wmlclient.runner.engine.ports import PortError

logger = logging.getLogger("wmlclient.runner.processes")


class ProcessFailed(PortError):
    """A child process did not start, or ended before it was ready."""


class Supervised:
    """A program that ends with us, whatever happens to us.

    Args:
        argv: Program and arguments.
        log: File that takes its stdout and stderr, overwritten.
        env: Its environment, ours by default.
        cwd: Its folder.
        grace: Seconds between TERM and KILL.

    Raises:
        ProcessFailed: The program cannot be started at all.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        grace: float = 10.0,
    ) -> None:
        self.log = log
        self._grace = grace
        # -I would do as well, but drops PYTHON* settings that a frozen Python may need to find its library.
        command = [sys.executable, "-S", "-E", str(supervise.__file__), "--grace", str(grace), "--", *argv]
        with open(log, "wb") as sink:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                env=dict(env) if env is not None else None,
                cwd=cwd,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self._process.stdout.close()
        try:
            told: dict[str, Any] = json.loads(line) if line else {"error": f"no answer; see {log}"}
        except ValueError:
            told = {"error": f"unreadable answer {line!r}"}
        if "pid" not in told:
            self.stop()
            raise ProcessFailed("process_not_started", f"{argv[0]} cannot be started: {told['error']}")
        self.pid: int = told["pid"]

    @property
    def supervisor_pid(self) -> int:
        """The process between us and the program."""
        return self._process.pid

    def poll(self) -> int | None:
        """The program's exit code, or None while it runs."""
        code = self._process.poll()
        if code is not None:
            self._let_go()
        return code

    def stop(self) -> int:
        """End the program and wait for it; fine to call twice. Returns its exit code."""
        self._let_go()
        try:
            return self._process.wait(self._grace + 5.0)
        except subprocess.TimeoutExpired:
            logger.warning("the supervisor %d of %s does not end; killing it", self._process.pid, self.log)
            self._process.kill()
            return self._process.wait()

    def _let_go(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def tail(self, lines: int = 15) -> str:
        """The last lines of the program's log."""
        return tail(self.log, lines)


def tail(path: Path, lines: int = 15, limit: int = 64 * 1024) -> str:
    """The last lines of a text file; empty where there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - limit))
            data = file.read()
    except OSError:
        return ""
    return "\n".join(data.decode("utf-8", "replace").splitlines()[-lines:])


def alive(pid: int) -> bool:
    """Whether a process with this id exists and is no zombie (Linux tells; elsewhere a zombie counts)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    state = _proc(pid, "stat")
    return not (state and state.rpartition(b")")[2].split()[:1] == [b"Z"])


def command_line(pid: int) -> str:
    """The command line of a process, arguments joined by spaces; empty where it cannot be read."""
    raw = _proc(pid, "cmdline")
    if raw is not None:
        return raw.replace(b"\0", b" ").decode("utf-8", "replace").strip()
    try:
        answer = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()


def wait_gone(pid: int, seconds: float) -> bool:
    """Wait until a process that is no child of ours is gone; False when the time is over."""
    deadline = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True


def remember_pid(file: Path, pid: int) -> None:
    """Note the process that uses a folder, for :func:`end_leftover` of a later run."""
    file.write_text(f"{pid}\n", encoding="ascii")


def end_leftover(file: Path, mark: str, *, wait: float = 0.0) -> None:
    """End what an earlier run has left behind.

    Args:
        file: Where its process id was noted; removed. No file, nothing to do.
        mark: Text that its command line holds. A process without it is somebody else's by now, and let alone.
        wait: Seconds in which it may end by itself before it is killed.
    """
    try:
        pid = int(file.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return
    if alive(pid) and mark in command_line(pid) and not wait_gone(pid, wait):
        logger.warning("killing process %d, left behind by an earlier run", pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        wait_gone(pid, 10.0)
    file.unlink(missing_ok=True)


def _proc(pid: int, name: str) -> bytes | None:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return None
