"""What the repositories of the store share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa
from attrs import asdict

from .records import Page


def record(row: Any, cls: type[Any]) -> Any:
    """A row as a record of this class."""
    values = dict(row._mapping)
    values.pop("seq", None)
    return cls(**values)


class Repository:
    """What the repositories of all nouns share.

    Args:
        begin: Begins a transaction.
    """

    def __init__(self, begin: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
        self._begin = begin

    def _one(self, table: sa.Table, cls: type[Any], id: str) -> Any:
        with self._begin() as connection:
            row = connection.execute(sa.select(table).where(table.c.id == id)).first()
        return None if row is None else record(row, cls)

    def _page(
        self, table: sa.Table, cls: type[Any], where: list[Any], limit: int, start: int | None
    ) -> Page[Any]:
        with self._begin() as connection:
            total = connection.execute(
                sa.select(sa.func.count()).select_from(table).where(*where)
            ).scalar_one()
            query = sa.select(table).where(*where).order_by(table.c.seq).limit(limit + 1)
            if start is not None:
                query = query.where(table.c.seq >= start)
            rows = connection.execute(query).all()
        more = rows[limit].seq if len(rows) > limit else None
        return Page([record(row, cls) for row in rows[:limit]], total, more)

    def _update(self, table: sa.Table, id: str, changes: dict[str, Any], *where: Any) -> bool:
        with self._begin() as connection:
            done = connection.execute(table.update().where(table.c.id == id, *where).values(**changes))
            return bool(done.rowcount)

    def _insert(self, table: sa.Table, record: Any) -> None:
        with self._begin() as connection:
            connection.execute(table.insert().values(**asdict(record, recurse=False)))
