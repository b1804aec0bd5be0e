"""S3-compatible object storage that batches read and write."""

from __future__ import annotations

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
            name: its key; the ending tells the format: ``.csv``, ``.json`` or ``.jsonl``, ``.parquet``.
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
