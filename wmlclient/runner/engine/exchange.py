"""A request to a worker and its answer: both JSON, each after eight bytes with its length.

The first bit of an answer's length says whether the worker can take another request.
"""

from __future__ import annotations

import select
import struct
import time
from collections.abc import Sequence
from typing import Any

import orjson

from .workers import Worker

LENGTH = struct.Struct("!Q")
_AGAIN = 1 << 63
#: Bytes of an answer that are taken.
LARGEST = 256 << 20


class BadAnswer(Exception):
    """The code has sent what is no answer."""


class Answer:
    """An answer as it comes in.

    Attributes:
        again: Whether its worker can take another request.
    """

    def __init__(self) -> None:
        self.again = False
        self._parts: list[bytes] = []
        self._size = 0
        self._length: int | None = None

    def add(self, part: bytes) -> bool:
        """Take a piece; whether that was the last.

        Raises:
            BadAnswer: It is too large.
        """
        self._parts.append(part)
        self._size += len(part)
        if self._length is None and self._size >= LENGTH.size:
            self._parts = [b"".join(self._parts)]
            (head,) = LENGTH.unpack_from(self._parts[0])
            self._length, self.again = head & ~_AGAIN, bool(head & _AGAIN)
            if self._length > LARGEST:
                raise BadAnswer(f"the answer is larger than {LARGEST >> 20} MiB")
        return self._length is not None and self._size >= self._length + LENGTH.size

    def body(self) -> bytes:
        """The whole of it.

        Raises:
            BadAnswer: It is no result of a web service.
        """
        body = b"".join(self._parts)[LENGTH.size : LENGTH.size + (self._length or 0)]
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise BadAnswer("the answer is no JSON") from None
        if not isinstance(found, dict) or any(
            not isinstance(found.get(name), kind) for name, kind in _MEMBERS.items()
        ):
            raise BadAnswer("the answer is no result")
        return body


_MEMBERS: dict[str, type] = {
    "success": bool,
    "errorMessage": str,
    "consoleOutput": str,
    "changedFiles": list,
    "outputFiles": dict,
    "outputParameters": dict,
}


def framed(request: bytes) -> bytes:
    """A request as it is sent."""
    return LENGTH.pack(len(request)) + request


def failed(reason: str, files: Sequence[str]) -> dict[str, Any]:
    """The result where the code has come to no end of its own."""
    return {
        "success": False,
        "errorMessage": reason,
        "consoleOutput": "",
        "changedFiles": [],
        "outputFiles": dict.fromkeys(files),
        "outputParameters": {},
    }


def ask(worker: Worker, request: bytes, seconds: float, files: Sequence[str]) -> bytes:
    """Have a worker run a request, on the calling thread; the answer as JSON, a failed one where there is none."""
    connection, until = worker.connection, time.monotonic() + seconds
    waiting, answer, again = memoryview(framed(request)), Answer(), False
    events = select.poll()
    try:
        while True:
            left = until - time.monotonic()
            if left <= 0:
                worker.kill()
                return orjson.dumps(failed(too_long(seconds), files))
            events.register(connection, select.POLLIN | (select.POLLOUT if waiting else 0))
            happened = sum(event for _, event in events.poll(left * 1000))
            if happened & select.POLLOUT:
                waiting = waiting[connection.send(waiting) :]
            if happened & ~select.POLLOUT:
                part = connection.recv(1 << 20)
                if not part:
                    return orjson.dumps(failed(worker.why(), files))
                if answer.add(part):
                    body, again = answer.body(), answer.again
                    return body
    except BadAnswer as error:
        worker.kill()
        return orjson.dumps(failed(f"The request has failed: {error}.", files))
    except OSError:
        return orjson.dumps(failed(worker.why(), files))
    finally:
        worker.release(again)


def too_long(seconds: float) -> str:
    """What is said where a request took too long."""
    return f"The request was ended: it took longer than {seconds:.0f} s."
