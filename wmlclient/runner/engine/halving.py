"""Finds what makes a whole fail, by halving: for rows of a request, and for records of a stream. Pure Python."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def find_refused(
    items: Sequence[T],
    attempt: Callable[[Sequence[T]], None],
    refuses: Callable[[Exception], bool],
    *,
    known: bool = False,
    most: int | None = None,
) -> dict[T, Exception]:
    """The items that fail when they are tried alone, each with its error.

    Args:
        items: All of them, in order.
        attempt: Tries some neighbours together; raises where one of them makes them fail.
        refuses: Whether an error is of the items. Any other one ends the search, and is raised.
        known: Whether all of them together are known to fail already.
        most: So many attempts at most; with the last one its error is raised.

    Raises:
        Exception: What ended the search.

    >>> def attempt(some):
    ...     if 5 in some: raise ValueError("five")
    >>> find_refused([4, 5, 6, 7], attempt, lambda error: isinstance(error, ValueError))
    {5: ValueError('five')}
    """
    refused: dict[T, Exception] = {}
    # Depth first and from the left, so that no more than log2(n) halves wait.
    waiting = _halves(0, len(items)) if known and len(items) > 1 else [(0, len(items))] if items else []
    attempts = 0
    while waiting:
        start, end = waiting.pop()
        attempts += 1
        try:
            attempt(items[start:end])
        except Exception as error:
            if not refuses(error) or attempts == most:
                raise
            if end - start == 1:
                refused[items[start]] = error
            else:
                waiting += _halves(start, end)
    return refused


def _halves(start: int, end: int) -> list[tuple[int, int]]:
    middle = (start + end) // 2
    return [(middle, end), (start, middle)]
