"""Tables of a SQL database as a request names them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from .errors import field_error, missing
from .texts import is_text

#: What a request may call a database, and the kind of it.
DATABASES = {
    "dashdb": "db2",
    "db2": "db2",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "sqlite": "sqlite",
}
_PORTS = {"db2": 50000, "postgresql": 5432}
_TABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_$]{0,126}\.)?[A-Za-z_][A-Za-z0-9_$]{0,126}")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\]")


def is_table(place: Mapping[str, Any]) -> bool:
    """Whether a source or a target is a table."""
    return "tablename" in place or str(place.get("type", "")).lower() in DATABASES


def table_place(
    part: Mapping[str, Any], side: str, end: str, check_file: Callable[[str, str], str]
) -> dict[str, Any]:
    """A table, JSON-ready, secrets included.

    Args:
        part: What holds ``connection``, and the table as ``end``.
        side: Name of the part in the request.
        end: ``source`` or ``target``.
        check_file: Takes the path of a SQLite file and the member that names it; gives the path, or refuses.

    Raises:
        Invalid: ``invalid_request_payload``, naming the member.
        Forbidden: ``path_not_allowed``.
    """
    where, place = f"{side}.{end}", part.get(end)
    if not isinstance(place, Mapping):
        raise missing(where)
    kind = DATABASES.get(str(place.get("type", "")).lower())
    if kind is None:
        raise field_error(f"{where}.type", f"`{where}.type` is one of {', '.join(sorted(DATABASES))}.")
    table = place.get("tablename")
    if not isinstance(table, str) or not _TABLE.fullmatch(table):
        raise missing(f"{where}.tablename")
    given = part.get("connection")
    if not isinstance(given, Mapping):
        raise missing(f"{side}.connection")
    found = {"kind": "table", "database": kind, "table": table, "format": "table", "header": True}
    if kind == "sqlite":
        path = check_file(_text(given, "db", side), f"{side}.connection.db")
        return {**found, "connection": {"db": path}}
    host = _text(given, "host", side)
    if not _HOST.fullmatch(host):
        raise field_error(f"{side}.connection.host", f"`{side}.connection.host` is no host.")
    port = given.get("port", _PORTS[kind])
    if isinstance(port, bool) or not str(port).isdecimal() or not 0 < int(port) < 65536:
        raise field_error(f"{side}.connection.port", f"`{side}.connection.port` is no port.")
    names = {name: _text(given, name, side) for name in ("db", "username", "password")}
    return {**found, "connection": {"host": host, "port": int(port), **names}}


def _text(given: Mapping[str, Any], name: str, side: str) -> str:
    value = given.get(name)
    if not is_text(value):
        raise missing(f"{side}.connection.{name}")
    return value
