"""What is read from a request before anybody looks at its meaning: headers, who it is for, its body within limits."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, MutableMapping
from typing import Any

import anyio
import orjson
from attrs import define

from .engine.errors import Invalid
from .problems import Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Coroutine[Any, Any, Message]]
Send = Callable[[Message], Awaitable[None]]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_DEPTH = 64
# Ids that are told apart are all that is wanted of them, and random ones cost more.
_PROCESS, _numbers = os.urandom(8).hex(), itertools.count(1)


class Disconnected(Exception):
    """The client has gone; there is nobody to answer."""


@define
class Headers:
    """The headers that matter, found in one pass.

    Attributes:
        request_id: The client's ``X-Global-Transaction-ID`` where it is usable, else a new one.
    """

    request_id: str = ""
    authorization: bytes | None = None
    host: bytes | None = None
    origin: bytes | None = None
    fetch_site: bytes | None = None
    length: int | None = None
    encoding: bytes | None = None
    content_type: bytes = b""

    @classmethod
    def of(cls, scope: Scope) -> Headers:
        """Read a request's headers. Malformed ones are left out; what needs them complains."""
        found = cls()
        for name, value in scope["headers"]:
            if name == b"authorization":
                found.authorization = value
            elif name == b"host":
                found.host = value
            elif name == b"content-length":
                found.length = int(value) if value.isdigit() and len(value) < 19 else None
            elif name == b"x-global-transaction-id":
                if _REQUEST_ID.fullmatch(value):
                    found.request_id = value.decode("ascii")
            elif name == b"origin":
                found.origin = value
            elif name == b"sec-fetch-site":
                found.fetch_site = value
            elif name == b"content-type":
                found.content_type = value
            elif name == b"content-encoding":
                found.encoding = value
        if not found.request_id:
            found.request_id = f"{_PROCESS}{next(_numbers):016x}"
        return found


class Gate:
    """Lets in what was meant for this server, whatever a browser was talked into.

    Args:
        host: The address that the server listens on. On loopback only loopback names are answered, so that a page
            whose name was pointed here (DNS rebinding) gets nothing.
    """

    def __init__(self, host: str) -> None:
        loopback = host in ("localhost", "::1") or host.startswith("127.")
        self._names = {b"localhost", b"127.0.0.1", b"[::1]", host.encode()} if loopback else None

    def check(self, headers: Headers) -> None:
        """Return where the request may pass.

        Raises:
            Problem: 403 ``host_not_allowed`` or ``origin_not_allowed``.
        """
        if self._names is not None and headers.host is not None and _name(headers.host) not in self._names:
            raise Problem(403, "host_not_allowed", "This server answers to loopback names only.")
        if headers.origin is not None or headers.fetch_site is not None:
            self._check_origin(headers)

    @staticmethod
    def _check_origin(headers: Headers) -> None:
        origin = (headers.origin or b"").partition(b"://")[2]
        foreign = headers.origin is not None and origin != headers.host
        if foreign or headers.fetch_site == b"cross-site":
            raise Problem(403, "origin_not_allowed", "Calls from pages of other sites are not answered.")


def _name(host: bytes) -> bytes:
    name = host.lower()
    if name.startswith(b"["):
        return name.partition(b"]")[0] + b"]"
    return name.partition(b":")[0]


async def chunks(receive: Receive, headers: Headers, cap: int, seconds: float) -> AsyncIterator[bytes]:
    """The body as it comes.

    Raises:
        Problem: 413 ``payload_too_large``, 408 ``operation_timeout``, 415 for a compressed body.
        Disconnected: The client has gone.
    """
    if headers.encoding not in (None, b"identity"):
        raise Problem(
            415, "unsupported_content_encoding", "Send the body as it is, without Content-Encoding."
        )
    if headers.length is not None and headers.length > cap:
        raise _too_large(cap)
    size, more = 0, True
    until = asyncio.get_running_loop().time() + seconds
    while more:
        # The deadline is for the whole body: one byte a second is no way to hold a connection.
        message = await _message(receive, until)
        if message is None:
            raise Problem(
                408, "operation_timeout", f"The body did not arrive within {seconds:.0f} s.", _CLOSE
            )
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(part)
        if size > cap:
            raise _too_large(cap)
        if part:
            yield part


async def _message(receive: Receive, until: float) -> Message | None:
    """The next message; None where it is not there in time."""
    begun = receive()
    try:
        waits_for = begun.send(None)
    except StopIteration as found:
        # It was there, as a small body is: a deadline, which costs more than all else here, was not needed.
        message: Message = found.value
        return message
    with anyio.move_on_after(until - asyncio.get_running_loop().time()):
        return await _going_on(begun, waits_for)
    return None


@types.coroutine
def _going_on(begun: Coroutine[Any, Any, Message], waits_for: Any) -> Generator[Any, Any, Message]:
    """The end of a coroutine that was begun by hand."""
    try:
        yield waits_for
    except BaseException:
        begun.close()
        raise
    message: Message = yield from begun
    return message


async def whole(receive: Receive, headers: Headers, cap: int, seconds: float) -> bytes:
    """The body in one piece; see :func:`chunks`."""
    parts = [part async for part in chunks(receive, headers, cap, seconds)]
    return parts[0] if len(parts) == 1 else b"".join(parts)


_CLOSE = {"connection": "close"}


def _too_large(cap: int) -> Problem:
    return Problem(413, "payload_too_large", f"The body is larger than {cap} bytes.", _CLOSE)


def parse_json(body: bytes) -> Any:
    """A JSON body, not nested so deep that what comes after could stumble.

    Raises:
        Invalid: ``deserialization_error``.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid("deserialization_error", f"Incorrect input: ({_reason(body, error)})") from None
    if _deeper(document, _DEPTH):
        raise Invalid("deserialization_error", f"Incorrect input: (nested deeper than {_DEPTH} levels)")
    return document


def _reason(body: bytes, error: orjson.JSONDecodeError) -> str:
    if not body.strip():
        return "the body is empty; JSON is expected"
    return f"not JSON, line {error.lineno}, column {error.colno}"


def _deeper(document: Any, depth: int) -> bool:
    level = [document]
    for _ in range(depth):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        level = [item for item in below if isinstance(item, (dict, list))]
        if not level:
            return False
    return True
