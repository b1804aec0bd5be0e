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

    # One timer for a connection, which goes off now and then: one for each request would cost as much as its parsing.
    _timer: asyncio.TimerHandle | None = None
    #: Since when headers are on their way; None while none are.
    _since: float | None = None
    _header_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._since = self.loop.time()
        self._watch(HEADER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._since is not None:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES:
                self._end()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0
        if self._since is None:
            self._since = self.loop.time()

    def on_headers_complete(self) -> None:
        self._since = None
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

    def _watch(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        now = self.loop.time()
        left = HEADER_SECONDS if self._since is None else self._since + HEADER_SECONDS - now
        if left <= 0:
            self._end()
        else:
            self._watch(left)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        self._unwatch()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()
