"""Users: the one that the runner was started for, those added beside, and those of a directory.

The first user's password is in the home's own settings, since the runner hands it out in ``credentials.json``; of those
that were added an Argon2 hash is kept, and of a directory's users the name and the role alone.
"""

from __future__ import annotations

import functools
import hmac
import re
import threading
import time
from collections.abc import Callable
from typing import Protocol

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from attrs import evolve, frozen

from .store import Store, User

OWNER, CONTRIBUTOR, READER = ROLES = ("owner", "contributor", "reader")

#: Seconds for which it is not looked whether another process added or removed a user.
FRESH = 1.0

#: Stands for the hash of a user whose password is the directory's business. No password has it.
IN_DIRECTORY = "directory"

#: What a user can be called.
USER_NAME = re.compile(r"[^\s:/\x00-\x1f\x7f][^:/\x00-\x1f\x7f]{0,99}")


class DirectoryUnavailable(Exception):
    """The directory gives no answer; the text says why."""


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


class UserDirectory(Protocol):
    """Users who are kept elsewhere. Both raise :class:`DirectoryUnavailable`."""

    @property
    def searches(self) -> bool:
        """Whether a user can be looked at without its password."""
        ...

    def verify(self, name: str, password: str) -> Caller | None:
        """The user with this name and password, or None."""
        ...

    def find(self, name: str) -> Caller | None:
        """The user of this name as it is now; None where it is gone."""
        ...


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
    if not USER_NAME.fullmatch(name):
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
        directory: Who knows users that are not kept here; None for nobody. Users that are kept here come first.
    """

    def __init__(
        self,
        first: str,
        password: str,
        store: Store | None = None,
        clock: Callable[[], float] = time.monotonic,
        directory: UserDirectory | None = None,
    ) -> None:
        self.first = first
        self._password = password.encode()
        self._store = store
        self._clock = clock
        self._directory = directory
        self._hasher = PasswordHasher()
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._known: dict[str, tuple[str, str]] = {}
        self._generation = 0

    def verify(self, name: str, password: str) -> Caller | None:
        """The user with this name and password, or None. Takes its time, so not for the event loop.

        Raises:
            DirectoryUnavailable: Nobody here has this name, and the directory gives no answer.
        """
        given = password.encode("utf-8", "surrogatepass")
        if hmac.compare_digest(name.encode("utf-8", "surrogatepass"), self.first.encode()):
            return Caller(name, OWNER) if hmac.compare_digest(given, self._password) else None
        user = self._store.users.get(name) if self._store is not None else None
        if self._directory is not None and (user is None or user.hash == IN_DIRECTORY):
            return self._kept(self._directory.verify(name, password))
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

    def renews(self, name: str) -> bool:
        """Whether a user may have further tokens: a directory may have let it go, or given it another role.

        Raises:
            DirectoryUnavailable: The directory gives no answer.
        """
        caller = self.get(name)
        if caller is None or name == self.first or self._store is None:
            return caller is not None
        user = self._store.users.get(name)
        if (
            user is None
            or user.hash != IN_DIRECTORY
            or self._directory is None
            or not self._directory.searches
        ):
            return user is not None
        if self._kept(self._directory.find(name)) == caller:
            return True
        self._store.users.delete(name)
        self._looked = float("-inf")
        return False

    def _kept(self, caller: Caller | None) -> Caller | None:
        """A user of the directory, written down, so that its tokens can be checked without asking again."""
        if caller is None or self._store is None or not USER_NAME.fullmatch(caller.name):
            return None
        user = self._store.users.get(caller.name)
        if caller.name == self.first or (user is not None and user.hash != IN_DIRECTORY):
            # The directory may take what was typed for a name that is somebody else's here.
            return None
        if user is None or user.role != caller.role:
            now = time.time_ns() // 1_000_000
            made = User(caller.name, IN_DIRECTORY, caller.role, now)
            self._store.users.put(made if user is None else evolve(user, role=caller.role))
            self._looked = float("-inf")
        return caller

    def generation(self) -> int:
        """A number that is another one once users were added, changed or removed."""
        if self._store is not None and self._clock() - self._looked >= FRESH:
            with self._lock:
                self._looked = self._clock()
                known = {user.name: (user.role, user.hash) for user in self._users()}
                if known != self._known:
                    self._known = known
                    self._generation += 1
        return self._generation

    def _users(self) -> list[User]:
        """Users that may log in; those of a directory only while there is one."""
        assert self._store is not None
        found = self._store.users.all()
        return [user for user in found if user.hash != IN_DIRECTORY or self._directory is not None]
