"""Kafka records as rows and back, written as Spark SQL.

A record that cannot be a row is told from one that can before any stage sees it, each with its reason: Spark's own
``from_json`` makes nulls of what does not fit, takes any JSON as text, and reads no further than the first value.

The record's JSON is read by the model's schema (``r``), with Spark's exact conversions. Where writing the values again,
in one of the two usual ways, gives the very text that came, the record is ``plain``: no other field, none twice, each
of its type. Any other record is read once more, as a map of variants (``a``), which tells what fields there are, of
which JSON type, and what the unknown ones hold. That second look is one expression (``odd``) that is null for a plain
record: what Spark cannot compile stands in there, and so costs the other records nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from wmlclient import envelope
from wmlclient.runner import verdicts
from wmlclient.runner.spark.formats import RecordForm, let, literal
from wmlclient.runner.spark.transform import quote

# One struct that travels beside the model's columns: a name that no model has, and only one to keep clear of.
META = "__wml"
_CORRUPT = "__wml_corrupt"
#: Types whose values are read as they are written, so that what is written again tells all.
_PLAIN = frozenset(("string", "boolean", "byte", "short", "integer", "long", "float", "double"))
_JSON, _PLACE = "__wml_json", "__wml_place"
_ORIGIN = ("topic", "partition", "offset", "timestamp")
META_COLUMNS = ("key", "headers", *_ORIGIN)


class RecordReader:
    """The SQL that reads records for one model.

    Args:
        schema: ``StructType.jsonValue()`` of the model's input.
        needed: Columns without which the model cannot work.
        not_null: Columns that the model cannot take a null in.
        form: How records come.
    """

    def __init__(
        self,
        schema: dict[str, Any],
        needed: Iterable[str],
        not_null: Iterable[str],
        form: RecordForm | None = None,
    ) -> None:
        self.form = form or RecordForm()
        self.fields: list[dict[str, Any]] = list(schema["fields"])
        self.names = [field["name"] for field in self.fields]
        self._needed, self._not_null = list(needed), set(not_null)

    def schema_json(self) -> str:
        """The schema to parse with: all may be missing, plus the column that tells a value of the wrong type."""
        columns = [dict(field, nullable=True) for field in self.fields]
        columns.append({"name": _CORRUPT, "type": "string", "nullable": True, "metadata": {}})
        return json.dumps({"type": "struct", "fields": columns})

    def parse_options(self) -> dict[str, str]:
        """For ``from_json`` with :meth:`schema_json`."""
        return {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": _CORRUPT, "allowSingleQuotes": "false"}

    def _plain(self) -> str:
        types = [each["type"] for each in self.fields]
        if not types or not all(isinstance(kind, str) and kind in _PLAIN for kind in types):
            return "false"
        there = [f"r.{quote(name)} IS NOT NULL" for name in self.names if self._must_be(name)]
        # Without a backslash no text of the record holds what would have to be escaped.
        escaped = f"contains(s, {literal(chr(92))})"
        sure = [f"r.{_CORRUPT} IS NULL", "s <> '{}'", f"NOT {escaped}", *there]
        # Where this takes one way of writing for the other, the record is looked into: slower, and nothing else.
        same = f"s = IF(contains(s, '\": '), {self._written(', ', ': ')}, {self._written(',', ':')})"
        return f"coalesce({' AND '.join(sure)} AND {same}, false)"

    def _written(self, comma: str, colon: str) -> str:
        """SQL of the record as it is written by most; null values are left out.

        All is one ``concat``, as each more of them copies the text once more. The commas stand on both sides of a
        field that is there for sure; without such a field the first comma is cut off.
        """
        sure = next((at for at, name in enumerate(self.names) if self._must_be(name)), None)
        parts: list[str] = []
        for at, each in enumerate(self.fields):
            quotes = '"' if each["type"] == "string" else ""
            before = json.dumps(each["name"], ensure_ascii=False) + colon + quotes
            after = quotes
            if sure is not None and at < sure:
                after += comma
            elif at != sure:
                before = comma + before
            column = f"r.{quote(each['name'])}"
            pieces = [literal(before), f"CAST({column} AS STRING)", *([literal(after)] if after else [])]
            if self._must_be(each["name"]):
                parts += pieces
            else:
                parts.append(f"IF({column} IS NULL, '', concat({', '.join(pieces)}))")
        if sure is None:
            parts = [f"substring(concat({', '.join(parts)}), {len(comma) + 1})"]
        return f"concat('{{', {', '.join(parts)}, '}}')"

    def _must_be(self, name: str) -> bool:
        return name in self._needed or name in self._not_null

    def odd(self, made: Sequence[str], more: str = "o") -> str:
        """Step 2: SQL of what is odd about a record, a struct ``o``; null where it is plain.

        Args:
            made: Columns that the model makes.
            more: SQL that makes something else of ``o``, which has a ``reason``, or null, and ``extra``: the unknown
                fields as JSON without its braces, or null.
        """
        options = "map('mode', 'PERMISSIVE', 'allowSingleQuotes', 'false')"
        # In brackets, so that anything after its one value makes it malformed.
        array = f"from_json(concat('[', s, ']'), 'array<map<string,variant>>', {options})"
        taken = ", ".join(literal(name) for name in (*self.names, *made))
        unknown = f"to_json(map_filter(w.a[0], (k, v) -> k NOT IN ({taken})))"
        extra = let("j", unknown, "nullif(substring(j, 2, length(j) - 2), '')")
        judged = let("a", array, f"struct(a AS a, {self.reason()} AS reason)")
        told = f"struct(w.reason AS reason, IF(w.reason IS NULL, {extra}, NULL) AS extra)"
        return f"IF({self._plain()}, NULL, {let('o', let('w', judged, told), more)})"

    def judged(self, made: Sequence[str]) -> list[list[str]]:
        """Steps 2 and 3: with the ``reason`` why a record is bad, or null, and its ``extra``."""
        kept = [*META_COLUMNS, *self.form.kept, "s", "r"]
        return [[*kept, f"{self.odd(made)} AS odd"], [*kept, "odd.reason AS reason", "odd.extra AS extra"]]

    def reason(self) -> str:
        """SQL of the reason why a record that is not plain is bad, first what is most basic; or null."""
        cases = [
            *self.form.cases,
            ("s IS NULL", literal(verdicts.NULL_VALUE)),
            ("NOT is_valid_utf8(s)", literal(verdicts.NOT_UTF8)),
            ("trim(BOTH ' \\t\\r\\n' FROM s) = ''", literal(verdicts.EMPTY)),
            (
                "a IS NULL AND try_parse_json(concat('[', s, ']')) IS NOT NULL",
                literal(verdicts.NOT_AN_OBJECT),
            ),
            ("a IS NULL", literal(verdicts.MALFORMED)),
            ("size(a) <> 1", literal(verdicts.SEVERAL)),
            ("a[0] IS NULL", literal(verdicts.NOT_AN_OBJECT)),
            (
                "size(array_distinct(map_keys(a[0]))) <> size(a[0])",
                literal(verdicts.TWICE),
            ),
        ]
        for name in self._needed:
            cases.append((f"NOT map_contains_key(a[0], {literal(name)})", literal(verdicts.missing(name))))
        cases += [(self._wrong_type(field), self._wrong_text(field)) for field in self.fields]
        cases.append((f"r IS NULL OR r.{_CORRUPT} IS NOT NULL", literal(verdicts.WRONG_VALUE)))
        if self.names:
            nulls = " AND ".join(f"r.{quote(name)} IS NULL" for name in self.names)
            cases.append((f"({nulls})", literal(verdicts.NO_VALUE)))
        for name in self.names:
            if name in self._not_null:
                cases.append((f"r.{quote(name)} IS NULL", literal(verdicts.null_in(name))))
        return "CASE " + " ".join(f"WHEN {when} THEN {then}" for when, then in cases) + " END"

    def _wrong_type(self, field: dict[str, Any]) -> str:
        value = f"a[0][{literal(field['name'])}]"
        kind = field["type"]
        if kind == "string":
            return f"schema_of_variant({value}) NOT IN ('STRING', 'VOID')"
        lost = f"({value} IS NOT NULL AND NOT is_variant_null({value}) AND r.{quote(field['name'])} IS NULL)"
        if isinstance(kind, dict) and kind.get("type") == "array" and kind.get("elementType") == "string":
            allowed = "'ARRAY<STRING>', 'ARRAY<VOID>', 'VOID'"
            return f"({lost} OR schema_of_variant({value}) NOT IN ({allowed}))"
        return lost

    def _wrong_text(self, field: dict[str, Any]) -> str:
        return literal(verdicts.wrong_type(field["name"], field["type"]))

    def inputs(self) -> list[str]:
        """The last step, of good records: the model's columns, and the one that travels along."""
        meta = ", ".join(f"{name} AS {name}" for name in META_COLUMNS)
        columns = [f"r.{quote(name)} AS {quote(name)}" for name in self.names]
        return [*columns, f"struct({meta}, extra AS extra) AS {META}"]

    def all_inputs(self, bad: str, meta: Mapping[str, str]) -> list[str]:
        """The last step, of all records: a bad one gives the model the row ``sample`` in its place.

        Args:
            bad: SQL that is true for a bad one.
            meta: What travels along, as SQL by name.
        """
        columns = [
            f"IF({bad}, sample.{quote(name)}, r.{quote(name)}) AS {quote(name)}" for name in self.names
        ]
        return [*columns, f"struct({', '.join(named(meta))}) AS {META}"]


