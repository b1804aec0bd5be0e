"""Rows in any form the data world uses, to the ``fields``/``values`` table that the service reads.

One rule for values everywhere: None, NaT and pandas' NA are null; a NaN or an infinity of a floating-point column
travels as ``"NaN"``, ``"Infinity"`` or ``"-Infinity"``; dense vectors are arrays, sparse ones
``[size, [indices], [values]]``; times are ISO 8601. What was given is never changed.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import io
import json
import math
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from wmlclient.errors import PayloadError

_PLAIN = frozenset({str, int, bool, type(None)})


@frozen
class Table:
    """Columns by name, and rows of JSON values in their order."""

    fields: list[str]
    values: list[list[Any]]

    def encode(self) -> bytes:
        """The table as JSON."""
        return dumps({"fields": self.fields, "values": self.values})


def dumps(body: Any) -> bytes:
    """JSON as bytes, by orjson where it is installed."""
    try:
        import orjson

        return orjson.dumps(body)
    except (ImportError, TypeError):  # not there; or an integer above 64 bits, or half a surrogate pair
        return json.dumps(body, separators=(",", ":"), allow_nan=False).encode("ascii")


def json_body(body: Any) -> io.BytesIO:
    """A request's body as the generated client takes it as it is, nulls included."""
    return io.BytesIO(dumps(body))


def to_table(data: Any, fields: Sequence[str] | None = None) -> Table:
    """The table of any input.

    Args:
        data: a row as dict; a list of dicts, or of lists or tuples with ``fields``; ``{"fields", "values"}``; a
            pandas or Spark DataFrame; a two-dimensional or structured numpy array.
        fields: names of the columns, in order, for rows that carry no names; else the columns to take.

    Raises:
        PayloadError: no rows, a missing or doubled column, a value that JSON has no form for. It names column and
            row.
    """
    table = _dispatch(data, list(fields) if fields is not None else None)
    if not table.values:
        raise PayloadError("There are no rows. Give at least one.")
    if not table.fields:
        raise PayloadError("There are no columns. Give rows as dicts, or name the columns with fields=.")
    return table


def is_array(data: Any) -> bool:
    """True for pandas and numpy, where a whole number may have become a float on the way."""
    return type(data).__module__.partition(".")[0] in ("pandas", "numpy")


def with_integers(table: Table, integers: Callable[[], frozenset[str]]) -> Table:
    """The same table, with the floats of integer columns as integers.

    A numpy array of several columns, and a pandas column with gaps, hold whole numbers as floats. Where the model
    reads an integer, 1.0 becomes 1, and NaN becomes null; 1.5 stays, for the service to refuse.

    Args:
        table: from pandas or numpy.
        integers: tells the model's integer columns; only asked if there is a column of whole floats.
    """
    candidates = [
        at
        for at in range(len(table.fields))
        if all(
            cell == "NaN" or (type(cell) is float and cell.is_integer())
            for cell in (row[at] for row in table.values)
        )
    ]
    if not candidates:
        return table
    wanted = [at for at in candidates if table.fields[at] in integers()]
    values = [list(row) for row in table.values] if wanted else table.values
    for row in values if wanted else ():
        for at in wanted:
            row[at] = None if row[at] == "NaN" else int(row[at])
    return Table(table.fields, values)


