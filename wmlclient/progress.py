"""How a stream does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from wmlclient import display


@frozen
class StreamProgress:
    """What a running stream last told of itself; counted since it was started.

    Attributes:
        records_in: records read.
        records_out: scored records written.
        dead_letters: records that went aside.
        records_per_second: records read, over the last seconds.
        records_out_per_second, dead_letters_per_second: scored records and dead letters, likewise.
        lag: by partition, records that wait.
        latency_ms: ``p50`` and ``p99``, milliseconds from a record's timestamp to the end of its batch.
        restarts: how often workers had to be replaced, and the stream had to be started again.
        workers: workers that share the work.
        last_batch_at: when the last batch was done, as text.
        last_error: the last trouble, until a batch goes well again.
        state: the stream's: pending, ready, failed or stopped.

    Example:
        >>> print(StreamProgress(records_in=1500, records_out=1480, dead_letters=20, lag={0: 5, 1: 7}, state="ready"))
        state       ready
        in          1,500 (0/s)
        out         1,480 (0/s)
        dead        20 (0/s)
        lag         12 (0: 5, 1: 7)
        restarts    0
    """

    records_in: int = 0
    records_out: int = 0
    dead_letters: int = 0
    records_per_second: float = 0.0
    lag: dict[int, int] = field(factory=dict)
    latency_ms: dict[str, float | None] = field(factory=dict)
    restarts: int = 0
    workers: int = 0
    last_batch_at: str | None = None
    last_error: str | None = None
    records_out_per_second: float = 0.0
    dead_letters_per_second: float = 0.0
    state: str = ""

    @classmethod
    def _of(cls, told: Any, state: str = "") -> StreamProgress:
        latency = told.latency_ms
        return cls(
            records_in=told.records_in or 0,
            records_out=told.records_out or 0,
            dead_letters=told.dead_letters or 0,
            records_per_second=told.records_per_second or 0.0,
            lag={int(partition): waiting for partition, waiting in (told.lag or {}).items()},
            latency_ms={"p50": latency.p50, "p99": latency.p99} if latency is not None else {},
            restarts=told.restarts or 0,
            workers=told.workers or 0,
            last_batch_at=told.last_batch_at,
            last_error=told.last_error,
            records_out_per_second=told.records_out_per_second or 0.0,
            dead_letters_per_second=told.dead_letters_per_second or 0.0,
            state=state,
        )

    def _rows(self) -> list[tuple[str, str | None]]:
        """What is shown of it, by name."""
        p50, p99 = (self.latency_ms.get(share) for share in ("p50", "p99"))
        return [
            ("in", f"{self.records_in:,} ({self.records_per_second:,.0f}/s)"),
            ("out", f"{self.records_out:,} ({self.records_out_per_second:,.0f}/s)"),
            ("dead", f"{self.dead_letters:,} ({self.dead_letters_per_second:,.0f}/s)"),
            ("lag", lag_text(self.lag) or None),
            (
                "latency",
                f"p50 {p50:,.0f} ms, p99 {p99:,.0f} ms" if p50 is not None and p99 is not None else None,
            ),
            ("restarts", str(self.restarts)),
            ("last batch", self.last_batch_at),
            ("last error", self.last_error),
        ]

    def __str__(self) -> str:
        rows = [("state", self.state or None), *self._rows()]
        return "\n".join(f"{name:<10}  {text}" for name, text in rows if text is not None)

    def _repr_html_(self) -> str:
        return display.card("Stream", [("state", self.state), *self._rows()])


def lag_text(lag: Mapping[int, int], most: int = 8) -> str:
    """Records that wait, in all and by partition; those with the most where there are many.

    >>> lag_text({0: 5, 1: 7}), lag_text({0: 0}), lag_text({})
    ('12 (0: 5, 1: 7)', '0', '')
    """
    if not lag:
        return ""
    first = sorted(sorted(lag, key=lambda each: (-lag[each], each))[:most])
    each = ", ".join(f"{partition}: {lag[partition]:,}" for partition in first if lag[partition])
    more = ", ..." if sum(lag[partition] for partition in first) < sum(lag.values()) else ""
    return f"{sum(lag.values()):,}" + (f" ({each}{more})" if each else "")
