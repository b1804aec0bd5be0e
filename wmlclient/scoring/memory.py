"""The memory of reading a model: a server keeps a model for long, and reads it only once."""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
from collections.abc import Iterator
from typing import Any

from wmlclient.scoring.pauses import collector_paused

_lock = threading.Lock()
_reading = 0
_pool: Any = None


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """While a model is read: a million nodes of trees hold no garbage, and what reading took is given back."""
    try:
        with collector_paused(), _system_pool():
            yield
    finally:
        give_back()


@contextlib.contextmanager
def _system_pool() -> Iterator[None]:
    """Arrow takes memory from the C library: its own pool keeps 15 MB for good. The last one out restores it."""
    import pyarrow as pa

    global _reading, _pool
    with _lock:
        if _reading == 0:
            _pool = pa.default_memory_pool()
            pa.set_memory_pool(pa.system_memory_pool())
        _reading += 1
    try:
        yield
    finally:
        with _lock:
            _reading -= 1
            if _reading == 0:
                pa.set_memory_pool(_pool)


def give_back() -> None:
    """Returns to the system what Arrow and, on Linux, the C library keep for later."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
