"""Rows of a request as lines of JSON for Spark, and Spark's lines as rows of the answer.

One form both ways, and Spark's own: ``from_json`` and ``to_json``. A hidden row number travels along, so that row i
of the answer is row i of the request whatever Spark does to the order, and a row that a stage drops
(``handleInvalid="skip"``) is seen to be missing.

The driver process and a publisher's own session use it alike. The standard library and attrs only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from attrs import field, frozen

ROW = "__wml_row"
_VECTOR = "org.apache.spark.ml.linalg.VectorUDT"
_SIMPLE = {"integer": "int", "long": "bigint", "short": "smallint", "byte": "tinyint"}
_WHOLE = ("integer", "long", "short", "byte")
_TEXT = ("string",)

Convert = Callable[[Any], Any]


class ExchangeError(Exception):
    """Rows that cannot be told to Spark.

    Attributes:
        message: What is wrong, and where.
        code: Stable, machine-readable.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message, code)
        self.message = message
        self.code = code

    def __str__(self) -> str:
        return self.message


@frozen
class Answer:
    """Rows that Spark has transformed.

    Attributes:
        fields: Names of all output columns, in Spark's order.
        values: The rows.
        dtypes: The short type of each column.
    """

    fields: list[str]
    values: list[list[Any]] = field(repr=False)
    dtypes: dict[str, str]


def request_schema(schema: dict[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """The StructType of one request: its columns in its order, the row number first.

    Raises:
        ExchangeError: The schema lacks a column, or a column is named twice.
    """
    known = {field["name"]: field for field in schema["fields"]}
    for name in fields:
        if name not in known:
            raise ExchangeError(f"The model's input has no column {name!r}.", "invalid_field")
    if len(set(fields)) != len(fields):
        raise ExchangeError("A column is named twice.", "invalid_field")
    columns = [{"name": ROW, "type": "long", "nullable": False, "metadata": {}}]
    # What a request may leave out is null: a schema read from another place may say otherwise, and Spark trusts it.
    columns += [dict(known[name], nullable=True) for name in fields]
    return {"type": "struct", "fields": columns}


def to_lines(schema: dict[str, Any], fields: Sequence[str], values: Sequence[Sequence[Any]]) -> str:
    """The rows, one JSON object a line.

    Args:
        schema: As :func:`request_schema` made it.
        fields: Columns of ``values``.
        values: Rows; vectors in the online form (a list, or ``[size, [indices], [values]]``).

    Raises:
        ExchangeError: A row is of the wrong length, or a value cannot be of its column's type.
    """
    types = [field["type"] for field in schema["fields"][1:]]
    convert = [_encoder(kind) for kind in types]
    names = [json.dumps(name) for name in fields]
    lines = []
    for number, row in enumerate(values):
        if len(row) != len(names):
            raise ExchangeError(
                f"Row {number} has {len(row)} values for {len(names)} columns.", "invalid_row"
            )
        parts = [f'"{ROW}":{number}']
        for name, encode, value in zip(names, convert, row, strict=True):
            try:
                parts.append(f"{name}:{json.dumps(encode(value))}")
            except (TypeError, ValueError) as error:
                raise ExchangeError(f"Row {number}, column {name}: {error}.", "invalid_value") from None
        lines.append("{" + ",".join(parts) + "}")
    return "\n".join(lines)


def from_lines(
    text: str, output: dict[str, Any], fields: Sequence[str], values: Sequence[Sequence[Any]]
) -> Answer:
    """The answer to a request.

    Args:
        text: Spark's rows as a JSON array.
        output: The StructType of the transformed rows, row number included.
        fields: Columns of the request.
        values: Rows of the request, for the inputs of rows that Spark dropped.
    """
    columns = [field for field in output["fields"] if field["name"] != ROW]
    names = [field["name"] for field in columns]
    decode = [_decoder(field["type"]) for field in columns]
    rows: list[list[Any] | None] = [None] * len(values)
    for record in json.loads(text):
        row = [convert(record.get(name)) for name, convert in zip(names, decode, strict=True)]
        rows[record[ROW]] = row
    given = {name: index for index, name in enumerate(fields)}
    whole = [
        row if row is not None else [values[number][given[name]] if name in given else None for name in names]
        for number, row in enumerate(rows)
    ]
    return Answer(names, whole, {field["name"]: simple_string(field["type"]) for field in columns})


def has_vectors(schema: dict[str, Any]) -> bool:
    """Whether a column of this StructType is a vector."""
    return any(_is_vector(field["type"]) for field in schema["fields"])


def simple_string(kind: Any) -> str:
    """Spark's ``DataType.simpleString`` of a type from a schema's JSON."""
    if isinstance(kind, str):
        return _SIMPLE.get(kind, kind)
    if kind["type"] == "array":
        return f"array<{simple_string(kind['elementType'])}>"
    if kind["type"] == "map":
        return f"map<{simple_string(kind['keyType'])},{simple_string(kind['valueType'])}>"
    if kind["type"] == "struct":
        return f"struct<{','.join(f['name'] + ':' + simple_string(f['type']) for f in kind['fields'])}>"
    return "vector" if _is_vector(kind) else str(kind.get("class", kind["type"])).rpartition(".")[2]


def _is_vector(kind: Any) -> bool:
    return isinstance(kind, dict) and kind.get("type") == "udt" and kind.get("class") == _VECTOR


def _same(value: Any) -> Any:
    return value


def _encoder(kind: Any) -> Convert:
    if _is_vector(kind):
        return _vector_in
    if kind in _WHOLE:
        return _whole_in
    if kind in _TEXT:
        return _text_in
    if isinstance(kind, dict) and kind.get("type") == "array":
        inner = _encoder(kind["elementType"])
        if inner is not _same:
            return lambda value: [inner(item) for item in value] if isinstance(value, list) else value
    return _same


def _whole_in(value: Any) -> Any:
    # JSON has one kind of number: 3.0, as other libraries print a whole float, is 3.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text_in(value: Any) -> Any:
    # Spark's parser would take any JSON as text.
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{json.dumps(value)[:40]} is no string")


def _vector_in(value: Any) -> Any:
    if value is None or isinstance(value, dict):
        return value
    if not isinstance(value, list):
        raise TypeError("a vector is a list of numbers, or [size, [indices], [values]]")
    if len(value) == 3 and isinstance(value[1], list) and isinstance(value[2], list):
        size, indices, values = value
        if not isinstance(size, int) or len(indices) != len(values):
            raise ValueError("a sparse vector is [size, [indices], [values]], as many indices as values")
        return {"type": 0, "size": size, "indices": indices, "values": values}
    return {"type": 1, "values": value}


def _decoder(kind: Any) -> Convert:
    if _is_vector(kind):
        return _vector_out
    if isinstance(kind, dict) and kind.get("type") == "array":
        inner = _decoder(kind["elementType"])
        if inner is not _same:
            return lambda value: None if value is None else [inner(item) for item in value]
    return _same


def _vector_out(value: Any) -> Any:
    if value is None:
        return None
    if value["type"] == 1:
        return value["values"]
    return [value["size"], value["indices"], value["values"]]
