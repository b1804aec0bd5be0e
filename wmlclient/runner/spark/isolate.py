"""Where the records are that make a batch fail. Pure Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wmlclient.runner.engine.halving import find_refused
from wmlclient.runner.spark.failures import java_error

# Partition and offset of a record.
Position = tuple[int, int]


def find_bad(
    positions: Sequence[Position],
    score: Callable[[Position, Position], None],
    reason: Callable[[BaseException], str],
) -> dict[Position, str]:
    """The records that cannot be scored, with their reasons.

    Args:
        positions: All records, in order.
        score: Scores the records from one position to another, both included; raises where it cannot. An error
            that has no Java exception behind it ends the search.
        reason: Makes a line of what was raised.
    """
    found = find_refused(positions, lambda some: score(some[0], some[-1]), java_error)
    return {position: reason(error) for position, error in found.items()}


def position_filter(first: Position, last: Position) -> str:
    """SQL for the records between two positions, both included."""
    if first == last:
        return f"partition = {first[0]} AND offset = {first[1]}"
    low, high = (f"struct(CAST({p} AS INT), CAST({o} AS BIGINT))" for p, o in (first, last))
    return f"struct(partition, offset) BETWEEN {low} AND {high}"
