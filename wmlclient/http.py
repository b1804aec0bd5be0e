"""The HTTP side that the whole facade shares: sessions, retries, timeouts, the debug log.

Retries are decided here and nowhere else. Safe calls (GET, HEAD, PUT, DELETE) are repeated on 429, 502, 503, 504
and on broken connections; POST and PATCH only when the connection could not be made at all.
"""

from __future__ import annotations

import logging
import platform
import random
import threading
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from wmlclient._version import __version__
from wmlclient.errors import ConfigError

logger = logging.getLogger("wmlclient.http")

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 60.0
MAX_RETRIES = 2
RETRY_AFTER_MAX = 120.0
USER_AGENT = f"wmlclient/{__version__} python/{platform.python_version()}"

Timeout = tuple[float | None, float | None]


def check_timeout(timeout: float | tuple[float | None, float | None] | None) -> Timeout:
    """Seconds to read, or (to connect, to read); None waits for ever."""
    pair = (
        timeout if isinstance(timeout, tuple) else (CONNECT_TIMEOUT if timeout is not None else None, timeout)
    )
    if len(pair) != 2 or any(t is not None and not t > 0 for t in pair):
        raise ConfigError(f"timeout={timeout!r}: give seconds above 0, or (connect, read), or None.")
    return pair[0], pair[1]


class PatientRetry(Retry):
    """urllib3's policy with jitter, and with a limit on what ``Retry-After`` may ask for."""

    BACKOFF = 0.2

    def get_backoff_time(self) -> float:
        """0.1-0.2 s, then 0.2-0.4 s, and so on: clients that failed together do not come back together."""
        failures = len(self.history)
        longest = min(8.0, self.BACKOFF * 2.0 ** (failures - 1)) if failures else 0.0
        return longest * (0.5 + random.random() / 2)  # noqa: S311 - not a secret

    def get_retry_after(self, response: Any) -> float | None:
        """What the service asks for, at most two minutes."""
        after = super().get_retry_after(response)
        return None if after is None else min(after, RETRY_AFTER_MAX)


def retry_policy(max_retries: int) -> PatientRetry:
    """The one policy; see the top of this module."""
    return PatientRetry(
        total=max_retries,
        connect=max_retries,
        read=max_retries,
        status=max_retries,
        redirect=0,
        # "other" would repeat a POST
        other=0,
        allowed_methods=frozenset({"GET", "HEAD", "PUT", "DELETE"}),
        status_forcelist=(429, 502, 503, 504),
        respect_retry_after_header=True,
        raise_on_status=False,
        raise_on_redirect=False,
    )


class Session(requests.Session):
    """A session that threads may share: no cookies, and the environment is read once a host."""

    def __init__(self, max_retries: int) -> None:
        super().__init__()
        self.headers["User-Agent"] = USER_AGENT
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Without an auth of its own, requests would put ~/.netrc over our Authorization header.
        self.auth = _keep_headers
        adapter = HTTPAdapter(max_retries=retry_policy(max_retries), pool_maxsize=64)
        self.mount("http://", adapter)
        self.mount("https://", adapter)
        self._settings: dict[tuple[str, str, Any, Any], Any] = {}

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """As the base class, remembered: looking through the environment takes longer than a score."""
        if proxies:
            return super().merge_environment_settings(url, proxies, stream, verify, cert)
        parts = urlsplit(url)
        key = (parts.scheme, parts.netloc, verify, cert)
        found = self._settings.get(key)
        if found is None:
            found = super().merge_environment_settings(url, {}, None, verify, cert)
            self._settings[key] = found
        return {**found, "stream": bool(stream)}


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class Transport:
    """Sessions by number of retries: one for a client, one more for each copy that retries differently."""

    def __init__(self) -> None:
        self._sessions: dict[int, Session] = {}
        self._lock = threading.Lock()
        self.closed = False

    def session(self, max_retries: int) -> Session:
        """The session that repeats a call at most so often."""
        if not isinstance(max_retries, int) or max_retries < 0:
            raise ConfigError(f"max_retries={max_retries!r}: give a whole number, 0 for none.")
        with self._lock:
            if self.closed:
                raise ConfigError("This client is closed. Make a new one.")
            if max_retries not in self._sessions:
                self._sessions[max_retries] = Session(max_retries)
            return self._sessions[max_retries]

    def close(self) -> None:
        """Closes all connections. Safe to call twice."""
        with self._lock:
            self.closed = True
            sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            session.close()


def log_exchange(method: str, url: str, status: int, seconds: float, headers: Mapping[str, str]) -> None:
    """One line a call, without query, headers or bodies: nothing secret can be in it."""
    path = urlsplit(url).path
    request_id = headers.get("X-Global-Transaction-ID", "-")
    logger.debug("%s %s -> %s in %.1f ms (request %s)", method, path, status, seconds * 1e3, request_id)
