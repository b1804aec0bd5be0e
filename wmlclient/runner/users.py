"""Local users: the one that the runner was started for, and those added beside.

The first user's password is in the home's own settings, since the runner hands it out in ``credentials.json``; of all
others only an Argon2 hash is kept.
"""

from __future__ import annotations

import functools
import hmac
import re
import threading
import time
from collections.abc import Callable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from attrs import frozen

from .store import Store, User

OWNER, CONTRIBUTOR, READER = ROLES = ("owner", "contributor", "reader")

#: Seconds for which it is not looked whether another process added or removed a user.
FRESH = 1.0

_NAME = re.compile(r"[^\s:/\x00-\x1f\x7f][^:/\x00-\x1f\x7f]{0,99}")


class UserRefused(Exception):
    """A user cannot be added or removed; the text says why."""


@frozen
class Caller:
    """Who calls.

    Attributes:
        name: The user's name.
        role: ``owner``, ``contributor`` or ``reader``.
    """

    name: str
    role: str


#: Who calls an operation that is not about users, or that makes a user known.
ANYBODY = Caller("", READER)


def add(store: Store, name: str, password: str, role: str, now: int) -> None:
    """Add a user, or give one a new password and role.

    Args:
        store: Where users are.
        name: Name; no ``:`` and no ``/``.
        password: Password.
        role: One of :data:`ROLES`.
        now: Milliseconds since 1970.

    Raises:
        UserRefused: The name or the password is none.
    """
    if not _NAME.fullmatch(name):
        raise UserRefused("A user name has 1 to 100 characters, no ':' and no '/', and begins with no space.")
    if not password:
        raise UserRefused("The password is empty. Give one.")
    if role not in ROLES:
        raise UserRefused(f"{role!r} is no role. Choose one of: {', '.join(ROLES)}.")
    if name == store.setting("username"):
        raise UserRefused(
            f"{name!r} is the runner's first user: its password is set with WMLCLIENT_PASSWORD at the start."
        )
    store.users.put(User(name, PasswordHasher().hash(password), role, now))


@functools.cache
def _nobody() -> str:
    """What an unknown name is checked against, so that the time says nothing."""
    return PasswordHasher().hash("nobody has this password")


class Users:
    """Checks users.

    Args:
        first: Name of the user that the runner was started for: an owner.
        password: Its password.
        store: Where the others are; None where there are none.
        clock: Seconds that only go on.
    """

    def __init__(
        self,
        first: str,
        password: str,
        store: Store | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.first = first
        self._password = password.encode()
        self._store = store
        self._clock = clock
        self._hasher = PasswordHasher()
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._known: dict[str, tuple[str, str]] = {}
        self._generation = 0

    def verify(self, name: str, password: str) -> Caller | None:
        """The user with this name and password, or None. Takes its time, so not for the event loop."""
        given = password.encode("utf-8", "surrogatepass")
        if hmac.compare_digest(name.encode("utf-8", "surrogatepass"), self.first.encode()):
            return Caller(name, OWNER) if hmac.compare_digest(given, self._password) else None
        user = self._store.users.get(name) if self._store is not None else None
        try:
            self._hasher.verify(user.hash if user is not None else _nobody(), given)
        except (VerificationError, InvalidHashError):
            return None
        return Caller(user.name, user.role) if user is not None else None

    def get(self, name: str) -> Caller | None:
        """The user of this name as it is now, or was less than :data:`FRESH` seconds ago; None where it is gone."""
        if name == self.first:
            return Caller(name, OWNER)
        self.generation()
        known = self._known.get(name)
        return Caller(name, known[0]) if known is not None else None

    def generation(self) -> int:
        """A number that is another one once users were added, changed or removed."""
        if self._store is not None and self._clock() - self._looked >= FRESH:
            with self._lock:
                self._looked = self._clock()
                known = {user.name: (user.role, user.hash) for user in self._store.users.all()}
                if known != self._known:
                    self._known = known
                    self._generation += 1
        return self._generation
