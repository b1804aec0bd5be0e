"""The processes of web services from the runner's side: started under the guard, handed out one by one."""

from __future__ import annotations

import json
import logging
import select
import shutil
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path

from attrs import evolve

from ..engine.kernels import KernelError, Limits
from ..engine.workers import Program, Worker, Workers, WorkersBusy, WorkersEnded
from . import guard, nursery, serving
from .process import Guarded

logger = logging.getLogger("wmlclient.runner.kernels")

#: Requests that wait for a process of one service.
MOST_WAITING = 1000
_FOREVER = 1 << 30
# Copies of a process must not have to tear down threads, and several of them share the machine's cores.
_ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)


class ServiceWorkers:
    """Starts workers.

    Args:
        limits: What each request may use.
        hidden: Folders that workers must not see, but for their own in them.
        environment: What their environment has besides.
    """

    def __init__(
        self, limits: Limits, hidden: list[Path], environment: Mapping[str, str] | None = None
    ) -> None:
        self._limits = limits
        self._environment = {**_ONE_THREAD, **(environment or {})}
        self._hidden = hidden
        self._lock = threading.Lock()
        self._running: list[_Workers] = []
        self._closed = False

    def start(self, program: Program, folder: Path, count: int, seconds: float) -> Workers:
        """See :class:`WorkerFactory`."""
        made = _Workers(program, folder, count, seconds, self._limits, self._hidden, self._environment)
        with self._lock:
            self._running = [each for each in self._running if not each.closed]
            self._running.append(made)
            closed = self._closed
        if closed:
            made.close()
            raise KernelError("The service is ending.")
        return made

    def close(self) -> None:
        """See :class:`WorkerFactory`."""
        with self._lock:
            self._closed = True
            running, self._running = self._running, []
        for each in running:
            each.close()


