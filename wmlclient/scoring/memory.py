"""Memory that reading a model has used, back to the system: a server keeps a model for long, and read it only once."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Returns what Arrow and the C library keep for later; without the latter's help, as on macOS, Arrow's alone."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