@frozen
class RecordWriter:
    """The SQL that writes the records to send.

    Payload columns come first, known then unknown, then what the stages made.

    Attributes:
        names: The model's input columns.
        made: The other columns of the transformed rows.
        receipt: The model's digest, where each record shall say where it came from; or None.
        whole: Whether what came in is sent, too.
    """

    names: Sequence[str]
    made: Sequence[str]
    receipt: str | None = None
    whole: bool = True

    def headers(self, prefix: str) -> str:
        """SQL of the headers, from the columns of Kafka after a prefix."""
        came = f"{prefix}headers"
        return came if self.receipt is None else with_headers(origin(self.receipt, prefix), came)

    def written(self, extra: str) -> list[str]:
        """First step, of transformed rows: the one that travels along, and what :meth:`value` takes.

        Args:
            extra: SQL of the unknown fields as JSON without its braces, or null.
        """
        if not self.whole:
            return [META, f"{_json(self.made)} AS {_JSON}"]
        place = f"IF({extra} IS NULL, NULL, length({_json(self.names)}))"
        return [META, f"{_json([*self.names, *self.made])} AS {_JSON}", f"{place} AS {_PLACE}"]

    def value(self, extra: str) -> str:
        """Second step: SQL of the record's value. Unknown fields go in at their place."""
        if not self.whole:
            return _JSON
        rest = f"IF({_JSON} = '{{}}', '', ',')"
        first = f"concat('{{', {extra}, {rest}, substring({_JSON}, 2))"
        between = f"concat(substring({_JSON}, 1, {_PLACE} - 1), ',', {extra}, substring({_JSON}, {_PLACE}))"
        return f"CASE WHEN {_PLACE} IS NULL THEN {_JSON} WHEN {_PLACE} = 2 THEN {first} ELSE {between} END"


