"""What a worker has done, for whoever asks how its stream is."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from attrs import define, field

_KEPT = 4096
_REPORTS = 10


@define
class Counts:
    """Counted from the worker's start.

    Attributes:
        records_in: Records taken and done.
        records_out: Scored records sent.
        dead_letters: Records that went aside.
        batches: Batches done.
        aborted: Batches that were given up, and read again.
        last_error: The last trouble, for a person; None after a batch that went well.
        last_batch_at: When the last batch was done, milliseconds since 1970.
    """

    records_in: int = 0
    records_out: int = 0
    dead_letters: int = 0
    batches: int = 0
    aborted: int = 0
    last_error: str | None = None
    last_batch_at: int | None = None
    _ages: deque[int] = field(factory=lambda: deque(maxlen=_KEPT))
    _window: deque[tuple[float, int, int]] = field(factory=lambda: deque(maxlen=_REPORTS + 1))

    def done(self, taken: int, dead: int, ages: list[int], now: int) -> None:
        """A batch is done.

        Args:
            taken: Its records.
            dead: Those that went aside.
            ages: Milliseconds from each record's timestamp to now.
            now: Milliseconds since 1970.
        """
        self.records_in += taken
        self.records_out += taken - dead
        self.dead_letters += dead
        self.batches += 1
        self.last_error, self.last_batch_at = None, now
        self._ages.extend(ages[-_KEPT:])

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, with rates since about ten reports ago and the latest latencies."""
        now = time.monotonic()
        self._window.append((now, self.records_in, self.dead_letters))
        since, taken, dead = self._window[0]
        seconds = max(now - since, 1.0)
        taken, dead = self.records_in - taken, self.dead_letters - dead
        ages = sorted(self._ages)
        return {
            "records_in": self.records_in,
            "records_out": self.records_out,
            "dead_letters": self.dead_letters,
            "batches": self.batches,
            "aborted": self.aborted,
            "last_error": self.last_error,
            "last_batch_at": self.last_batch_at,
            "records_per_second": round(taken / seconds, 1),
            "records_out_per_second": round((taken - dead) / seconds, 1),
            "dead_letters_per_second": round(dead / seconds, 1),
            "latency_ms": {"p50": _at(ages, 0.50), "p99": _at(ages, 0.99)},
        }


def _at(ordered: list[int], share: float) -> int | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
