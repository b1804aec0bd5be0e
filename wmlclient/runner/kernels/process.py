"""A session's process from the runner's side: started under the guard, ended with it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict

from ..engine.kernels import KernelError, Limits
from . import guard

logger = logging.getLogger("wmlclient.runner.kernels")

# All that a session's process sees of our environment: no secret is among it.
_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "PYTHONHOME")


def environment(folder: Path) -> dict[str, str]:
    """The environment of a session's process."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "IPYTHONDIR": str(folder / "home" / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(folder / "home"),
        # There is no screen to draw on.
        "MPLBACKEND": "Agg",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONUNBUFFERED": "1",
    }


class Guarded:
    """A program that is limited and watched, and that ends with us, whatever happens to us.

    Args:
        command: Program and arguments.
        folder: The session's folder; the program starts in ``work``.
        limits: What it may use.
        hidden: Folders that it must not see, where the system allows to hide them.
        shown: Folders in these that it sees all the same.
        descriptors: Open files that it inherits, by the same numbers.
        more: What its environment has besides.
        background: Whether it gives way to all others; else it does when a copy of it calculates for long.

    Attributes:
        apart: Whether it has namespaces of its own.
        fenced: Whether it can write in its folders alone.

    Raises:
        KernelError: It cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        limits: Limits,
        hidden: Sequence[Path] = (),
        shown: Sequence[Path] = (),
        descriptors: Sequence[int] = (),
        more: Mapping[str, str] | None = None,
        background: bool = False,
    ) -> None:
        order = {
            "command": list(command),
            "cwd": str(folder / "work"),
            "env": environment(folder) | dict(more or {}),
            "log": str(folder / "kernel.log"),
            "hidden": [str(path) for path in hidden],
            "shown": [str(path) for path in shown],
            "writable": sorted({str(folder), *(str(path) for path in shown)}),
            "descriptors": list(descriptors),
            "limits": {name: value for name, value in asdict(limits).items() if name != "console"},
            "background": background,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", str(guard.__file__), json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=_guard_environment(),
            pass_fds=descriptors,
        )
        self.ended: str | None = None
        self._gone = threading.Event()
        told = self._line()
        if "pid" not in told:
            self._process.wait()
            self._close_pipes()
            raise KernelError(f"The session does not start: {told.get('ended', 'its guard gave no answer')}.")
        self.pid: int = told["pid"]
        self.apart: bool = told["apart"]
        self.fenced: bool = told["fenced"]
        threading.Thread(target=self._listen, name="session-end", daemon=True).start()

    @property
    def guard_pid(self) -> int:
        """The process between us and the program."""
        return self._process.pid

    def reason(self, seconds: float) -> str | None:
        """Why it has ended; None where it has not after so many seconds."""
        self._gone.wait(seconds)
        return self.ended

    def begin(self) -> None:
        """An execution begins, which may use as much CPU as one may."""
        self._write(b"begin\n")

    def interrupt(self) -> None:
        """Send the program what Ctrl-C would."""
        self._write(b"interrupt\n")

    def end(self, seconds: float = 15.0) -> None:
        """End it with all that it started, and wait for that. Twice is fine."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except OSError:
            pass
        if not self._gone.wait(seconds):
            logger.warning("the guard %d of a session does not end; killing it", self._process.pid)
            self._process.kill()
            self._gone.wait()

    def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except (OSError, ValueError):  # it has ended
            pass

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        try:
            told: dict[str, Any] = json.loads(line)
            return told
        except ValueError:
            return {}

    def _listen(self) -> None:
        told = self._line()
        self._process.wait()
        self.ended = told.get("ended", "its guard was killed")
        self._close_pipes()
        self._gone.set()

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:
                pass


def _guard_environment() -> Mapping[str, str]:
    return {name: os.environ[name] for name in _KEPT if name in os.environ}
