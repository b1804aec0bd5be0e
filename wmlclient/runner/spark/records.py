"""Kafka records as rows and back, written as Spark SQL.

A record that cannot be a row is told from one that can before any stage sees it, each with its reason: Spark's own
``from_json`` makes nulls of what does not fit, takes any JSON as text, and reads no further than the first value.

The record's JSON is read twice: by the model's schema (``r``), with Spark's exact conversions, and as a map of
variants (``m``), which tells what fields there are, of which JSON type, and carries the unknown ones through.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from wmlclient import envelope
from wmlclient.runner import verdicts
from wmlclient.runner.spark.transform import quote

# One struct that travels beside the model's columns: a name that no model has, and only one to keep clear of.
META = "__wml"
_CORRUPT = "__wml_corrupt"
META_COLUMNS = ("key", "headers", "topic", "partition", "offset", "timestamp")


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

    def parsed(self) -> list[str]:
        """Step 2; the column ``r`` is added by the caller, as its schema may hold types that SQL cannot name.

        The record is put in brackets, so that anything after its one value makes it malformed.
        """
        options = "map('mode', 'PERMISSIVE', 'allowSingleQuotes', 'false')"
        array = f"from_json(concat('[', s, ']'), 'array<map<string,variant>>', {options})"
        return [*META_COLUMNS, "value", "s", f"{array} AS a"]

    def judged(self) -> list[str]:
        """Step 3: the reason why a record is bad, or null."""
        return [*META_COLUMNS, "value", "r", "a", f"{self.reason()} AS reason"]

    def reason(self) -> str:
        """SQL of the reason, first what is most basic."""
        cases = [
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
        """Step 4, of good records: the model's columns, and the one that travels along."""
        meta = ", ".join(f"{name} AS {name}" for name in META_COLUMNS)
        columns = [f"r.{quote(name)} AS {quote(name)}" for name in self.names]
        return [*columns, f"struct({meta}, a[0] AS extra) AS {META}"]


def output_columns(reader: RecordReader, columns: Sequence[str]) -> list[str]:
    """Step 5: the record to send. Payload columns first, known then unknown, then what the stages made.

    Args:
        reader: What read the records.
        columns: Columns of the transformed rows.
    """
    made = [name for name in columns if name != META and name not in reader.names]
    taken = ", ".join(literal(name) for name in [*reader.names, *made])
    unknown = f"to_json(map_filter({META}.extra, (k, v) -> k NOT IN ({taken})))"
    parts = [_inner(_struct(reader.names)), _inner(unknown), _inner(_struct(made))]
    inner = f"concat_ws(',', {', '.join(part for part in parts)})"
    meta = [f"{META}.{name} AS {name}" for name in ("key", "headers")]
    return [*meta, f"concat('{{', {inner}, '}}') AS value"]


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


def dead_letter_columns(stage: str, digest: str, reason: str) -> list[str]:
    """The record to send to the dead-letter topic: its own bytes, key and headers, and ours.

    Args:
        stage: SQL that gives where it failed, one of :data:`wmlclient.envelope.STAGES`.
        digest: The model's digest.
        reason: SQL that gives the reason.
    """
    ours = {
        envelope.STAGE: stage,
        envelope.REASON: reason,
        envelope.TOPIC: "topic",
        envelope.PARTITION: "CAST(partition AS STRING)",
        envelope.OFFSET: "CAST(offset AS STRING)",
        envelope.TIMESTAMP: "CAST(unix_millis(timestamp) AS STRING)",
        envelope.DIGEST: literal(digest),
    }
    added = ", ".join(
        f"struct('{key}' AS key, CAST({value} AS BINARY) AS value)" for key, value in ours.items()
    )
    kept = f"filter(coalesce(headers, array()), h -> NOT startswith(h.key, '{envelope.OWN}'))"
    return ["key", "value", f"concat({kept}, array({added})) AS headers"]
