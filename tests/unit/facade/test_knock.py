"""One knock says what is wrong with a broker. (The answers of a real one are among the tests that need Java.)"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from wmlclient.kafka_login import KafkaLogin
from wmlclient.knock import KnockFailed, knock

Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A listener that gives prepared answers, one a request, then hangs up."""
    opened: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(*answers: bytes, silent: bool = False) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        opened.append(listener)

        def talk() -> None:
            connection, _ = listener.accept()
            opened.append(connection)
            try:
                for answer in answers:
                    connection.recv(4096)
                    connection.sendall(answer)
                if not silent:
                    connection.recv(4096)
                    connection.close()
            except ConnectionError:
                pass  # the one who knocked has left

        threads.append(threading.Thread(target=talk, daemon=True))
        threads[-1].start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield serve
    for thread in threads:
        thread.join(5)
    for each in opened:
        each.close()


def answer(body: bytes) -> bytes:
    return struct.pack(">ii", len(body) + 4, 1) + body


OK = answer(struct.pack(">hi", 0, 0))
REFUSED = answer(struct.pack(">h", 58) + b"\0\0")
NO_MECHANISM = answer(struct.pack(">hi", 33, 0))


def test_an_open_door(serve: Serve) -> None:
    knock([serve(OK, OK, silent=True)], KafkaLogin("PLAINTEXT"), 5)
    knock([serve(OK, OK, OK, silent=True)], KafkaLogin("SASL_PLAINTEXT", "u", "p"), 5)


def test_the_second_broker_will_do(serve: Serve) -> None:
    knock(["127.0.0.1:9", serve(OK, OK, silent=True)], KafkaLogin("PLAINTEXT"), 5)


@pytest.mark.parametrize(
    ("answers", "protocol", "code"),
    [
        ([OK, OK, REFUSED], "SASL_PLAINTEXT", "broker_authentication_failed"),
        ([OK, NO_MECHANISM], "SASL_PLAINTEXT", "broker_protocol_mismatch"),
        ([OK], "PLAINTEXT", "broker_protocol_mismatch"),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "PLAINTEXT", "broker_protocol_mismatch"),
        ([], "SASL_SSL", "broker_protocol_mismatch"),
    ],
)
def test_what_is_wrong(serve: Serve, answers: list[bytes], protocol: str, code: str) -> None:
    with pytest.raises(KnockFailed) as caught:
        knock([serve(*answers)], KafkaLogin(protocol, "u", "s3cret"), 5)

    assert caught.value.code == code
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("broker", "said"),
    [("127.0.0.1:9", "refused"), ("no-such-host.invalid:1", "not known")],
)
def test_nobody_there(broker: str, said: str) -> None:
    with pytest.raises(KnockFailed, match=said) as caught:
        knock([broker], KafkaLogin("PLAINTEXT"), 5)
    assert caught.value.code == "broker_unavailable"


def test_silence(serve: Serve) -> None:
    with pytest.raises(KnockFailed, match="nothing answers as Kafka does"):
        knock([serve(silent=True)], KafkaLogin("PLAINTEXT"), 0.3)
