"""What Spark tells of its queries, batch by batch, led to the streams that they belong to. In the driver only."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, fields

from wmlclient.runner.spark.ages import Latency
from wmlclient.runner.spark.session import Session

logger = logging.getLogger("wmlclient.runner.spark.driver")

_FRESH_SECONDS = 10.0

# Takes the progress of one batch: the JSON of Spark's StreamingQueryProgress.
Take = Callable[[dict[str, Any]], None]


@define
class Counts:
    """What a stream has done since it was started."""

    records_in: int = 0
    records_out: int = 0
    dead_letters: int = 0
    batches: int = 0
    aborted: int = 0
    last_batch_id: int = -1
    last_batch_at: str | None = None
    last_error: str | None = None
    latency: Latency | None = None
    _rates: tuple[float, float] = (0.0, 0.0)
    _fresh_until: float = 0.0

    def add(
        self, taken: int, dead: int, batch_id: int, at: str, seconds: float, latency: Latency | None = None
    ) -> None:
        """A batch is done.

        Args:
            taken: Its records.
            dead: Those that went aside.
            batch_id: Spark's number of it.
            at: When, as ISO 8601.
            seconds: How long it took.
            latency: Of its records; None where it is not known.
        """
        self.records_in += taken
        self.records_out += taken - dead
        self.dead_letters += dead
        self.batches += 1
        self.last_batch_id, self.last_batch_at, self.last_error = batch_id, at, None
        self.latency = latency or self.latency
        long = max(seconds, 1e-3)
        self._rates = taken / long, dead / long
        self._fresh_until = time.monotonic() + max(_FRESH_SECONDS, 2 * seconds)

    def trouble(self, reason: str) -> None:
        """A batch has failed, and is taken again."""
        self.aborted += 1
        self.last_error = reason

    def to_json(self) -> dict[str, Any]:
        """As plain JSON. The rates are those of the last batch, as long as that is not long ago."""
        found: dict[str, Any] = {
            each.name: getattr(self, each.name) for each in fields(Counts) if each.name[0] != "_"
        }
        taken, dead = self._rates if time.monotonic() < self._fresh_until else (0.0, 0.0)
        median, slow = found.pop("latency") or (None, None)
        return {
            **found,
            "latency_ms": {"p50": median, "p99": slow},
            "records_per_second": round(taken, 1),
            "records_out_per_second": round(taken - dead, 1),
            "dead_letters_per_second": round(dead, 1),
        }


class ProgressDesk:
    """One listener of a session, for all streams. It hears of each batch once, when the batch is committed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._takers: dict[str, Take] = {}
        self._listening = False

    def register(self, name: str, take: Take) -> None:
        """Have a function called with the progress of the queries of this name."""
        with self._lock:
            self._takers[name] = take
            if not self._listening:
                self._session.listen(_Listener(self._hear))
                self._listening = True

    def forget(self, name: str) -> None:
        """Call it no more."""
        with self._lock:
            self._takers.pop(name, None)

    def _hear(self, progress: dict[str, Any]) -> None:
        with self._lock:
            take = self._takers.get(str(progress.get("name")))
        if take is not None:
            take(progress)


class _Listener:
    """What the JVM calls."""

    def __init__(self, hear: Take) -> None:
        self._hear = hear

    def onQueryStarted(self, event: Any) -> None:
        pass

    def onQueryProgress(self, event: Any) -> None:
        try:
            self._hear(json.loads(event.progress().json()))
        except Exception:
            logger.exception("the progress of a query could not be taken")

    def onQueryIdle(self, event: Any) -> None:
        pass

    def onQueryTerminated(self, event: Any) -> None:
        pass

    class Java:
        implements = ["org.apache.spark.sql.streaming.PythonStreamingQueryListener"]


def positions(progress: Mapping[str, Any], name: str) -> dict[int, int]:
    """Offsets of the source by partition: ``endOffset`` (where the batch ended) or ``latestOffset``.

    >>> positions({"sources": [{"endOffset": {"tweets": {"0": 7}}}]}, "endOffset")
    {0: 7}
    """
    found: dict[int, int] = {}
    for source in progress.get("sources") or ():
        for partitions in (source.get(name) or {}).values():
            found |= {int(partition): int(offset) for partition, offset in partitions.items()}
    return found


def lag(progress: Mapping[str, Any]) -> dict[str, int]:
    """Records that waited, by partition, when the batch was done.

    >>> lag({"sources": [{"endOffset": {"tweets": {"0": 7}}, "latestOffset": {"tweets": {"0": 9}}}]})
    {'0': 2}
    """
    end = positions(progress, "endOffset")
    latest = positions(progress, "latestOffset")
    return {
        str(each): max(0, latest[each] - offset) for each, offset in sorted(end.items()) if each in latest
    }
