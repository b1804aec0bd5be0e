"""The database: opened safely, one small repository for each noun."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from attrs import asdict

from . import tables
from .accounts import Logins, Users
from .errors import Referenced, StorageFull
from .learning import LearningRows
from .records import Definition, Deployment, Model, Page, Version
from .repository import Repository, record
from .snapshots import Snapshots
from .webservices import Executions, WebServices


class Store:
    """All rows of one runner. Safe to use from any thread.

    Args:
        path: The SQLite file; made with mode 0600 where it is missing, since rows hold the secrets of connections.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        path = Path(path)
        # SQLite gives its journal files the mode of the database.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        os.chmod(path, 0o600)
        self._engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(path)),
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            # A statement in an error's text could carry a secret to a log.
            hide_parameters=True,
        )
        sa.event.listen(self._engine, "connect", _durable)
        with self.begin() as connection:
            tables.metadata.create_all(connection)
            _add_columns(connection)
        self.definitions = _Definitions(self.begin)
        self.models = _Models(self.begin)
        self.deployments = _Deployments(self.begin)
        self.learning = LearningRows(self.begin)
        self.users = Users(self.begin)
        self.logins = Logins(self.begin)
        self.snapshots = Snapshots(self.begin)
        self.web_services = WebServices(self.begin)
        self.executions = Executions(self.begin)

    def close(self) -> None:
        """Close all connections. Twice is fine."""
        self._engine.dispose()

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction: committed at the end, rolled back by an exception.

        Raises:
            StorageFull: The disk is full.
            Referenced: A row names another that is not there, or is still named.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.IntegrityError:
            raise Referenced("a row names another that is not there, or is still named") from None
        except sa.exc.OperationalError as error:
            if "disk is full" in str(error.orig):
                raise StorageFull("no room on the disk for the database") from None
            raise
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull("no room on the disk") from None
            raise

    def setting(self, name: str) -> str | None:
        """A value kept across restarts, or None."""
        with self.begin() as connection:
            query = sa.select(tables.settings.c.value).where(tables.settings.c.name == name)
            return connection.execute(query).scalar()

    def keep_setting(self, name: str, value: str) -> None:
        """Keep a value across restarts."""
        with self.begin() as connection:
            changed = connection.execute(
                tables.settings.update().where(tables.settings.c.name == name).values(value=value)
            )
            if not changed.rowcount:
                connection.execute(tables.settings.insert().values(name=name, value=value))

    def digests(self) -> set[str]:
        """Digests of all archives that a row names."""
        with self.begin() as connection:
            found: set[str] = set()
            for table in (tables.definitions, tables.versions):
                query = sa.select(table.c.digest).where(table.c.digest.is_not(None))
                found.update(connection.execute(query).scalars())
            table = tables.web_services
            models = sa.select(table.c.digest).where(table.c.runtime == "Realtime")
            found.update(each for each in connection.execute(models).scalars() if each is not None)
            return found


def _add_columns(connection: sa.Connection) -> None:
    """Give the tables of an older home the columns that they lack; those can be null."""
    inspector = sa.inspect(connection)
    for table in tables.metadata.sorted_tables:
        present = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in present:
                kind = column.type.compile(connection.dialect)
                connection.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}"))


def _durable(connection: Any, _record: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}").close()


class _Definitions(Repository):
    def add(self, definition: Definition) -> None:
        self._insert(tables.definitions, definition)

    def get(self, id: str) -> Definition | None:
        found: Definition | None = self._one(tables.definitions, Definition, id)
        return found

    def page(self, limit: int, start: int | None = None) -> Page[Definition]:
        """Those with content."""
        table = tables.definitions
        return self._page(table, Definition, [table.c.digest.is_not(None)], limit, start)

    def set_content(self, id: str, digest: str, size: int, now: int) -> bool:
        """Name the archive of a definition that has none yet. False where it is gone or has one."""
        changes = {"digest": digest, "size": size, "modified_at": now}
        return self._update(tables.definitions, id, changes, tables.definitions.c.digest.is_(None))

    def delete(self, id: str) -> bool:
        with self._begin() as connection:
            query = tables.definitions.delete().where(tables.definitions.c.id == id)
            return bool(connection.execute(query).rowcount)


