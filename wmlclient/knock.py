"""Knocks at a Kafka broker and says in one word what is wrong.

Kafka clients go on trying whatever happens, so that a wrong password, a closed port and a broker that wants TLS all
end in the same time-out. Here each step (name, TCP, TLS, ApiVersions, SASL) is taken once, by hand. The standard
library and attrs only.
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Sequence
from contextlib import closing

from wmlclient import scram
from wmlclient.kafka_login import KafkaLogin, tls_context
from wmlclient.kafka_tokens import TokenRefused, token_of

_METADATA, _API_VERSIONS, _SASL_HANDSHAKE, _SASL_AUTHENTICATE = 3, 18, 17, 36
_UNSUPPORTED_MECHANISM = 33
_MAX_ANSWER = 1 << 20


class KnockFailed(Exception):
    """No broker lets this user in.

    Attributes:
        code: ``broker_unavailable``, ``broker_authentication_failed``, ``broker_protocol_mismatch`` or
            ``broker_certificate_invalid``.
        message: what is wrong and what to do; never the password.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


class _Unreachable(Exception):
    """This broker cannot be talked to; another one of the list may."""


def knock(brokers: Sequence[str], login: KafkaLogin, seconds: float) -> None:
    """Returns when one of the brokers lets this user in.

    Args:
        brokers: ``host:port`` of each.
        login: who, and how.
        seconds: for all brokers together.

    Raises:
        KnockFailed: with the reason.
    """
    deadline = time.monotonic() + seconds
    reasons: list[str] = []
    for index, broker in enumerate(brokers):
        # Each broker its fair part, so that the first one's silence does not eat the second one's time.
        share = (deadline - time.monotonic()) / (len(brokers) - index)
        try:
            _knock_one(broker, login, max(share, 0.2))
            return
        except _Unreachable as error:
            reasons.append(f"{broker}: {error}")
    raise KnockFailed(
        "broker_unavailable",
        f"No Kafka broker can be reached ({'; '.join(reasons)}). Check the brokers' addresses, and that they run.",
    )


def _knock_one(broker: str, login: KafkaLogin, seconds: float) -> None:
    host, _, port = broker.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        connection: socket.socket = socket.create_connection((host, int(port)), timeout=seconds)
    except socket.gaierror:
        raise _Unreachable("the host name is not known") from None
    except TimeoutError:
        raise _Unreachable("no answer") from None
    except (OSError, OverflowError, ValueError) as error:
        raise _Unreachable(getattr(error, "strerror", None) or str(error)) from None
    with closing(connection):
        if login.tls:
            connection = _wrap(connection, host, broker, login)
        with closing(connection):
            try:
                _talk(connection, broker, login)
            except TimeoutError:
                raise _Unreachable("the port is open, but nothing answers as Kafka does") from None
            except ssl.SSLError as error:
                raise _not_trusted(broker, login, error) from None
            except OSError:
                raise _mismatch(broker, login.security_protocol) from None


