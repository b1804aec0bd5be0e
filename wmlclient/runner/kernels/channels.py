"""What is said to a kernel: messages of Jupyter over sockets in a private folder."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engine.kernels import KernelEnded
from ..private import write_private

if TYPE_CHECKING:
    import zmq

_POLL_MS = 100
_CHANNELS = ("shell", "iopub", "stdin", "control", "hb")


class Channels:
    """One kernel's sockets. Used by one thread at a time, but for :meth:`printed`.

    Args:
        context: Makes sockets.
        folder: A short folder for them; :attr:`file` in it says to the kernel where they are.
        most: Characters that are kept of what code prints.
        ended: Tells why the process is gone, or None while it runs.

    Attributes:
        file: The connection file.
    """

    def __init__(
        self, context: zmq.Context[Any], folder: Path, most: int, ended: Callable[[], str | None]
    ) -> None:
        import zmq
        from jupyter_client.session import Session

        self._most = most
        self._ended = ended
        key = secrets.token_hex(32)
        connection = {
            "transport": "ipc",
            "ip": str(folder / "k"),
            "key": key,
            "signature_scheme": "hmac-sha256",
            **{f"{name}_port": number for number, name in enumerate(_CHANNELS, 1)},
        }
        self.file = folder / "connection.json"
        write_private(self.file, json.dumps(connection))
        self._session = Session(key=key.encode(), signature_scheme="hmac-sha256")
        self._shell = context.socket(zmq.DEALER)
        self._iopub = context.socket(zmq.SUB)
        self._iopub.subscribe(b"")
        for number, socket in enumerate((self._shell, self._iopub), 1):
            socket.linger = 0
            socket.connect(f"ipc://{folder / 'k'}-{number}")
        self._text: list[str] = []
        self._length = 0
        self._text_lock = threading.Lock()

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return bool(self._shell.closed)

    def close(self) -> None:
        """Close the sockets. Twice is fine."""
        self._shell.close()
        self._iopub.close()

    def printed(self) -> str:
        """What code has printed since the last :meth:`forget`."""
        with self._text_lock:
            return "".join(self._text)

    def forget(self) -> None:
        """Forget what was printed."""
        with self._text_lock:
            self._text, self._length = [], 0

    def send(self, kind: str, content: dict[str, Any]) -> str:
        """Send a message; returns its identity.

        Raises:
            KernelEnded: The process is gone.
        """
        if self._ended() is not None or self.closed:
            raise KernelEnded(self._ended() or "it was closed")
        sent: Any = self._session.send(self._shell, kind, content)
        return str(sent["header"]["msg_id"])

    def wait(self, parent: str, until: float | None = None, tell: bool = False) -> dict[str, Any] | None:
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
            ended = self._ended()
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
            room = self._most - self._length
            if room > 0:
                self._text.append(
                    text if len(text) <= room else text[:room] + "\n... (the rest is not kept)\n"
                )
                self._length += len(text)
