"""Rows of web services and of their batch executions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from . import tables
from .records import Execution, WebService
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


class Executions(Repository):
    """Batch executions and the results of their requests."""

    def add(self, execution: Execution) -> None:
        """Keep a new one.

        Raises:
            Referenced: Its service is gone.
        """
        self._insert(tables.executions, execution)

    def get(self, id: str) -> Execution | None:
        """The one with this identity."""
        found: Execution | None = self._one(tables.executions, Execution, id)
        return found

    def of(self, service_id: str, owner: str) -> list[str]:
        """Identities of a user's executions of a service, oldest first."""
        table = tables.executions
        query = (
            sa.select(table.c.id)
            .where(table.c.service_id == service_id, table.c.owner == owner)
            .order_by(table.c.seq)
        )
        with self._begin() as connection:
            return list(connection.execute(query).scalars())

    def set_state(self, id: str, state: str, results: Mapping[int, bytes]) -> None:
        """Keep a state and further results, in one transaction.

        Raises:
            Referenced: The execution is gone.
        """
        rows = [
            {"execution_id": id, "number": number, "result": result} for number, result in results.items()
        ]
        table = tables.executions
        with self._begin() as connection:
            connection.execute(table.update().where(table.c.id == id).values(state=state))
            if rows:
                connection.execute(tables.execution_results.insert(), rows)

    def results(self, id: str) -> dict[int, bytes]:
        """Results by the number of their request."""
        table = tables.execution_results
        with self._begin() as connection:
            rows = connection.execute(
                sa.select(table.c.number, table.c.result).where(table.c.execution_id == id)
            ).all()
        return {int(row.number): bytes(row.result) for row in rows}

    def count(self, id: str) -> int:
        """How many results there are."""
        table = tables.execution_results
        query = sa.select(sa.func.count()).select_from(table).where(table.c.execution_id == id)
        with self._begin() as connection:
            return int(connection.execute(query).scalar_one())

    def result(self, id: str, number: int) -> bytes | None:
        """One result."""
        table = tables.execution_results
        query = sa.select(table.c.result).where(table.c.execution_id == id, table.c.number == number)
        with self._begin() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else bytes(found)

    def fail_unfinished(self) -> int:
        """Say of all that are not at their end that they have failed; how many these are."""
        table = tables.executions
        with self._begin() as connection:
            done = connection.execute(
                table.update().where(table.c.state.not_in(("Complete", "Failed"))).values(state="Failed")
            )
            return int(done.rowcount)

    def delete(self, id: str) -> bool:
        """Remove one with its results; False where there is none."""
        with self._begin() as connection:
            done = connection.execute(tables.executions.delete().where(tables.executions.c.id == id))
            return bool(done.rowcount)
