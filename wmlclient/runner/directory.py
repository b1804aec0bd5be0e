"""Users of an LDAP directory: who they are is asked of it at each login, their groups say what they may do.

Nothing of a password is kept. A user is looked for with a search, as what people type is rarely the name of an entry;
a bind with that entry's name and the password then decides.
"""

from __future__ import annotations

import logging
import math
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import field, frozen

from . import members
from .users import CONTRIBUTOR, OWNER, READER, Caller, DirectoryUnavailable

logger = logging.getLogger("wmlclient.runner.users")

#: Longer ones are no names and no passwords; they would only be work for the directory.
_LONGEST = 256


class DirectoryRefused(Exception):
    """The settings of a directory are none; the text says why."""


@frozen
class DirectorySettings:
    """Where users are, and how they are found.

    Attributes:
        url: ``ldaps://host[:port]`` or ``ldap://host[:port]``.
        base: Entry below which users are.
        filter: Finds a user; ``{}`` stands for the name as it was typed, made harmless.
        name: Attribute with the user's name in this service.
        user_dn: Template of a user's entry, such as ``uid={},ou=people,dc=example``; in place of the search.
        bind_dn: Entry that searches; None searches as nobody.
        bind_password: Its password.
        starttls: Whether ``ldap://`` changes to TLS before anything is said.
        plain: Whether passwords may go over a connection without TLS.
        ca_file: Certificates that the directory's is checked against; None for those of the system.
        groups_base: Entry below which groups are looked for; None where a user's ``groups`` attribute names them.
        groups: Attribute of a user that names its groups.
        owners: Group whose members are Owners, by its DN.
        contributors: Group whose members are Contributors.
        readers: Group whose members are Readers.
        seconds: Seconds that the directory has for an answer.
    """

    url: str
    base: str = ""
    filter: str = "(uid={})"
    name: str = "uid"
    user_dn: str | None = None
    bind_dn: str | None = None
    bind_password: str | None = field(default=None, repr=False)
    starttls: bool = False
    plain: bool = False
    ca_file: str | None = None
    groups_base: str | None = None
    groups: str = "memberOf"
    owners: str | None = None
    contributors: str | None = None
    readers: str | None = None
    seconds: float = 5.0

    def __attrs_post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("ldap", "ldaps") or not parts.hostname:
            raise DirectoryRefused("`url` is no address of a directory: give ldaps://host or ldap://host.")
        if parts.username is not None or parts.password is not None:
            raise DirectoryRefused("`url` holds a user: give bind_dn and bind_password instead.")
        if parts.scheme == "ldap" and not self.starttls and not self.plain:
            raise DirectoryRefused(
                "Passwords would be sent in the clear: give ldaps://, or set starttls, or set plain "
                "where nobody can listen."
            )
        if self.user_dn is None and not self.base:
            raise DirectoryRefused("`base` is missing: the entry below which users are.")
        for key, text in (("filter", self.filter), ("user_dn", self.user_dn)):
            if text is not None and "{}" not in text:
                raise DirectoryRefused(f"`{key}` has no {{}} where the user's name goes.")
        if (self.bind_dn is None) != (not self.bind_password):
            raise DirectoryRefused("bind_dn and bind_password go together: give both, or neither.")


def read_settings(path: Path) -> DirectorySettings:
    """Settings from a JSON file, whose members are the attributes of :class:`DirectorySettings`.

    Raises:
        DirectoryRefused: It cannot be read, or says what is none.
    """
    return settings_of(members.read(path, DirectoryRefused))


def settings_of(given: Any) -> DirectorySettings:
    """Settings from a mapping.

    Raises:
        DirectoryRefused: A member is unknown, missing or of another type.
    """
    kinds = {"starttls": bool, "plain": bool, "seconds": (int, float)}
    needed = {"url": "the directory's address."}
    return members.settings(DirectorySettings, given, kinds, DirectoryRefused, needed)


