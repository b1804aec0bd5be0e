"""Records as rows: JSON read strictly, judged by the model's schema, fields that the model does not know kept aside.

The common record is read once, by orjson, and its columns are checked together. Whatever is not common is looked at on
its own, so that the reason is exact.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson
from attrs import define, field

from wmlclient.runner import verdicts
from wmlclient.scoring import InputError, check_table

_SPACE = re.compile(r"[ \t\r\n]*")
_VALUE = json.JSONDecoder().raw_decode


class Verdict(NamedTuple):
    """Why a record goes aside: one of :data:`wmlclient.envelope.STAGES`, and the reason."""

    stage: str
    reason: str


@define
class Rows:
    """What became of some values.

    Attributes:
        places: For each good record its place among the values, ascending.
        columns: Of the good records, a list for each of the model's fields, null where a record lacks it.
        extras: By place in ``places``: names and JSON texts of the fields that the model does not know.
        verdicts: By place among the values: why it is bad.
    """

    places: list[int]
    columns: list[list[Any]]
    extras: dict[int, dict[str, str]] = field(factory=dict)
    verdicts: dict[int, Verdict] = field(factory=dict)


class Decoder:
    """Reads records for one model.

    Args:
        schema: The JSON of the model's input, a Spark ``StructType``.
        needed: Columns without which the model cannot work.
        not_null: Columns that the model cannot take a null in.
    """

    def __init__(self, schema: dict[str, Any], needed: Sequence[str], not_null: Sequence[str]) -> None:
        # A record may lack what a schema calls required, as in Spark's from_json.
        fields = [dict(each, nullable=True) for each in schema["fields"]]
        self._schema = {"type": "struct", "fields": fields}
        self.names: list[str] = [each["name"] for each in fields]
        self._kinds = {each["name"]: each["type"] for each in fields}
        self._known = frozenset(self.names)
        self._keys = dict.fromkeys(self.names).keys()
        self._needed = tuple(needed)
        self._not_null = tuple(not_null)

    def read(self, values: Sequence[bytes | None]) -> Rows:
        """The rows of some records."""
        loads, keys, width = orjson.loads, self._keys, len(self.names)
        found: list[dict[str, Any]] = []
        rows = Rows([], [])
        places, take = rows.places, found.append
        for place, value in enumerate(values):
            try:
                record = loads(value)  # type: ignore[arg-type]
            except (orjson.JSONDecodeError, TypeError):
                rows.verdicts[place] = Verdict("decode", undecodable(value))
                continue
            if record.__class__ is not dict:
                rows.verdicts[place] = Verdict("decode", verdicts.NOT_AN_OBJECT)
                continue
            # A record with as many colons as fields holds no field twice.
            if value.count(b":") == width and record.keys() == keys:  # type: ignore[union-attr]
                places.append(place)
                take(record)
                continue
            verdict = self._unusual(value, record, rows.extras, len(places))  # type: ignore[arg-type]
            if verdict is None:
                places.append(place)
                take(record)
            else:
                rows.verdicts[place] = verdict
        self._check(rows, found)
        return rows

    def rows(self, records: Sequence[dict[str, Any] | Verdict]) -> Rows:
        """The rows of records that were read elsewhere, where a field cannot be there twice; verdicts stay."""
        rows = Rows([], [])
        found: list[dict[str, Any]] = []
        for place, record in enumerate(records):
            verdict = record if isinstance(record, Verdict) else self._lacking(record)
            if verdict is not None:
                rows.verdicts[place] = verdict
                continue
            assert isinstance(record, dict)
            unknown = record.keys() - self._known
            if unknown:
                rows.extras[len(found)] = {
                    name: orjson.dumps(value).decode() for name, value in record.items() if name in unknown
                }
            rows.places.append(place)
            found.append(record)
        self._check(rows, found)
        return rows

    def _lacking(self, record: dict[str, Any]) -> Verdict | None:
        lacking = next((name for name in self._needed if name not in record), None)
        return Verdict("schema", verdicts.missing(lacking)) if lacking is not None else None

    def _unusual(
        self, value: bytes, record: dict[str, Any], extras: dict[int, dict[str, str]], at: int
    ) -> Verdict | None:
        """Look for fields that are there twice, that are missing, or that the model does not know."""
        if len(record) != value.count(b":") or record.keys() - self._known:
            texts = members(value.decode())
            if texts is None:
                return Verdict("decode", verdicts.TWICE)
            unknown = {name: text for name, text in texts.items() if name not in self._known}
            if unknown:
                extras[at] = unknown
        verdict = self._lacking(record)
        if verdict is not None:
            extras.pop(at, None)
        return verdict

    def _check(self, rows: Rows, found: list[dict[str, Any]]) -> None:
        """Columns of the records that fit; those that do not get their verdict."""
        rows.columns = [[record.get(name) for record in found] for name in self.names]
        if not found:
            return
        if self._fits(rows.columns):
            return
        kept: list[int] = []
        for number, record in enumerate(found):
            verdict = self._misfit(record)
            if verdict is None:
                kept.append(number)
            else:
                rows.verdicts[rows.places[number]] = verdict
        rows.extras = {at: rows.extras[n] for at, n in enumerate(kept) if n in rows.extras}
        rows.places = [rows.places[number] for number in kept]
        rows.columns = [[column[number] for number in kept] for column in rows.columns]

    def _fits(self, columns: list[list[Any]]) -> bool:
        try:
            check_table(self._schema, self.names, list(zip(*columns, strict=True)), required=())
        except InputError:
            return False
        for name, column in zip(self.names, columns, strict=True):
            if None in column and name in self._not_null:
                return False
        return any(None not in column for column in columns) or not any(
            all(value is None for value in row) for row in zip(*columns, strict=True)
        )

    def _misfit(self, record: dict[str, Any]) -> Verdict | None:
        for name in self.names:
            try:
                check_table(self._schema, [name], [[record.get(name)]], required=())
            except InputError:
                return Verdict("schema", verdicts.wrong_type(name, self._kinds[name]))
        if self.names and all(record.get(name) is None for name in self.names):
            return Verdict("schema", verdicts.NO_VALUE)
        for name in self._not_null:
            if record.get(name) is None:
                return Verdict("schema", verdicts.null_in(name))
        return None


def undecodable(value: bytes | None) -> str:
    """Why this is no JSON, in the words that a Spark stream has for it."""
    if value is None:
        return verdicts.NULL_VALUE
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return verdicts.NOT_UTF8
    if not text.strip(" \t\r\n"):
        return verdicts.EMPTY
    try:
        several = orjson.loads(b"[" + value + b"]")
    except orjson.JSONDecodeError:
        return verdicts.MALFORMED
    return verdicts.SEVERAL if len(several) > 1 else verdicts.MALFORMED


def members(text: str) -> dict[str, str] | None:
    """The members of an object that is known to be sound: the JSON text of each; None where one is there twice."""
    skip: Callable[[str, int], Any] = _SPACE.match
    found: dict[str, str] = {}
    at = skip(text, 0).end() + 1
    at = skip(text, at).end()
    while text[at] != "}":
        name, at = _VALUE(text, at)
        at = skip(text, skip(text, at).end() + 1).end()
        _, end = _VALUE(text, at)
        if name in found:
            return None
        found[name] = text[at:end]
        at = skip(text, end).end()
        if text[at] == ",":
            at = skip(text, at + 1).end()
    return found
