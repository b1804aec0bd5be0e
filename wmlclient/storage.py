"""What batches read and write besides files: S3-compatible object storage, and tables of databases."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from wmlclient.errors import ConfigError


@frozen
class ObjectStorage:
    """An S3-compatible storage, as the service reaches it.

    Args:
        url: its address, such as ``https://s3.example.com``.
        access_key: its key.
        secret_key: its secret; never shown.

    Example:
        >>> storage = ObjectStorage("https://s3.example.com", access_key="a", secret_key="s")
        >>> storage.file("tweets", "2026/november.csv")
        StoredFile(storage=ObjectStorage(url='https://s3.example.com'), bucket='tweets', name='2026/november.csv')
    """

    url: str
    access_key: str = field(repr=False, kw_only=True)
    secret_key: str = field(repr=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        for name in ("url", "access_key", "secret_key"):
            if not getattr(self, name):
                raise ConfigError(f"{name}: give it.", tried=("arguments",))

    def file(self, bucket: str, name: str) -> StoredFile:
        """An object in it.

        Args:
            bucket: its bucket.
            name: its key; the ending tells the format: ``.csv``, ``.json`` or ``.jsonl``, ``.parquet``,
                ``.delta`` for a table of Delta Lake.
        """
        return StoredFile(self, bucket, name)

    def _to_wire(self) -> dict[str, str]:
        return {"url": self.url, "access_key": self.access_key, "secret_key": self.secret_key}


@frozen
class StoredFile:
    """An object of an :class:`ObjectStorage`. Made by its ``file`` method."""

    storage: ObjectStorage
    bucket: str
    name: str


_KINDS = ("postgresql", "db2", "sqlite")


@frozen
class Database:
    """A SQL database, as the service reaches it.

    Args:
        kind: ``"postgresql"``, ``"db2"`` or ``"sqlite"``.
        db: its name; for SQLite its file, an absolute path on the service's machine.
        host: its host.
        username: its user.
        password: its password; never shown.
        port: its port; by default 5432 or 50000.

    Example:
        >>> database = Database("postgresql", db="shop", host="db.example.com", username="u", password="p")
        >>> database.table("orders")
        StoredTable(database=Database(kind='postgresql', db='shop', host='db.example.com', username='u'), name='orders')
    """

    kind: str
    db: str = field(kw_only=True)
    host: str | None = field(default=None, kw_only=True)
    username: str | None = field(default=None, kw_only=True)
    password: str | None = field(default=None, kw_only=True, repr=False)
    port: int | None = field(default=None, kw_only=True, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ConfigError(f"kind={self.kind!r}: give one of {', '.join(_KINDS)}.", tried=("arguments",))
        needed = ("db",) if self.kind == "sqlite" else ("db", "host", "username", "password")
        for name in needed:
            if not getattr(self, name):
                raise ConfigError(f"{name}: give it.", tried=("arguments",))

    def table(self, name: str) -> StoredTable:
        """A table of it.

        Args:
            name: its name, perhaps with its schema: ``"sales.orders"``.
        """
        return StoredTable(self, name)

    def _to_wire(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in ("db", "host", "username", "password", "port")}
        return {name: value for name, value in given.items() if value is not None}


@frozen
class StoredTable:
    """A table of a :class:`Database`. Made by its ``table`` method."""

    database: Database
    name: str

    def _to_wire(self, end: str) -> dict[str, Any]:
        place = {"type": self.database.kind, "tablename": self.name}
        return {"connection": self.database._to_wire(), end: place}
