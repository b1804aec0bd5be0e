"""Tables of SQL databases as source and target of a batch."""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import sqlalchemy as sa

from wmlclient.runner import databases
from wmlclient.wire import words_for_non_finite

from .reading import ROWS, Chunk, Reader, of_records
from .writing import as_text

_READ: tuple[tuple[type, pa.DataType], ...] = (
    (bool, pa.bool_()),
    (int, pa.int64()),
    (float, pa.float64()),
    (Decimal, pa.float64()),
    (str, pa.string()),
    (bytes, pa.binary()),
    (dt.datetime, pa.timestamp("us")),
    (dt.date, pa.date32()),
)


def read(place: dict[str, Any], types: dict[str, str]) -> Reader:
    """The rows of a table, ordered by its primary key.

    Args:
        place: The table.
        types: The model's input columns with their short types. Databases fold names to one case, so that of letters
            does not count.
    """
    with databases.opened(place) as connection:
        table = databases.reflected(connection, place)
        count = sa.select(sa.func.count()).select_from(table)
        total = int(connection.execute(count).scalar_one())
    return Reader(_chunks(place, table, types), total)


def _chunks(place: dict[str, Any], table: sa.Table, types: dict[str, str]) -> Generator[Chunk, None, None]:
    folded = {name.lower(): name for name in types}
    # SQLAlchemy's names are a kind of str, which JSON's writer does not take for one.
    names = [str(folded.get(column.name.lower(), column.name)) for column in table.columns]
    present = {name: short for name, short in types.items() if name in names}
    extra = pa.schema(
        [
            pa.field(name, _type(column))
            for name, column in zip(names, table.columns, strict=True)
            if name not in types
        ]
    )
    with databases.opened(place) as connection:
        found = connection.execution_options(stream_results=True).execute(databases.ordered(table))
        first = 0
        while rows := found.fetchmany(ROWS):
            records = [{name: _plain(value) for name, value in zip(names, row, strict=True)} for row in rows]
            yield of_records(records, list(range(first, first + len(rows))), [], present, extra)
            first += len(rows)


def _type(column: sa.Column[Any]) -> pa.DataType:
    try:
        found = column.type.python_type
    except NotImplementedError:
        return pa.string()
    return next((kind for python, kind in _READ if issubclass(found, python)), pa.string())


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (dict, list)):  # a column of JSON or an array
        return orjson.dumps(value, default=str).decode()
    return value


class TableTarget:
    """A table that is written in one transaction, and with it the table of bad rows.

    Args:
        place: The table; made where it is missing, else its rows are replaced.
        bad_rows: Where rows go that are left out; made with the first of them.
    """

    def __init__(self, place: dict[str, Any], bad_rows: dict[str, Any]) -> None:
        self._place, self._bad_place = place, bad_rows
        self._opened = databases.opened(place)
        self._connection = self._opened.__enter__()
        if place["database"] == "sqlite":
            # Pages that spill would need the file alone, while the source may still be read from it.
            self._connection.exec_driver_sql("PRAGMA cache_spill = OFF")
        self._table: sa.Table | None = None
        self._bad: sa.Table | None = None
        self._done = False
        for each in (place, bad_rows):
            if self._there(each):
                self._connection.execute(databases.reflected(self._connection, each).delete())

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        with databases.explained(self._place):
            columns = {
                name: as_text(table.column(name)) if pa.types.is_nested(kind) else table.column(name)
                for name, kind in zip(table.column_names, table.schema.types, strict=True)
            }
            if self._table is None:
                self._table = self._made(self._place, pa.table(columns).schema)
            names = {column.name.lower(): column.name for column in self._table.columns}
            plain = pa.table({names.get(name.lower(), name): column for name, column in columns.items()})
            databases.insert(self._connection, self._table, plain.to_pylist())

    def bad(self, row: int, reason: str, record: Any) -> None:
        """Add a row that is left out."""
        kinds = pa.schema([("row", pa.int64()), ("reason", pa.string()), ("record", pa.string())])
        with databases.explained(self._bad_place):
            if self._bad is None:
                self._bad = self._made(self._bad_place, kinds)
            text = orjson.dumps(words_for_non_finite(record), default=str).decode()
            databases.insert(self._connection, self._bad, [{"row": row, "reason": reason, "record": text}])

    def commit(self) -> None:
        """Let all of it appear."""
        self._done = True
        self._opened.__exit__(None, None, None)

    def discard(self) -> None:
        """Let it never have been."""
        if not self._done:
            self._done = True
            self._connection.rollback()
            self._opened.__exit__(None, None, None)

    def _there(self, place: dict[str, Any]) -> bool:
        schema, _, name = place["table"].rpartition(".")
        return bool(sa.inspect(self._connection).has_table(name, schema=schema or None))

    def _made(self, place: dict[str, Any], schema: pa.Schema) -> sa.Table:
        if self._there(place):
            return databases.reflected(self._connection, place)
        where, _, name = place["table"].rpartition(".")
        columns = [sa.Column(each.name, _sql_type(each.type)) for each in schema]
        table = sa.Table(name, sa.MetaData(), *columns, schema=where or None)
        table.create(self._connection)
        return table


def _sql_type(kind: pa.DataType) -> Any:
    if pa.types.is_boolean(kind):
        return sa.Boolean()
    if pa.types.is_integer(kind):
        return (
            sa.SmallInteger()
            if kind.bit_width < 32
            else sa.Integer()
            if kind.bit_width == 32
            else sa.BigInteger()
        )
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return sa.Double()
    if pa.types.is_timestamp(kind):
        return sa.DateTime(timezone=kind.tz is not None)
    if pa.types.is_date(kind):
        return sa.Date()
    return sa.LargeBinary() if pa.types.is_binary(kind) else sa.Text()
