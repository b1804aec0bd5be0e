"""Tokens of an OpenID Connect issuer: read with the issuer's keys, and never on trust.

The keys are fetched from the address that the issuer's own document names, and kept. A token with a key that is not
among them asks for them anew, as issuers change keys, though not more often than every few seconds.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
from attrs import field, frozen

from . import members
from .problems import Problem
from .users import CONTRIBUTOR, OWNER, READER, USER_NAME, Caller, Users

logger = logging.getLogger("wmlclient.runner.users")

#: What an issuer may sign with: never a secret that it would share with us, and never nothing.
ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
#: Seconds for which keys are good, and those in which they are not asked for again.
KEPT, PAUSE = 3600.0, 10.0
_SECONDS = 5.0
_MOST = 1 << 20


class IssuerRefused(Exception):
    """The settings of an issuer are none; the text says why."""


class KeysWanted(Exception):
    """A token needs keys that are not here; :attr:`fetch` gets them, which takes its time."""

    def __init__(self, fetch: Callable[[], None]) -> None:
        super().__init__()
        self.fetch = fetch


@frozen
class IssuerSettings:
    """An issuer, and what its tokens have to say.

    Attributes:
        url: The issuer's identity, to the letter, and the address below which its document is.
        audience: Whom tokens have to be for: this service, as the issuer knows it.
        name: Claim with the user's name; one that nobody can choose for himself.
        roles: Claim with the user's roles or groups.
        owners: The value of that claim that makes an Owner.
        contributors: The value that makes a Contributor.
        readers: The value that makes a Reader.
        algorithms: What tokens may be signed with.
        leeway: Seconds by which the clocks may differ.
        ca_file: Certificates that the issuer's is checked against; None for those that come with requests.
    """

    url: str
    audience: str
    name: str = "preferred_username"
    roles: str = "roles"
    owners: str | None = None
    contributors: str | None = None
    readers: str | None = None
    algorithms: tuple[str, ...] = field(default=("RS256",), converter=tuple)
    leeway: float = 60.0
    ca_file: str | None = None

    def __attrs_post_init__(self) -> None:
        if urlsplit(self.url).scheme != "https" or not urlsplit(self.url).hostname:
            raise IssuerRefused("`url` is no https:// address.")
        if not self.audience:
            raise IssuerRefused("`audience` is missing: whom tokens have to be for.")
        unknown = sorted(set(self.algorithms) - set(ALGORITHMS))
        if unknown or not self.algorithms:
            raise IssuerRefused(f"`algorithms` may be: {', '.join(ALGORITHMS)}.")


def read_settings(path: Path) -> IssuerSettings:
    """Settings from a JSON file, whose members are the attributes of :class:`IssuerSettings`.

    Raises:
        IssuerRefused: It cannot be read, or says what is none.
    """
    kinds = {"algorithms": list, "leeway": (int, float)}
    needed = {"url": "the issuer's address.", "audience": "whom tokens have to be for."}
    return members.settings(IssuerSettings, members.read(path, IssuerRefused), kinds, IssuerRefused, needed)


class Issuer:
    """Checks tokens of an issuer.

    Args:
        settings: The issuer.
        users: Whose names are taken.
        clock: Seconds that only go on.

    Raises:
        IssuerRefused: A package for it is not installed.
    """

    def __init__(
        self, settings: IssuerSettings, users: Users, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not jwt.algorithms.has_crypto:
            raise IssuerRefused(
                "Tokens of an issuer need PyJWT with cryptography. Run: pip install 'wmlclient[local,oidc]'"
            )
        self._settings = settings
        self._users = users
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: Mapping[str, Any] = {}
        self._fetched = self._asked = float("-inf")

    def mine(self, token: str) -> bool:
        """Whether a token is no affair of our own key."""
        try:
            return jwt.get_unverified_header(token).get("alg") in ALGORITHMS
        except jwt.InvalidTokenError:
            return False

    def check(self, token: str) -> Caller:
        """Who has this token.

        Raises:
            Problem: 401, 403 where nothing is allowed to its user, or 503 where the issuer gives no answer.
            KeysWanted: Fetch them and ask again.
        """
        try:
            key = self._key(jwt.get_unverified_header(token))
            claims = jwt.decode(
                token,
                key,
                algorithms=list(self._settings.algorithms),
                audience=self._settings.audience,
                issuer=self._settings.url,
                leeway=self._settings.leeway,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            logger.info("a token of the issuer was refused: %s", type(error).__name__)
            raise _invalid() from None
        return self._caller(claims)

    def fetch(self) -> None:
        """Get the issuer's keys, unless somebody has just asked for them. Takes its time."""
        with self._lock:
            if self._clock() - self._asked < PAUSE:
                return
            try:
                self._keys = self._current()
                self._fetched = self._clock()
            except (OSError, jwt.PyJWTError, ValueError, KeyError, TypeError) as error:
                # OSError is what requests raises. The keys of before are good for a while.
                logger.warning("the keys of %s cannot be had: %s", self._settings.url, type(error).__name__)
            finally:
                # Only now: who comes meanwhile waits for these keys, and is not told that there are none.
                self._asked = self._clock()

    # -- what is done behind

    def _key(self, header: Mapping[str, Any]) -> Any:
        if header.get("alg") not in self._settings.algorithms:
            raise jwt.InvalidAlgorithmError
        fresh = self._clock() - self._fetched < KEPT
        key = self._keys.get(str(header.get("kid")))
        if (key is None or not fresh) and self._clock() - self._asked >= PAUSE:
            raise KeysWanted(self.fetch)
        # Where the issuer is away its last keys are good for as long again, and no longer.
        if self._clock() - self._fetched >= 2 * KEPT:
            raise Problem(
                503, "issuer_unavailable", "The issuer of the tokens gives no answer.", {"retry-after": "10"}
            )
        if key is None:
            raise jwt.InvalidKeyError
        return key

    def _current(self) -> dict[str, Any]:
        document = self._get(self._settings.url.rstrip("/") + "/.well-known/openid-configuration")
        if document["issuer"] != self._settings.url:
            raise ValueError("another issuer")
        address = document["jwks_uri"]
        if urlsplit(address).scheme != "https":
            raise ValueError("keys in the clear")
        found = jwt.PyJWKSet.from_dict(self._get(address)).keys
        return {key.key_id: key for key in found if key.key_id and key.public_key_use in (None, "sig")}

    def _get(self, url: str) -> dict[str, Any]:
        import requests  # 16 MB, for services that have an issuer

        verify: Any = self._settings.ca_file or True
        with requests.get(
            url, timeout=_SECONDS, verify=verify, allow_redirects=False, stream=True
        ) as response:
            if response.status_code != 200:
                raise ValueError(f"status {response.status_code}")
            content = response.raw.read(_MOST + 1, decode_content=True)
            if len(content) > _MOST:
                raise ValueError("too long")
            found: dict[str, Any] = json.loads(content)
            return found

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        name = claims.get(self._settings.name)
        if not isinstance(name, str) or not USER_NAME.fullmatch(name):
            raise _forbidden("The token names no user that this service could have.")
        if self._users.get(name) is not None:
            # What belongs to that user must not be the issuer's to give away.
            raise _forbidden("This service has a user of that name already, who logs in with a password.")
        given = claims.get(self._settings.roles)
        several = given if isinstance(given, list) else [given]
        role = self._role({each for each in several if isinstance(each, str)})
        if role is None:
            raise _forbidden("The token has none of the roles of this service.")
        return Caller(name, role)

    def _role(self, roles: set[str]) -> str | None:
        settings = self._settings
        by_role = {OWNER: settings.owners, CONTRIBUTOR: settings.contributors, READER: settings.readers}
        if not any(by_role.values()):
            return CONTRIBUTOR
        return next((role for role, value in by_role.items() if value is not None and value in roles), None)


def _invalid() -> Problem:
    return Problem(
        401, "invalid_access_token", "invalid or expired access token", {"www-authenticate": "Bearer"}
    )


def _forbidden(message: str) -> Problem:
    return Problem(403, "user_not_allowed", message)
