"""Rows of snapshots."""

from __future__ import annotations

import sqlalchemy as sa

from . import tables
from .records import Snapshot
from .repository import Repository, record


class Snapshots(Repository):
    """Snapshots of sessions."""

    def add(self, snapshot: Snapshot) -> None:
        """Keep a new one; its zip must be there."""
        self._insert(tables.snapshots, snapshot)

    def get(self, id: str) -> Snapshot | None:
        """The one with this identity."""
        found: Snapshot | None = self._one(tables.snapshots, Snapshot, id)
        return found

    def of(self, owner: str) -> list[Snapshot]:
        """A user's own, oldest first."""
        table = tables.snapshots
        with self._begin() as connection:
            rows = connection.execute(
                sa.select(table).where(table.c.owner == owner).order_by(table.c.seq)
            ).all()
        return [record(row, Snapshot) for row in rows]

    def delete(self, id: str) -> bool:
        """Remove one; False where there is none."""
        with self._begin() as connection:
            query = tables.snapshots.delete().where(tables.snapshots.c.id == id)
            return bool(connection.execute(query).rowcount)

    def digests(self) -> set[str]:
        """Digests of all zips that a row names, of a web service too, which keeps its own."""
        with self._begin() as connection:
            found = set(connection.execute(sa.select(tables.snapshots.c.digest)).scalars())
            kept = sa.select(tables.web_services.c.digest).where(tables.web_services.c.runtime == "Python")
            found.update(each for each in connection.execute(kept).scalars() if each is not None)
        return found
