"""The proof that a stream has lost and doubled nothing, as an assertion."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from wmlclient.audits import Audit, audit

if TYPE_CHECKING:
    from wmlclient.topics import KafkaTopic

_PAUSE_SECONDS = 0.2


def assert_exactly_once(
    source: KafkaTopic,
    target: KafkaTopic,
    dead_letters: KafkaTopic | None = None,
    *,
    timeout: float = 30.0,
) -> Audit:
    """Asserts that each record of a topic has exactly one result: a scored record, or a dead letter.

    The stream needs ``receipts=True``. Records that are committed count, and only those.

    Args:
        source: all of its records are asked for.
        target: where scored records go.
        dead_letters: where the others go; by default ``<target>.dead-letters``, where it exists.
        timeout: seconds for results that are still to come.

    Returns:
        What was counted.

    Raises:
        AssertionError: something is missing when the time is over, or is there twice; it says which.
        PayloadError: the records carry no receipts.

    Example:
        >>> assert_exactly_once(source, target).inputs               # doctest: +SKIP
        1000
    """
    letters = dead_letters
    if letters is None:
        letters = target.connection.topic(f"{target.name[:236]}.dead-letters")
    deadline = time.monotonic() + timeout
    while True:
        found = audit(source, target, letters if letters.exists() else None, None)
        if found.double or not found.missing or time.monotonic() > deadline:
            break
        time.sleep(_PAUSE_SECONDS)
    if not found.ok:
        raise AssertionError(f"{source.name} -> {target.name}: {found}")
    return found
