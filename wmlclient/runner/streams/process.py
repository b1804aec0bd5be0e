"""One worker process seen from the runner: it is given its task, tells what it does, and its death is noticed."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wmlclient.runner import lines
from wmlclient.runner.engine.ports import StreamSpec

logger = logging.getLogger("wmlclient.runner.streams")

# Called with kind and details of an event; with None once, when the process is gone.
Hear = Callable[[str | None, dict[str, Any]], None]


class WorkerProcess:
    """A running worker.

    Args:
        spec: The stream.
        name: The worker's name among those of the stream.
        lasting: Whether a worker of this name comes back after an accident.
        log: File that takes its stderr; appended to.
        hear: Called from a thread of its own.
        command: What to run; the worker, by default.
        isolation: How the code of a web service is held, as plain data; see :func:`.service.open_service`.
    """

    def __init__(
        self,
        spec: StreamSpec,
        name: str,
        *,
        lasting: bool,
        log: Path,
        hear: Hear,
        command: list[str] | None = None,
        isolation: Mapping[str, Any] | None = None,
    ) -> None:
        self._hear = hear
        with open(log, "ab") as sink:
            self._process = subprocess.Popen(
                command or [sys.executable, "-m", "wmlclient.runner.streams.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                # Ctrl-C in the runner's terminal is the runner's to handle.
                start_new_session=os.name == "posix",
            )
        task = {"spec": lines.spec_to_json(spec), "name": name, "lasting": lasting, "isolation": isolation}
        lines.send(self._process.stdin, task)
        threading.Thread(target=self._listen, name=f"worker-{self.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def swap(self, spec: StreamSpec) -> None:
        """Have it score by another model from its next batch on; it tells ``loaded``, or ``not_loaded``."""
        lines.send(self._process.stdin, {"op": "swap", "spec": lines.spec_to_json(spec)})

    def stop(self, seconds: float) -> None:
        """Have it end after the batch that is under way; kill it where it takes longer."""
        lines.send(self._process.stdin, {"op": "exit"})
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            logger.warning("the worker %d does not end; killing it", self.pid)
            self.kill()

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                try:
                    event = lines.decode(line)["event"]
                    self._hear(event["kind"], event["details"])
                except Exception:
                    logger.exception("a line of a worker could not be used")
        code = self._process.wait()
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._hear(None, {"code": code})
