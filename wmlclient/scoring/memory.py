"""The memory of reading a model: a server keeps a model for long, and reads it only once."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

from wmlclient.scoring.pauses import collector_paused


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """While a model is read: a million nodes of trees hold no garbage, and what reading took is given back."""
    try:
        with collector_paused():
            yield
    finally:
        give_back()


def give_back() -> None:
    """Returns to the system what, on Linux, the C library keeps for later."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
