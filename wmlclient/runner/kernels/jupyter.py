"""Python sessions: Jupyter kernels, spoken to over sockets in a private folder.

Jupyter and its sockets take a third of a second to import, so that waits for the first session.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engine.kernels import (
    Execution,
    Kernel,
    KernelError,
    Limits,
    NoSuchObject,
    Runtime,
    RuntimeMissing,
)
from . import inside
from .channels import Channels
from .process import Guarded

if TYPE_CHECKING:
    import zmq

logger = logging.getLogger("wmlclient.runner.kernels")

START_SECONDS = 120.0
#: Bytes of outputs or an object that are taken from a kernel.
LARGEST = 512 << 20


class JupyterKernels:
    """Starts kernels.

    Args:
        limits: What each session may use.
        home: The runner's folder, of which a session sees its own alone; None to hide nothing.
        environment: What the environment of sessions has besides.
    """

    def __init__(
        self, limits: Limits, home: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self._limits = limits
        self._environment = environment
        self._home = hideable(home)
        self._sockets: Path | None = None
        self._context: zmq.Context[Any] | None = None
        self._lock = threading.Lock()
        self._running: list[PythonKernel] = []
        self._closed = False

    def check(self, runtime: Runtime) -> None:
        """See :class:`Kernels`."""
        if runtime != "Python":
            raise RuntimeMissing(
                'This service runs Python alone, and R is the default of the API: give `"runtimeType": "Python"`.'
            )

    def start(self, runtime: Runtime, folder: Path) -> Kernel:
        """See :class:`Kernels`."""
        self.check(runtime)
        import zmq

        with self._lock:
            if self._context is None:
                self._context = zmq.Context()
                # The path of a socket may have no more than about 100 characters, and a home's may.
                self._sockets = Path(tempfile.mkdtemp(prefix="wmlclient-"))
            assert self._sockets is not None
            sockets = self._sockets / secrets.token_hex(4)
        sockets.mkdir(mode=0o700)
        hidden = [] if self._home is None else [self._home, self._sockets]
        kernel = PythonKernel(folder, self._limits, self._context, sockets, hidden, self._environment)
        if not kernel.apart:
            logger.warning("the session in %s can read what the runner's account can read", folder)
        if not kernel.fenced:
            logger.warning("the session in %s can write what the runner's account can write", folder)
        with self._lock:
            self._running = [each for each in self._running if not each.closed]
            self._running.append(kernel)
            closed = self._closed
        try:
            if closed:
                raise KernelError("The service is ending.")
            kernel.await_ready()
        except BaseException:
            kernel.end()
            raise
        return kernel

    def close(self) -> None:
        """See :class:`Kernels`."""
        with self._lock:
            self._closed = True
            running, self._running = self._running, []
        for kernel in running:
            kernel.end()
        if self._context is not None:
            self._context.term()
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)


class PythonKernel:
    """A kernel of this very Python; see :class:`Kernel`.

    Args:
        folder: The session's folder.
        limits: What it may use.
        context: Makes sockets.
        sockets: A short folder for them.
        hidden: Folders that the kernel must not see, but for its own in them.
        environment: What its environment has besides.

    Attributes:
        folder: The session's folder.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        context: zmq.Context[Any],
        sockets: Path,
        hidden: list[Path],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._exchange = folder / "exchange"
        for name in ("work", "home", "tmp", "exchange"):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        self._sockets = sockets
        self._channels = Channels(context, sockets, limits.console, lambda: self.ended)
        self._busy = threading.Lock()
        try:
            command = [
                sys.executable,
                "-X",
                "frozen_modules=off",
                str(inside.__file__),
                str(self._channels.file),
            ]
            self._process = Guarded(
                command, folder, limits, hidden, [folder, sockets], more=environment, background=True
            )
        except BaseException:
            self._let_go()
            raise

    @property
    def ended(self) -> str | None:
        """Why the process is gone; None while it runs."""
        return self._process.ended

    @property
    def closed(self) -> bool:
        """Whether its end has been seen to."""
        return self._channels.closed

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def guard_pid(self) -> int:
        """The process that watches it."""
        return self._process.guard_pid

    @property
    def apart(self) -> bool:
        """Whether it sees no other processes and no folders of the runner's but its own."""
        return self._process.apart

    @property
    def fenced(self) -> bool:
        """Whether it can write in its own folders alone."""
        return self._process.fenced

    def await_ready(self) -> None:
        """Return when it answers on both sockets.

        Raises:
            KernelError: It does not.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            # Asked again until the subscription is there: what was published before is lost.
            parent = self._channels.send("kernel_info_request", {})
            if self._channels.wait(parent, until=time.monotonic() + 1.0) is not None:
                return
        raise KernelError("The session did not start in time.")

    def execute(self, code: str, inputs: list[tuple[str, Any]], outputs: list[str]) -> Execution:
        """See :class:`Kernel`."""
        self._channels.forget()
        self._process.begin()
        if inputs:
            with self._passing(json.dumps(inputs).encode()) as file:
                self._ask("set_inputs", str(file))
        error = self._run(code, silent=False) if code.strip() else None
        found: list[tuple[str, Any]] = []
        if error is None and outputs:
            with self._passing() as file:
                error = self._call("write_outputs", outputs, str(file))
                if error is None:
                    found = [(name, value) for name, value in json.loads(self._taken(file))]
        return Execution(None if error is None else _words(error), found, self.console())

    def console(self) -> str:
        """See :class:`Kernel`."""
        return self._channels.printed()

    def interrupt(self) -> None:
        """See :class:`Kernel`."""
        self._process.interrupt()

    def names(self) -> list[str]:
        """See :class:`Kernel`."""
        with self._passing() as file:
            self._ask("write_names", str(file))
            found: list[str] = json.loads(self._taken(file))
        return found

    def put(self, name: str, source: Path) -> None:
        """See :class:`Kernel`."""
        with self._passing(source) as file:
            self._ask("put", name, str(file))

    def get(self, name: str, target: Path) -> None:
        """See :class:`Kernel`."""
        with self._passing() as file:
            self._ask("get", name, str(file))
            target.write_bytes(self._taken(file))

    def delete(self, name: str) -> None:
        """See :class:`Kernel`."""
        self._ask("delete", name)

    def save(self, target: Path) -> None:
        """See :class:`Kernel`."""
        with self._passing() as file:
            self._ask("save", str(file))
            target.write_bytes(self._taken(file))

    def load(self, source: Path) -> None:
        """See :class:`Kernel`."""
        with self._passing(source) as file:
            self._ask("load", str(file))

    def end(self) -> None:
        """See :class:`Kernel`."""
        self._process.end()
        # A thread that waits for an answer sees the end within a moment; only then are its sockets closed.
        with self._busy:
            self._let_go()

    # -- what is said

    def _ask(self, function: str, *words: Any) -> None:
        """Call a function of :mod:`workspace`.

        Raises:
            NoSuchObject, KernelError: What it refuses.
        """
        error = self._call(function, *words)
        if error is not None:
            if error["ename"] == "Missing":
                raise NoSuchObject(str(error["evalue"]))
            raise KernelError(_words(error))

    def _call(self, function: str, *words: Any) -> dict[str, Any] | None:
        arguments = ", ".join(repr(word) for word in words)
        return self._run(f"__import__({inside.NAME!r}).{function}({arguments})", silent=True)

    def _run(self, code: str, silent: bool) -> dict[str, Any] | None:
        """Run code; returns its error or None."""
        content = {
            "code": code,
            "silent": silent,
            "store_history": False,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": False,
        }
        with self._busy:
            sent = self._channels.send("execute_request", content)
            reply = self._channels.wait(sent, tell=not silent) or {}
        if reply.get("status") == "ok":
            return None
        return {"ename": reply.get("ename", "Aborted"), "evalue": reply.get("evalue", "the code was not run")}

    # -- files between us

    def _passing(self, content: bytes | Path | None = None) -> _Passing:
        return _Passing(self._exchange / secrets.token_hex(8), content)

    @staticmethod
    def _taken(file: Path) -> bytes:
        """What the kernel wrote. It could have put something else in the place of the file."""
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise KernelError(f"The session gave no answer: {error.strerror}.") from None
        with os.fdopen(descriptor, "rb") as opened:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode) or state.st_size > LARGEST:
                raise KernelError(f"The session's answer is no file of at most {LARGEST >> 20} MiB.")
            return opened.read()

    def _let_go(self) -> None:
        self._channels.close()
        shutil.rmtree(self._sockets, ignore_errors=True)


def hideable(home: Path | None) -> Path | None:
    """The folder, unless Python itself or this package is in it: without them no session could begin."""
    if home is None:
        return None
    home = home.resolve()
    needed = (sys.prefix, sys.base_prefix, __file__)
    return None if any(Path(path).resolve().is_relative_to(home) for path in needed) else home


class _Passing:
    """A file that is there while one call lasts."""

    def __init__(self, path: Path, content: bytes | Path | None) -> None:
        self._path = path
        self._content = content

    def __enter__(self) -> Path:
        if isinstance(self._content, Path):
            shutil.copyfile(self._content, self._path)
        elif self._content is not None:
            self._path.write_bytes(self._content)
        return self._path

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)


def _words(error: dict[str, Any]) -> str:
    name, value = str(error["ename"]), str(error["evalue"])
    if name == "Refused":  # our own words
        return value
    return f"{name}: {value}" if value else name
