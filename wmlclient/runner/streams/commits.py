"""Commits of a consumer that nobody waits for: one is under way at a time, and its outcome comes by a callback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

#: Takes the error of a commit, or None, and its partitions.
OnCommit = Callable[[Any, Sequence[TopicPartition]], None]


class Commits:
    """What one consumer has to commit.

    Attributes:
        waiting: Offsets to commit next, by partition.
        under_way: Those of the commit that has no outcome yet.
        records: How many records these are of.
    """

    def __init__(self) -> None:
        self.waiting: dict[int, int] = {}
        self.under_way: dict[int, int] = {}
        self.records = 0
        self._begun = 0
        self._stale = 0
        self._error: KafkaError | None = None

    def add(self, following: dict[int, int], records: int) -> None:
        """Offsets to commit, and of how many records they are."""
        self.waiting.update(following)
        self.records += records

    def begin(self) -> dict[int, int]:
        """What waits is under way."""
        self.under_way, self.waiting, self._begun = self.waiting, {}, self.records
        return self.under_way

    def told(self, error: KafkaError | None, partitions: Sequence[TopicPartition]) -> None:
        """The outcome of a commit; those that were settled meanwhile come first, and are nobody's affair."""
        if self._stale:
            self._stale -= 1
            return
        self.under_way, self.records, self._begun = {}, self.records - self._begun, 0
        self._error = error or next((each.error for each in partitions if each.error is not None), None)

    def check(self) -> None:
        """Return where nothing has failed.

        Raises:
            KafkaException: A commit has.
        """
        error, self._error = self._error, None
        if error is not None:
            raise KafkaException(error)

    def settle(self) -> dict[int, int]:
        """All that is not known to be committed, which is somebody else's affair from here on."""
        done = {**self.under_way, **self.waiting}
        self._stale += bool(self.under_way)
        self.under_way, self.waiting, self.records, self._begun = {}, {}, 0, 0
        return done
