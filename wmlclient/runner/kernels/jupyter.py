"""Python sessions: Jupyter kernels, spoken to over sockets in a private folder.

Jupyter and its sockets take a third of a second to import, so that waits for the first session.
"""

from __future__ import annotations

import json
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
    KernelEnded,
    KernelError,
    Limits,
    NoSuchObject,
    Runtime,
    RuntimeMissing,
)
from ..private import write_private
from . import inside
from .process import Guarded

if TYPE_CHECKING:
    import zmq

START_SECONDS = 120.0
#: Bytes of outputs or an object that are taken from a kernel.
LARGEST = 512 << 20

_POLL_MS = 100
_CHANNELS = ("shell", "iopub", "stdin", "control", "hb")


class JupyterKernels:
    """Starts kernels.

    Args:
        limits: What each session may use.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
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
        kernel = PythonKernel(folder, self._limits, self._context)
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


class PythonKernel:
    """A kernel of this very Python; see :class:`Kernel`."""

    def __init__(self, folder: Path, limits: Limits, context: zmq.Context[Any]) -> None:
        import zmq
        from jupyter_client.session import Session

        self._limits = limits
        self._exchange = folder / "exchange"
        for name in ("work", "home", "tmp", "exchange"):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        # The path of a socket may have no more than about 100 characters, and a home's may.
        self._sockets = Path(tempfile.mkdtemp(prefix="wmlclient-"))
        key = secrets.token_hex(32)
        connection = {
            "transport": "ipc",
            "ip": str(self._sockets / "k"),
            "key": key,
            "signature_scheme": "hmac-sha256",
            **{f"{name}_port": number for number, name in enumerate(_CHANNELS, 1)},
        }
        file = self._sockets / "connection.json"
        write_private(file, json.dumps(connection))
        self._session = Session(key=key.encode(), signature_scheme="hmac-sha256")
        self._shell = context.socket(zmq.DEALER)
        self._iopub = context.socket(zmq.SUB)
        self._iopub.subscribe(b"")
        for number, socket in enumerate((self._shell, self._iopub), 1):
            socket.linger = 0
            socket.connect(f"ipc://{self._sockets / 'k'}-{number}")
        self._text: list[str] = []
        self._length = 0
        self._text_lock = threading.Lock()
        self._busy = threading.Lock()
        try:
            command = [sys.executable, "-X", "frozen_modules=off", str(inside.__file__), str(file)]
            self._process = Guarded(command, folder, limits)
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
        return bool(self._shell.closed)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def await_ready(self) -> None:
        """Return when it answers on both sockets.

        Raises:
            KernelError: It does not.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            # Asked again until the subscription is there: what was published before is lost.
            parent = self._send("kernel_info_request", {})
            if self._wait(parent, until=time.monotonic() + 1.0) is not None:
                return
        raise KernelError("The session did not start in time.")

    def execute(self, code: str, inputs: list[tuple[str, Any]], outputs: list[str]) -> Execution:
        """See :class:`Kernel`."""
        with self._text_lock:
            self._text, self._length = [], 0
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
        with self._text_lock:
            return "".join(self._text)

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
            reply = self._wait(self._send("execute_request", content), tell=not silent) or {}
        if reply.get("status") == "ok":
            return None
        return {"ename": reply.get("ename", "Aborted"), "evalue": reply.get("evalue", "the code was not run")}

    def _send(self, kind: str, content: dict[str, Any]) -> str:
        if self.ended is not None or self._shell.closed:
            raise KernelEnded(self.ended or "it was closed")
        sent: Any = self._session.send(self._shell, kind, content)
        return str(sent["header"]["msg_id"])

    def _wait(self, parent: str, until: float | None = None, tell: bool = False) -> dict[str, Any] | None:
        """The reply, once the kernel is idle again; None where the time is over.

        Raises:
            KernelEnded: The process is gone.
        """
        import zmq

        poller = zmq.Poller()
        for socket in (self._shell, self._iopub):
            poller.register(socket, zmq.POLLIN)
        reply: dict[str, Any] | None = None
        idle = False
        while reply is None or not idle:
            # Looked at before the sockets: what was said before the end is read.
            ended = self.ended
            ready = dict(poller.poll(_POLL_MS))
            if not ready:
                if ended is not None:
                    raise KernelEnded(ended)
                if until is not None and time.monotonic() >= until:
                    return None
                continue
            for socket in ready:
                message = self._received(socket)
                if message is None or message.get("parent_header", {}).get("msg_id") != parent:
                    continue
                content, kind = message["content"], message["msg_type"]
                if socket is self._shell:
                    reply = content
                elif kind == "status":
                    idle = idle or content.get("execution_state") == "idle"
                elif tell:
                    self._print(kind, content)
        return reply

    def _received(self, socket: Any) -> dict[str, Any] | None:
        import zmq

        try:
            _, message = self._session.recv(socket, mode=zmq.NOBLOCK)
            return message if message and isinstance(message["content"], dict) else None
        except Exception:  # code in the kernel can send what it likes
            return None

    def _print(self, kind: str, content: Mapping[str, Any]) -> None:
        if kind == "stream":
            text = content.get("text")
        elif kind in ("execute_result", "display_data"):
            data = content.get("data")
            text = data.get("text/plain") if isinstance(data, dict) else None
            text = f"{text}\n" if isinstance(text, str) else None
        else:
            return
        if not isinstance(text, str):
            return
        with self._text_lock:
            room = self._limits.console - self._length
            if room > 0:
                self._text.append(
                    text if len(text) <= room else text[:room] + "\n... (the rest is not kept)\n"
                )
                self._length += len(text)

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
        self._shell.close()
        self._iopub.close()
        shutil.rmtree(self._sockets, ignore_errors=True)


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
