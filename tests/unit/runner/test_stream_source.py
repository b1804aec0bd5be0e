"""The source topic of a native stream: the same one, another one of the name, or none."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from wmlclient.runner.engine.ports import StreamSetupError
from wmlclient.runner.streams import source as module
from wmlclient.runner.streams.clients import FETCH_PAUSE_MS
from wmlclient.runner.streams.source import FRESH_SECONDS, GONE_SECONDS, LOOK_SECONDS, Renewed, Source

NONE = KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))


class Cluster:
    """Tells a topic's id: the next one of ``ids``, the last one over and over; None for no topic."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *ids: str | None) -> None:
        self.ids = list(ids)
        self.now = 100.0
        clock = SimpleNamespace(monotonic=lambda: self.now, sleep=lambda _: None)
        monkeypatch.setattr(module, "time", clock)
        self.made = 0
        self.source = Source("t", self.make)

    def make(self) -> Any:
        self.made += 1
        return self.ask

    def ask(self) -> Future[Any]:
        found = self.ids.pop(0) if len(self.ids) > 1 else self.ids[0]
        answer: Future[Any] = Future()
        if found is None:
            answer.set_exception(NONE)
        else:
            answer.set_result(SimpleNamespace(topic_id=found))
        return answer

    def watch(self) -> None:
        """One whole look."""
        self.now += LOOK_SECONDS
        self.source.watch()
        self.source.watch()


def test_the_same_topic_is_fine_and_another_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, "a")
    source = cluster.source
    assert source.identify() == "a"
    source.check(source.look())
    cluster.watch()
    cluster.ids = ["b"]
    with pytest.raises(Renewed):
        source.check(source.look())
    with pytest.raises(Renewed):
        cluster.watch()
    assert not source.renewed
    assert source.identify() == "b"
    assert source.renewed
    cluster.watch()


def test_a_broker_that_hears_of_it_late_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, "b")
    source = cluster.source
    source.identify()
    cluster.ids = ["a", "b"]
    source.check(source.look())
    cluster.ids = ["a", "b"]
    assert source.identify() == "b"
    assert not source.renewed


def test_brokers_without_ids_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, "A" * 22)
    assert cluster.source.identify() == ""
    cluster.source.check(cluster.source.look())


def test_a_topic_that_is_gone_is_waited_for_and_then_told(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, "a")
    source = cluster.source
    source.identify()
    cluster.ids = [None]
    cluster.watch()
    assert source.missing
    cluster.ids = ["a"]
    cluster.watch()
    assert not source.missing
    cluster.ids = [None]
    cluster.watch()
    cluster.now += GONE_SECONDS
    with pytest.raises(StreamSetupError, match="Make it again, then start the stream") as found:
        cluster.watch()
    assert found.value.code == "topic_not_found"


def test_a_cluster_that_does_not_answer_is_no_news_and_asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, "a")
    source = cluster.source
    source.identify()
    away: Future[Any] = Future()
    away.set_exception(KafkaException(KafkaError(KafkaError._TRANSPORT)))
    with pytest.raises(KafkaException):
        source.check((0.0, away))
    assert cluster.made == 2
    monkeypatch.setattr(source, "_ask", lambda: away)
    cluster.watch()
    assert not source.missing
    assert cluster.made == 3
    source.check(source.look())
    # That there is no topic is an answer.
    cluster.ids = [None]
    with pytest.raises(KafkaException):
        source.check(source.look())
    assert cluster.made == 3


def test_what_is_read_soon_after_a_look_needs_none_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, "a")
    source = cluster.source
    source.identify()
    look = source.begin()
    assert look is not None
    cluster.now += 1
    source.check(look)
    # It counts from the question on, not from the answer.
    assert source.begin() is not None
    cluster.watch()
    assert source.begin() is None
    cluster.now += FRESH_SECONDS + 0.01
    assert source.begin() is not None
    # A consumer does not read a topic that was made again any sooner.
    assert FRESH_SECONDS <= FETCH_PAUSE_MS / 1000 / 2
    cluster.watch()
    source.identify()
    assert source.begin() is not None
