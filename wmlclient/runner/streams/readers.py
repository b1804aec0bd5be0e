"""Records that are no plain JSON, as rows: text, CSV, Avro, JSON with a schema of a registry."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import decimal
import io
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson

from wmlclient.runner import verdicts
from wmlclient.runner.engine.ports import StreamSetupError
from wmlclient.runner.streams.decoder import Decoder, Rows, Verdict
from wmlclient.runner.streams.registry import Registry, UnknownSchema, unframed

Record = dict[str, Any]

_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?Infinity|NaN")
_WHOLES = ("byte", "short", "integer", "long")
_CELLS = (*_WHOLES, "float", "double", "boolean", "string")
_NOT_PLAIN = re.compile(r'"(bytes|fixed|logicalType)"')


class Reader(Protocol):
    """Makes rows of values."""

    def read(self, values: Sequence[bytes | None]) -> Rows:
        """The rows of some records.

        Raises:
            KafkaException: What is needed for that is away: nothing is known of any of them.
        """
        ...


def reader(given: Mapping[str, Any] | None, decoder: Decoder, schema: Mapping[str, Any]) -> Reader:
    """The reader of a format.

    Args:
        given: See ``RecordFormat`` in the contract; None for JSON.
        decoder: Judges records by the model's schema.
        schema: The JSON of the model's input.

    Raises:
        StreamSetupError: ``format_not_supported``: the model has a column that the format cannot hold.
    """
    wanted = dict(given or {})
    kinds = {each["name"]: each["type"] for each in schema["fields"]}
    kind = wanted.get("type") or "json"
    if kind == "text":
        return _EachAlone(decoder, _Text(wanted["column"]))
    if kind == "csv":
        return _EachAlone(
            decoder, _Csv(wanted.get("columns") or list(kinds), kinds, wanted.get("delimiter") or ",")
        )
    if kind == "avro":
        return _EachAlone(decoder, _Avro(Registry(wanted["registry"])))
    if kind == "json_schema":
        return _WithSchema(decoder, _Schemas(Registry(wanted["registry"])))
    return decoder


def to_json(given: Mapping[str, Any]) -> Callable[[bytes], bytes | Verdict]:
    """What makes the JSON of one value of a format with a registry, or says why it cannot be.

    Args:
        given: See ``RecordFormat`` in the contract.
    """
    if given["type"] == "json_schema":
        return _Schemas(Registry(given["registry"]))
    read = _Avro(Registry(given["registry"]))

    def translated(value: bytes) -> bytes | Verdict:
        found = read(value)
        return found if isinstance(found, Verdict) else json.dumps(found, ensure_ascii=False).encode()

    return translated


class _EachAlone:
    def __init__(self, decoder: Decoder, one: Callable[[bytes], Record | Verdict]) -> None:
        self._decoder, self._one = decoder, one

    def read(self, values: Sequence[bytes | None]) -> Rows:
        """See :meth:`Reader.read`."""
        null = Verdict("decode", verdicts.NULL_VALUE)
        return self._decoder.rows([null if value is None else self._one(value) for value in values])


class _Text:
    def __init__(self, column: str) -> None:
        self._column = column

    def __call__(self, value: bytes) -> Record | Verdict:
        try:
            return {self._column: value.decode()}
        except UnicodeDecodeError:
            return Verdict("decode", verdicts.NOT_UTF8)


class _Csv:
    def __init__(self, columns: Sequence[str], kinds: Mapping[str, Any], delimiter: str) -> None:
        wrong = next((name for name in columns if kinds.get(name, "string") not in _CELLS), None)
        if wrong is not None:
            raise StreamSetupError(
                "format_not_supported",
                f"A line of CSV cannot hold the column {wrong!r}: it is {verdicts.type_name(kinds[wrong])}. Use JSON.",
            )
        self._columns, self._delimiter = list(columns), delimiter
        self._kinds = [kinds.get(name, "string") for name in columns]

    def __call__(self, value: bytes) -> Record | Verdict:
        try:
            text = value.decode().removesuffix("\n").removesuffix("\r")
            lines = list(csv.reader([text], delimiter=self._delimiter, strict=True)) if text else []
        except UnicodeDecodeError:
            return Verdict("decode", verdicts.NOT_UTF8)
        except csv.Error:
            return Verdict("decode", verdicts.MALFORMED_CSV)
        if len(lines) != 1:
            return Verdict("decode", verdicts.EMPTY if not lines else "more than one line")
        if len(lines[0]) != len(self._columns):
            return Verdict("decode", verdicts.cells(len(lines[0]), len(self._columns)))
        record: Record = {}
        for name, kind, cell in zip(self._columns, self._kinds, lines[0], strict=True):
            try:
                record[name] = _cell(cell, kind)
            except ValueError:
                return Verdict("schema", verdicts.wrong_type(name, kind))
        return record


def _cell(text: str, kind: str) -> Any:
    """An empty cell is null."""
    if not text:
        return None
    if kind == "string":
        return text
    if kind == "boolean":
        if text.lower() not in ("true", "false"):
            raise ValueError
        return text.lower() == "true"
    if kind in _WHOLES:
        if not _WHOLE.fullmatch(text):
            raise ValueError
        return int(text)
    if not _NUMBER.fullmatch(text):
        raise ValueError
    return float(text)


class _Avro:
    def __init__(self, registry: Registry) -> None:
        from fastavro import parse_schema, schemaless_reader

        self._parse, self._read = parse_schema, schemaless_reader
        self._registry = registry
        self._schemas: dict[int, tuple[Any, bool]] = {}

    def __call__(self, value: bytes) -> Record | Verdict:
        framed = unframed(value)
        if framed is None:
            return Verdict("decode", verdicts.NO_FRAME)
        number, payload = framed
        if number not in self._schemas:
            try:
                self._schemas[number] = self._schema(number)
            except UnknownSchema as unknown:
                return Verdict("decode", f"schema {number} cannot be used: {unknown}")
        schema, plain = self._schemas[number]
        source = io.BytesIO(payload)
        try:
            record = self._read(source, schema, None)
            whole = source.tell() == len(payload)
        except Exception:  # bytes of anybody: what is raised depends on where they stop making sense
            return Verdict("decode", f"not what schema {number} says")
        if not whole or not isinstance(record, dict):
            return Verdict("decode", f"not what schema {number} says")
        return record if plain else {name: _plain(item) for name, item in record.items()}

    def _schema(self, number: int) -> tuple[Any, bool]:
        kind, text = self._registry.schema(number)
        if kind != "AVRO":
            raise UnknownSchema(f"it is of type {kind}")
        try:
            return self._parse(json.loads(text)), _NOT_PLAIN.search(text) is None
        except Exception as error:
            raise UnknownSchema(f"it is no Avro schema ({type(error).__name__})") from None


def _plain(value: Any) -> Any:
    """Avro's own types in their form in JSON."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


