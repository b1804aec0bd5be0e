"""Streams and topics on a broker that wants TLS, SCRAM, certificates or tokens; and one whose dead letters are away."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from certificates import Authority, Pair
from exactly_once import Heard, lost_and_double, make_spec, places, read, send, tweet
from kafka_stand import endpoint_of
from stream_stand import StreamStand
from waiting import eventually

from wmlclient.connections import KafkaConnection
from wmlclient.errors import BrokerError
from wmlclient.kafka_login import FIELDS
from wmlclient.runner.broker import Broker
from wmlclient.runner.broker.config import free_port
from wmlclient.runner.engine.ports import KafkaEndpoint, StreamSpec
from wmlclient.runner.spark.runner import DriverRunner
from wmlclient.runner.streams.clients import connection
from wmlclient.runner.topics import KafkaTopicAdmin

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PASSWORD = "s3cret, with=signs"
OAUTH = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"


class Secure:
    """A broker with a listener for each way in, and the authority that signs for it."""

    def __init__(self, home: Path) -> None:
        self.authority = Authority()
        server = self.authority.issue("broker")
        ports = [free_port(0) for _ in range(3)]
        self.scram, self.mutual, self.oauth = (f"127.0.0.1:{port}" for port in ports)
        listeners = f"SCRAM://{self.scram},MUTUAL://{self.mutual},OAUTH://{self.oauth}"
        settings = {
            "listeners": listeners,
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "SCRAM:SASL_SSL,MUTUAL:SSL,OAUTH:SASL_PLAINTEXT",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": _line(server.certificate),
            "ssl.keystore.key": _line(server.key),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.certificates": _line(self.authority.ca),
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.scram.scram-sha-256.sasl.jaas.config": f"{SCRAM} required;",
            "listener.name.scram.scram-sha-512.sasl.jaas.config": f"{SCRAM} required;",
            "listener.name.oauth.sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.oauth.oauthbearer.sasl.jaas.config": f'{OAUTH} required unsecuredLoginStringClaim_sub="b";',
            "auto.create.topics.enable": "false",
        }
        self.broker = Broker(home, settings=settings)

    def add_user(self, mechanism: str) -> None:
        from confluent_kafka.admin import (  # type: ignore[attr-defined]
            AdminClient,
            ScramCredentialInfo,
            ScramMechanism,
            UserScramCredentialUpsertion,
        )

        info = ScramCredentialInfo(getattr(ScramMechanism, mechanism.replace("-", "_")), 4096)
        admin = AdminClient(connection(endpoint_of(self.broker, "any")))
        change = UserScramCredentialUpsertion("alice", info, PASSWORD.encode())
        admin.alter_user_scram_credentials([change])["alice"].result(30)


def _line(pem: str) -> str:
    """PEM as Kafka takes it on one line."""
    return " ".join(pem.split("\n"))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    made = Secure(tmp_path_factory.mktemp("secure"))
    with made.broker:
        yield made


@pytest.fixture
def stand(secure: Secure, tmp_path: Path) -> Iterator[StreamStand]:
    made = StreamStand(secure.broker, tmp_path)
    yield made
    made.streams.close()


def works(stand: StreamStand, kafka: KafkaConnection) -> None:
    """A stream runs with this login, exactly once, and topics are read and written with it."""
    login = {name: getattr(kafka, name) for name in FIELDS}
    plain = stand.spec()

    def end(given: KafkaEndpoint) -> KafkaEndpoint:
        return KafkaEndpoint(kafka.brokers, given.topic, **login)

    spec = evolve(
        plain, source=end(plain.source), target=end(plain.target), dead_letter=end(plain.dead_letter)
    )
    KafkaTopicAdmin().ensure(spec.source, create=False)
    stand.start(spec)
    source, target = kafka.topic(spec.source.topic), kafka.topic(spec.target.topic)
    assert source.send([{"id": 1, "text": "a"}, {"id": 2, "text": "b"}]) == 2
    assert [record.value["id"] for record in target.read(2)] == [1, 2]
    stand.streams.stop_stream(spec.stream_id)
    logs = stand.logs()
    for secret in (kafka.password, kafka.key, kafka.token):
        assert secret is None or secret not in logs + repr(spec) + repr(kafka)


def refused(kafka: KafkaConnection, code: str) -> None:
    with pytest.raises(BrokerError) as caught:
        kafka.topic("any").exists()
    assert caught.value.code == code, caught.value
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_scram_over_tls(secure: Secure, stand: StreamStand, mechanism: str) -> None:
    secure.add_user(mechanism)
    kafka = KafkaConnection(
        brokers=secure.scram,
        user="alice",
        password=PASSWORD,
        sasl_mechanism=mechanism,
        ca=secure.authority.ca,
    )
    works(stand, kafka)
    refused(evolve(kafka, password="another"), "broker_authentication_failed")
    refused(evolve(kafka, sasl_mechanism="PLAIN"), "broker_protocol_mismatch")
    refused(evolve(kafka, ca=Authority("another").ca), "broker_certificate_invalid")


def test_spark_logs_in_with_scram_over_tls(
    secure: Secure, runner: DriverRunner, driver_home: Path, tmp_path: Path
) -> None:
    """The login of Java's clients, which we write, is one that a broker takes."""
    secure.add_user("SCRAM-SHA-512")
    login = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "user": "alice",
        "password": PASSWORD,
        "ca": secure.authority.ca,
    }
    made = make_spec(secure.broker, tmp_path, delivery="at_least_once")
    plain = evolve(made, checkpoint_dir=str(tmp_path / "here"))

    def with_login(**changes: str) -> StreamSpec:
        ends = {
            name: KafkaEndpoint((secure.scram,), getattr(plain, name).topic, **login | changes)
            for name in ("source", "target", "dead_letter")
        }
        return evolve(plain, **ends)

    heard, spec = Heard(), with_login()
    runner.start_stream(spec, heard)
    try:
        eventually(heard.kinds, 120)
        assert heard.kinds() == ["running"], heard.events
        send(plain.source, [tweet(0), (b"bad", b"{", []), tweet(1)])
        assert [record.key() for record in read(plain.target, 2, 90)] == [b"key-0", b"key-1"]
        assert [record.value() for record in read(plain.dead_letter, 1, 30)] == [b"{"]
    finally:
        runner.stop_stream(spec.stream_id)
    wrong = evolve(
        with_login(password="another"),
        stream_id=f"{spec.stream_id}-w",
        checkpoint_dir=str(tmp_path / "there"),
    )
    refusal = Heard()
    runner.start_stream(wrong, refusal)
    eventually(lambda: "failed" in refusal.kinds(), 120)
    assert refusal.events[-1].details["code"] == "broker_authentication_failed"
    for path in (each for each in driver_home.rglob("*") if each.is_file()):
        assert PASSWORD.encode() not in path.read_bytes(), path


