"""What the embedded broker is told, and what is kept for its next start."""

from __future__ import annotations

import socket
import stat
import uuid
from pathlib import Path

import pytest

from wmlclient.runner.broker import Broker, BrokerFailed
from wmlclient.runner.broker.config import BrokerState, free_port, server_properties
from wmlclient.runner.engine.ports import KafkaEndpoint, StreamSetupError
from wmlclient.runner.topics import KafkaTopicAdmin, check_endpoint, client_options


def properties(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_only_loopback_listens_and_all_of_it_wants_a_login(tmp_path: Path) -> None:
    state = BrokerState("id", "u", 'p"w', 9092, 9093)
    found = properties(server_properties(state, "sasl_plaintext"))
    assert found["listeners"] == "CLIENT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert found["listener.security.protocol.map"] == "CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT"
    assert 'user_u="p\\\\"w"' in found["listener.name.client.plain.sasl.jaas.config"]
    assert found["auto.create.topics.enable"] == "true"


def test_without_sasl_there_is_no_password(tmp_path: Path) -> None:
    text = server_properties(BrokerState("id", "u", "secret", 9092, 9093), "plaintext")
    assert "secret" not in text
    assert "jaas" not in text


def test_the_state_is_kept_and_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "broker.json"
    state = BrokerState.load(path).with_ports(0)
    state.save(path)
    assert BrokerState.load(path) == state
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert state.password not in repr(state)
    assert state.with_ports(0) == state


def test_a_clusters_id_never_looks_like_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [b"\xfb" * 16, b"\xf8" + bytes(15), b"\0" * 16]  # "-_v7…", "-AAA…", "AAAA…"
    monkeypatch.setattr("uuid.uuid4", lambda: uuid.UUID(bytes=drawn.pop(0)))
    assert BrokerState.load(tmp_path / "broker.json").cluster_id == "A" * 22


def test_a_taken_port_is_given_up_unless_it_was_asked_for() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        state = BrokerState("id", "u", "p", port, free_port(0)).with_ports(0)
        assert state.port not in (0, port)
        with pytest.raises(OSError, match="in use"):
            state.with_ports(port)


def test_before_its_start_a_broker_has_no_address(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    with pytest.raises(BrokerFailed, match="start"):
        _ = broker.bootstrap
    assert not broker.running
    broker.stop()
    with pytest.raises(ValueError, match="security"):
        Broker(tmp_path, "sasl")  # type: ignore[arg-type]


GOOD = KafkaEndpoint(("127.0.0.1:9092",), "tweets", "SASL_PLAINTEXT", "u", "p")


@pytest.mark.parametrize(
    ("endpoint", "code"),
    [
        (KafkaEndpoint(("h:1",), "t", "OAUTHBEARER"), "invalid_security_protocol"),  # type: ignore[arg-type]
        (KafkaEndpoint((), "t"), "invalid_broker_address"),
        (KafkaEndpoint(("h",), "t"), "invalid_broker_address"),
        (KafkaEndpoint(("h:99999",), "t"), "invalid_broker_address"),
        (KafkaEndpoint(("h:1",), "a topic"), "invalid_topic_name"),
        (KafkaEndpoint(("h:1",), ".."), "invalid_topic_name"),
        (KafkaEndpoint(("h:1",), "t", "SASL_SSL", "u", None), "invalid_credentials"),
        (KafkaEndpoint(("h:1",), "t", "SASL_SSL", "u", "a\0b"), "invalid_credentials"),
    ],
)
def test_a_connection_that_cannot_be_is_refused_without_a_network(endpoint: KafkaEndpoint, code: str) -> None:
    with pytest.raises(StreamSetupError) as caught:
        check_endpoint(endpoint)
    assert caught.value.code == code


def test_a_good_connection_becomes_options_of_kafka_python() -> None:
    check_endpoint(GOOD)
    assert client_options(GOOD)["sasl_mechanism"] == "PLAIN"
    assert "sasl_mechanism" not in client_options(KafkaEndpoint(("h:1",), "t"))


def test_an_address_may_be_of_version_6() -> None:
    check_endpoint(KafkaEndpoint(("[::1]:9092",), "t"))


def test_a_closed_port_and_a_silent_one_are_told_within_the_limit() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        closed = free_port(0)
        brokers = (f"127.0.0.1:{closed}", f"127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(StreamSetupError) as caught:
            KafkaTopicAdmin(seconds=1.0).ensure(KafkaEndpoint(brokers, "t"), create=False)
    assert caught.value.code == "broker_unavailable"
    assert "refused" in str(caught.value)
    assert "nothing answers as Kafka does" in str(caught.value)


def test_a_name_that_is_not_known() -> None:
    with pytest.raises(StreamSetupError, match="host name is not known"):
        KafkaTopicAdmin(seconds=5.0).ensure(KafkaEndpoint(("no-such-host.invalid:9093",), "t"), create=False)