class _WithSchema:
    def __init__(self, decoder: Decoder, schemas: _Schemas) -> None:
        self._decoder, self._schemas = decoder, schemas

    def read(self, values: Sequence[bytes | None]) -> Rows:
        """See :meth:`Reader.read`."""
        found: dict[int, Verdict] = {}
        payloads: list[bytes | None] = []
        for place, value in enumerate(values):
            judged = self._schemas(value) if value is not None else None
            if isinstance(judged, Verdict):
                found[place] = judged
                judged = None
            payloads.append(judged)
        rows = self._decoder.read(payloads)
        rows.verdicts |= found
        return rows


class _Schemas:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._validators: dict[int, Any] = {}

    def __call__(self, value: bytes) -> bytes | Verdict:
        """The payload, or why it is not what its schema says. What is no JSON at all is the decoder's to name."""
        framed = unframed(value)
        if framed is None:
            return Verdict("decode", verdicts.NO_FRAME)
        number, payload = framed
        try:
            validator = self._validator(number)
            parsed = orjson.loads(payload)
        except UnknownSchema as unknown:
            return Verdict("decode", f"schema {number} cannot be used: {unknown}")
        except orjson.JSONDecodeError:
            return payload
        import jsonschema

        wrong = jsonschema.exceptions.best_match(validator.iter_errors(parsed))
        if wrong is None:
            return payload
        where = "/".join(map(str, wrong.absolute_path)) or "the record"
        return Verdict("schema", f"not what schema {number} says: {where} fails {wrong.validator}")

    def _validator(self, number: int) -> Any:
        if number not in self._validators:
            import jsonschema

            kind, text = self._registry.schema(number)
            if kind != "JSON":
                raise UnknownSchema(f"it is of type {kind}")
            try:
                schema = json.loads(text)
                chosen = jsonschema.validators.validator_for(schema, jsonschema.Draft7Validator)
                chosen.check_schema(schema)
            except (ValueError, jsonschema.exceptions.SchemaError):
                raise UnknownSchema("it is no JSON schema") from None
            self._validators[number] = chosen(schema)
        return self._validators[number]