class Directory:
    """Asks a directory.

    Args:
        settings: Where it is.

    Raises:
        DirectoryRefused: The package for it is not installed.
    """

    def __init__(self, settings: DirectorySettings) -> None:
        try:
            import ldap3
        except ImportError:
            raise DirectoryRefused(
                "Users of a directory need ldap3. Run: pip install 'wmlclient[local,ldap]'"
            ) from None
        self._settings = settings
        parts = urlsplit(settings.url)
        secure = parts.scheme == "ldaps"
        self._server = ldap3.Server(
            parts.hostname,
            port=parts.port or (636 if secure else 389),
            use_ssl=secure,
            tls=ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=settings.ca_file),
            get_info=ldap3.NONE,
            connect_timeout=settings.seconds,
        )

    def verify(self, name: str, password: str) -> Caller | None:
        """The user with this name and password, or None.

        Raises:
            DirectoryUnavailable: The directory gives no answer.
        """
        # A bind with an empty password is one as nobody, which succeeds.
        if not _usable(name) or not _usable(password):
            return None
        from ldap3.core.exceptions import LDAPException

        try:
            return self._verify(name, password)
        except (LDAPException, OSError) as error:
            raise DirectoryUnavailable(f"{self._settings.url}: {type(error).__name__}") from None

    def find(self, name: str) -> Caller | None:
        """The user of this name as the directory has it now; None where it is gone, or where users only bind.

        Raises:
            DirectoryUnavailable: The directory gives no answer.
        """
        from ldap3.core.exceptions import LDAPException

        if not _usable(name) or not self.searches:
            return None
        try:
            with self._bound(self._settings.bind_dn, self._settings.bind_password) as connection:
                entry = self._entry(connection, name)
                return None if entry is None else self._caller(connection, *entry)
        except (LDAPException, OSError) as error:
            raise DirectoryUnavailable(f"{self._settings.url}: {type(error).__name__}") from None

    @property
    def searches(self) -> bool:
        """Whether users are searched for, so that one can be looked at without its password."""
        return self._settings.user_dn is None

    # -- what is done behind

    def _verify(self, name: str, password: str) -> Caller | None:
        if not self.searches:
            from ldap3.utils.dn import escape_rdn

            assert self._settings.user_dn is not None
            dn = self._settings.user_dn.replace("{}", escape_rdn(name))
            with self._bound(dn, password) as connection:
                return self._own(connection, dn, name) if connection.bound else None
        with self._bound(self._settings.bind_dn, self._settings.bind_password) as connection:
            entry = self._entry(connection, name)
            if entry is None:
                return None
            with self._bound(entry[0], password) as own:
                if not own.bound:
                    return None
            return self._caller(connection, *entry)

    def _bound(self, dn: str | None, password: str | None) -> Any:
        """A connection that has tried to bind; it ends with its block."""
        import ldap3

        connection = ldap3.Connection(
            self._server,
            user=dn,
            password=password,
            auto_bind=ldap3.AUTO_BIND_NONE,
            auto_referrals=False,
            # A whole number, or the socket does not take it.
            receive_timeout=math.ceil(self._settings.seconds),
            read_only=True,
        )
        return _Bound(connection, self._settings.starttls)

    def _entry(self, connection: Any, name: str) -> tuple[str, dict[str, Any]] | None:
        """The one entry of a user. Two are none: nobody could say whose password it was."""
        from ldap3.utils.conv import escape_filter_chars

        if not connection.bound:
            raise DirectoryUnavailable(f"{self._settings.url}: bind_dn and bind_password are refused")
        wanted = self._settings.filter.replace("{}", escape_filter_chars(name))
        connection.search(
            self._settings.base, wanted, attributes=[self._settings.name, self._settings.groups], size_limit=2
        )
        found = [each for each in connection.response or () if each.get("type") == "searchResEntry"]
        return (found[0]["dn"], found[0]["attributes"]) if len(found) == 1 else None

    def _own(self, connection: Any, dn: str, name: str) -> Caller | None:
        """A user that has bound, as its own entry tells it."""
        connection.search(
            dn,
            "(objectClass=*)",
            search_scope="BASE",
            attributes=[self._settings.name, self._settings.groups],
        )
        found = [each for each in connection.response or () if each.get("type") == "searchResEntry"]
        return self._caller(connection, dn, found[0]["attributes"]) if len(found) == 1 else None

    def _caller(self, connection: Any, dn: str, attributes: Mapping[str, Any]) -> Caller | None:
        names = _texts(attributes.get(self._settings.name))
        if not names:
            logger.warning("%s has no attribute %s: it cannot log in", dn, self._settings.name)
            return None
        role = self._role(self._groups(connection, dn, attributes))
        return None if role is None else Caller(names[0], role)

    def _groups(self, connection: Any, dn: str, attributes: Mapping[str, Any]) -> set[str]:
        if self._settings.groups_base is None:
            return {_canonical(each) for each in _texts(attributes.get(self._settings.groups))}
        from ldap3.utils.conv import escape_filter_chars

        member = escape_filter_chars(dn)
        connection.search(
            self._settings.groups_base, f"(|(member={member})(uniqueMember={member}))", attributes=None
        )
        found = connection.response or ()
        return {_canonical(each["dn"]) for each in found if each.get("type") == "searchResEntry"}

    def _role(self, groups: set[str]) -> str | None:
        """What the groups allow; the most where there are several. Without any group in the settings: contributor."""
        settings = self._settings
        by_role = {OWNER: settings.owners, CONTRIBUTOR: settings.contributors, READER: settings.readers}
        if not any(by_role.values()):
            return CONTRIBUTOR
        for role, group in by_role.items():
            if group is not None and _canonical(group) in groups:
                return role
        # Roles are given, and this user has none of them.
        return None


class _Bound:
    def __init__(self, connection: Any, starttls: bool) -> None:
        self._connection = connection
        self._starttls = starttls

    def __enter__(self) -> Any:
        try:
            self._connection.open()
            if self._starttls:
                self._connection.start_tls()
            self._connection.bind()
        except BaseException:
            self.__exit__()
            raise
        return self._connection

    def __exit__(self, *_: object) -> None:
        try:
            self._connection.unbind()
        except Exception as error:
            # It was on its way out.
            logger.debug("a connection to the directory was not closed: %s", type(error).__name__)
        finally:
            if self._connection.socket is not None:
                self._connection.socket.close()


def _usable(text: str) -> bool:
    return 0 < len(text) <= _LONGEST and "\x00" not in text


def _texts(value: Any) -> list[str]:
    several = value if isinstance(value, (list, tuple)) else [value]
    return [each for each in several if isinstance(each, str) and each]


def _canonical(dn: str) -> str:
    """A DN as it is compared: letters of either case and spaces around its parts are the same."""
    from ldap3.core.exceptions import LDAPInvalidDnError
    from ldap3.utils.dn import parse_dn

    try:
        return ",".join(f"{kind}={value}" for kind, value, _ in parse_dn(dn, strip=True)).lower()
    except LDAPInvalidDnError:
        return dn.lower()
