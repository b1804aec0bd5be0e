"""Scored rows as records that are no plain JSON: CSV, Avro, JSON with a schema of a registry."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson

from wmlclient.runner.engine.ports import StreamSetupError
from wmlclient.runner.streams.encoder import Encoder, shape_of, writes
from wmlclient.runner.streams.registry import Registry, frame
from wmlclient.scoring.blocks import rows_of
from wmlclient.scoring.values import Sparse

Extras = dict[int, dict[str, str]]

_AVRO_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_AVRO = {
    "string": "string",
    "boolean": "boolean",
    "tinyint": "int",
    "smallint": "int",
    "int": "int",
    "bigint": "long",
    "float": "float",
    "double": "double",
}
_VECTOR = {
    "type": "record",
    "name": "Vector",
    "namespace": "wmlclient",
    "doc": "As Spark writes one: type 0 is sparse, with size and indices; type 1 is dense.",
    "fields": [
        {"name": "type", "type": "int"},
        {"name": "size", "type": ["null", "int"], "default": None},
        {"name": "indices", "type": ["null", {"type": "array", "items": "int"}], "default": None},
        {"name": "values", "type": {"type": "array", "items": "double"}},
    ],
}
_JSON = {"string": "string", "boolean": "boolean"}
_JSON_VECTOR = {"type": ["object", "null"], "required": ["type", "values"]}


class Writer(Protocol):
    """Makes values of rows."""

    def write(self, columns: Sequence[Any], extras: Extras) -> list[bytes]:
        """See :meth:`wmlclient.runner.streams.encoder.Encoder.write`."""
        ...


def writer(
    given: Mapping[str, Any] | None, topic: str, names: Sequence[str], types: Sequence[str], known: int
) -> Writer:
    """The writer of a format; it registers the schema that it writes by.

    Args:
        given: See ``RecordFormat`` in the contract; None for JSON.
        topic: The target.
        names: Columns, in order.
        types: Their short types.
        known: How many of them came with the record.

    Raises:
        StreamSetupError: ``format_not_supported``, ``schema_refused``, ``registry_refused``.
        KafkaException: The registry is away.
    """
    wanted = dict(given or {})
    kind = wanted.get("type") or "json"
    if kind == "csv":
        return _Csv(types, wanted.get("delimiter") or ",")
    if kind not in ("avro", "json_schema"):
        return Encoder(names, types, known)
    if kind == "avro":
        schema = avro_schema(names, types)
        return _Avro(names, types, schema, _registered(wanted, topic, "AVRO", schema))
    number = _registered(wanted, topic, "JSON", json_schema(names, types))
    return _Framed(Encoder(names, types, known), number)


def _registered(given: Mapping[str, Any], topic: str, kind: str, schema: dict[str, Any]) -> int:
    return Registry(given["registry"]).register(given.get("subject") or f"{topic}-value", kind, schema)


def from_json(
    given: Mapping[str, Any], topic: str, names: Sequence[str], types: Sequence[str]
) -> Callable[[Sequence[bytes]], list[bytes]]:
    """What makes values of a format from records as JSON; it registers the schema that it writes by.

    Args:
        given: See ``RecordFormat`` in the contract; no JSON.
        topic: The target.
        names: Columns, in order.
        types: Their short types.

    Raises:
        StreamSetupError: As of :func:`writer`; and where a column is of a type that only Spark writes.
        KafkaException: The registry is away.
    """
    wrong = next((each for each in zip(names, types, strict=True) if not writes(each[1])), None)
    if wrong is not None and given["type"] != "json_schema":
        raise StreamSetupError(
            "format_not_supported",
            f"The column {wrong[0]!r} is of the type {wrong[1]}, which is written as JSON alone. Use json.",
        )
    if given["type"] == "json_schema":
        before = frame(_registered(given, topic, "JSON", json_schema(names, types)))
        return lambda texts: [before + text for text in texts]
    made = writer(given, topic, names, types, len(names))
    shapes = [_value(kind) for kind in types]

    def written(texts: Sequence[bytes]) -> list[bytes]:
        records = [orjson.loads(text) for text in texts]
        columns = [
            [None if (value := record.get(name)) is None else shape(value) for record in records]
            for name, shape in zip(names, shapes, strict=True)
        ]
        return made.write(columns, {}) if records else []

    return written


def _value(kind: str) -> Callable[[Any], Any]:
    """What makes a value of a short type from its JSON."""
    if kind == "vector":
        return _vector
    if kind in ("float", "double"):
        return float
    if kind.startswith("array<"):
        inner = _value(kind[6:-1])
        return lambda row: [None if each is None else inner(each) for each in row]
    return lambda value: value


def _vector(value: dict[str, Any]) -> Any:
    values = [float(each) for each in value["values"]]
    return Sparse(value["size"], value["indices"], values) if value["type"] == 0 else values


def avro_schema(names: Sequence[str], types: Sequence[str]) -> dict[str, Any]:
    """The Avro schema of some columns, each of which may be null.

    Raises:
        StreamSetupError: ``format_not_supported``: a column's name is none in Avro.
    """
    defined = False

    def avro(kind: str) -> Any:
        nonlocal defined
        if kind == "vector":
            first, defined = not defined, True
            return _VECTOR if first else "wmlclient.Vector"
        if kind.startswith("array<"):
            return {"type": "array", "items": ["null", avro(kind[6:-1])]}
        return _AVRO[kind]

    wrong = next((name for name in names if not _AVRO_NAME.fullmatch(name)), None)
    if wrong is not None:
        raise StreamSetupError(
            "format_not_supported",
            f"Avro cannot name the column {wrong!r}: letters, digits and '_' only. Rename it in the model, "
            "or write JSON.",
        )
    fields = [
        {"name": name, "type": ["null", avro(kind)], "default": None}
        for name, kind in zip(names, types, strict=True)
    ]
    return {"type": "record", "name": "Scored", "namespace": "wmlclient", "fields": fields}


def json_schema(names: Sequence[str], types: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of some columns: none is required, and others may be there."""

    def described(kind: str) -> dict[str, Any]:
        if kind == "vector":
            return _JSON_VECTOR
        if kind.startswith("array<"):
            return {"type": ["array", "null"], "items": described(kind[6:-1])}
        if kind in ("float", "double"):
            return {
                "type": ["number", "string", "null"]
            }  # what is no number in JSON is written as Spark does
        return {"type": [_JSON.get(kind, "integer"), "null"]}

    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Scored",
        "type": "object",
        "properties": {name: described(kind) for name, kind in zip(names, types, strict=True)},
    }


