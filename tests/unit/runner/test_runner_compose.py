"""The embedded broker as streams see it: found again at whatever port it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wmlclient.runner.broker.config import BrokerState
from wmlclient.runner.compose import Embedded, Topics
from wmlclient.runner.engine.ports import KafkaEndpoint
from wmlclient.runner.settings import Settings
from wmlclient.runner.topics import KafkaTopicAdmin

OWN = KafkaEndpoint(("127.0.0.1:20001",), "t", "SASL_PLAINTEXT", "us", "secret")
OTHER = KafkaEndpoint(("far:9092",), "t", "SASL_SSL", "them", "secret")


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Embedded:
    (tmp_path / "kafka").mkdir()
    BrokerState("id", "us", "secret", port=20002).save(tmp_path / "kafka" / "broker.json")
    made = Embedded(tmp_path, Settings(tmp_path))
    monkeypatch.setattr(made, "start", lambda: {"kafka_brokers_sasl": ["127.0.0.1:20002"]})
    return made


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[str, ...], bool]]:
    found: list[tuple[tuple[str, ...], bool]] = []

    def ensure(self: Any, endpoint: KafkaEndpoint, create: bool) -> None:
        found.append((endpoint.brokers, create))

    monkeypatch.setattr(KafkaTopicAdmin, "ensure", ensure)
    return found


def test_an_own_topic_is_made_where_the_broker_is_now(embedded: Embedded, looks: Any) -> None:
    assert Topics(embedded).ensure(OWN).brokers == ("127.0.0.1:20002",)
    assert looks == [(("127.0.0.1:20002",), True)]


def test_without_a_log_in_the_address_tells(embedded: Embedded, looks: Any) -> None:
    assert Topics(embedded).ensure(KafkaEndpoint(("127.0.0.1:20002",), "t")).brokers == ("127.0.0.1:20002",)
    Topics(embedded).ensure(KafkaEndpoint(("127.0.0.1:20003",), "t"))
    assert looks == [(("127.0.0.1:20002",), True), (("127.0.0.1:20003",), False)]


def test_topics_of_other_brokers_are_not_made(embedded: Embedded, looks: Any) -> None:
    assert Topics(embedded).ensure(OTHER) == OTHER
    assert looks == [(("far:9092",), False)]


def test_before_its_first_start_nothing_is_on_it(tmp_path: Path, looks: Any) -> None:
    assert Topics(Embedded(tmp_path, Settings(tmp_path))).ensure(OWN) == OWN
    assert looks == [(OWN.brokers, False)]
