"""SCRAM (RFC 5802) as Kafka speaks it, from the client's side. The standard library only."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

_HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
#: A broker that asks for more only wants this machine busy.
_MOST_ITERATIONS = 10_000_000


class Conversation:
    """One log-in.

    Args:
        mechanism: ``SCRAM-SHA-256`` or ``SCRAM-SHA-512``.
        user: The user.
        password: Its password.
        nonce: For tests.
    """

    def __init__(self, mechanism: str, user: str, password: str, nonce: str | None = None) -> None:
        self._hash = _HASHES[mechanism]
        self._password = password.encode()
        self._nonce = nonce or secrets.token_urlsafe(24)
        name = user.replace("=", "=3D").replace(",", "=2C")
        self._bare = f"n={name},r={self._nonce}"
        self._signature = b""

    def first(self) -> bytes:
        """What the client says first."""
        return f"n,,{self._bare}".encode()

    def proof(self, answer: bytes) -> bytes:
        """What it says to the broker's answer.

        Raises:
            ConnectionError: That is no answer of SCRAM, or of another conversation.
        """
        try:
            said = dict(part.split("=", 1) for part in answer.decode().split(","))
            nonce, salt, rounds = said["r"], base64.b64decode(said["s"]), int(said["i"])
        except (ValueError, KeyError, binascii.Error):
            raise ConnectionError("no answer of SCRAM") from None
        if not nonce.startswith(self._nonce) or not 0 < rounds <= _MOST_ITERATIONS:
            raise ConnectionError("no answer of SCRAM")
        salted = hashlib.pbkdf2_hmac(self._hash, self._password, salt, rounds)
        client_key = self._mac(salted, b"Client Key")
        bare = f"c=biws,r={nonce}"
        words = f"{self._bare},{answer.decode()},{bare}".encode()
        stored = hashlib.new(self._hash, client_key).digest()
        signature = self._mac(stored, words)
        self._signature = self._mac(self._mac(salted, b"Server Key"), words)
        proved = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return f"{bare},p={base64.b64encode(proved).decode()}".encode()

    def is_proved(self, last: bytes) -> bool:
        """Whether the broker knows the password, too."""
        return hmac.compare_digest(last, b"v=" + base64.b64encode(self._signature))

    def _mac(self, key: bytes, words: bytes) -> bytes:
        return hmac.digest(key, words, self._hash)
