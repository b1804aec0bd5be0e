"""Kafka records: what they say, and how what is given becomes one."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import field, frozen

from wmlclient import payload
from wmlclient.errors import PayloadError

Key = str | Callable[[Any], Any] | None
Headers = Mapping[str, str | bytes]


@frozen
class KafkaRecord:
    """One record of a topic.

    Attributes:
        key: as text if it is one, else as bytes; None if it has none.
        value: what its JSON says; a value that is no JSON as text, or as bytes if it is no text either.
        headers: by name; the last one where a name occurs twice.
        partition: where it is.
        offset: its number there.
        timestamp: when it was sent, UTC.
        raw: the value as the bytes that were sent.
    """

    key: str | bytes | None
    value: Any
    headers: Mapping[str, bytes]
    partition: int
    offset: int
    timestamp: dt.datetime
    raw: bytes | None = field(repr=False, eq=False)

    @classmethod
    def _of(cls, record: Any) -> KafkaRecord:
        return cls(
            key=_text(record.key),
            value=_value(record.value),
            headers=dict(record.headers or ()),
            partition=record.partition,
            offset=record.offset,
            timestamp=dt.datetime.fromtimestamp(record.timestamp / 1000, dt.timezone.utc),
            raw=record.value,
        )


def several(records: Any) -> Iterable[Any]:
    """The records, be they one or many."""
    if isinstance(records, Mapping | str | bytes) or records is None:
        return [records]
    if type(records).__module__.partition(".")[0] == "pandas":
        table = payload.to_table(records)
        return [dict(zip(table.fields, row, strict=True)) for row in table.values]
    return list(records)


def outgoing(record: Any, number: int, key: Key) -> tuple[bytes | None, bytes | None]:
    """Key and value of a record, as bytes."""
    if isinstance(key, str):
        if not isinstance(record, Mapping) or key not in record:
            raise PayloadError(f"Record {number} has no field {key!r} to be its key.", row=number, column=key)
        own_key = record[key]
    else:
        own_key = key(record) if key is not None else None
    return _bytes(own_key, number), _bytes(record, number)


def _bytes(value: Any, number: int) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, Mapping):
        fields = {str(name): payload.to_json(item, number, str(name)) for name, item in value.items()}
        return payload.dumps(fields)
    plain = payload.to_json(value, number, "key")
    return json.dumps(plain, separators=(",", ":")).encode()


def _text(value: bytes | None) -> str | bytes | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _value(value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        return json.loads(value)
    except ValueError:  # also UnicodeDecodeError
        return _text(value)
