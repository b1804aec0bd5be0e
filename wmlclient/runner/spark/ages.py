"""How old records are when they are done, as Spark counts it on the way: of each eighth record, at little cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

#: Of each partition, one record of so many is looked at.
EVERY = 8
#: The name of the column that is looked at, and of what is made of it.
AT = "at"
_SHARES = "array(0.01D, 0.5D, 0.99D)"
_ACCURACY = 1000

#: Milliseconds: the median and the slowest hundredth.
Latency = tuple[float, float]


def column(realtime: bool) -> str:
    """SQL of what is looked at: a record's time; in real time its age, since a batch ends every two minutes there."""
    # Spark's own clock stands still within a batch.
    now = "CAST(reflect('java.lang.System', 'currentTimeMillis') AS BIGINT)"
    time = "unix_millis(timestamp)"
    return f"IF(offset % {EVERY} = 0, {f'{now} - {time}' if realtime else time}, NULL)"


def observed(what: str = AT) -> str:
    """SQL of the aggregate: a text, as observed arrays do not come through as they are.

    Args:
        what: SQL of what is looked at.
    """
    return f"to_json(percentile_approx({what}, {_SHARES}, {_ACCURACY})) AS {AT}"


def latency(counted: Mapping[str, Any], end: float | None) -> Latency | None:
    """Median and slowest hundredth, milliseconds; None where no record was looked at.

    Args:
        counted: What Spark has counted, by name.
        end: When the batch was done, milliseconds since 1970; None where ages were counted.

    >>> latency({"at": "[100,140,150]"}, 160), latency({"at": "[2,3,9]"}, None), latency({"n": 0}, 160)
    ((20.0, 60.0), (3.0, 9.0), None)
    """
    found = counted.get(AT)
    if not found:
        return None
    first, middle, last = (float(each) for each in json.loads(found))
    return (middle, last) if end is None else (max(0.0, end - middle), max(0.0, end - first))


def ended(progress: Mapping[str, Any]) -> float:
    """When the batch of a progress was done, milliseconds since 1970.

    >>> ended({"timestamp": "2026-11-22T08:00:00.500Z", "durationMs": {"triggerExecution": 250}}) % 1000
    750.0
    """
    begun = datetime.fromisoformat(str(progress["timestamp"]).replace("Z", "+00:00"))
    return begun.timestamp() * 1000 + float((progress.get("durationMs") or {}).get("triggerExecution", 0))
