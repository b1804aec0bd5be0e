"""Bearer tokens: fetched once for all threads, renewed before they expire, and once more if refused."""

from __future__ import annotations

import base64
import copy
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from attrs import define, field, frozen

# A token is renewed so long before it expires, or a tenth of its life if that is less.
MARGIN = 60.0


def basic(username: str, password: str) -> str:
    """The Authorization header of user and password."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def lifetime(token: str, now: float) -> float | None:
    """Seconds that a JWT lives from its making, or None if it does not say.

    Taken from ``exp`` - ``iat``, so a clock that differs from the service's does no harm.
    """
    try:
        segment = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
        seconds = float(claims["exp"]) - float(claims.get("iat", now))
    except (IndexError, ValueError, KeyError, TypeError):
        return None
    return seconds if seconds > 0 else None


@frozen
class _Token:
    value: str = field(repr=False)
    renew_at: float | None  # on the monotonic clock; None: until it is refused


@define(eq=False)
class Tokens:
    """The token of one service.

    Args:
        fetch: gets a new token from the service; None if the user gave a token that cannot be renewed.
        fixed: that token.
    """

    _fetch: Callable[[], str] | None
    _fixed: str | None = field(default=None, repr=False)
    _monotonic: Callable[[], float] = time.monotonic
    _token: _Token | None = field(default=None, init=False, repr=False)
    _pending: Future[_Token] | None = field(default=None, init=False, repr=False)
    _lock: Any = field(factory=threading.Lock, init=False, repr=False)

    @property
    def renewable(self) -> bool:
        """False for a token that the user gave."""
        return self._fetch is not None

    def get(self) -> str:
        """A token that is still good for a while."""
        if self._fixed is not None:
            return self._fixed
        token = self._token
        if token is not None and (token.renew_at is None or self._monotonic() < token.renew_at):
            return token.value
        return self._renew(token)

    def replace(self, refused: str) -> str:
        """Another token, after the service refused this one; no call if a thread has renewed it already."""
        token = self._token
        if token is not None and token.value != refused:
            return token.value
        return self._renew(token)

    def _renew(self, stale: _Token | None) -> str:
        """One thread fetches, the others wait for what it gets, be it a token or an error."""
        with self._lock:
            if self._token is not None and self._token is not stale:
                return self._token.value
            pending = self._pending
            leader = pending is None
            if pending is None:
                pending = self._pending = Future()
        if not leader:
            error = pending.exception()
            if isinstance(error, Exception):
                raise copy.copy(error) from None  # one traceback a thread
            if error is not None:
                return self._renew(stale)  # the leader was interrupted, which is not this thread's affair
            return pending.result().value
        try:
            if self._fetch is None:
                raise RuntimeError("a token that was given cannot be renewed")
            value = self._fetch()
            token = _Token(value, self._renewal(value))
        except BaseException as error:
            with self._lock:
                self._pending = None
            pending.set_exception(error)
            raise
        with self._lock:
            self._token, self._pending = token, None
        pending.set_result(token)
        return value

    def _renewal(self, value: str) -> float | None:
        seconds = lifetime(value, time.time())
        return None if seconds is None else self._monotonic() + seconds - min(MARGIN, seconds / 10)
