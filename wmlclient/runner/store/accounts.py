"""Rows of users and their logins."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from attrs import asdict

from . import tables
from .records import Login, User
from .repository import Repository, record


class Users(Repository):
    """Local users."""

    def put(self, user: User) -> None:
        """Add one, or replace the one of this name and end its logins."""
        with self._begin() as connection:
            connection.execute(tables.logins.delete().where(tables.logins.c.username == user.name))
            connection.execute(tables.users.delete().where(tables.users.c.name == user.name))
            connection.execute(tables.users.insert().values(**asdict(user)))

    def get(self, name: str) -> User | None:
        """The user of this name."""
        with self._begin() as connection:
            row = connection.execute(sa.select(tables.users).where(tables.users.c.name == name)).first()
        found: User | None = None if row is None else record(row, User)
        return found

    def all(self) -> list[User]:
        """All of them, by name."""
        with self._begin() as connection:
            rows = connection.execute(sa.select(tables.users).order_by(tables.users.c.name)).all()
        return [record(row, User) for row in rows]

    def delete(self, name: str) -> bool:
        """Remove one with its logins; False where there is none."""
        with self._begin() as connection:
            connection.execute(tables.logins.delete().where(tables.logins.c.username == name))
            return bool(connection.execute(tables.users.delete().where(tables.users.c.name == name)).rowcount)


class Logins(Repository):
    """Logins of users."""

    def add(self, login: Login) -> None:
        """Keep a new one."""
        self._insert(tables.logins, login)

    def change(self, login: Login) -> None:
        """Keep what has changed."""
        with self._begin() as connection:
            table = tables.logins
            connection.execute(table.update().where(table.c.id == login.id).values(**asdict(login)))

    def get(self, id: str) -> Login | None:
        """The login with this identity."""
        return self._where(tables.logins.c.id == id)

    def by_refresh(self, digest: str) -> Login | None:
        """The login whose refresh token has this digest."""
        return self._where(tables.logins.c.refresh_digest == digest)

    def forget(self, renewed_before: int, started_before: int) -> None:
        """Remove those that have come to their end."""
        table = tables.logins
        over = sa.or_(table.c.renewed_at < renewed_before, table.c.started_at < started_before)
        with self._begin() as connection:
            connection.execute(table.delete().where(over))

    def _where(self, condition: Any) -> Login | None:
        with self._begin() as connection:
            row = connection.execute(sa.select(tables.logins).where(condition)).first()
        found: Login | None = None if row is None else record(row, Login)
        return found
