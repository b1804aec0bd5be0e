"""CSV and lines of JSON, read and written by Spark as the chunks of :mod:`wmlclient.runner.batch` read and write them.

Where that is not certain for all of a file, the job fails, and is done in chunks. So the types are few, a text must be
written in the one way that all readers take for the same, and what is not a number is not of a number's column.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wmlclient.hadoop import to_read, to_write
from wmlclient.runner.engine.ports import TransformFailed
from wmlclient.runner.spark.formats import WHOLES, literal
from wmlclient.runner.spark.judging import read as read_records
from wmlclient.runner.spark.records import META_COLUMNS, RecordReader, named
from wmlclient.runner.spark.session import Session
from wmlclient.runner.spark.transform import quote
from wmlclient.scoring.types import simple_type

_INPUTS = (*WHOLES, "double", "boolean", "string")
_WHOLE = r"\A(0|-?[1-9][0-9]{0,18})\z"
_NUMBER = r"\A-?[0-9]{1,300}(\.[0-9]{1,300})?([eE][-+]?[0-9]{1,3})?\z"
_CELL = r'"[^"]*(?:""[^"]*)*"|[^",]*'
_INNER_RETURN = r"\r."
_DOUBT = "it is not certain that Spark reads or writes this as the runner does"


def read(session: Session, source: dict[str, Any], schema: dict[str, Any]) -> Any:
    """The rows of a file.

    Args:
        session: Where.
        source: ``path``, ``format`` (``csv`` or ``json``) and ``header``.
        schema: The model's input.

    Raises:
        TransformFailed: It is for the runner to read. Some of that shows only when the rows are used.
    """
    kinds = {column["name"]: column["type"] for column in schema["fields"]}
    if not all(kind in _INPUTS for kind in kinds.values()):
        raise TransformFailed(_DOUBT)
    path = Path(source["path"])
    if source["format"] == "json":
        return _read_lines(session, path, schema)
    return _read_csv(session, path, bool(source["header"]), kinds)


def _lines(session: Session, path: Path) -> Any:
    return session.spark.read().option("lineSep", "\n").text(to_read(path))


def _read_lines(session: Session, path: Path, schema: dict[str, Any]) -> Any:
    nothing = [f"CAST(NULL AS STRING) AS {name}" for name in META_COLUMNS]
    given = _lines(session, path).filter("trim(BOTH ' \\t\\r' FROM value) <> ''")
    reader = RecordReader(schema, (), ())
    records = read_records(session, reader, given.selectExpr(session.seq([*nothing, "value"])))
    fields = [(f"r.{quote(each['name'])}", each["name"], each["type"]) for each in schema["fields"]]
    # JSON has no word for what is no number; Spark takes three of its own.
    sure = [f"(isnan({at}) OR abs({at}) = double('Infinity'))" for at, _, kind in fields if kind == "double"]
    odd = " OR ".join(["odd.reason IS NOT NULL", "odd.extra IS NOT NULL", *sure])
    judged = records.selectExpr(session.seq(["r", f"{reader.odd(())} AS odd"]))
    checked = judged.selectExpr(session.seq([f"{_unless(odd, 'r')} AS r"]))
    return checked.selectExpr(session.seq([f"{at} AS {quote(name)}" for at, name, _ in fields]))


def _read_csv(session: Session, path: Path, header: bool, kinds: dict[str, str]) -> Any:
    with open(path, "rb") as file:
        start = file.read(1 << 20)
    names = next(csv.reader(io.StringIO(start.decode("utf-8-sig", "replace"))), [])
    if not header:
        if len(names) != len(kinds) or start.startswith(b"\xef\xbb\xbf"):
            raise TransformFailed(_DOUBT)
        names = list(kinds)
    if len({name.lower() for name in names}) != len(names):
        raise TransformFailed(_DOUBT)
    well, empty = rf"\A(?:{_CELL})(?:,(?:{_CELL}))*\r?\z", r'(\A|,)""(,|\r?\z)'
    doubt = [
        "NOT is_valid_utf8(value)",
        "(value <> '' AND trim(BOTH ' \\t\\r' FROM value) = '')",
        f"value RLIKE {literal(_INNER_RETURN)}",
        f"contains(value, '\"') AND (NOT value RLIKE {literal(well)} OR value RLIKE {literal(empty)})",
    ]
    if not _lines(session, path).filter(" OR ".join(f"({each})" for each in doubt)).isEmpty():
        raise TransformFailed(_DOUBT)
    fields = [{"name": name, "type": "string", "nullable": True, "metadata": {}} for name in names]
    struct = session.jvm.org.apache.spark.sql.types.DataType.fromJson(
        json.dumps({"type": "struct", "fields": fields})
    )
    options = {
        "header": str(header).lower(),
        "mode": "FAILFAST",
        "escape": '"',
        "columnPruning": "false",
        "enforceSchema": "true",
    }
    reader = session.spark.read().schema(struct)
    for name, value in options.items():
        reader = reader.option(name, value)
    texts = reader.csv(to_read(path))
    return texts.selectExpr(session.seq(named({name: _cell(name, kinds.get(name)) for name in names})))


def _cell(name: str, kind: str | None) -> str:
    at = quote(name)
    if kind in (None, "string"):
        return at
    if kind == "boolean":
        return _unless(f"{at} NOT IN ('true', 'false')", f"{at} = 'true'")
    pattern = _NUMBER if kind == "double" else _WHOLE
    return f"CAST({_unless(f'NOT {at} RLIKE {literal(pattern)}', at)} AS {simple_type(kind)})"


def _unless(doubt: str, value: str) -> str:
    return f"IF({doubt}, raise_error({literal(_DOUBT)}), {value})"


def lines_of(frame: Any, form: str) -> list[str]:
    """SQL of the columns to write, from scored rows.

    Args:
        frame: The rows.
        form: ``csv``: a column for each; ``json``: one line.

    Raises:
        TransformFailed: A column is of a type that the runner has to write.
    """
    kinds = {column["name"]: column["type"] for column in json.loads(frame.schema().json())["fields"]}
    for kind in kinds.values():
        if not (kind in _INPUTS or _is_vector(kind) or _is_texts(kind)):
            raise TransformFailed(_DOUBT)
    if form == "csv":
        return named({name: _csv_cell(quote(name), kind) for name, kind in kinds.items()})
    columns = [quote(name) for name in kinds]
    parts = []
    for name, at in zip(kinds, columns, strict=True):
        member = f"to_json(struct({at}))"
        null = literal(json.dumps(name, ensure_ascii=False) + ":null")
        parts.append(f"IF({at} IS NULL, {null}, substring({member}, 2, length({member}) - 2))")
    some_null = " OR ".join(f"{at} IS NULL" for at in columns)
    whole = f"to_json(struct({', '.join(columns)}))"
    # Spark leaves out what is null, or writes the nulls that are inside a vector.
    return [f"IF({some_null}, concat('{{', concat_ws(',', {', '.join(parts)}), '}}'), {whole}) AS value"]


def _csv_cell(at: str, kind: Any) -> str:
    if kind == "string":
        return _unless(f"contains({at}, {literal(chr(13))})", at)
    if kind == "double":
        return _unless(f"isnan({at}) OR abs({at}) = double('Infinity')", at)
    if _is_texts(kind):
        return f"to_json({at})"
    if not _is_vector(kind):
        return at
    vector = f"to_json(struct({at} AS v))"
    member = {name: f"get_json_object({vector}, '$.v.{name}')" for name in ("size", "indices", "values")}
    sparse = f"concat('[', {member['size']}, ',', {member['indices']}, ',', {member['values']}, ']')"
    return f"IF({member['size']} IS NULL, {member['values']}, {sparse})"


def _is_vector(kind: Any) -> bool:
    return isinstance(kind, dict) and kind.get("class") == "org.apache.spark.ml.linalg.VectorUDT"


def _is_texts(kind: Any) -> bool:
    return isinstance(kind, dict) and kind.get("type") == "array" and kind.get("elementType") == "string"


def write(frame: Any, columns: Sequence[str], session: Session, folder: Path, form: str) -> None:
    """Write the parts of a file, in the order of their names, without a header.

    Args:
        frame: Scored rows.
        columns: What :func:`lines_of` gives for them.
        session: Where.
        folder: A folder that is not there yet.
        form: ``csv`` or ``json``.
    """
    writer = frame.selectExpr(session.seq(list(columns))).write()
    if form == "json":
        writer.text(to_write(folder))
        return
    options = {"escape": '"', "emptyValue": '""'}
    options |= {f"ignore{side}WhiteSpace": "false" for side in ("Leading", "Trailing")}
    for name, value in options.items():
        writer = writer.option(name, value)
    writer.csv(to_write(folder))