def _dispatch(data: Any, fields: list[str] | None) -> Table:
    package = type(data).__module__.partition(".")[0]
    if isinstance(data, Table):
        return data
    if package == "pandas":
        return _from_pandas(data, fields)
    if package == "pyspark" and hasattr(data, "collect") and hasattr(data, "columns"):
        return _from_spark(data, fields)
    if package == "numpy" and hasattr(data, "ndim"):
        return _from_numpy(data, fields)
    if isinstance(data, Mapping):
        if set(data) == {"fields", "values"} and fields is None:
            return _from_lists(data["values"], list(data["fields"]))
        return _from_named([data], fields)
    if hasattr(data, "_fields") or hasattr(data, "__fields__"):  # one namedtuple or one Spark Row
        return _from_named([_named(data)], fields)
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        raise PayloadError(
            f"{type(data).__name__} holds no rows. Give a dict, a list of dicts, a DataFrame or an array."
        )
    rows = data if isinstance(data, list | tuple) else list(data)
    if not rows:
        return Table(fields or [], [])
    first = rows[0]
    if isinstance(first, Mapping):
        return _from_named(rows, fields)
    if hasattr(first, "_fields") or hasattr(first, "__fields__"):
        return _from_named([_named(row) for row in rows], fields)
    return _from_lists(rows, fields)


def _named(row: Any) -> Any:
    if hasattr(row, "asDict"):
        return row.asDict()
    return row._asdict() if hasattr(row, "_asdict") else row


def _from_named(rows: Iterable[Any], fields: list[str] | None) -> Table:
    """Rows that carry their names: matched by name, whatever their order."""
    chosen = fields is not None
    values: list[list[Any]] = []
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise PayloadError(
                f"Row {number} is a {type(row).__name__}, the rows before are dicts.", row=number
            )
        if fields is None:
            fields = _checked(list(row))
        missing = next((name for name in fields if name not in row), None)
        if missing is not None:
            raise PayloadError(
                f"Row {number} lacks column {missing!r}. Give None where there is no value.",
                row=number,
                column=missing,
            )
        if not chosen and len(row) != len(fields):
            extra = next(name for name in row if name not in fields)
            raise PayloadError(
                f"Row {number} has column {extra!r}, which the rows before lack.",
                row=number,
                column=str(extra),
            )
        values.append([to_json(row[name], number, name) for name in fields])
    return Table(_checked(fields or []), values)


def _from_lists(rows: Any, fields: list[str] | None) -> Table:
    if fields is None:
        raise PayloadError("The rows carry no column names. Name them with fields=[...], or give dicts.")
    fields = _checked(fields)
    values = []
    for number, row in enumerate(rows):
        if isinstance(row, str | bytes | Mapping) or not isinstance(row, Iterable):
            raise PayloadError(
                f"Row {number} is a {type(row).__name__}, not a list of {len(fields)} values.", row=number
            )
        cells = list(row)
        if len(cells) != len(fields):
            raise PayloadError(f"Row {number} has {len(cells)} values for {len(fields)} columns.", row=number)
        values.append([to_json(v, number, name) for v, name in zip(cells, fields, strict=True)])
    return Table(fields, values)


def _checked(fields: list[Any]) -> list[str]:
    seen: set[str] = set()
    for name in fields:
        if not isinstance(name, str):
            raise PayloadError(f"Column name {name!r} is a {type(name).__name__}, not a text.")
        if name in seen:
            raise PayloadError(f"Column {name!r} is there twice.", column=name)
        seen.add(str(name))
    return [str(name) for name in fields]


def _take(fields: list[str] | None, columns: list[Any]) -> list[str]:
    """The columns to take from something that has names of its own."""
    own = _checked(columns)
    if fields is None:
        return own
    missing = next((name for name in fields if name not in own), None)
    if missing is not None:
        raise PayloadError(f"There is no column {missing!r}. There are: {', '.join(own)}.", column=missing)
    return _checked(fields)


def _from_pandas(data: Any, fields: list[str] | None) -> Table:
    if data.ndim == 1:  # a Series, such as df.iloc[0], is one row
        return _from_named([{name: None if _missing(v) else v for name, v in data.items()}], fields)
    names = _take(fields, list(data.columns))
    columns = [_pandas_column(data[name], name) for name in names]
    return Table(names, [list(row) for row in zip(*columns, strict=True)])


