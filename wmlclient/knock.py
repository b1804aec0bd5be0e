"""Knocks at a Kafka broker and says in one word what is wrong.

Kafka clients go on trying whatever happens, so that a wrong password, a closed port and a broker that wants TLS all
end in the same time-out. Here each step (name, TCP, TLS, ApiVersions, SASL/PLAIN) is taken once, by hand. The standard
library only.
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Sequence
from contextlib import closing

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


def knock(
    brokers: Sequence[str], protocol: str, user: str | None, password: str | None, seconds: float
) -> None:
    """Returns when one of the brokers lets this user in.

    Args:
        brokers: ``host:port`` of each.
        protocol: ``SASL_SSL``, ``SASL_PLAINTEXT``, ``SSL`` or ``PLAINTEXT``.
        user: SASL user.
        password: its password.
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
            _knock_one(broker, protocol, user, password, max(share, 0.2))
            return
        except _Unreachable as error:
            reasons.append(f"{broker}: {error}")
    raise KnockFailed(
        "broker_unavailable",
        f"No Kafka broker can be reached ({'; '.join(reasons)}). Check the brokers' addresses, and that they run.",
    )


def _knock_one(broker: str, protocol: str, user: str | None, password: str | None, seconds: float) -> None:
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
        if protocol.endswith("SSL"):
            connection = _wrap(connection, host, broker, protocol)
        with closing(connection):
            try:
                _talk(connection, broker, protocol, user, password)
            except TimeoutError:
                raise _Unreachable("the port is open, but nothing answers as Kafka does") from None
            except OSError:
                raise _mismatch(broker, protocol) from None


def _wrap(connection: socket.socket, host: str, broker: str, protocol: str) -> ssl.SSLSocket:
    try:
        return ssl.create_default_context().wrap_socket(connection, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise KnockFailed(
            "broker_certificate_invalid",
            f"The certificate of the Kafka broker {broker} is not trusted: {error.verify_message}. "
            "Add its authority to this machine's trust store.",
        ) from None
    except TimeoutError:
        raise _Unreachable("the port is open, but nothing answers the TLS greeting") from None
    except OSError:
        raise _mismatch(broker, protocol) from None


def _talk(
    connection: socket.socket, broker: str, protocol: str, user: str | None, password: str | None
) -> None:
    _call(connection, _API_VERSIONS, 0, b"")
    if not protocol.startswith("SASL"):
        # A listener that wants a log-in answers ApiVersions all the same, but hangs up on anything else.
        _call(connection, _METADATA, 1, struct.pack(">i", 0))
        return
    error = _error_code(_call(connection, _SASL_HANDSHAKE, 1, _string("PLAIN")))
    if error == _UNSUPPORTED_MECHANISM:
        raise KnockFailed(
            "broker_protocol_mismatch",
            f"The Kafka broker {broker} does not offer the SASL mechanism PLAIN. Use a user that logs in with PLAIN.",
        )
    if error:
        raise _mismatch(broker, protocol)
    token = f"\0{user or ''}\0{password or ''}".encode()
    if _error_code(_call(connection, _SASL_AUTHENTICATE, 0, struct.pack(">i", len(token)) + token)):
        raise KnockFailed(
            "broker_authentication_failed",
            f"The Kafka broker {broker} refuses user {user!r} with this password. Check user and password.",
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


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()