def _wrap(connection: socket.socket, host: str, broker: str, login: KafkaLogin) -> ssl.SSLSocket:
    try:
        return tls_context(login).wrap_socket(connection, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise KnockFailed(
            "broker_certificate_invalid",
            f"The certificate of the Kafka broker {broker} is not trusted: {error.verify_message}. "
            "Give its authority as ca, or add it to this machine's trust store.",
        ) from None
    except TimeoutError:
        raise _Unreachable("the port is open, but nothing answers the TLS greeting") from None
    except OSError:
        raise _mismatch(broker, login.security_protocol) from None
    except ValueError as error:
        raise KnockFailed("invalid_credentials", f"For the Kafka broker {broker}: {error}.") from None


def _talk(connection: socket.socket, broker: str, login: KafkaLogin) -> None:
    _call(connection, _API_VERSIONS, 0, b"")
    if not login.sasl:
        # A listener that wants a log-in answers ApiVersions all the same, but hangs up on anything else.
        _call(connection, _METADATA, 1, struct.pack(">i", 0))
        return
    mechanism = login.sasl_mechanism
    error = _error_code(_call(connection, _SASL_HANDSHAKE, 1, _string(mechanism)))
    if error == _UNSUPPORTED_MECHANISM:
        raise KnockFailed(
            "broker_protocol_mismatch",
            f"The Kafka broker {broker} does not offer the SASL mechanism {mechanism}. Give another sasl_mechanism.",
        )
    if error:
        raise _mismatch(broker, login.security_protocol)
    try:
        if not _log_in(connection, login):
            raise _refused(broker, login)
    except TokenRefused as refused:
        raise KnockFailed(
            "broker_authentication_failed", f"{refused} Check token_endpoint and user."
        ) from None


def _log_in(connection: socket.socket, login: KafkaLogin) -> bool:
    """Whether the broker lets this user in."""

    def say(words: bytes) -> bytes | None:
        answer = _call(connection, _SASL_AUTHENTICATE, 0, struct.pack(">i", len(words)) + words)
        return None if _error_code(answer) else answer

    if login.sasl_mechanism == "PLAIN":
        return say(f"\0{login.user or ''}\0{login.password or ''}".encode()) is not None
    if login.sasl_mechanism == "OAUTHBEARER":
        answer = say(f"n,,\x01auth=Bearer {token_of(login)[0]}\x01\x01".encode())
        # What else comes back is why not.
        return answer is not None and not _last_bytes(answer)
    talk = scram.Conversation(login.sasl_mechanism, login.user or "", login.password or "")
    first = say(talk.first())
    last = say(talk.proof(_last_bytes(first))) if first is not None else None
    return last is not None and talk.is_proved(_last_bytes(last))


def _refused(broker: str, login: KafkaLogin) -> KnockFailed:
    with_what = "this token" if login.sasl_mechanism == "OAUTHBEARER" else "this password"
    return KnockFailed(
        "broker_authentication_failed",
        f"The Kafka broker {broker} refuses user {login.user!r} with {with_what}. Check user and password.",
    )


def _not_trusted(broker: str, login: KafkaLogin, error: ssl.SSLError) -> KnockFailed:
    """The broker hangs up for the client's certificate, which TLS 1.3 tells after the greeting."""
    if login.certificate:
        what = "refuses this client's certificate. Check certificate and key"
    else:
        what = "wants a certificate of the client. Give certificate and key"
    return KnockFailed(
        "broker_authentication_failed", f"The Kafka broker {broker} {what} ({error.reason or 'TLS'})."
    )


def _mismatch(broker: str, protocol: str) -> KnockFailed:
    return KnockFailed(
        "broker_protocol_mismatch",
        f"The Kafka broker {broker} hangs up on {protocol}. Set security_protocol to what its listener speaks "
        "(SASL_SSL, SASL_PLAINTEXT, SSL or PLAINTEXT).",
    )


def _call(connection: socket.socket, api: int, version: int, body: bytes) -> bytes:
    header = struct.pack(">hhi", api, version, 1) + _string("wmlclient")
    connection.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
    (size,) = struct.unpack(">i", _read(connection, 4))
    if not 6 <= size <= _MAX_ANSWER:
        raise ConnectionError("no answer of Kafka")
    return _read(connection, size)[4:]


def _read(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionError("closed")
        parts += part
    return bytes(parts)


def _error_code(answer: bytes) -> int:
    return int(struct.unpack(">h", answer[:2])[0])


def _last_bytes(answer: bytes) -> bytes:
    """The bytes at the end of an answer to a log-in: after its error and the text of it."""
    (text,) = struct.unpack(">h", answer[2:4])
    at = 4 + max(0, text)
    (size,) = struct.unpack(">i", answer[at : at + 4])
    return answer[at + 4 : at + 4 + max(0, size)]


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()
