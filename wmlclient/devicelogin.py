"""Login at an OpenID Connect issuer from a terminal or a notebook: a code is shown, and typed in at any browser."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import requests

from wmlclient.errors import AuthenticationError, ConfigError

_SECONDS = 30.0


class DeviceLogin:
    """Gets tokens of an issuer for a person, who logs in with a browser, once.

    Nothing is sent before the first token is asked for. Later ones come by the refresh token, which is kept in memory
    alone; where the issuer has ended that, the person is asked again.

    Args:
        issuer: the issuer's address, such as ``"https://login.example/tenant/v2.0"``.
        client_id: this program, as the issuer knows it.
        scopes: what is asked for, such as ``["api://ml/.default"]``.
        show: gets the text that tells where to type which code; by default it is written to stderr.
        verify: whether the issuer's certificate is checked, or a file of certificates to check it against.

    Raises:
        ConfigError: something is missing, or the package for it is not installed.

    Example:
        >>> login = DeviceLogin("https://login.example/t", "my-program", ["api/.default"])
        >>> login
        DeviceLogin('https://login.example/t')
        >>> client = wmlclient.Client(url, instance_id="i", login=login)  # doctest: +SKIP
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        scopes: Sequence[str],
        *,
        show: Callable[[str], object] | None = None,
        verify: bool | str = True,
    ) -> None:
        if not issuer.startswith("https://"):
            raise ConfigError(f"issuer= is {issuer!r}: give its https:// address.")
        if not client_id or not scopes or isinstance(scopes, str):
            raise ConfigError("Give client_id=, and scopes= as a list of what is asked for.")
        try:
            import msal  # noqa: F401 - looked for now, not in the middle of a call
        except ImportError:
            raise ConfigError("A login with a code needs msal. Run: pip install 'wmlclient[oidc]'") from None
        self.issuer = issuer
        self._client_id = client_id
        self._scopes = list(scopes)
        self._show = show if show is not None else _to_stderr
        self._verify = verify
        self._lock = threading.Lock()
        self._application: Any = None
        self._refresh: str | None = None

    def token(self) -> str:
        """A new access token; waits for the person where that takes one.

        Raises:
            AuthenticationError: the issuer refuses, or nobody has typed the code in time.
            ConfigError: the issuer cannot be reached, or knows no login with a code.
        """
        with self._lock:
            app = self._app()
            if self._refresh is not None:
                found = app.acquire_token_by_refresh_token(self._refresh, self._scopes)
                if "access_token" in found:
                    return self._kept(found)
                self._refresh = None
            try:
                flow = app.initiate_device_flow(scopes=self._scopes)
            except ValueError as error:
                raise ConfigError(f"{self.issuer} knows no login with a code: {error}") from None
            if "user_code" not in flow:
                raise _refused(self.issuer, flow)
            self._show(
                flow.get("message")
                or f"To log in, open {flow['verification_uri']} and type {flow['user_code']}"
            )
            found = app.acquire_token_by_device_flow(flow)
            if "access_token" not in found:
                raise _refused(self.issuer, found)
            return self._kept(found)

    def __repr__(self) -> str:
        return f"DeviceLogin({self.issuer!r})"

    def _app(self) -> Any:
        if self._application is None:
            import msal

            try:
                self._application = msal.PublicClientApplication(
                    self._client_id, oidc_authority=self.issuer, http_client=_Session(self._verify)
                )
            except (ValueError, requests.RequestException) as error:
                raise ConfigError(
                    f"{self.issuer} cannot be asked how to log in ({type(error).__name__}). "
                    "Check the address, and verify= where its certificate is a company's own."
                ) from None
        return self._application

    def _kept(self, found: dict[str, Any]) -> str:
        self._refresh = found.get("refresh_token") or self._refresh
        return str(found["access_token"])


class _Session(requests.Session):
    """Checks certificates against what was given, whatever the environment names; and waits for no answer for ever."""

    def __init__(self, verify: bool | str) -> None:
        super().__init__()
        self._given = verify

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **more: Any) -> requests.Response:
        """See requests."""
        return super().request(method, url, *args, **{"verify": self._given, "timeout": _SECONDS, **more})


def _refused(issuer: str, answer: dict[str, Any]) -> AuthenticationError:
    why = str(answer.get("error_description") or answer.get("error") or "no reason given")[:300]
    return AuthenticationError(f"{issuer} gave no token: {why}")


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
