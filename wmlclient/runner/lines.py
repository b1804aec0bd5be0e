"""The lines that the runner and the processes of its engines exchange: one JSON object a line, both ways.

Request ``{"id", "op", "args"}``; answer ``{"id", "result"}`` or ``{"id", "error": {"code", "message"}}``; the
driver's own word ``{"ready": {...}}`` or ``{"failed": {...}}`` once at the start, ``{"event": {...}}`` at any time.
Passwords travel here, through a pipe, and so never on a command line.
"""

from __future__ import annotations

import json
from typing import Any

import attrs

from wmlclient.runner.engine.ports import KafkaEndpoint, StreamSpec

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
    return StreamSpec(**values)
