"""Tables of SQL databases, as :mod:`wmlclient.runner.engine.sql_places` names them: read in parts, written in one
transaction.

SQLAlchemy speaks to PostgreSQL, Db2 and SQLite alike; the drivers of the first two are extras.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

_DRIVERS = {
    "postgresql": ("postgresql+psycopg", "psycopg", "postgresql"),
    "db2": ("db2+ibm_db", "ibm_db_sa", "db2"),
}


class DatabaseError(Exception):
    """A database cannot be used; the text says why, without a secret.

    Attributes:
        code: ``sql_error``, or ``not_supported`` where its driver is not installed.
    """

    def __init__(self, message: str, code: str = "sql_error") -> None:
        super().__init__(message, code)
        self.message = message
        self.code = code

    def __str__(self) -> str:
        return self.message


def shown(place: Mapping[str, Any]) -> str:
    """A table in the words of an error."""
    return f"{place['database']} table {place['table']!r}"


@contextmanager
def opened(place: Mapping[str, Any]) -> Iterator[sa.Connection]:
    """A connection in a transaction, committed at the end and rolled back by an exception.

    Args:
        place: The table's place.

    Raises:
        DatabaseError: The database cannot be reached, refuses, or has no driver here.
    """
    engine = _engine(place)
    try:
        with explained(place), engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def explained(place: Mapping[str, Any]) -> Iterator[None]:
    """Tell what a database refuses as a :class:`DatabaseError`."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise _explained(error, place) from None


def reflected(connection: sa.Connection, place: Mapping[str, Any]) -> sa.Table:
    """The table as it is in the database.

    Raises:
        DatabaseError: There is none of the name.
    """
    schema, _, name = place["table"].rpartition(".")
    try:
        return sa.Table(name, sa.MetaData(), schema=schema or None, autoload_with=connection)
    except sa.exc.NoSuchTableError:
        raise DatabaseError(f"There is no {shown(place)}. Make it, or name another.") from None


def ordered(table: sa.Table) -> sa.Select[Any]:
    """All rows: by the primary key where there is one, so that each reading has the same order."""
    return sa.select(table).order_by(*table.primary_key.columns)


def insert(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows.

    Raises:
        DatabaseError: The table lacks a column.
    """
    lacking = [name for name in (rows[0] if rows else ()) if name not in table.columns]
    if lacking:
        raise DatabaseError(
            f"The table {table.name!r} has no column {lacking[0]!r}. Add it, or name another."
        )
    if rows:
        connection.execute(table.insert(), list(rows))


def _engine(place: Mapping[str, Any]) -> sa.Engine:
    given = place["connection"]
    if place["database"] == "sqlite":
        url = sa.URL.create("sqlite", database=given["db"])
    else:
        dialect, package, extra = _DRIVERS[place["database"]]
        if importlib.util.find_spec(package) is None:
            raise DatabaseError(
                f"Tables of {place['database']} need a package more. Run: pip install 'wmlclient[{extra}]'",
                "not_supported",
            )
        url = sa.URL.create(
            dialect, given["username"], given["password"], given["host"], given["port"], given["db"]
        )
    engine = sa.create_engine(url, poolclass=NullPool, hide_parameters=True)
    if place["database"] == "sqlite":
        sa.event.listen(engine, "connect", _leave_transactions)
        sa.event.listen(engine, "begin", _begin)
    return engine


def _leave_transactions(connection: Any, _record: Any) -> None:
    # Python's sqlite3 would commit before it makes a table: half a transaction would be there after a failure.
    connection.isolation_level = None


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _explained(error: Exception, place: Mapping[str, Any]) -> DatabaseError:
    cause = str(getattr(error, "orig", None) or error).strip().splitlines()[:1]
    text = cause[0][:300] if cause else type(error).__name__
    secret = place["connection"].get("password")
    if secret:
        text = text.replace(secret, "********")
    return DatabaseError(f"The {shown(place)} cannot be used: {text}")
