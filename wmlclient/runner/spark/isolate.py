"""Finds the records that make a batch fail, by halving. Pure Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
        score: Scores the records from one position to another, both included; raises where it cannot. A
            :class:`BaseException` that has no Java exception behind it ends the search.
        reason: Makes a line of what was raised.
    """
    bad: dict[Position, str] = {}
    # Depth first and from the left, so that no more than log2(n) halves wait.
    waiting = [(0, len(positions))] if positions else []
    while waiting:
        start, end = waiting.pop()
        try:
            score(positions[start], positions[end - 1])
        except Exception as error:
            if getattr(error, "java_exception", None) is None:
                raise
            if end - start == 1:
                bad[positions[start]] = reason(error)
                continue
            middle = (start + end) // 2
            waiting += [(middle, end), (start, middle)]
    return bad


def position_filter(first: Position, last: Position) -> str:
    """SQL for the records between two positions, both included."""
    if first == last:
        return f"partition = {first[0]} AND offset = {first[1]}"
    low, high = (f"struct(CAST({p} AS INT), CAST({o} AS BIGINT))" for p, o in (first, last))
    return f"struct(partition, offset) BETWEEN {low} AND {high}"
