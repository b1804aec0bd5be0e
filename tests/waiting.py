"""Waiting for what happens elsewhere, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def eventually(
    condition: Callable[[], Any], seconds: float = 60.0, what: str | Callable[[], Any] = ""
) -> Any:
    """Wait until a condition is true, and return what it gave; ``what`` is for the failure, asked then."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, (
            f"not within {seconds} s: {(what() if callable(what) else what) or condition}"
        )
        time.sleep(0.01)
