"""The two ends of a job: what it reads, and what it writes, whatever kind of place they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import orjson
import pyarrow as pa

from . import delta, reading, sql, writing
from .storage import Output, explained, files


class Target(Protocol):
    """What is written: whole, or not at all."""

    def take(self, tables: Iterator[pa.Table]) -> None:
        """Write tables of one schema, one or more, and let them appear."""
        ...

    def bad(self, row: int, reason: str, record: Any) -> None:
        """Put a row aside."""
        ...

    def discard(self) -> None:
        """Let nothing have been, where it was not all taken."""
        ...


def source(job: dict[str, Any], types: dict[str, str]) -> AbstractContextManager[reading.Reader]:
    """What a job reads; closed at the end.

    Args:
        job: The job.
        types: The model's input columns with their short types.

    Raises:
        JobFailed: It cannot be read.
    """
    place = job["source"]
    if place["kind"] == "table":
        return _rows_of_table(place, types)
    if place["format"] == "delta":
        return nullcontext(explained(lambda: delta.read(place, types), place, "read"))
    if place["kind"] == "file" and place["format"] == "parquet" and os.path.isdir(place["path"]):
        return nullcontext(explained(lambda: reading.read_folder(place["path"], types), place, "read"))
    return _File(job, types)


def target(job: dict[str, Any]) -> Target:
    """What a job writes.

    Raises:
        JobFailed: It cannot be written.
    """
    place, bad_rows = job["target"], job["bad_rows"]
    if place["kind"] == "table":
        return explained(lambda: _Table(sql.TableTarget(place, bad_rows)), place, "written")
    aside = _Aside(bad_rows, job["id"])
    if place["format"] == "delta":
        return _Delta(place, aside)
    return _OneFile(place, aside, explained(lambda: files(place, job["id"]).create(place), place, "written"))


@contextmanager
def _rows_of_table(place: dict[str, Any], types: dict[str, str]) -> Iterator[reading.Reader]:
    reader = explained(lambda: sql.read(place, types), place, "read")
    try:
        yield reader
    finally:
        # Where the target has failed, the connection is still open.
        reader.chunks.close()


class _File:
    """A file that is read."""

    def __init__(self, job: dict[str, Any], types: dict[str, str]) -> None:
        place = self._place = job["source"]
        self._types = types
        self._opened = explained(lambda: files(place, job["id"]).open(place), place, "read")

    def __enter__(self) -> reading.Reader:
        place = self._place
        file = self._opened.__enter__()
        try:
            return explained(
                lambda: reading.read(file, place["format"], place["header"], self._types), place, "read"
            )
        except BaseException:
            self._opened.__exit__(None, None, None)
            raise

    def __exit__(self, *error: Any) -> None:
        self._opened.__exit__(*error)


class _Aside:
    """The side file, made with the first row that goes there."""

    def __init__(self, place: dict[str, Any], job_id: str) -> None:
        self._place = place
        self._files: Callable[[], Any] = lambda: files(place, job_id)
        self._output: Output | None = None

    def add(self, row: int, reason: str, record: Any) -> None:
        if self._output is None:
            self._output = explained(lambda: self._files().create(self._place), self._place, "written")
        line = orjson.dumps({"row": row, "reason": reason, "record": record}, default=str)
        self._output.file.write(line + b"\n")

    def commit(self) -> None:
        if self._output is not None:
            explained(self._output.commit, self._place, "written")

    def sweep(self) -> None:
        """Remove that of an earlier run, where this one has no bad rows."""
        if self._output is None:
            explained(lambda: self._files().remove(self._place), self._place, "written")

    def discard(self) -> None:
        if self._output is not None:
            self._output.discard()


class _OneFile:
    def __init__(self, place: dict[str, Any], aside: _Aside, output: Output) -> None:
        self._place, self._aside, self._output = place, aside, output
        self.bad = aside.add

    def take(self, tables: Iterator[pa.Table]) -> None:
        place, writer = self._place, None
        for table in tables:
            if writer is None:
                writer = writing.writer(self._output.file, place["format"], place["header"], table.schema)
            if len(table):
                writer.write(table)
        assert writer is not None
        writer.close()
        self._aside.commit()
        self._output.commit()
        self._aside.sweep()

    def discard(self) -> None:
        self._output.discard()
        self._aside.discard()


class _Delta:
    def __init__(self, place: dict[str, Any], aside: _Aside) -> None:
        self._place, self._aside = place, aside
        self.bad = aside.add

    def take(self, tables: Iterator[pa.Table]) -> None:
        delta.write(self._place, self._ended(tables))
        self._aside.sweep()

    def _ended(self, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        yield from tables
        self._aside.commit()

    def discard(self) -> None:
        self._aside.discard()


class _Table:
    def __init__(self, table: sql.TableTarget) -> None:
        self._table = table
        self.bad = table.bad
        self.discard = table.discard

    def take(self, tables: Iterator[pa.Table]) -> None:
        for table in tables:
            self._table.write(table)
        self._table.commit()