class _Framed:
    def __init__(self, encoder: Encoder, number: int) -> None:
        self._encoder, self._frame = encoder, frame(number)

    def write(self, columns: Sequence[Any], extras: Extras) -> list[bytes]:
        """See :meth:`Writer.write`."""
        return [self._frame + text for text in self._encoder.write(columns, extras)]


class _Csv:
    def __init__(self, types: Sequence[str], delimiter: str) -> None:
        self._shapes = [shape_of(kind) for kind in types]
        self._delimiter = delimiter

    def write(self, columns: Sequence[Any], extras: Extras) -> list[bytes]:
        """See :meth:`Writer.write`. Fields that the model does not know have no place in a line."""
        shaped = [shape(column) for shape, column in zip(self._shapes, columns, strict=True)]
        return [self._line(row) for row in zip(*shaped, strict=True)]

    def _line(self, row: tuple[Any, ...]) -> bytes:
        sink = io.StringIO()
        csv.writer(sink, delimiter=self._delimiter, lineterminator="").writerow(
            [_cell(value) for value in row]
        )
        return sink.getvalue().encode()


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


class _Avro:
    def __init__(
        self, names: Sequence[str], types: Sequence[str], schema: dict[str, Any], number: int
    ) -> None:
        from fastavro import parse_schema, schemaless_writer

        self._names, self._schema, self._write = list(names), parse_schema(schema), schemaless_writer
        self._shapes = [_raw(kind) for kind in types]
        self._frame = frame(number)

    def write(self, columns: Sequence[Any], extras: Extras) -> list[bytes]:
        """See :meth:`Writer.write`. Fields that the model does not know have no place in the schema."""
        shaped = [shape(column) for shape, column in zip(self._shapes, columns, strict=True)]
        texts = []
        for row in zip(*shaped, strict=True):
            sink = io.BytesIO(self._frame)
            sink.seek(0, io.SEEK_END)
            self._write(sink, self._schema, dict(zip(self._names, row, strict=True)))
            texts.append(sink.getvalue())
        return texts


def _raw(kind: str) -> Callable[[Any], list[Any]]:
    """What turns a column into values of Avro: as for JSON, but that what is no number is one here."""
    if kind == "vector":
        shape = shape_of(kind)
        return lambda column: [
            each if each is None else each | {"values": [float(value) for value in each["values"]]}
            for each in shape(column)
        ]
    if kind in ("float", "double"):
        return lambda column: [None if value is None else float(value) for value in rows_of(column)]
    if kind.startswith("array<"):
        inner = _raw(kind[6:-1])
        return lambda column: [row if row is None else inner(row) for row in rows_of(column)]
    return rows_of
