"""Who may call: Basic credentials for a token, a token for everything else.

Tokens are JSON Web Tokens of three parts, signed with the home's own key, so that they survive a restart. The
genuine clients decode the middle part with the *standard* base64 alphabet, so claims hold only characters that keep
``-`` and ``_`` out of it.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt

from .issuer import Issuer
from .logins import asked
from .private import write_private
from .problems import Problem
from .users import Users

#: Seconds after its end in which a token can still be exchanged for a new one.
REFRESHABLE = 24 * 3600
#: Other instance ids could put characters into a token that the genuine clients cannot decode.
INSTANCE_ID = re.compile(r"[A-Za-z0-9-]{1,64}")

_CACHED = 4096
_LONGEST = 8192


class Authenticator:
    """Issues and checks tokens.

    Args:
        key: Secret of the signatures, 32 bytes or more.
        users: Who may log in.
        instance_id: The service instance that tokens are for.
        lifetime: Seconds until a token expires.
        clock: Seconds since 1970.
        issuer: Whose tokens are as good as those of here; None for nobody's.
    """

    def __init__(
        self,
        key: bytes,
        users: Users,
        instance_id: str,
        lifetime: float = 3600.0,
        clock: Callable[[], float] = time.time,
        issuer: Issuer | None = None,
    ) -> None:
        self._issuer = issuer
        self._key = key
        self._users = users
        self.instance_id = instance_id
        self._lifetime = lifetime
        self._clock = clock
        # The hot path looks a token up here instead of computing a signature; when it expires is asked each time.
        self._known: dict[bytes, float] = {}
        self._generation = users.generation()

    def login(self, header: str | None) -> str:
        """A new token for ``Authorization: Basic ...``.

        Raises:
            Problem: 401.
        """
        if not header:
            raise _unauthorized(
                "missing_authorization_token", "Authorization token has not been provided.", "Basic"
            )
        scheme, _, encoded = header.strip().partition(" ")
        try:
            if scheme.lower() != "basic" or not encoded:
                raise ValueError
            user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        except (ValueError, binascii.Error):
            raise _unauthorized(
                "invalid_token_format",
                "Give user and password as `Authorization: Basic ...` to get a token.",
                "Basic",
            ) from None
        with asked():
            caller = self._users.verify(user.decode("utf-8", "replace"), password.decode("utf-8", "replace"))
        if caller is None or not colon:
            raise _unauthorized("invalid_credentials", "Wrong user or password.", "Basic")
        return self.issue(caller.name)

    def issue(self, username: str | None = None) -> str:
        """A new token for a user, by default the first one."""
        name = self._users.first if username is None else username
        now = int(self._clock())
        claims = {
            # Base64 of hexadecimal digits needs no character that only one of the alphabets has.
            "sub": name.encode().hex(),
            "instanceId": self.instance_id,
            "iat": now,
            "exp": now + max(1, int(self._lifetime)),
            "jti": secrets.token_hex(8),
        }
        return jwt.encode(claims, self._key, algorithm="HS256")

    def check(self, header: bytes | None) -> None:
        """Return where this ``Authorization`` header lets the caller in.

        Raises:
            Problem: 401 or 403, with the code of the v3 API, or what :meth:`Issuer.check` raises.
            KeysWanted: See there.
        """
        generation = self._users.generation()
        if generation != self._generation:
            self._known.clear()
            self._generation = generation
        expires = self._known.get(header) if header is not None else None
        if expires is None:
            if self._issuer is not None and header is not None:
                token = header.split()[-1].decode("latin-1") if header.strip() else ""
                if len(token) <= _LONGEST and self._issuer.mine(token):
                    self._issuer.check(token)
                    return
            expires = self._verify(header)
        if expires <= self._clock():
            raise _unauthorized(
                "expired_authorization_token", "The authorization token has expired; get a new one."
            )

    def refresh(self, token: str) -> str:
        """A new token for an old one, which may have expired, though not long ago.

        Raises:
            Problem: 401.
        """
        claims = self._claims(token)
        if claims["exp"] + REFRESHABLE <= self._clock():
            raise _unauthorized(
                "expired_authorization_token", "The authorization token expired too long ago; log in again."
            )
        return self.issue(bytes.fromhex(claims["sub"]).decode())

    def require_instance(self, instance_id: str) -> None:
        """Return where the path names our instance.

        Raises:
            Problem: 403.
        """
        if instance_id != self.instance_id:
            raise _other_instance()

    def _verify(self, header: bytes | None) -> float:
        if not header or not header.strip():
            raise _unauthorized("missing_authorization_token", "Authorization token has not been provided.")
        parts = header.split()
        if len(parts) != 2 or parts[0].lower() != b"bearer":
            raise _unauthorized("invalid_token_format", "Bearer token format should be used.")
        claims = self._claims(parts[1].decode("latin-1"))
        expires = float(claims["exp"])
        if len(self._known) >= _CACHED:
            self._known.clear()
        if expires > self._clock():
            self._known[header] = expires
        return expires

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            if len(token) > _LONGEST:
                raise jwt.InvalidTokenError
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                # What time it is, and so what has expired, is asked of our own clock.
                options={
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "require": ["exp", "sub"],
                },
            )
            if isinstance(claims["exp"], bool) or not isinstance(claims["exp"], (int, float)):
                raise jwt.InvalidTokenError
            if self._users.get(bytes.fromhex(claims["sub"]).decode()) is None:
                raise jwt.InvalidTokenError
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError):
            raise _unauthorized(
                "invalid_authorization_token", "The authorization token is not valid."
            ) from None
        if claims.get("instanceId") != self.instance_id:
            raise _other_instance()
        return claims


def signing_key(path: Path) -> bytes:
    """The home's key, made on first use, readable for its owner only."""
    try:
        key = path.read_bytes()
        if len(key) >= 32:
            return key
    except FileNotFoundError:
        pass
    new = secrets.token_hex(32)
    write_private(path, new)
    return new.encode("ascii")


def _unauthorized(code: str, message: str, scheme: str = "Bearer") -> Problem:
    return Problem(401, code, message, {"www-authenticate": scheme})


def _other_instance() -> Problem:
    return Problem(
        403,
        "not_matching_authorization_token",
        "Authorization token and instance_id which was used in the request are not the same.",
    )
