"""A pause of Python's garbage collector while many rows are built.

A table of 20,000 answers is a few hundred thousand lists, none of them garbage, and the collector walks over all of
them again and again: it takes four fifths of the time. Scoring makes no reference cycles, so nothing is lost by
waiting until the table is done.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

_lock = threading.Lock()
_pausing = 0
_was_enabled = False


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Pauses the collector; any number of threads may do so at once, and the last one out starts it again."""
    global _pausing, _was_enabled
    with _lock:
        if _pausing == 0:
            _was_enabled = gc.isenabled()
            gc.disable()
        _pausing += 1
    try:
        yield
    finally:
        with _lock:
            _pausing -= 1
            if _pausing == 0 and _was_enabled:
                if gc.get_freeze_count() == 0:
                    # Moves the new objects to the oldest generation at once. Left among the young ones they would
                    # all be walked over by the next collection, which is due at the next object.
                    gc.freeze()
                    gc.unfreeze()
                gc.enable()
