"""Rows of web services."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from . import tables
from .records import WebService
from .repository import Repository, record


class WebServices(Repository):
    """Web services, one row a version."""

    def add(self, service: WebService) -> None:
        """Keep a new one; its archive must be there.

        Raises:
            Referenced: There is one of this name and version.
        """
        self._insert(tables.web_services, service)

    def all(self) -> list[WebService]:
        """All of them, oldest first."""
        with self._begin() as connection:
            rows = connection.execute(
                sa.select(tables.web_services).order_by(tables.web_services.c.seq)
            ).all()
        return [record(row, WebService) for row in rows]

    def change(self, id: str, **changes: Any) -> bool:
        """Change columns; False where it is gone."""
        return self._update(tables.web_services, id, changes)

    def delete(self, id: str) -> bool:
        """Remove one; False where there is none."""
        with self._begin() as connection:
            query = tables.web_services.delete().where(tables.web_services.c.id == id)
            return bool(connection.execute(query).rowcount)
