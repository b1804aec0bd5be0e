"""One request, for the few places that ask somebody else's address: no redirects, and a limit for what comes back."""

from __future__ import annotations

import ssl
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

_SECONDS = 20.0
_MOST_BYTES = 16 << 20


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect would take the password somewhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


def ask(address: str, headers: Mapping[str, str], data: bytes | None = None, ca: str | None = None) -> bytes:
    """GET an address, or POST to it.

    Args:
        address: ``http://...`` or ``https://...``.
        headers: To send.
        data: To post.
        ca: PEM of the authorities that its certificate is checked against; the system's where None.

    Raises:
        urllib.error.HTTPError: It answers with another status than 2xx. The caller closes it.
        OSError: It does not answer.
        ValueError: It is no such address, or the PEM is none.
    """
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        raise ValueError("not an address")
    context = urllib.request.HTTPSHandler(context=ssl.create_default_context(cadata=ca or None))
    request = urllib.request.Request(address, data, dict(headers))  # noqa: S310 - looked at above
    with urllib.request.build_opener(_Stay, context).open(request, timeout=_SECONDS) as answer:
        found: bytes = answer.read(_MOST_BYTES)
    return found


def host_of(address: str) -> str:
    """What of an address may be said aloud."""
    return urllib.parse.urlsplit(address).hostname or address[:80]
