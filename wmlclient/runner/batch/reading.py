"""Files as chunks of rows, in memory that does not grow with them."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from .failures import JobFailed
from .tables import arrow_type

ROWS = 8192
_BLOCK = 4 << 20


@frozen
class BadRow:
    """A row that is left out.

    Attributes:
        row: Its number in the file, from 0.
        reason: Why.
        record: What it held, as JSON or as a text.
    """

    row: int
    reason: str
    record: Any


@frozen
class Chunk:
    """Some rows of a file.

    Attributes:
        table: The rows that could be read.
        rows: Their numbers in the file, from 0.
        bad: Those that could not.
    """

    table: pa.Table
    rows: Sequence[int]
    bad: list[BadRow]


@frozen
class Reader:
    """A file that is read.

    Attributes:
        chunks: Its rows.
        total: How many there are, where the file says so.
    """

    chunks: Generator[Chunk, None, None]
    total: int | None = None


def read(file: Any, format: str, header: bool, types: dict[str, str]) -> Reader:
    """Read a file.

    Args:
        file: The bytes.
        format: ``csv``, ``json`` (an object a line) or ``parquet``.
        header: Whether a CSV file begins with the names; without them they are those of the model, in order.
        types: The model's input columns with their short types.

    Raises:
        JobFailed: ``schema_mismatch`` or ``invalid_input_data``.
    """
    if format == "parquet":
        try:
            # Buffered beforehand, the whole file would stay in memory until its end.
            opened = parquet.ParquetFile(file, pre_buffer=False, buffer_size=_BLOCK)
        except pa.ArrowInvalid as error:
            raise JobFailed("invalid_input_data", f"The source is no Parquet file: {error}") from None
        return Reader(_of_parquet(opened, types), opened.metadata.num_rows)
    return Reader(_of_csv(file, header, types) if format == "csv" else _of_lines(file, types))


def read_folder(path: str, types: dict[str, str]) -> Reader:
    """Read the Parquet files of a folder, as Spark writes them, in the order of their names.

    Args:
        path: The folder.
        types: The model's input columns with their short types.

    Raises:
        JobFailed: ``invalid_input_data``: a file is no Parquet file.
    """
    from pyarrow import dataset

    try:
        found = dataset.dataset(path, format="parquet")
        return of_dataset(found, types)
    except pa.ArrowInvalid as error:
        raise JobFailed("invalid_input_data", f"The source holds no Parquet files: {error}") from None


def of_dataset(found: Any, types: dict[str, str]) -> Reader:
    """The rows of a dataset of pyarrow."""
    batches = found.to_batches(batch_size=ROWS, batch_readahead=2, fragment_readahead=1, use_threads=False)
    sliced = (batch.slice(start, ROWS) for batch in batches for start in range(0, len(batch), ROWS))
    return Reader(of_batches(sliced, types), found.count_rows())


def _of_parquet(file: parquet.ParquetFile, types: dict[str, str]) -> Generator[Chunk, None, None]:
    return of_batches(file.iter_batches(ROWS, use_threads=False), types)


def of_batches(batches: Iterator[pa.RecordBatch], types: dict[str, str]) -> Generator[Chunk, None, None]:
    """Typed rows as chunks.

    Raises:
        JobFailed: ``schema_mismatch``: a column is of a type that the model cannot read.
    """
    first = 0
    for batch in batches:
        table = pa.Table.from_batches([batch])
        for name, short in types.items():
            if name in table.column_names:
                place = table.column_names.index(name)
                table = table.set_column(place, name, _fitting(table.column(name), short, name))
        yield Chunk(table, range(first, first + len(table)), [])
        first += len(table)


def _fitting(column: pa.ChunkedArray, short: str, name: str) -> pa.ChunkedArray:
    """A column of a typed file in the type that the model reads."""
    wanted, given = arrow_type(short), column.type
    if pa.types.is_dictionary(given):
        column, given = column.cast(given.value_type), given.value_type
    if wanted is None or given == wanted:
        return column
    numbers = all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (given, wanted))
    alike = (
        numbers or (pa.types.is_large_string(given) or pa.types.is_nested(given)) or pa.types.is_null(given)
    )
    try:
        if not alike:
            raise pa.ArrowInvalid("another type")
        return column.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        raise JobFailed(
            "schema_mismatch", f"The source's column {name!r} is {given}, but the model reads it as {short}."
        ) from None


def _of_csv(file: Any, header: bool, types: dict[str, str]) -> Generator[Chunk, None, None]:
    start = file.read(1 << 20)
    file.seek(0)
    names = next(csv.reader(io.StringIO(start.decode("utf-8-sig", "replace"))), [])
    if not header:
        if len(names) != len(types):
            raise JobFailed(
                "schema_mismatch",
                f"The source has {len(names)} columns and no names, but the model reads {len(types)}: "
                f"{', '.join(types)}. Give a header.",
            )
        names = list(types)
    malformed: dict[int, BadRow] = {}
    skipped = 1 + int(header)

    def note(row: Any) -> str:
        number = (row.number or 0) - skipped
        reason = f"{row.actual_columns} values for {row.expected_columns} columns"
        malformed[number] = BadRow(number, reason, row.text)
        return "skip"

    try:
        opened = arrow_csv.open_csv(
            file,
            arrow_csv.ReadOptions(
                use_threads=False, block_size=_BLOCK, column_names=names, skip_rows=int(header)
            ),
            arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        numbers = (number for number in itertools.count() if number not in malformed)
        for batch in opened:
            for start in range(0, len(batch), ROWS):
                table = pa.Table.from_batches([batch.slice(start, ROWS)])
                rows = list(itertools.islice(numbers, len(table)))
                bad = [malformed[number] for number in sorted(malformed) if number < (rows or [0])[-1]]
                malformed_now = {each.row for each in bad}
                for number in malformed_now:
                    malformed[number] = None  # type: ignore[assignment]  # told once, and still counted
                yield _typed(table, rows, [each for each in bad if each is not None], types)
        left = [each for each in malformed.values() if each is not None]
        if left:
            yield Chunk(pa.table({name: pa.array([], pa.string()) for name in names}), [], left)
    except pa.ArrowInvalid as error:
        raise JobFailed("invalid_input_data", f"The source is no CSV file: {error}") from None


def _typed(table: pa.Table, rows: list[int], bad: list[BadRow], types: dict[str, str]) -> Chunk:
    """Texts in the types that the model reads; rows with one that is not of its type are bad."""
    wrong: dict[int, str] = {}
    columns = {}
    for name in table.column_names:
        kind = arrow_type(types.get(name, "string"))
        column = table.column(name).combine_chunks()
        if kind is None or pa.types.is_nested(kind):
            raise JobFailed(
                "schema_mismatch",
                f"A CSV file cannot hold the column {name!r}: it is {types[name]}. Use Parquet.",
            )
        columns[name], failed = _cast(column, kind)
        for place in failed:
            wrong.setdefault(
                place, f"column {name!r}: {str(column[place].as_py())[:80]!r} is no {types[name]}"
            )
    return _without(pa.table(columns), table, rows, wrong, bad)


def _cast(column: pa.Array, kind: pa.DataType) -> tuple[pa.Array, list[int]]:
    try:
        return pc.cast(column, kind), []
    except pa.ArrowInvalid:
        values, failed = [], []
        for place, value in enumerate(column):
            try:
                values.append(pc.cast(value, kind))
            except pa.ArrowInvalid:
                values.append(pa.scalar(None, kind))
                failed.append(place)
        return pa.array([value.as_py() for value in values], kind), failed


def _without(
    table: pa.Table, given: pa.Table, rows: list[int], wrong: dict[int, str], bad: list[BadRow]
) -> Chunk:
    if not wrong:
        return Chunk(table, rows, bad)
    records = given.take(list(wrong)).to_pylist()
    bad = [
        *bad,
        *(BadRow(rows[place], wrong[place], record) for place, record in zip(wrong, records, strict=True)),
    ]
    kept = [place for place in range(len(table)) if place not in wrong]
    return Chunk(table.take(kept), [rows[place] for place in kept], sorted(bad, key=lambda each: each.row))


def _of_lines(file: Any, types: dict[str, str]) -> Generator[Chunk, None, None]:
    lines = ((number, line) for number, line in enumerate(file) if line.strip())
    extra: pa.Schema | None = None
    while some := list(itertools.islice(lines, ROWS)):
        records, rows, bad = [], [], []
        for number, line in some:
            try:
                record = orjson.loads(line)
                if not isinstance(record, dict):
                    raise ValueError("not a JSON object")
            except ValueError as error:
                bad.append(BadRow(number, str(error), line.decode("utf-8", "replace").rstrip("\r\n")))
                continue
            records.append(record)
            rows.append(number)
        if extra is None:
            extra = _extra(records, types)
        yield of_records(records, rows, bad, types, extra)


def _extra(records: list[dict[str, Any]], types: dict[str, str]) -> pa.Schema:
    """The columns that the model does not read, from the first rows: carried through."""
    names = dict.fromkeys(name for record in records for name in record if name not in types)
    found = []
    for name in names:
        try:
            kind = pa.array([record.get(name) for record in records]).type
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            continue
        found.append(pa.field(name, pa.string() if pa.types.is_null(kind) else kind))
    return pa.schema(found)


def of_records(
    records: list[dict[str, Any]], rows: list[int], bad: list[BadRow], types: dict[str, str], extra: pa.Schema
) -> Chunk:
    """Rows as a chunk; one with a value that is not of its type is bad.

    Args:
        records: The rows, by column.
        rows: Their numbers.
        bad: Those that could not be read.
        types: The model's input columns with their short types.
        extra: The other columns that are carried through.
    """
    kinds = {name: arrow_type(short) for name, short in types.items()} | {
        each.name: each.type for each in extra
    }
    wrong: dict[int, str] = {}
    columns = {}
    for name, kind in kinds.items():
        values = [record.get(name) for record in records]
        if types.get(name) == "vector":
            values = [_vector(value) for value in values]
        try:
            columns[name] = pa.array(values, kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError):
            for place, value in enumerate(values):
                try:
                    pa.array([value], kind)
                except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError):
                    wrong.setdefault(
                        place, f"column {name!r}: {str(value)[:80]!r} is no {types.get(name, kind)}"
                    )
                    values[place] = None
            columns[name] = pa.array(values, kind)
    table = pa.table(columns)
    if not wrong:
        return Chunk(table, rows, bad)
    bad = [*bad, *(BadRow(rows[place], reason, records[place]) for place, reason in wrong.items())]
    kept = [place for place in range(len(table)) if place not in wrong]
    return Chunk(table.take(kept), [rows[place] for place in kept], sorted(bad, key=lambda each: each.row))


def _vector(value: Any) -> Any:
    if isinstance(value, list):
        return {"type": 1, "size": None, "indices": None, "values": value}
    return value
