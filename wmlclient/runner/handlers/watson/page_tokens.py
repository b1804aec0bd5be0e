"""Tokens of pages: opaque, and good for the kind of list that gave them."""

from __future__ import annotations

import base64
import binascii
import hashlib


def encode(seq: int, kind: str) -> str:
    """The token of a page.

    Args:
        seq: Where it starts.
        kind: What is listed.

    >>> decode(encode(17, "models"), "models")
    17
    """
    place = seq.to_bytes(8, "big")
    return base64.urlsafe_b64encode(_mark(place, kind) + place).decode().rstrip("=")


def decode(token: str, kind: str) -> int:
    """Where the page of a token starts.

    Raises:
        ValueError: It is not the token of such a list.
    """
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None
    mark, place = raw[:-8], raw[-8:]
    if len(raw) != 16 or mark != _mark(place, kind) or encode(int.from_bytes(place, "big"), kind) != token:
        raise ValueError("another list's, or made by hand")
    return int.from_bytes(place, "big")


def _mark(place: bytes, kind: str) -> bytes:
    return hashlib.blake2b(place, digest_size=8, person=kind.encode()[:16]).digest()