class _Models(Repository):
    def add(self, model: Model, version: Version) -> None:
        """A model with its first version, in one transaction."""
        with self._begin() as connection:
            connection.execute(tables.models.insert().values(**asdict(model, recurse=False)))
            connection.execute(tables.versions.insert().values(**asdict(version, recurse=False)))

    def add_version(self, version: Version) -> None:
        """A further version of a model.

        Raises:
            Referenced: The model is gone.
        """
        self._insert(tables.versions, version)

    def get(self, id: str) -> Model | None:
        found = self.behind(id)
        return None if found is None or found.service is not None else found

    def behind(self, id: str) -> Model | None:
        """What a deployment is of: a model, or what stands for a web service."""
        found: Model | None = self._one(tables.models, Model, id)
        return None if found is None or found.deleted else found

    def of_service(self, service: dict[str, str]) -> list[str]:
        """Ids of what stands for a web service."""
        query = sa.select(tables.models.c.id, tables.models.c.service).where(
            tables.models.c.service.is_not(None)
        )
        with self._begin() as connection:
            return [row.id for row in connection.execute(query) if row.service == service]

    def page(self, limit: int, start: int | None = None) -> Page[Model]:
        """Those with content: half a model is never listed."""
        complete = sa.select(tables.versions.c.model_id).where(tables.versions.c.digest.is_not(None))
        where = [tables.models.c.id.in_(complete), sa.not_(tables.models.c.deleted)]
        return self._page(tables.models, Model, where, limit, start)

    def version(self, id: str) -> Version | None:
        found: Version | None = self._one(tables.versions, Version, id)
        return found

    def versions(self, model_id: str, limit: int = 1000, start: int | None = None) -> Page[Version]:
        """All versions of a model, oldest first."""
        return self._page(tables.versions, Version, [tables.versions.c.model_id == model_id], limit, start)

    def latest_version(self, model_id: str, with_content: bool) -> Version | None:
        """The newest version; with ``with_content`` the newest that has an archive."""
        table = tables.versions
        query = sa.select(table).where(table.c.model_id == model_id).order_by(table.c.seq.desc()).limit(1)
        if with_content:
            query = query.where(table.c.digest.is_not(None))
        with self._begin() as connection:
            row = connection.execute(query).first()
        found: Version | None = None if row is None else record(row, Version)
        return found

    def set_content(
        self, version_id: str, digest: str, size: int, certificate: dict[str, Any], now: int
    ) -> bool:
        """Name the archive of a version that has none yet. False where it is gone or has one."""
        table = tables.versions
        with self._begin() as connection:
            done = connection.execute(
                table.update()
                .where(table.c.id == version_id, table.c.digest.is_(None))
                .values(digest=digest, size=size, certificate=certificate)
            )
            if not done.rowcount:
                return False
            owner = sa.select(table.c.model_id).where(table.c.id == version_id).scalar_subquery()
            connection.execute(
                tables.models.update().where(tables.models.c.id == owner).values(modified_at=now)
            )
            return True

    def set_certificate(self, version_id: str, certificate: dict[str, Any]) -> bool:
        return self._update(tables.versions, version_id, {"certificate": certificate})

    def with_content(self) -> list[Version]:
        """All versions that have an archive."""
        with self._begin() as connection:
            rows = connection.execute(
                sa.select(tables.versions).where(tables.versions.c.digest.is_not(None))
            ).all()
        return [record(row, Version) for row in rows]

    def set_deleted(self, id: str, deleted: bool) -> bool:
        """Say that a model is being taken down, or that it is not after all."""
        return self._update(tables.models, id, {"deleted": deleted})

    def being_deleted(self) -> list[str]:
        """Ids of the models that were being taken down when the last run ended."""
        with self._begin() as connection:
            query = sa.select(tables.models.c.id).where(tables.models.c.deleted)
            return list(connection.execute(query).scalars())

    def delete(self, id: str) -> bool:
        """Delete a model and its versions; its deployments must be gone."""
        with self._begin() as connection:
            return bool(connection.execute(tables.models.delete().where(tables.models.c.id == id)).rowcount)


class _Deployments(Repository):
    def add(self, deployment: Deployment) -> None:
        self._insert(tables.deployments, deployment)

    def get(self, id: str) -> Deployment | None:
        found: Deployment | None = self._one(tables.deployments, Deployment, id)
        return found

    def page(
        self,
        limit: int,
        start: int | None = None,
        *,
        model_id: str | None = None,
        status: str | None = None,
        kind: str | None = None,
    ) -> Page[Deployment]:
        table = tables.deployments
        where = [table.c.desired != "deleted"]
        for column, value in ((table.c.model_id, model_id), (table.c.status, status), (table.c.kind, kind)):
            if value is not None:
                where.append(column == value)
        return self._page(table, Deployment, where, limit, start)

    def all(self) -> list[Deployment]:
        """Every deployment, those being taken down too."""
        with self._begin() as connection:
            rows = connection.execute(sa.select(tables.deployments).order_by(tables.deployments.c.seq)).all()
        return [record(row, Deployment) for row in rows]

    def update(self, id: str, **changes: Any) -> bool:
        """Change columns; False where the deployment is gone."""
        return self._update(tables.deployments, id, changes)

    def delete(self, id: str) -> bool:
        with self._begin() as connection:
            query = tables.deployments.delete().where(tables.deployments.c.id == id)
            return bool(connection.execute(query).rowcount)

    def deployed(self) -> dict[str, Version]:
        """By model, the version of its newest online deployment."""
        ours, theirs = tables.deployments, tables.versions
        query = (
            sa.select(theirs)
            .join(ours, ours.c.version_id == theirs.c.id)
            .where(ours.c.kind == "online", ours.c.desired != "deleted")
            .order_by(ours.c.seq)
        )
        with self._begin() as connection:
            return {row.model_id: record(row, Version) for row in connection.execute(query)}

    def counts(self) -> dict[str, int]:
        """Number of deployments by model."""
        table = tables.deployments
        query = (
            sa.select(table.c.model_id, sa.func.count())
            .where(table.c.desired != "deleted")
            .group_by(table.c.model_id)
        )
        with self._begin() as connection:
            return {str(row[0]): int(row[1]) for row in connection.execute(query)}
