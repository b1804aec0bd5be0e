"""uvicorn's HTTP protocol with what it leaves out: a deadline for the headers, and a limit to their size."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from . import problems

HEADER_SECONDS = 30.0
HEADER_BYTES = 64 * 1024


class Protocol(HttpToolsProtocol):
    """One connection. Headers that do not end in time, or do not end, end the connection."""

    _slow: asyncio.TimerHandle | None = None
    _header_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0
        if self._slow is None:
            self._watch()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._unwatch()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What cannot be read as HTTP gets the error body that everything gets."""
        trace = uuid.uuid4().hex
        body = problems.body(trace, "parsing_error", "The request is not HTTP/1.1 as this service reads it.")
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            "content-type: application/json\r\n"
            f"content-length: {len(body)}\r\n"
            f"x-global-transaction-id: {trace}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()

    def _watch(self) -> None:
        self._slow = self.loop.call_later(HEADER_SECONDS, self._end)

    def _unwatch(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > HEADER_BYTES:
            self._end()

    def _end(self) -> None:
        self._unwatch()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()
