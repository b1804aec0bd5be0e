"""The lines that the runner and the processes of its engines exchange: one JSON object a line, both ways.

Request ``{"id", "op", "args"}``; answer ``{"id", "result"}`` or ``{"id", "error": {"code", "message"}}``; the
driver's own word ``{"ready": {...}}`` or ``{"failed": {...}}`` once at the start, ``{"event": {...}}`` at any time.
Passwords travel here, through a pipe, and so never on a command line.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from typing import IO, Any

import attrs

from wmlclient.runner.engine.ports import KafkaEndpoint, StreamSpec
from wmlclient.runner.engine.workers import StreamProgram

Message = dict[str, Any]

TRANSFORM_FAILED = "transform_failed"


def encode(message: Message) -> bytes:
    """One line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """The message of one line.

    Raises:
        ValueError: It is none.
    """
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("not a JSON object")
    return message


def send(stream: IO[bytes] | None, message: Message) -> None:
    """Write one line to a process. One that is gone is noticed where it is listened to."""
    assert stream is not None
    with contextlib.suppress(OSError, ValueError):
        stream.write(encode(message))
        stream.flush()


def own_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """In a process of an engine: what the runner says, and what takes the answers.

    Both are private copies: whatever prints to stdout, a JVM included, prints to the log. Ctrl-C is the runner's to
    handle.
    """
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return requests, answers


def spec_to_json(spec: StreamSpec) -> Message:
    """A stream's specification as plain JSON, passwords included."""
    return attrs.asdict(spec)


def spec_from_json(data: Message) -> StreamSpec:
    """The other way round."""
    values = dict(data)
    for name in ("source", "target", "dead_letter"):
        endpoint = dict(values[name])
        endpoint["brokers"] = tuple(endpoint["brokers"])
        values[name] = KafkaEndpoint(**endpoint)
    if values.get("program") is not None:
        values["program"] = StreamProgram(**values["program"])
    return StreamSpec(**values)
