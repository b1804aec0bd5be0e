"""What a stream's records are made of, written as Spark SQL: JSON, text, or a line of CSV. Others are translated.

A text and a line of CSV are first written as JSON, so that everything behind reads and judges one form. What cannot be
written so has no text, and a reason of its own; reasons are those of the native engine's readers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from wmlclient.runner import verdicts
from wmlclient.runner.engine.ports import StreamSetupError, StreamSpec

_TEXT = "CAST(value AS STRING)"
#: Columns of what :mod:`wmlclient.runner.spark.translated` makes of a record: its JSON, or why it has none.
TEXT, WHY = "__wml_text", "__wml_why"
WHOLES = ("byte", "short", "integer", "long")
_NUMBERS = ("float", "double")
_CELLS = (*WHOLES, *_NUMBERS, "boolean", "string")
_LINE_END = r"\r?\n?\z"
_WHOLE = r"\A[+-]?[0-9]{1,19}\z"
_NUMBER = r"\A([+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?Infinity|NaN)\z"


def incoming(given: Mapping[str, Any] | None) -> bool:
    """Whether records of a format are translated when they come."""
    return (given or {}).get("type") in ("avro", "json_schema")


def outgoing(given: Mapping[str, Any] | None) -> bool:
    """Whether records of a format are translated when they leave."""
    return bool((given or {}).get("type", "json") != "json")


def translated(spec: StreamSpec) -> bool:
    """Whether a stream's records pass through the driver's Python, one way or both."""
    return incoming(spec.source_format) or outgoing(spec.target_format)


def literal(text: str) -> str:
    """A string as SQL reads it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def let(name: str, value: str, body: str) -> str:
    """SQL of the body, in which the name stands for a value that is computed once."""
    return f"transform(array({value}), {name} -> {body})[0]"


@frozen
class RecordForm:
    """How records come.

    Attributes:
        text: SQL of a record's text as JSON, from Kafka's columns; the column ``s`` from then on.
        bytes: SQL of its own bytes, from ``s`` and ``kept``.
        kept: Columns of Kafka that ``bytes`` and ``cases`` need.
        cases: SQL of conditions with the SQL of their reasons, before those of JSON.
    """

    # A text is handed on as it is, bytes are copied at each look: so they are made of the text again.
    text: str = _TEXT
    bytes: str = "CAST(s AS BINARY)"
    kept: Sequence[str] = ()
    cases: Sequence[tuple[str, str]] = field(factory=list)

    @property
    def is_json(self) -> bool:
        """Whether the text is what came."""
        return self.text == _TEXT


def form_of(given: Mapping[str, Any] | None, schema: Mapping[str, Any]) -> RecordForm:
    """The form of a format.

    Args:
        given: See ``RecordFormat`` in the contract; None for JSON.
        schema: The JSON of the model's input.

    Raises:
        StreamSetupError: ``format_not_supported``: the model has a column that the format cannot hold.
    """
    wanted = dict(given or {})
    kind = wanted.get("type") or "json"
    if kind == "json":
        return RecordForm()
    if incoming(wanted):
        return RecordForm(TEXT, "value", ("value", WHY), [(f"{WHY} IS NOT NULL", WHY)])
    valid = f"is_valid_utf8({_TEXT})"
    cases = [("value IS NULL", literal(verdicts.NULL_VALUE)), (f"NOT {valid}", literal(verdicts.NOT_UTF8))]
    if kind == "text":
        text = f"to_json(named_struct({literal(wanted['column'])}, {_TEXT}))"
        return RecordForm(f"IF({valid}, {text}, NULL)", "value", ("value",), cases)
    kinds = {each["name"]: each["type"] for each in schema["fields"]}
    return _csv(wanted.get("columns") or list(kinds), kinds, wanted.get("delimiter") or ",", valid, cases)


def _csv(
    names: Sequence[str], kinds: Mapping[str, Any], delimiter: str, valid: str, cases: list[tuple[str, str]]
) -> RecordForm:
    wrong = next((name for name in names if kinds.get(name, "string") not in _CELLS), None)
    if wrong is not None:
        raise StreamSetupError(
            "format_not_supported",
            f"A line of CSV cannot hold the column {wrong!r}: it is {verdicts.type_name(kinds[wrong])}. Use JSON.",
        )
    comma = rf"\x{{{ord(delimiter):x}}}"
    cell = rf'"[^"]*(?:""[^"]*)*"|(?!")[^{comma}\r\n]*'
    line = f"regexp_replace({_TEXT}, {literal(_LINE_END)}, '')"
    # A delimiter before each cell: an empty first one would not be found.
    framed = f"concat({literal(delimiter)}, {line})"
    one, whole = literal(f"{comma}({cell})"), literal(rf"\A(?:{comma}(?:{cell}))+\z")
    split, well = f"regexp_extract_all({framed}, {one}, 1)", f"{framed} RLIKE {whole}"
    plain = "IF(startswith(x, '\"'), replace(substring(x, 2, length(x) - 2), '\"\"', '\"'), x)"
    # An empty cell is null.
    cells = f"transform({split}, x -> nullif({plain}, ''))"
    typed = [_typed(f"c[{at}]", kinds.get(name, "string")) for at, name in enumerate(names)]
    members = ", ".join(f"{literal(name)}, {value}" for name, (_, value) in zip(names, typed, strict=True))
    json = f"to_json(named_struct({members}), map('ignoreNullFields', 'false'))"
    fits = " AND ".join([f"size(c) = {len(names)}", *(f"coalesce({good}, true)" for good, _ in typed)])
    text = f"IF({valid} AND {line} <> '' AND {well}, {let('c', cells, f'IF({fits}, {json}, NULL)')}, NULL)"
    count = f"concat(size({split}), {literal(f' cells for {len(names)} columns')})"
    cases = [
        *cases,
        (f"{line} = ''", literal(verdicts.EMPTY)),
        (f"NOT {well}", literal(verdicts.MALFORMED_CSV)),
        (f"size({split}) <> {len(names)}", count),
    ]
    for at, name in enumerate(names):
        kind = kinds.get(name, "string")
        good, _ = _typed("c", kind)
        if kind != "string":
            bad = let("c", f"{cells}[{at}]", f"NOT coalesce({good}, true)")
            cases.append((bad, literal(verdicts.wrong_type(name, kind))))
    return RecordForm(text, "value", ("value",), cases)


def _typed(cell: str, kind: str) -> tuple[str, str]:
    """SQL of whether a cell is of a type, and of its value."""
    if kind == "string":
        return "true", cell
    if kind == "boolean":
        return f"lower({cell}) IN ('true', 'false')", f"lower({cell}) = 'true'"
    pattern, name = (_WHOLE, "DECIMAL(19, 0)") if kind in WHOLES else (_NUMBER, "DOUBLE")
    return f"{cell} RLIKE {literal(pattern)}", f"try_cast({cell} AS {name})"
