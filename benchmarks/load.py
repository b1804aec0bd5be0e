"""A load of HTTP requests, from a process of its own on a core of its own: ``python load.py JOB``.

Some connections, each with one request on its way, over plain sockets: the generator must not be what is measured.
The job is JSON: ``url``, ``token`` (or null), ``body``, ``connections``, ``seconds``, ``core``. It prints JSON: how
many requests were answered 200, how many were not, the seconds that it took, and the median of their microseconds.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import statistics
import sys
import time
from typing import Any
from urllib.parse import urlsplit


class Connection:
    """A socket with one request on its way at a time."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.started = 0.0
        self._read = b""

    def send(self, request: bytes) -> None:
        self._read = b""
        self.started = time.perf_counter()
        self.socket.sendall(request)

    def answered(self) -> int | None:
        """Reads; the status once the whole answer is there."""
        self._read += self.socket.recv(1 << 16)
        head, found, rest = self._read.partition(b"\r\n\r\n")
        if not found:
            return None
        length = next(
            int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:"
        )
        return int(head[9:12]) if len(rest) >= length else None


def run(job: dict[str, Any]) -> dict[str, Any]:
    os.sched_setaffinity(0, {job["core"]})
    parts = urlsplit(job["url"])
    body = job["body"].encode()
    lines = [
        f"POST {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    if job["token"]:
        lines.append(f"Authorization: Bearer {job['token']}")
    request = "\r\n".join([*lines, "", ""]).encode() + body
    selector = selectors.DefaultSelector()
    connections = [Connection(str(parts.hostname), int(parts.port or 80)) for _ in range(job["connections"])]
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(request)
    good = bad = 0
    times = []
    started = time.perf_counter()
    end = started + job["seconds"]
    while time.perf_counter() < end:
        for key, _ in selector.select(1.0):
            status = key.data.answered()
            if status is None:
                continue
            times.append((time.perf_counter() - key.data.started) * 1e6)
            good, bad = good + (status == 200), bad + (status != 200)
            key.data.send(request)
    seconds = time.perf_counter() - started
    for connection in connections:
        connection.socket.close()
    return {"good": good, "bad": bad, "seconds": seconds, "p50": statistics.median(times)}


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
