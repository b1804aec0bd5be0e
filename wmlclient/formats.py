"""What the values of a topic's records are: JSON, text, CSV, or what a registry of schemas describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from wmlclient.connections import _pem, _secret
from wmlclient.errors import ConfigError

TYPES = ("json", "text", "csv", "avro", "json_schema")
OUTPUTS = ("full", "scores")


@frozen
class SchemaRegistry:
    """A registry of schemas that speaks as Confluent's does.

    Attributes:
        url: its address.
        user, password: where it wants a login; the password is never shown.
        ca: PEM of the authorities that its certificate is checked against, as text or the path of a file; by default
            the system's.

    Example:
        >>> SchemaRegistry("https://registry:8081", user="u", password="p")
        SchemaRegistry(url='https://registry:8081', user='u', password='***')
    """

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=_secret)
    ca: str | None = field(default=None, converter=_pem, repr=False)

    @classmethod
    def from_credentials(cls, given: Any) -> tuple[SchemaRegistry, ...]:
        """From ``schema_registry`` of a ``credentials.json``.

        Args:
            given: one object with ``url``, ``user``, ``password`` and ``ca``, several in a list, or None.

        Raises:
            ConfigError: it is no such thing.
        """
        several = given if isinstance(given, list) else [] if given is None else [given]
        names = ("url", "user", "password", "ca")
        for each in several:
            texts = isinstance(each, Mapping) and all(
                isinstance(each.get(n), (str, type(None))) for n in names
            )
            if not texts or not each.get("url"):
                raise ConfigError(
                    f"schema_registry in the credentials: each is an object with {', '.join(names)}."
                )
        return tuple(cls(**{name: each.get(name) for name in names}) for each in several)

    def _to_wire(self) -> dict[str, Any]:
        values = {"url": self.url, "user": self.user, "password": self.password, "ca": self.ca}
        return {name: value for name, value in values.items() if value is not None}


def _registry(given: Any) -> SchemaRegistry | None:
    return SchemaRegistry(given) if isinstance(given, str) else given


@frozen
class RecordFormat:
    """The format of a stream's source or target; ``connection.topic(name, format=...)`` takes it, or its type alone.

    Attributes:
        type: ``json``: one object by column. ``text`` (source only): one column's value as it is. ``csv``: one line.
            ``avro`` and ``json_schema``: framed as Confluent's registry has it.
        column: ``text``: which column; by default the only one of type string.
        columns: ``csv`` of a source: the columns of a line in order; by default those of the model.
        delimiter: ``csv``: one character; by default a comma.
        registry: of ``avro`` and ``json_schema``: the registry, or its address.
        subject: there, of a target: the schema's subject; by default the topic's name and ``-value``.
        output: of a target: ``full`` (what came in, and what the model made of it), the default, or ``scores`` (only
            what it made).

    Raises:
        ConfigError: an unknown type or output, or a type that needs a registry without one.

    Example:
        >>> RecordFormat("csv", delimiter=";")._to_wire()
        {'type': 'csv', 'delimiter': ';'}
    """

    type: str = "json"
    column: str | None = None
    columns: Sequence[str] | None = None
    delimiter: str | None = None
    registry: SchemaRegistry | None = field(default=None, converter=_registry)
    subject: str | None = None
    output: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.type not in TYPES:
            raise ConfigError(f"type={self.type!r}: give one of {', '.join(TYPES)}.")
        if self.output not in (None, *OUTPUTS):
            raise ConfigError(f"output={self.output!r}: give one of {', '.join(OUTPUTS)}.")
        if (self.registry is None) == (self.type in ("avro", "json_schema")):
            raise ConfigError("registry= is for the types avro and json_schema, and they need it.")

    def _to_wire(self) -> dict[str, Any]:
        values = {
            "type": self.type,
            "column": self.column,
            "columns": list(self.columns) if self.columns is not None else None,
            "delimiter": self.delimiter,
            "registry": self.registry._to_wire() if self.registry is not None else None,
            "subject": self.subject,
            "output": self.output,
        }
        return {name: value for name, value in values.items() if value is not None}