def named(columns: Mapping[str, str]) -> list[str]:
    """Columns as ``selectExpr`` takes them, from their SQL by name."""
    return [f"{text} AS {quote(name)}" for name, text in columns.items()]


def _json(names: Sequence[str]) -> str:
    return f"to_json(struct({', '.join(quote(name) for name in names)}))" if names else "'{}'"


def stage_of_reason(reason: str) -> str:
    """SQL of the stage at which a record was judged to be no row.

    Args:
        reason: SQL of the reason.
    """
    decode = ", ".join(literal(each) for each in verdicts.DECODE)
    patterns = f"{verdicts.CELLS}|{verdicts.UNREADABLE}"
    return f"IF({reason} IN ({decode}) OR {reason} RLIKE {literal(patterns)}, 'decode', 'schema')"


def dead_letter_columns(stage: str, digest: str, reason: str, value: str) -> dict[str, str]:
    """SQL of the record to send to the dead-letter topic, by column: its own bytes, key and headers, and ours.

    Args:
        stage: SQL that gives where it failed, one of :data:`wmlclient.envelope.STAGES`.
        digest: The model's digest.
        reason: SQL that gives the reason.
        value: SQL of the record's own bytes.
    """
    ours = {envelope.STAGE: stage, envelope.REASON: reason, **origin(digest, "")}
    return {"key": "key", "value": value, "headers": with_headers(ours, "headers")}


def origin(digest: str, prefix: str = "") -> dict[str, str]:
    """SQL of the headers that say where a record came from and which model took it.

    Args:
        digest: The model's digest.
        prefix: What stands before the names of Kafka's columns.
    """
    return {
        envelope.TOPIC: f"{prefix}topic",
        envelope.PARTITION: f"CAST({prefix}partition AS STRING)",
        envelope.OFFSET: f"CAST({prefix}offset AS STRING)",
        envelope.TIMESTAMP: f"CAST(unix_millis({prefix}timestamp) AS STRING)",
        envelope.DIGEST: literal(digest),
    }


def with_headers(ours: dict[str, str], came: str) -> str:
    """SQL of a record's headers, with these in the place of those that another stream has added.

    Args:
        ours: SQL by name of the header.
        came: The headers that it came with.
    """
    added = ", ".join(
        f"struct('{key}' AS key, CAST({value} AS BINARY) AS value)" for key, value in ours.items()
    )
    kept = f"filter(coalesce({came}, array()), h -> NOT startswith(h.key, '{envelope.OWN}'))"
    return f"concat({kept}, array({added}))"
