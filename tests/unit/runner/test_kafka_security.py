"""Logins to Kafka: what is taken, what is refused by name, and what each client is told."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from certificates import Authority
from test_runner_connections import BODY, CONNECTION, changed

from wmlclient import scram
from wmlclient.connections import KafkaConnection
from wmlclient.errors import ConfigError
from wmlclient.kafka_login import FIELDS, SECRET, KafkaLogin, login_of, problem, tls_context
from wmlclient.kafka_tokens import TokenRefused, token_of
from wmlclient.runner.engine import connections
from wmlclient.runner.engine.errors import Invalid
from wmlclient.runner.engine.ports import KafkaEndpoint
from wmlclient.runner.kafka_security import NotForJava, java_options, librdkafka_options
from wmlclient.runner.lines import decode, encode

AUTHORITY = Authority()
CLIENT = AUTHORITY.issue("client")


def with_login(**login: Any) -> dict[str, Any]:
    return changed("input.connection", {"kafka_brokers_sasl": ["k:9093"], **login})


def source_of(**login: Any) -> KafkaEndpoint:
    return connections.stream_endpoints(with_login(**login)).source


@pytest.mark.parametrize(
    ("given", "protocol", "mechanism"),
    [
        ({}, "PLAINTEXT", "PLAIN"),
        ({"user": "u", "password": "p"}, "SASL_SSL", "PLAIN"),
        ({"user": "u", "password": "p", "sasl_mechanism": "SCRAM-SHA-512"}, "SASL_SSL", "SCRAM-SHA-512"),
        ({"token": "t"}, "SASL_SSL", "OAUTHBEARER"),
        ({"token_endpoint": "https://a/b", "user": "u", "password": "p"}, "SASL_SSL", "OAUTHBEARER"),
        ({"ca": AUTHORITY.ca}, "SSL", "PLAIN"),
        ({"ca": AUTHORITY.ca, "certificate": CLIENT.certificate, "key": CLIENT.key}, "SSL", "PLAIN"),
    ],
)
def test_what_is_left_out_follows_from_the_rest_alike_on_both_sides(
    given: dict[str, Any], protocol: str, mechanism: str
) -> None:
    ours = KafkaConnection(brokers="k:9093", **given)
    found = source_of(**given)
    assert login_of(ours) == login_of(found)
    assert (found.security_protocol, found.sasl_mechanism) == (protocol, mechanism)
    assert login_of(source_of(**ours._to_wire())) == login_of(found)
    again = KafkaConnection.from_credentials(decode(encode(ours._to_wire())))
    assert again == ours


@pytest.mark.parametrize(
    ("given", "member"),
    [
        ({"user": "u", "sasl_mechanism": "SCRAM-SHA-256"}, "user"),
        ({"user": "u", "password": "p", "sasl_mechanism": "GSSAPI"}, "sasl_mechanism"),
        ({"user": "u", "password": "p", "token": "t", "sasl_mechanism": "PLAIN"}, "token"),
        ({"sasl_mechanism": "OAUTHBEARER", "security_protocol": "SASL_SSL"}, "token"),
        ({"token_endpoint": "file:///etc/passwd", "user": "u", "password": "p"}, "token_endpoint"),
        ({"token_endpoint": "https://a/b"}, "user"),
        ({"certificate": CLIENT.certificate}, "key"),
        ({"ca": "not PEM"}, "ca"),
        ({"ca": AUTHORITY.ca, "security_protocol": "PLAINTEXT"}, "ca"),
        ({"user": "u\n", "password": "p"}, "user"),
    ],
)
def test_a_login_that_cannot_be_is_refused_by_name(given: dict[str, Any], member: str) -> None:
    with pytest.raises(Invalid) as caught:
        source_of(**given)
    assert caught.value.target["name"] == f"input.connection.{member}"


@pytest.mark.parametrize(
    "option",
    [
        {"sasl.jaas.config": "com.sun.security.auth.module.JndiLoginModule required;"},
        {"sasl_jaas_config": "x"},
        {"ssl.truststore.location": "/etc/passwd"},
        {"ssl_keystore_location": "/etc/passwd"},
        {"sasl.login.callback.handler.class": "x"},
        {"api_key": "com.sun.security.auth.module.JndiLoginModule required;"},
    ],
)
def test_options_of_clients_and_jaas_text_are_refused_by_name(option: dict[str, str]) -> None:
    with pytest.raises(Invalid) as caught:
        connections.stream_endpoints(changed("output.connection", CONNECTION | option))
    assert caught.value.code == "kafka_option_not_supported"
    assert next(iter(option)) in caught.value.message


def test_no_secret_is_shown() -> None:
    secrets = {name: f"s3cret-{name}" for name in SECRET}
    shown = connections.masked_request(
        changed(
            "input.connection",
            {"kafka_brokers_sasl": ["k:1"], "ca": "PEM", "sasl_mechanism": "PLAIN", **secrets},
        )
    )
    assert "s3cret" not in json.dumps(shown)
    assert shown["input"]["connection"]["ca"] == "PEM"
    for holder in (
        KafkaLogin("SSL", **secrets),
        KafkaEndpoint(("k:1",), "t", **secrets),
        KafkaConnection(brokers="k:1", user="u", password="s3cret"),
    ):
        assert "s3cret" not in repr(holder)
    assert connections.stream_endpoints(BODY).dead_letter.password == CONNECTION["password"]


def test_what_the_clients_are_told() -> None:
    login = KafkaLogin("SASL_SSL", "u", 'p"w', "SCRAM-SHA-256", ca="CA", certificate="CERT", key=CLIENT.key)
    native = librdkafka_options(login)
    assert native["sasl.mechanism"] == "SCRAM-SHA-256"
    assert (native["sasl.password"], native["ssl.ca.pem"], native["ssl.key.pem"]) == ('p"w', "CA", CLIENT.key)
    java = java_options(login, "kafka.")
    assert java["kafka.sasl.jaas.config"] == (
        'org.apache.kafka.common.security.scram.ScramLoginModule required username="u" password="p\\"w";'
    )
    assert (java["kafka.ssl.truststore.type"], java["kafka.ssl.truststore.certificates"]) == ("PEM", "CA")
    assert java["kafka.ssl.keystore.certificate.chain"] == "CERT"
    assert java_options(KafkaLogin("PLAINTEXT")) == {"security.protocol": "PLAINTEXT"}
    with pytest.raises(NotForJava, match="tokens"):
        java_options(KafkaLogin("SASL_SSL", sasl_mechanism="OAUTHBEARER", token="t"))
    with pytest.raises(NotForJava, match="PKCS #8"):
        java_options(KafkaLogin("SSL", certificate="C", key="-----BEGIN RSA PRIVATE KEY-----"))


def test_certificates_are_read_and_what_is_none_is_told_without_its_text() -> None:
    assert tls_context(KafkaLogin("SSL", ca=AUTHORITY.ca, certificate=CLIENT.certificate, key=CLIENT.key))
    other = AUTHORITY.issue("another").key
    for bad in (
        {"ca": "-----BEGIN CERTIFICATE-----\ns3cret"},
        {"certificate": CLIENT.certificate, "key": other},
    ):
        login = KafkaLogin("SSL", **bad)
        assert problem(login) is None
        with pytest.raises(ValueError, match="cannot be used") as caught:
            tls_context(login)
        assert "s3cret" not in str(caught.value)


def test_a_file_is_read_and_one_that_is_not_there_is_named(tmp_path: Any) -> None:
    (tmp_path / "ca.pem").write_text(AUTHORITY.ca)
    assert KafkaConnection(brokers="k:1", ca=tmp_path / "ca.pem").ca == AUTHORITY.ca
    with pytest.raises(ConfigError, match=r"nothing\.pem"):
        KafkaConnection(brokers="k:1", ca=tmp_path / "nothing.pem")
    assert set(FIELDS) >= SECRET


def test_scram_as_its_standard_has_it() -> None:
    """The example of RFC 7677, section 3."""
    talk = scram.Conversation("SCRAM-SHA-256", "user", "pencil", "rOprNGfwEbeRWgbNEkqO")
    assert talk.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    nonce = b"rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    proof = talk.proof(b"r=" + nonce + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    assert proof == b"c=biws,r=" + nonce + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    assert talk.is_proved(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    assert not talk.is_proved(b"v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    for bad in (b"e=other-error", b"r=else,s=AAAA,i=1", b"r=" + nonce + b",s=AAAA,i=99999999999"):
        with pytest.raises(ConnectionError):
            talk.proof(bad)


@pytest.fixture
def endpoint() -> Iterator[tuple[str, list[bytes]]]:
    """Answers what its last path part says."""
    heard: list[bytes] = []
    answers = {
        "good": (200, b'{"access_token": "t", "expires_in": 60}'),
        "none": (200, b"[]"),
        "no": (403, b""),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.headers["Authorization"].encode())
            heard.append(self.rfile.read(int(self.headers["Content-Length"])))
            code, body = answers[self.path[1:]]
            self.send_response(code)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", heard
    server.shutdown()
    server.server_close()


def test_tokens_are_asked_for(endpoint: tuple[str, list[bytes]]) -> None:
    address, heard = endpoint

    def login(path: str) -> KafkaLogin:
        return KafkaLogin(
            "SASL_SSL", "me:", "s3cret", "OAUTHBEARER", token_endpoint=address + path, scope="a b"
        )

    assert token_of(login("/good"))[0] == "t"
    assert heard == [
        b"Basic " + base64.b64encode(b"me%3A:s3cret"),
        b"grant_type=client_credentials&scope=a+b",
    ]
    for path, said in (("/none", "without a token"), ("/no", "HTTP 403")):
        with pytest.raises(TokenRefused, match=said) as caught:
            token_of(login(path))
        assert "s3cret" not in str(caught.value)
    gone = KafkaLogin("SASL_SSL", "u", "p", "OAUTHBEARER", token_endpoint="http://127.0.0.1:9/")
    with pytest.raises(TokenRefused, match="does not answer"):
        token_of(gone)
