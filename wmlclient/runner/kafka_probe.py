"""Knocks at a Kafka broker and says in one word what is wrong.

Kafka clients go on trying whatever happens, so that a wrong password, a closed port and a broker that wants TLS all
end in the same time-out. Here each step (name, TCP, TLS, ApiVersions, SASL/PLAIN) is taken once, by hand.
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Sequence
from contextlib import closing

from wmlclient.runner.engine.ports import KafkaEndpoint, StreamSetupError

_METADATA, _API_VERSIONS, _SASL_HANDSHAKE, _SASL_AUTHENTICATE = 3, 18, 17, 36
_UNSUPPORTED_MECHANISM, _AUTHENTICATION_FAILED = 33, 58
_MAX_ANSWER = 1 << 20


class _Unreachable(Exception):
    """This broker cannot be talked to; another one of the list may."""


def knock(endpoint: KafkaEndpoint, seconds: float) -> None:
    """Return when one of the brokers lets this user in.

    Args:
        endpoint: Where, as whom.
        seconds: For all brokers together.

    Raises:
        StreamSetupError: ``broker_unavailable``, ``broker_authentication_failed`` or ``broker_protocol_mismatch``.
    """
    deadline = time.monotonic() + seconds
    reasons: list[str] = []
    for index, broker in enumerate(endpoint.brokers):
        # Each broker its fair part, so that the first one's silence does not eat the second one's time.
        share = (deadline - time.monotonic()) / (len(endpoint.brokers) - index)
        try:
            _knock_one(broker, endpoint, max(share, 0.2))
            return
        except _Unreachable as error:
            reasons.append(f"{broker}: {error}")
    raise StreamSetupError(
        "broker_unavailable",
        f"No Kafka broker can be reached ({'; '.join(reasons)}). Check kafka_brokers_sasl and that the broker runs.",
    )


def _knock_one(broker: str, endpoint: KafkaEndpoint, seconds: float) -> None:
    host, port = split_address(broker)
    protocol = endpoint.security_protocol
    try:
        connection: socket.socket = socket.create_connection((host, port), timeout=seconds)
    except socket.gaierror:
        raise _Unreachable("the host name is not known") from None
    except TimeoutError:
        raise _Unreachable("no answer") from None
    except (OSError, OverflowError) as error:
        raise _Unreachable(getattr(error, "strerror", None) or str(error)) from None
    with closing(connection):
        if protocol.endswith("SSL"):
            connection = _wrap(connection, host, broker, protocol)
        with closing(connection):
            try:
                _talk(connection, endpoint, broker)
            except TimeoutError:
                raise _Unreachable("the port is open, but nothing answers as Kafka does") from None
            except OSError:
                raise _mismatch(broker, protocol) from None


def _wrap(connection: socket.socket, host: str, broker: str, protocol: str) -> socket.socket:
    try:
        return ssl.create_default_context().wrap_socket(connection, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise StreamSetupError(
            "broker_certificate_invalid",
            f"The certificate of the Kafka broker {broker} is not trusted: {error.verify_message}. "
            "Add its authority to this machine's trust store.",
        ) from None
    except TimeoutError:
        raise _Unreachable("the port is open, but nothing answers the TLS greeting") from None
    except OSError:
        raise _mismatch(broker, protocol) from None


def _talk(connection: socket.socket, endpoint: KafkaEndpoint, broker: str) -> None:
    _call(connection, _API_VERSIONS, 0, b"")
    if not endpoint.security_protocol.startswith("SASL"):
        # A listener that wants a log-in answers ApiVersions all the same, but hangs up on anything else.
        _call(connection, _METADATA, 1, struct.pack(">i", 0))
        return
    answer = _call(connection, _SASL_HANDSHAKE, 1, _string("PLAIN"))
    error = _error_code(answer)
    if error == _UNSUPPORTED_MECHANISM:
        raise StreamSetupError(
            "broker_protocol_mismatch",
            f"The Kafka broker {broker} does not offer the SASL mechanism PLAIN. Use a user that logs in with PLAIN.",
        )
    if error:
        raise _mismatch(broker, endpoint.security_protocol)
    token = f"\0{endpoint.user or ''}\0{endpoint.password or ''}".encode()
    answer = _call(connection, _SASL_AUTHENTICATE, 0, struct.pack(">i", len(token)) + token)
    if _error_code(answer):
        raise StreamSetupError(
            "broker_authentication_failed",
            f"The Kafka broker {broker} refuses user {endpoint.user!r} with this password. "
            "Check user and password of the connection.",
        )


def _mismatch(broker: str, protocol: str) -> StreamSetupError:
    return StreamSetupError(
        "broker_protocol_mismatch",
        f"The Kafka broker {broker} hangs up on {protocol}. Set the connection's security_protocol to what its "
        "listener speaks (SASL_SSL, SASL_PLAINTEXT, SSL or PLAINTEXT).",
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


def split_address(broker: str) -> tuple[str, int]:
    """Host and port of ``host:port``, ``[::1]:9092`` included.

    Raises:
        StreamSetupError: It is not of that form.
    """
    host, colon, port = broker.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise StreamSetupError(
            "invalid_broker_address",
            f"{broker!r} is not the address of a Kafka broker. Write it as host:port.",
        )
    return host, int(port)


def check_addresses(brokers: Sequence[str]) -> None:
    """Raise :class:`StreamSetupError` where an address is not ``host:port``, or where there is none."""
    if not brokers:
        raise StreamSetupError(
            "invalid_broker_address", "The connection names no Kafka broker in kafka_brokers_sasl."
        )
    for broker in brokers:
        split_address(broker)
