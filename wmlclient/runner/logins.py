"""Access and refresh tokens of Machine Learning Server.

An access token is a signed JSON Web Token of one login and one renewal of it; a refresh token is a secret of which only
the digest is kept. Each renewal makes a new pair and ends the old one.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jwt
from attrs import evolve, frozen

from .issuer import Issuer
from .problems import Problem
from .store import Login, Store
from .users import Caller, DirectoryUnavailable, Users

logger = logging.getLogger("wmlclient.runner.users")

#: Seconds in which a refresh token has to be used.
REFRESH_LIFETIME = 14 * 24 * 3600
#: Seconds after a login when its renewals end.
CHAIN_LIFETIME = 90 * 24 * 3600

_AUDIENCE = "ml_server"
_LONGEST = 8192
_CACHED = 4096


@frozen
class Tokens:
    """A pair of tokens.

    Attributes:
        access: Goes into the Authorization header.
        refresh: Gets the next pair.
        lifetime: Seconds until the access token ends.
        expires_on: When that is, in seconds since 1970.
    """

    access: str
    refresh: str
    lifetime: int
    expires_on: int


class Logins:
    """Issues, renews, revokes and checks.

    Args:
        key: Secret of the signatures.
        users: Who may log in.
        store: Where logins are kept.
        lifetime: Seconds until an access token ends.
        clock: Seconds since 1970.
        issuer: Whose tokens are as good as those of here; None for nobody's.

    Attributes:
        users: Who may log in.
    """

    def __init__(
        self,
        key: bytes,
        users: Users,
        store: Store,
        lifetime: float = 3600.0,
        clock: Callable[[], float] = time.time,
        issuer: Issuer | None = None,
    ) -> None:
        self._issuer = issuer
        self._key = key
        self.users = users
        self._store = store
        self._lifetime = max(1, int(lifetime))
        self._clock = clock
        self._lock = threading.Lock()
        #: The access token of each login that is good now. Only this process writes the table.
        self._current: dict[str, str] = {}
        self._generation = users.generation()

    def login(self, username: str | None, password: str | None) -> Tokens:
        """Tokens for a user and its password.

        Raises:
            Problem: 401, or 503 where a directory is asked and gives no answer.
        """
        with asked():
            caller = self.users.verify(username or "", password or "")
        if caller is None:
            raise _unauthorized("invalid_credentials", "invalid credentials")
        now = int(self._clock())
        login = Login(secrets.token_hex(16), caller.name, now, now, "", "")
        with self._lock:
            self._store.logins.forget(now - REFRESH_LIFETIME, now - CHAIN_LIFETIME)
            return self._renewed(login, now, new=True)

    def renew(self, refresh: str | None) -> Tokens:
        """A new pair; the old one ends.

        Raises:
            Problem: 401, or 503 where a directory is asked and gives no answer.
        """
        now = int(self._clock())
        name = self._found(refresh, now).username
        # Not under the lock: a directory takes its time.
        with asked():
            renews = self.users.renews(name)
        if not renews:
            raise _invalid_refresh()
        with self._lock:
            return self._renewed(self._found(refresh, now), now)

    def revoke(self, refresh: str) -> None:
        """End a refresh token. The access token beside it lives on to its end.

        Raises:
            Problem: 401.
        """
        with self._lock:
            login = self._found(refresh, int(self._clock()))
            self._store.logins.change(evolve(login, refresh_digest=f"revoked {login.id}"))

    def check(self, header: bytes | None) -> Caller:
        """Who sends this ``Authorization`` header.

        Raises:
            Problem: 401, or what :meth:`Issuer.check` raises.
            KeysWanted: See there.
        """
        parts = (header or b"").split()
        if not parts:
            raise _unauthorized("missing_access_token", "missing access token")
        if len(parts) != 2 or parts[0].lower() != b"bearer" or len(parts[1]) > _LONGEST:
            raise _invalid_access()
        token = parts[1].decode("latin-1")
        if self._issuer is not None and self._issuer.mine(token):
            return self._issuer.check(token)
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                audience=_AUDIENCE,
                # What time it is is asked of our own clock.
                options={
                    "verify_exp": False,
                    "verify_iat": False,
                    "require": ["exp", "sub", "aud", "sid", "jti"],
                },
            )
            name, login, id, ends = claims["sub"], str(claims["sid"]), claims["jti"], float(claims["exp"])
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError):
            raise _invalid_access() from None
        caller = self.users.get(name)
        if ends <= self._clock() or caller is None or self._access_of(login) != id:
            raise _invalid_access()
        return caller

    def _access_of(self, login_id: str) -> str | None:
        generation = self.users.generation()
        if generation != self._generation or len(self._current) > _CACHED:
            self._current.clear()
            self._generation = generation
        current = self._current.get(login_id)
        if current is None:
            login = self._store.logins.get(login_id)
            if login is None:
                return None
            with self._lock:
                # A renewal meanwhile knows better.
                current = self._current.setdefault(login_id, login.access_id)
        return current

    def _found(self, refresh: str | None, now: int) -> Login:
        login = self._store.logins.by_refresh(_digest(refresh or ""))
        if (
            login is None
            or login.renewed_at + REFRESH_LIFETIME <= now
            or login.started_at + CHAIN_LIFETIME <= now
            or self.users.get(login.username) is None
        ):
            raise _invalid_refresh()
        return login

    def _renewed(self, login: Login, now: int, new: bool = False) -> Tokens:
        refresh, access_id = secrets.token_urlsafe(32), secrets.token_hex(8)
        login = evolve(login, renewed_at=now, refresh_digest=_digest(refresh), access_id=access_id)
        if new:
            self._store.logins.add(login)
        else:
            self._store.logins.change(login)
        self._current[login.id] = access_id
        ends = now + self._lifetime
        claims = {
            "sub": login.username,
            "aud": _AUDIENCE,
            "sid": login.id,
            "jti": access_id,
            "iat": now,
            "exp": ends,
        }
        return Tokens(jwt.encode(claims, self._key, algorithm="HS256"), refresh, self._lifetime, ends)


def _digest(refresh: str) -> str:
    return hashlib.sha256(refresh.encode("utf-8", "surrogatepass")).hexdigest()


@contextmanager
def asked() -> Iterator[None]:
    """What a directory that gives no answer means for a call.

    Raises:
        Problem: 503.
    """
    try:
        yield
    except DirectoryUnavailable as error:
        logger.warning("the directory gives no answer: %s", error)
        raise Problem(
            503,
            "directory_unavailable",
            "The directory of the users gives no answer. Try again later.",
            {"retry-after": "5"},
        ) from None


def _invalid_refresh() -> Problem:
    return _unauthorized("invalid_refresh_token", "invalid or expired refresh token")


def _unauthorized(code: str, message: str) -> Problem:
    return Problem(401, code, message, {"www-authenticate": "Bearer"})


def _invalid_access() -> Problem:
    return _unauthorized("invalid_access_token", "invalid or expired access token")