class _Workers:
    """See :class:`Workers`.

    Attributes:
        closed: Whether its end has been seen to.
    """

    def __init__(
        self,
        program: Program,
        folder: Path,
        count: int,
        seconds: float,
        limits: Limits,
        hidden: list[Path],
        environment: Mapping[str, str],
    ) -> None:
        for name in ("work", "home", "tmp", "requests"):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        about = {
            "code": program.code,
            "initCode": program.init,
            "inputs": program.inputs,
            "outputs": program.outputs,
            "files": program.files,
            "stateless": program.stateless,
            "workspace": None if program.workspace is None else str(program.workspace),
            "requests": str(folder / "requests"),
            "copies": count,
            "console": limits.console,
            "seconds": max(1, int(seconds)),
            "memory": limits.memory,
        }
        file = folder / "service.json"
        file.write_text(json.dumps(about), encoding="utf-8")
        self._folder = folder
        self._seconds = max(1, int(seconds))
        self._count = count
        self._lock = threading.Lock()
        self._ready: deque[_Leased] = deque()
        self._waiting: deque[Future[Worker]] = deque()
        self._endings: dict[int, int] = {}
        self._out = 0
        self._retired = False
        self._watched = False
        self._reason: str | None = None
        self.closed = False
        # Each request has the limits of a session; the process that they are copied from lives on and on.
        together = evolve(limits, cpu_seconds=_FOREVER, memory=limits.memory * (count + 1))
        self._control, there = socket.socketpair()
        try:
            command = [sys.executable, str(serving.__file__), str(there.fileno()), str(file)]
            self._process = Guarded(
                command, folder, together, hidden, [folder] if hidden else [], [there.fileno()], environment
            )
        except BaseException:
            self._control.close()
            raise
        finally:
            there.close()
        self._control.setblocking(False)

    @property
    def ended(self) -> str | None:
        """See :class:`Workers`."""
        return self._process.ended or self._reason

    @property
    def count(self) -> int:
        """See :class:`Workers`."""
        return self._count

    def lease(self) -> Worker | Future[Worker]:
        """See :class:`Workers`."""
        with self._lock:
            if not self._ready and self._reason is None:
                self._hear()
            if self._ready:
                self._out += 1
                return self._ready.popleft()
            if self._reason is not None:
                raise WorkersEnded(self._reason)
            if len(self._waiting) >= MOST_WAITING:
                raise WorkersBusy("too many requests wait for this service")
            waiting: Future[Worker] = Future()
            self._waiting.append(waiting)
            if not self._watched:
                self._watched = True
                threading.Thread(target=self._watch, name="service-workers", daemon=True).start()
            return waiting

    def resize(self, count: int) -> None:
        """See :class:`Workers`."""
        self._count = count
        self._tell(nursery.COPIES, 0, count)

    def retire(self) -> None:
        """See :class:`Workers`."""
        with self._lock:
            self._retired = True
            over = self._out == 0 and not self._waiting
        if over:
            self.close()

    def close(self) -> None:
        """See :class:`Workers`."""
        self._process.end()
        with self._lock:
            self._end("it was closed")
        self._turn_away()
        self.closed = True
        shutil.rmtree(self._folder, ignore_errors=True)

    def _watch(self) -> None:
        """Serve those who wait, until nobody does."""
        going_on = True
        while going_on:
            _readable(self._control, 1.0)
            served: list[tuple[Future[Worker], _Leased]] = []
            with self._lock:
                if self._reason is None:
                    self._hear()
                while self._waiting and self._ready:
                    self._out += 1
                    served.append((self._waiting.popleft(), self._ready.popleft()))
                self._watched = going_on = bool(self._waiting) and self._reason is None
            # Without the lock: what hears of it may come back to us.
            for waiting, leased in served:
                if waiting.set_running_or_notify_cancel():
                    waiting.set_result(leased)
                else:
                    leased.release()
            self._turn_away()

    def _hear(self) -> None:
        """Take what the process has said; with the lock."""
        while True:
            try:
                message, descriptors, _, _ = socket.recv_fds(self._control, nursery.CONTROL.size, 1)
            except BlockingIOError:
                return
            except OSError:
                message, descriptors = b"", []
            if len(message) < nursery.CONTROL.size:
                return self._end(None)
            what, id, value = nursery.CONTROL.unpack(message)
            if what == nursery.READY and descriptors:
                self._ready.append(_Leased(self, id, socket.socket(fileno=descriptors[0])))
            elif what == nursery.ENDED:
                self._endings[id] = value
                while len(self._endings) > 1000:
                    self._endings.pop(next(iter(self._endings)))

    def _end(self, reason: str | None) -> None:
        """There will be no more; with the lock."""
        if self._reason is not None:
            return
        self._reason = reason or self._process.ended or "its process has gone"
        self._control.close()
        for leased in self._ready:
            leased.connection.close()
        self._ready.clear()

    def _turn_away(self) -> None:
        """Tell those who wait that there will be no more; without the lock."""
        with self._lock:
            if self._reason is None:
                return
            waiting, self._waiting = list(self._waiting), deque()
        for each in waiting:
            if each.set_running_or_notify_cancel():
                each.set_exception(WorkersEnded(self._reason))

    def _tell(self, what: int, id: int, value: int = 0) -> None:
        try:
            self._control.send(nursery.CONTROL.pack(what, id, value))
        except OSError:  # it has gone, or does not listen
            logger.debug("a service's process takes no orders")

    def kill(self, id: int) -> None:
        """End one copy."""
        self._tell(nursery.KILL, id)

    def why(self, id: int, seconds: float = 2.0) -> str:
        """Why one copy is gone. Takes a moment, so not for the event loop."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with self._lock:
                if self._reason is None:
                    self._hear()
                code, gone = self._endings.pop(id, None), self._reason is not None
            if code is not None:
                return f"The request was ended: {guard.why(code, {'cpu_seconds': self._seconds})}."
            if gone:
                # The guard says why a moment after.
                return f"The request was ended: {self._process.reason(seconds) or self._reason}."
            _readable(self._control, 0.05)
        self.kill(id)
        return "The request was ended: it closed its connection without an answer."

    def released(self, leased: _Leased, again: bool) -> None:
        """One request has ended, and its process as well unless it is to take another one."""
        waiting: Future[Worker] | None = None
        with self._lock:
            self._out -= 1
            at_hand = self._out + len(self._ready)
            again = again and self._reason is None and not self._retired and at_hand < self._count
            while again and self._waiting and waiting is None:
                first = self._waiting.popleft()
                waiting = first if first.set_running_or_notify_cancel() else None
            if waiting is not None:
                self._out += 1
            elif again:
                # What has just run has its memory at hand.
                self._ready.appendleft(leased)
            over = self._retired and self._out == 0 and not self._waiting
        if waiting is not None:
            waiting.set_result(leased)
        elif not again:
            leased.connection.close()
        if over:
            threading.Thread(target=self.close, name="service-end", daemon=True).start()


class _Leased:
    """See :class:`Worker`."""

    def __init__(self, workers: _Workers, id: int, connection: socket.socket) -> None:
        self._workers = workers
        self._id = id
        connection.setblocking(False)
        self.connection = connection

    def kill(self) -> None:
        """See :class:`Worker`."""
        self._workers.kill(self._id)

    def why(self) -> str:
        """See :class:`Worker`."""
        return self._workers.why(self._id)

    def release(self, again: bool = False) -> None:
        """See :class:`Worker`."""
        self._workers.released(self, again)


def _readable(connection: socket.socket, seconds: float) -> None:
    events = select.poll()
    try:
        events.register(connection, select.POLLIN)
    except (ValueError, OSError):  # closed
        return
    events.poll(seconds * 1000)
