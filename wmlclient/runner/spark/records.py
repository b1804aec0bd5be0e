"""Kafka records as rows and back, written as Spark SQL.

A record that cannot be a row is told from one that can before any stage sees it, each with its reason: Spark's own
``from_json`` makes nulls of what does not fit, takes any JSON as text, and reads no further than the first value.

The record's JSON is read by the model's schema (``r``), with Spark's exact conversions. Where writing the values again,
in one of the two usual ways, gives the very text that came, the record is ``plain``: no other field, none twice, each
of its type. Any other record is read once more, as a map of variants (``a``), which tells what fields there are, of
which JSON type, and carries the unknown ones through.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wmlclient import envelope
from wmlclient.runner import verdicts
from wmlclient.runner.spark.transform import quote

# One struct that travels beside the model's columns: a name that no model has, and only one to keep clear of.
META = "__wml"
_CORRUPT = "__wml_corrupt"
#: Types whose values are read as they are written, so that what is written again tells all.
_PLAIN = frozenset(("string", "boolean", "byte", "short", "integer", "long", "float", "double"))
_ORIGIN = ("topic", "partition", "offset", "timestamp")
META_COLUMNS = ("key", "headers", *_ORIGIN)


def literal(text: str) -> str:
    """A string as SQL reads it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class RecordReader:
    """The SQL that reads records for one model.

    Args:
        schema: ``StructType.jsonValue()`` of the model's input.
        needed: Columns without which the model cannot work.
        not_null: Columns that the model cannot take a null in.
    """

    def __init__(self, schema: dict[str, Any], needed: Iterable[str], not_null: Iterable[str]) -> None:
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

    def raw(self) -> list[str]:
        """Step 1, from Kafka's columns: the text of the record and where it came from."""
        return [*META_COLUMNS, "value", "CAST(value AS STRING) AS s"]

    def told(self) -> list[str]:
        """Step 2: whether it is plain. The column ``r`` is added before by the caller, as SQL cannot name all types."""
        return [*META_COLUMNS, "value", "s", "r", f"{self._plain()} AS plain"]

    def _plain(self) -> str:
        types = [each["type"] for each in self.fields]
        if not types or not all(isinstance(kind, str) and kind in _PLAIN for kind in types):
            return "false"
        there = [f"r.{quote(name)} IS NOT NULL" for name in self.names if self._must_be(name)]
        # Without a backslash no text of the record holds what would have to be escaped.
        sure = [f"r.{_CORRUPT} IS NULL", "s <> '{}'", f"NOT contains(s, {literal(chr(92))})", *there]
        same = " OR ".join(f"s = {self._written(*style)}" for style in ((", ", ": "), (",", ":")))
        return f"coalesce({' AND '.join(sure)} AND ({same}), false)"

    def _written(self, comma: str, colon: str) -> str:
        """SQL of the record as it is written by most; null values are left out."""
        parts = []
        for each in self.fields:
            quotes = '"' if each["type"] == "string" else ""
            before = json.dumps(each["name"], ensure_ascii=False) + colon + quotes
            text = f"CAST(r.{quote(each['name'])} AS STRING)"
            parts.append(f"concat({literal(before)}, {text}" + (f", {literal(quotes)})" if quotes else ")"))
        return f"concat('{{', concat_ws({literal(comma)}, {', '.join(parts)}), '}}')"

    def parsed(self) -> list[str]:
        """Step 3. The record is put in brackets, so that anything after its one value makes it malformed."""
        options = "map('mode', 'PERMISSIVE', 'allowSingleQuotes', 'false')"
        array = f"from_json(concat('[', s, ']'), 'array<map<string,variant>>', {options})"
        return [*META_COLUMNS, "value", "s", "r", "plain", f"IF(plain, NULL, {array}) AS a"]

    def _all_plain(self) -> bool:
        return bool(self.fields) and all(
            isinstance(each["type"], str) and each["type"] in _PLAIN for each in self.fields
        )

    def _must_be(self, name: str) -> bool:
        return name in self._needed or name in self._not_null

    def judged(self) -> list[str]:
        """Step 4: the reason why a record is bad, or null."""
        return [*META_COLUMNS, "value", "r", "a", f"{self.reason()} AS reason"]

    def reason(self) -> str:
        """SQL of the reason, first what is most basic."""
        cases = [
            ("plain", "NULL"),
            ("value IS NULL", literal(verdicts.NULL_VALUE)),
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
        """Step 5, of good records: the model's columns, and the one that travels along."""
        meta = ", ".join(f"{name} AS {name}" for name in META_COLUMNS)
        columns = [f"r.{quote(name)} AS {quote(name)}" for name in self.names]
        return [*columns, f"struct({meta}, a[0] AS extra) AS {META}"]

    def all_inputs(self, receipts: bool) -> list[str]:
        """Step 5, of all records: a bad one gives the model the row ``sample`` in its place, and travels ``aside``.

        Args:
            receipts: Whether good records have to say where they came from, too.
        """
        columns = [
            f"IF(reason IS NULL, r.{quote(name)}, sample.{quote(name)}) AS {quote(name)}"
            for name in self.names
        ]
        kept = META_COLUMNS if receipts else ("key", "headers")
        meta = ", ".join(f"{name} AS {name}" for name in kept)
        own = ", ".join(f"{name} AS {name}" for name in (*_ORIGIN, "value", "reason"))
        aside = f"IF(reason IS NULL, NULL, struct({own})) AS aside"
        return [*columns, f"struct({meta}, IF(reason IS NULL, a[0], NULL) AS extra, {aside}) AS {META}"]


def output_columns(
    reader: RecordReader, columns: Sequence[str], receipt: str | None = None
) -> dict[str, str]:
    """Step 6: SQL of the record to send, by column.

    Payload columns come first, known then unknown, then what the stages made.

    Args:
        reader: What read the records.
        columns: Columns of the transformed rows.
        receipt: The model's digest, where each record shall say where it came from; or None.
    """
    made = [name for name in columns if name != META and name not in reader.names]
    taken = ", ".join(literal(name) for name in [*reader.names, *made])
    unknown = f"to_json(map_filter({META}.extra, (k, v) -> k NOT IN ({taken})))"
    parts = [_inner(_struct(reader.names)), _inner(unknown), _inner(_struct(made))]
    inner = f"concat_ws(',', {', '.join(part for part in parts)})"
    headers = f"{META}.headers"
    if receipt is not None:
        headers = with_headers(origin(receipt, f"{META}."), headers)
    plain = _struct([*reader.names, *made])
    value = f"IF({META}.extra IS NULL, {plain}, concat('{{', {inner}, '}}'))"
    return {"key": f"{META}.key", "headers": headers, "value": value}


def named(columns: Mapping[str, str]) -> list[str]:
    """Columns as ``selectExpr`` takes them, from their SQL by name."""
    return [f"{text} AS {quote(name)}" for name, text in columns.items()]


def _struct(names: Sequence[str]) -> str:
    if not names:
        return "'{}'"
    return f"to_json(struct({', '.join(quote(name) for name in names)}))"


def _inner(text: str) -> str:
    """What is between the braces; null where that is nothing, as concat_ws leaves nulls out."""
    return f"nullif(substring({text}, 2, length({text}) - 2), '')"


def stage_of_reason(reason: str) -> str:
    """SQL of the stage at which a record was judged to be no row.

    Args:
        reason: SQL of the reason.
    """
    decode = ", ".join(literal(each) for each in verdicts.DECODE)
    return f"IF({reason} IN ({decode}), 'decode', 'schema')"


def dead_letter_columns(stage: str, digest: str, reason: str, prefix: str = "") -> dict[str, str]:
    """SQL of the record to send to the dead-letter topic, by column: its own bytes, key and headers, and ours.

    Args:
        stage: SQL that gives where it failed, one of :data:`wmlclient.envelope.STAGES`.
        digest: The model's digest.
        reason: SQL that gives the reason.
        prefix: What stands before the names of the columns, but for the key and the headers.
    """
    ours = {envelope.STAGE: stage, envelope.REASON: reason, **origin(digest, prefix)}
    return {"key": "key", "value": f"{prefix}value", "headers": with_headers(ours, "headers")}


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
