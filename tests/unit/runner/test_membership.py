"""A worker's place in its group, where the group's own client misbehaves as real ones have been seen to."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from wmlclient.runner.streams.membership import PLACELESS_SECONDS, Membership
from wmlclient.runner.streams.source import Source


def told(topic_id: str) -> Future[Any]:
    """An answer that is there already."""
    answer: Future[Any] = Future()
    answer.set_result(SimpleNamespace(topic_id=topic_id))
    return answer


SOURCE = Source("t", lambda: lambda: told("first"))


class LeavesBadly:
    """A consumer that is given partitions while it leaves, when nothing can be asked any more."""

    def __init__(self) -> None:
        self.left = False

    def subscribe(self, _topics: list[str], *, on_assign: Any, **_others: Any) -> None:
        self._on_assign = on_assign

    def close(self) -> None:
        self.left = True
        self._on_assign(self, [TopicPartition("t", 0)])

    def consumer_group_metadata(self) -> str:
        return "proof"

    def committed(self, *_: Any, **__: Any) -> None:
        raise KafkaException(KafkaError(KafkaError._DESTROY))

    def consume(self, _most: int, _seconds: float) -> list[Any]:
        return []

    def get_watermark_offsets(self, *_: Any, **__: Any) -> None:
        raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))


def test_trouble_of_one_that_left_is_not_the_next_ones() -> None:
    made: list[LeavesBadly] = []

    def make(_on_commit: Any) -> Any:
        made.append(LeavesBadly())
        return made[-1]

    membership = Membership(make, SOURCE, 0)
    membership.rejoin()
    assert [each.left for each in made] == [True, False]
    assert (membership.positions, membership.proof) == ({}, None)
    assert membership.take(10, 0) == []
    assert len(made) == 2


def test_an_end_that_is_not_known_is_no_lag() -> None:
    membership = Membership(lambda _: LeavesBadly(), SOURCE, 0)  # type: ignore[arg-type, return-value]
    membership.positions = {0: 7}
    assert membership.lag() == {}


def test_one_without_a_place_for_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("wmlclient.runner.streams.membership.time", clock)
    membership = Membership(lambda _: LeavesBadly(), SOURCE, 0)  # type: ignore[arg-type, return-value]
    assert not membership.lost()
    now[0] = PLACELESS_SECONDS + 1
    assert membership.lost()
    membership.proof = "proof"
    assert not membership.lost()
    membership.rejoin()
    assert not membership.lost()


class Reads:
    """A consumer whose group has committed offset 50, as of some topic."""

    def __init__(self, metadata: str | None) -> None:
        self.metadata = metadata
        self.sought: list[TopicPartition] = []
        self.pinned: list[TopicPartition] = []
        self.subscribed = 0

    def subscribe(self, _topics: list[str], *, on_assign: Any, **_others: Any) -> None:
        self.subscribed += 1
        self._on_assign = on_assign

    def consume(self, _most: int, _seconds: float) -> list[Any]:
        self._on_assign(self, [TopicPartition("t", 0)])
        return []

    def consumer_group_metadata(self) -> str:
        return "proof"

    def committed(self, asked: list[TopicPartition], **_: Any) -> list[Any]:
        return [SimpleNamespace(partition=0, offset=50, error=None, metadata=self.metadata) for _ in asked]

    def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
        return 3, 90

    def commit(self, offsets: list[TopicPartition], **_: Any) -> None:
        self.pinned = offsets

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.sought = partitions


@pytest.mark.parametrize(("metadata", "begins"), [("id-now", 50), ("id-of-old", 3), ("", 50), (None, 50)])
def test_an_offset_of_a_topic_that_was_deleted_says_nothing_of_the_new_one(
    metadata: str | None, begins: int
) -> None:
    consumer = Reads(metadata)
    membership = Membership(lambda _: consumer, Source("t", lambda: lambda: told("id-now")), 0)  # type: ignore[arg-type, return-value]
    membership.take(1, 0)
    if begins == 3:
        # The old topic's partitions are not taken: the group shares those of the new one.
        assert (membership.positions, membership.proof, consumer.pinned) == ({}, None, [])
        membership.take(1, 0)
    assert consumer.subscribed == 1 + (begins == 3)
    assert (membership.positions, membership.proof) == ({0: begins}, "proof")
    assert [each.offset for each in consumer.sought] == [begins]
    assert [(each.offset, each.metadata) for each in membership.offsets({0: 51})] == [(51, "id-now")]
    assert [(each.offset, each.metadata) for each in consumer.pinned] == [(3, "id-now")] * (begins == 3)


class FinishesBadly(LeavesBadly):
    """A consumer that loses its partitions and says in the same breath, and only then, that it is finished."""

    def consume(self, _most: int, _seconds: float) -> list[Any]:
        self._on_revoke(self, [TopicPartition("t", 0)])
        return [SimpleNamespace(error=lambda: KafkaError(KafkaError._FATAL, "fenced"))]

    def subscribe(self, _topics: list[str], *, on_revoke: Any, **others: Any) -> None:
        self._on_revoke = on_revoke
        super().subscribe(_topics, **others)

    def unassign(self) -> None:
        pass


def test_a_client_that_is_finished_is_told_whatever_comes_with_it() -> None:
    membership = Membership(lambda _: FinishesBadly(), SOURCE, 0)  # type: ignore[arg-type, return-value]
    with pytest.raises(KafkaException) as caught:
        membership.take(10, 0)
    assert caught.value.args[0].code() == KafkaError._FATAL


class Commits(Reads):
    """A consumer that commits when it is told to, and says how it went when it is polled."""

    def __init__(self, told: Any) -> None:
        super().__init__("id-now")
        self._told = told
        self.commits: list[tuple[list[int], bool]] = []
        self.records: list[Any] = []
        self.outcome: tuple[Any, ...] = ()

    def consume(self, most: int, _seconds: float) -> list[Any]:
        outcome, self.outcome = self.outcome, ()
        if outcome:
            self._told(*outcome)
        found, self.records = self.records[:most], self.records[most:]
        return found

    def commit(self, offsets: list[TopicPartition], asynchronous: bool = False) -> None:
        self.commits.append(([each.offset for each in offsets], asynchronous))

    def close(self) -> None:
        pass


def committing() -> tuple[Membership, Commits]:
    made: list[Commits] = []

    def make(told: Any) -> Any:
        made.append(Commits(told))
        return made[-1]

    return Membership(make, SOURCE, 0), made[0]


def test_one_commit_is_under_way_at_a_time_and_the_last_one_comes_too() -> None:
    membership, consumer = committing()
    for offset in (1, 2, 3):
        membership.commit_soon({0: offset})
    assert consumer.commits == [([1], True)]
    consumer.outcome = (None, [])
    membership.take(1, 0)
    assert consumer.commits == [([1], True), ([3], True)]


@pytest.mark.parametrize("of_partition", [False, True])
def test_a_commit_that_fails_is_told(of_partition: bool) -> None:
    membership, consumer = committing()
    membership.commit_soon({0: 1})
    error = KafkaError(KafkaError.ILLEGAL_GENERATION)
    consumer.outcome = (None, [SimpleNamespace(error=error)]) if of_partition else (error, [])
    with pytest.raises(KafkaException) as caught:
        membership.take(1, 0)
    assert caught.value.args[0].code() == KafkaError.ILLEGAL_GENERATION
    assert membership.take(1, 0) == []


def test_who_leaves_commits_what_is_done_first() -> None:
    membership, consumer = committing()
    membership.commit_soon({0: 1})
    membership.commit_soon({0: 2})
    membership.close()
    assert consumer.commits == [([1], True), ([2], False)]


def test_no_more_than_a_batch_is_done_and_not_committed() -> None:
    membership, consumer = committing()

    def take(count: int) -> None:
        consumer.records = [SimpleNamespace(error=lambda: None)] * count
        assert len(membership.take(10, 0)) == count

    take(4)
    membership.commit_soon({0: 4})
    take(6)
    membership.commit_soon({0: 10})
    assert consumer.commits == [([4], True)]
    # Ten may come twice already.
    take(1)
    assert consumer.commits == [([4], True), ([10], False)]
    membership.commit_soon({0: 11})
    # The outcome of the first commit, which says nothing of the one that is under way.
    consumer.outcome = (None, [])
    take(10)
    assert consumer.commits == [([4], True), ([10], False), ([11], True), ([11], False)]
    consumer.outcome = (None, [])
    take(10)
    assert len(consumer.commits) == 4
