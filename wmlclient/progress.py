"""How a stream does."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen


@frozen
class StreamProgress:
    """What a running stream last told of itself; counted since it was started.

    Attributes:
        records_in: records read.
        records_out: scored records written.
        dead_letters: records that went aside.
        records_per_second: records read, over the last seconds.
        lag: by partition, records that wait.
        latency_ms: ``p50`` and ``p99``, milliseconds from a record's timestamp to the end of its batch.
        restarts: workers that had to be replaced.
        workers: workers that share the work.
        last_batch_at: when the last batch was done, as text.
        last_error: the last trouble, until a batch goes well again.
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

    @classmethod
    def _of(cls, told: Any) -> StreamProgress:
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
        )
