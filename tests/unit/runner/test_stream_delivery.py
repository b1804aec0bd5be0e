"""Calls to Kafka that are made again, and one whose own limit does not hold."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("confluent_kafka")

from confluent_kafka import KafkaError, KafkaException

from wmlclient.runner.streams.aside import Aside
from wmlclient.runner.streams.delivery import again


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def aside() -> Iterator[Aside]:
    aside = Aside()
    yield aside
    aside.close()


def test_a_call_that_forgets_its_limit_is_left_behind(aside: Aside, stuck: threading.Event) -> None:
    with pytest.raises(KafkaException) as caught:
        aside.call(lambda left: stuck.wait(30), -0.9)
    assert caught.value.args[0].code() == KafkaError._TIMED_OUT
    assert not stuck.is_set()


def test_what_a_bounded_call_raises_is_raised(aside: Aside) -> None:
    def fail(left: float) -> None:
        raise KafkaException(KafkaError(KafkaError._FENCED, f"with {left:.0f} s"))

    with pytest.raises(KafkaException) as caught:
        aside.call(fail, 5.0)
    assert caught.value.args[0].code() == KafkaError._FENCED


def test_all_calls_are_made_by_one_thread_that_ends(aside: Aside) -> None:
    makers: list[threading.Thread] = []
    for _ in range(3):
        aside.call(lambda _: makers.append(threading.current_thread()), 5.0)
    assert len(set(makers)) == 1
    aside.close()
    makers[0].join(5)
    assert not makers[0].is_alive()


def test_a_call_is_made_again_while_that_helps() -> None:
    failures = [KafkaError(KafkaError._TIMED_OUT, "late", False, True)] * 2
    seen: list[float] = []

    def call(left: float) -> None:
        seen.append(left)
        if failures:
            raise KafkaException(failures.pop())

    again(call, 5)
    assert len(seen) == 3
    assert seen[0] > seen[2] > 0


def test_a_call_that_is_left_behind_is_not_made_again(aside: Aside, stuck: threading.Event) -> None:
    calls: list[float] = []

    def call(left: float) -> None:
        calls.append(left)
        aside.call(lambda _: stuck.wait(30), -0.9)

    with pytest.raises(KafkaException):
        again(call, 5)
    assert len(calls) == 1