def test_mutual_tls(secure: Secure, stand: StreamStand) -> None:
    client = secure.authority.issue("client")
    kafka = KafkaConnection(
        brokers=secure.mutual, ca=secure.authority.ca, certificate=client.certificate, key=client.key
    )
    assert kafka.security_protocol == "SSL"
    works(stand, kafka)
    refused(evolve(kafka, certificate=None, key=None), "broker_authentication_failed")
    other: Pair = Authority("another").issue("client")
    refused(evolve(kafka, certificate=other.certificate, key=other.key), "broker_authentication_failed")


def unsigned_token() -> str:
    """A token for a broker that believes what it is told."""

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    now = int(time.time())
    return f"{part({'alg': 'none'})}.{part({'sub': 'alice', 'iat': now, 'exp': now + 600})}."


@pytest.fixture
def endpoint() -> Iterator[str]:
    """Gives a token to the client "alice" with the right secret."""
    right = "Basic " + base64.b64encode(b"alice:s3cret%2C%20with%3Dsigns").decode()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            good = (
                self.headers["Authorization"] == right
                and body == b"grant_type=client_credentials&scope=kafka"
            )
            self.send_response(200 if good else 401)
            self.end_headers()
            if good:
                self.wfile.write(json.dumps({"access_token": unsigned_token(), "expires_in": 300}).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/token"
    server.shutdown()
    server.server_close()


def test_tokens(secure: Secure, stand: StreamStand, endpoint: str) -> None:
    given = KafkaConnection(brokers=secure.oauth, security_protocol="SASL_PLAINTEXT", token=unsigned_token())
    assert given.sasl_mechanism == "OAUTHBEARER"
    asked = evolve(given, token=None, token_endpoint=endpoint, user="alice", password=PASSWORD, scope="kafka")
    works(stand, given)
    works(stand, asked)
    refused(evolve(given, token="no.token."), "broker_authentication_failed")
    refused(evolve(asked, password="another"), "broker_authentication_failed")


def test_while_the_dead_letter_topic_is_away_nothing_goes_on_and_nothing_is_dropped(
    secure: Secure, stand: StreamStand, tmp_path: Path
) -> None:
    from confluent_kafka.admin import AdminClient
    from exactly_once import make_topic

    spec = make_spec(secure.broker, tmp_path)
    stand.start(spec)
    send(spec.source, [tweet(0)])
    read(spec.target, 1)
    admin = AdminClient(connection(spec.target))
    admin.delete_topics([spec.dead_letter.topic])[spec.dead_letter.topic].result(30)
    send(spec.source, [tweet(1), (b"bad", b"{", []), tweet(2)])
    assert len(read(spec.target, 1, more=2)) == 1
    stand.kill(spec)
    assert len(read(spec.target, 1, more=2)) == 1
    make_topic(spec.dead_letter, 1)
    good, dead = read(spec.target, 3, 90), read(spec.dead_letter, 1, 30)
    assert [record.key() for record in good] == [b"key-0", b"key-1", b"key-2"]
    assert [record.value() for record in dead] == [b"{"]
    assert lost_and_double(places(spec), good + dead) == (0, 0)
