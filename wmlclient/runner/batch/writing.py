"""Tables as files."""

from __future__ import annotations

from typing import Any, Protocol

import orjson
import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from wmlclient.wire import words_for_non_finite

from .tables import VECTOR, with_spark_schema

_GROUP_ROWS = 1 << 16
_GROUP_BYTES = 16 << 20


class Writer(Protocol):
    """Takes tables of one schema, one after the other."""

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        ...

    def close(self) -> None:
        """Write what is left; the file stays open."""
        ...


class _Parquet:
    def __init__(self, file: Any, schema: pa.Schema) -> None:
        # Numbers of a model hardly repeat: a dictionary of them is work for nothing.
        texts = [
            f"{each.name}.list.element" if pa.types.is_list(each.type) else each.name
            for each in schema
            if pa.string() in (each.type, getattr(each.type, "value_type", None))
        ]
        self._writer = parquet.ParquetWriter(
            file, with_spark_schema(schema), compression="snappy", use_dictionary=texts
        )
        self._waiting: list[pa.Table] = []
        self._rows = self._bytes = 0

    def write(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._rows += len(table)
        self._bytes += table.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            table = pa.concat_tables(self._waiting).cast(self._writer.schema)
            self._writer.write_table(table, row_group_size=_GROUP_ROWS)
        self._waiting, self._rows, self._bytes = [], 0, 0


class _Csv:
    def __init__(self, file: Any, schema: pa.Schema, header: bool) -> None:
        self._schema = pa.schema(
            [
                pa.field(each.name, pa.string() if pa.types.is_nested(each.type) else each.type)
                for each in schema
            ]
        )
        self._writer = arrow_csv.CSVWriter(
            file, self._schema, write_options=arrow_csv.WriteOptions(include_header=header)
        )

    def write(self, table: pa.Table) -> None:
        columns = [as_text(column) if pa.types.is_nested(column.type) else column for column in table.columns]
        self._writer.write_table(pa.table(columns, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


class _Lines:
    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, table: pa.Table) -> None:
        vectors = [each.name for each in table.schema if each.type == VECTOR]
        for row in table.to_pylist():
            for name in vectors:
                if row[name] is not None:
                    row[name] = {key: item for key, item in row[name].items() if item is not None}
            self._file.write(orjson.dumps(words_for_non_finite(row), default=str) + b"\n")

    def close(self) -> None:
        pass


def writer(file: Any, format: str, header: bool, schema: pa.Schema) -> Writer:
    """What writes a file.

    Args:
        file: Takes the bytes.
        format: ``csv``, ``json`` (an object a line, vectors as Spark's ``to_json`` writes them) or ``parquet``. In
            CSV vectors and arrays are JSON texts, vectors in the form of online answers.
        header: Whether a CSV file begins with the names.
        schema: The columns.
    """
    if format == "parquet":
        return _Parquet(file, schema)
    return _Csv(file, schema, header) if format == "csv" else _Lines(file)


def as_text(column: pa.ChunkedArray) -> pa.Array:
    """A column of vectors or arrays as JSON texts."""
    show = _online if column.type == VECTOR else _same

    def text(cell: Any) -> str:
        return orjson.dumps(words_for_non_finite(show(cell)), default=str).decode()

    return pa.array([None if cell is None else text(cell) for cell in column.to_pylist()], pa.string())


def _same(cell: Any) -> Any:
    return cell


def _online(cell: dict[str, Any]) -> Any:
    return cell["values"] if cell["type"] == 1 else [cell["size"], cell["indices"], cell["values"]]
