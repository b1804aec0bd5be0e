"""Copies of a warmed process, one for each request: made before it comes, buried after it.

Loaded by its path in the process of a web service, beside :mod:`serving`.
"""

from __future__ import annotations

import _signal
import os
import select
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

#: Before each message: its length; before an answer of a process that can take another request, with the bit ``AGAIN``.
LENGTH = struct.Struct("!Q")
AGAIN = 1 << 63
#: On the control socket: what, which copy, and with ``ENDED`` how it ended.
CONTROL = struct.Struct("!BIi")
READY, ENDED, KILL, COPIES = range(4)

#: Seconds after which processes are looked for that a request has left behind.
SWEEP_SECONDS = 1.0
#: The exit code of a copy that has answered, or was not asked.
DONE = 77


def received(connection: socket.socket) -> bytes:
    """A message.

    Raises:
        EOFError: The other end has gone.
    """
    (length,) = LENGTH.unpack(_exactly(connection, LENGTH.size))
    return _exactly(connection, length)


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts, missing = [], size
    while missing:
        part = connection.recv(min(missing, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def send(connection: socket.socket, answer: bytes, last: bool) -> None:
    """Send an answer, and say whether another request may come."""
    connection.sendall(LENGTH.pack(len(answer) | (0 if last else AGAIN)) + answer)


def traces() -> tuple[object, ...]:
    """What tells that a request has left something: threads, processes, files, folders, another environment."""
    kept, children, threads = os.environ.copy(), "", threading.active_count()
    try:
        if sys.platform == "linux":
            with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
                children = file.read()
            threads = len(os.listdir("/proc/self/task"))
        return (
            os.getcwd(),
            sorted(os.listdir(".")),
            os.listdir(kept.get("TMPDIR", ".")),
            children,
            threads,
            kept,
        )
    except OSError:  # a folder is gone
        return (object(),)


class Nursery:
    """Keeps copies of this process.

    Args:
        control: The socket to the runner.
        copies: How many there are at once, waiting or at work.
        folder: Where each has its folder.
        template: What each finds in its working directory.
        run: What a copy does with its socket.
    """

    def __init__(
        self,
        control: socket.socket,
        copies: int,
        folder: Path,
        template: Path,
        run: Callable[[socket.socket], None],
    ) -> None:
        self._control = control
        self._copies = copies
        self._folder = folder
        self._template = template if any(template.iterdir()) else None
        if self._template is not None:
            _shutil()
        self._run = run
        self._next = 0
        self._alive: dict[int, int] = {}
        self._wake, self._woken = os.pipe()

    def keep(self) -> None:
        """Keep copies until the runner lets go of the control socket."""
        for end in (self._wake, self._woken):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        control = self._control.fileno()
        while True:
            while len(self._alive) < self._copies:
                self._copy()
            ready, _, _ = select.select([control, self._wake], [], [], SWEEP_SECONDS)
            if control in ready and not self._heard():
                return
            if self._wake in ready:
                try:
                    os.read(self._wake, 4096)
                except BlockingIOError:
                    pass
            self._bury()
            if not ready:
                self._sweep()

    def _copy(self) -> None:
        id = self._next = self._next + 1
        here, there = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            there.close()
            self._be_copy(here, f"{self._folder}/{id}")
        here.close()
        self._alive[pid] = id
        try:
            socket.send_fds(self._control, [CONTROL.pack(READY, id, 0)], [there.fileno()])
        except OSError:  # the runner has gone
            os._exit(0)
        there.close()

    def _be_copy(self, connection: socket.socket, folder: str) -> NoReturn:
        code = 1
        try:
            # Not by signal, whose enumerations are pages that each copy would have to itself.
            _signal.set_wakeup_fd(-1)
            _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
            # A group and no session: Linux shares the processor among sessions, and a service is to be one of them.
            os.setpgid(0, 0)
            self._control.close()
            os.close(self._wake)
            os.close(self._woken)
            temporary = _temporary(folder)
            os.mkdir(temporary, 0o700)
            if self._template is None:
                os.mkdir(folder, 0o700)
            else:
                _shutil().copytree(self._template, folder, symlinks=True)
            os.chdir(folder)
            os.environ["TMPDIR"] = temporary
            self._run(connection)
            code = DONE
        except EOFError:  # no request came
            code = DONE
        finally:
            os._exit(code)

    def _heard(self) -> bool:
        try:
            message = _exactly(self._control, CONTROL.size)
        except (EOFError, OSError):
            return False
        what, id, value = CONTROL.unpack(message)
        if what == COPIES:
            self._copies = value
        for pid, known in self._alive.items():
            if what == KILL and known == id:
                _kill_group(pid)
        return True

    def _bury(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            id = self._alive.pop(pid, None)
            if id is None:
                continue
            # What it has started ends with it.
            _kill_group(pid)
            code = os.waitstatus_to_exitcode(status)
            if code != DONE:
                try:
                    self._control.sendall(CONTROL.pack(ENDED, id, code))
                except OSError:
                    os._exit(0)
            folder = f"{self._folder}/{id}"
            for each in (folder, _temporary(folder)):
                try:
                    os.rmdir(each)
                except OSError:  # there is something in it
                    _shutil().rmtree(each, ignore_errors=True)

    def _sweep(self) -> None:
        """Kill what left its group and lost its parent: it is ours now, and no copy."""
        try:
            with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
                children = [int(word) for word in file.read().split()]
        except OSError:
            return
        for pid in children:
            if pid not in self._alive:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    continue


def _shutil() -> Any:
    """Only where it is needed: with it come libraries for archives, which each copy would map anew."""
    import shutil

    return shutil


def _temporary(folder: str) -> str:
    return f"{folder}.tmp"


def _kill_group(pid: int) -> None:
    # A copy has a group of its own from its first moment on; a moment before, it has ours.
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except OSError:
            continue
