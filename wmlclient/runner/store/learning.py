"""How models learn: their configurations, their feedback, their iterations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from attrs import asdict

from . import tables
from .records import Iteration, Learning, Page
from .repository import Repository, record

ACTIVE = ("INITIALIZED", "RUNNING")


class LearningRows(Repository):
    """Rows of learning."""

    def get(self, model_id: str) -> Learning | None:
        """The configuration of a model, or None."""
        table = tables.learning
        with self._begin() as connection:
            row = connection.execute(sa.select(table).where(table.c.model_id == model_id)).first()
        found: Learning | None = None if row is None else record(row, Learning)
        return found

    def put(self, learning: Learning) -> None:
        """Keep a configuration in the place of the one before.

        Raises:
            Referenced: The model is gone.
        """
        table, values = tables.learning, asdict(learning, recurse=False)
        with self._begin() as connection:
            connection.execute(table.delete().where(table.c.model_id == learning.model_id))
            connection.execute(table.insert().values(**values))

    def set_last_record(self, model_id: str, count: int, now: int) -> None:
        """Say how much feedback a training has seen."""
        table = tables.learning
        change = table.update().where(table.c.model_id == model_id)
        with self._begin() as connection:
            connection.execute(change.values(last_record=count, modified_at=now))

    def add_feedback(self, model_id: str, rows: Sequence[dict[str, Any]]) -> int:
        """Keep rows of feedback, all of them or none; how many there are then.

        Raises:
            Referenced: The model is gone.
        """
        table = tables.feedback
        with self._begin() as connection:
            connection.execute(table.insert(), [{"model_id": model_id, "row": row} for row in rows])
            count = sa.select(sa.func.count()).select_from(table).where(table.c.model_id == model_id)
            return int(connection.execute(count).scalar_one())

    def feedback(self, model_id: str) -> list[dict[str, Any]]:
        """All feedback of a model, in the order in which it came."""
        table = tables.feedback
        query = sa.select(table.c.row).where(table.c.model_id == model_id).order_by(table.c.seq)
        with self._begin() as connection:
            return list(connection.execute(query).scalars())

    def start(self, iteration: Iteration) -> bool:
        """Keep a new iteration; False where one of the model is under way.

        Raises:
            Referenced: The model is gone.
        """
        table = tables.iterations
        under_way = table.c.model_id == iteration.model_id, table.c.state.in_(ACTIVE)
        with self._begin() as connection:
            if connection.execute(sa.select(table.c.id).where(*under_way)).first() is not None:
                return False
            connection.execute(table.insert().values(**asdict(iteration, recurse=False)))
            return True

    def iteration(self, id: str) -> Iteration | None:
        """One iteration, or None."""
        found: Iteration | None = self._one(tables.iterations, Iteration, id)
        return found

    def iterations(
        self, model_id: str, limit: int = 1000, start: int | None = None, state: str | None = None
    ) -> Page[Iteration]:
        """The iterations of a model, oldest first."""
        table = tables.iterations
        where = [table.c.model_id == model_id, *([table.c.state == state] if state else [])]
        return self._page(table, Iteration, where, limit, start)

    def update(self, id: str, **changes: Any) -> bool:
        """Change columns of an iteration; False where it is gone."""
        return self._update(tables.iterations, id, changes)

    def fail_active(self, failure: list[dict[str, str]], now: int) -> None:
        """Say of all that a restart has ended that they failed."""
        table = tables.iterations
        change = table.update().where(table.c.state.in_(ACTIVE))
        with self._begin() as connection:
            connection.execute(
                change.values(state="FAILED", failure=failure, message=failure[0]["message"], modified_at=now)
            )