def _pandas_column(column: Any, name: str) -> list[Any]:
    kind = getattr(column.dtype, "kind", "O")
    values = column.tolist()
    if kind in "iub" and not column.hasnans:
        return list(values)
    if kind == "f" and type(column.dtype).__module__.startswith("numpy"):
        return [v if math.isfinite(v) else _word(v) for v in values]
    return [None if _missing(v) else to_json(v, row, name) for row, v in enumerate(values)]


def _missing(value: Any) -> bool:
    """What pandas writes for "no value" where None cannot be: NaN in a column of objects, NaT, NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and math.isnan(value)


def _from_spark(data: Any, fields: list[str] | None) -> Table:
    names = _take(fields, list(data.columns))
    frame = data.select([f"`{name.replace('`', '``')}`" for name in names]) if fields is not None else data
    return spark_rows(names, frame.schema, frame.collect())


def spark_rows(names: list[str], schema: Any, rows: Iterable[Any]) -> Table:
    """The table of collected Spark rows. Spark's timestamps come as local times without a zone; they get one."""
    zoned = [f.dataType.typeName() == "timestamp" for f in schema.fields]
    values = []
    for number, row in enumerate(rows):
        cells = [
            v.astimezone(dt.timezone.utc) if z and isinstance(v, dt.datetime) else v
            for v, z in zip(row, zoned, strict=True)
        ]
        values.append([to_json(v, number, name) for v, name in zip(cells, names, strict=True)])
    return Table(names, values)


def _from_numpy(data: Any, fields: list[str] | None) -> Table:
    if data.dtype.names:
        own = [str(name) for name in data.dtype.names]
        names = _take(fields, own)
        rows = data.reshape(-1)
        return _from_lists(([row[name] for name in names] for row in rows), names)
    if data.ndim != 2:
        raise PayloadError(
            f"The array has {data.ndim} dimension(s), not 2. Use reshape(1, -1) if it is one row."
        )
    return _from_lists(data.tolist() if data.dtype.kind != "M" else data, fields)


def _word(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def to_json(value: Any, row: int, column: str) -> Any:
    """The JSON form of one value."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is float:
        return value if math.isfinite(value) else _word(value)
    if isinstance(value, list | tuple) and not hasattr(value, "asDict"):
        return [to_json(v, row, column) for v in value]
    return _convert_rare(value, row, column)


def _convert_rare(value: Any, row: int, column: str) -> Any:
    package, name = type(value).__module__.partition(".")[0], type(value).__name__
    if package == "numpy":
        return _convert_numpy(value, row, column)
    if name in ("NAType", "NaTType") and package == "pandas":
        return None
    if name == "DenseVector":
        return [to_json(v, row, column) for v in value.toArray().tolist()]
    if name == "SparseVector":
        values = [to_json(v, row, column) for v in value.values.tolist()]
        return [int(value.size), value.indices.tolist(), values]
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value) if value.is_finite() else _word(float(value))
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    if hasattr(value, "asDict"):  # a Spark Row inside a row
        value = value.asDict()
    if isinstance(value, Mapping):
        return {str(key): to_json(v, row, column) for key, v in value.items()}
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return to_json(float(value), row, column)
    raise PayloadError(
        f"Row {row}, column {column!r}: a {type(value).__module__}.{name} has no JSON form. "
        "Give a number, text, boolean, None, date, list or vector.",
        row=row,
        column=column,
    )


def _convert_numpy(value: Any, row: int, column: str) -> Any:
    if value.dtype.kind == "M":
        # nanoseconds have no Python form of their own; days are dates
        known = value if value.dtype.name == "datetime64[D]" else value.astype("datetime64[us]")
        return to_json(known.tolist(), row, column)
    if value.dtype.kind in "biufSUO" or value.dtype.names:
        item = value.tolist()
        if item is not value:
            return to_json(item, row, column)
    raise PayloadError(
        f"Row {row}, column {column!r}: numpy {value.dtype} has no JSON form.", row=row, column=column
    )
