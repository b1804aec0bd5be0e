"""Time, identities and delayed calls: all of them handed in, so that no test waits."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Protocol


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def iso(ms: int) -> str:
    """The wire's form of a time.

    >>> iso(1498653579474)
    '2017-06-28T12:39:39.474Z'
    """
    moment = datetime.fromtimestamp(ms // 1000, tz=timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def new_id() -> str:
    """A new identity: a lower-case UUID of 36 characters."""
    return str(uuid.uuid4())


class Later(Protocol):
    """Calls a function after a delay, on a thread of its own."""

    def __call__(self, seconds: float, call: Callable[[], None]) -> None: ...


def later(seconds: float, call: Callable[[], None]) -> None:
    """:class:`Later` by a daemon timer."""
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()
