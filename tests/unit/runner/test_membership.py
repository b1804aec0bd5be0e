"""A worker's place in its group, where the group's own client misbehaves as real ones have been seen to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from wmlclient.runner.streams.membership import PLACELESS_SECONDS, Membership


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

    def make() -> Any:
        made.append(LeavesBadly())
        return made[-1]

    membership = Membership(make, "t", 0)
    membership.rejoin()
    assert [each.left for each in made] == [True, False]
    assert (membership.positions, membership.proof) == ({}, None)
    assert membership.take(10, 0) == []
    assert len(made) == 2


def test_an_end_that_is_not_known_is_no_lag() -> None:
    membership = Membership(lambda: LeavesBadly(), "t", 0)  # type: ignore[arg-type, return-value]
    membership.positions = {0: 7}
    assert membership.lag() == {}


def test_one_without_a_place_for_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("wmlclient.runner.streams.membership.time", clock)
    membership = Membership(lambda: LeavesBadly(), "t", 0)  # type: ignore[arg-type, return-value]
    assert not membership.lost()
    now[0] = PLACELESS_SECONDS + 1
    assert membership.lost()
    membership.proof = "proof"
    assert not membership.lost()
    membership.rejoin()
    assert not membership.lost()
