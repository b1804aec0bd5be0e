"""One job, in a process of its own: ``python -m wmlclient.runner.batch.job``.

The first line of stdin is the job, further ones are Spark's answers; at the end of stdin, which is the death of the
parent, the process ends. On stdout it tells of its progress, and at last how it came out. Both are the lines of
:mod:`wmlclient.runner.lines`; secrets travel here, and so never on a command line.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import IO, Any

import orjson
import pyarrow as pa

from wmlclient.runner import lines
from wmlclient.runner.batch import reading, scorers, writing
from wmlclient.runner.batch.failures import JobFailed
from wmlclient.runner.batch.spark import SparkChunks
from wmlclient.runner.batch.storage import Output, explained, files
from wmlclient.runner.batch.tables import input_types, plain_rows

logger = logging.getLogger("wmlclient.runner.batch")

_PAUSE = 0.5

Tell = Callable[[dict[str, Any]], None]
Ask = Callable[[list[str], list[list[Any]]], dict[str, Any]]


class Job:
    """A job.

    Args:
        job: ``id``, ``model_dir``, ``schema``, ``engine``, ``processes``, ``source``, ``target`` and ``bad_rows``; the
            last three are places with ``kind``, ``format`` and ``header``.
        tell: Takes progress.
        ask: Has Spark score rows.
    """

    def __init__(self, job: dict[str, Any], tell: Tell, ask: Ask) -> None:
        self._job = job
        self._tell = tell
        self._ask = ask
        self._counts = {"rows_read": 0, "rows_written": 0, "rows_bad": 0}
        self._total: int | None = None
        self._told = 0.0

    def run(self) -> dict[str, int]:
        """Do it; the counts of rows.

        Raises:
            JobFailed: It failed; nothing was written.
        """
        job, source, target = self._job, self._job["source"], self._job["target"]
        inputs, outputs = files(source, job["id"]), files(target, job["id"])
        opened = explained(lambda: inputs.open(source), source, "read")
        with opened, ExitStack() as made:
            reader = explained(
                lambda: reading.read(opened, source["format"], source["header"], input_types(job["schema"])),
                source,
                "read",
            )
            self._total = reader.total
            output = explained(lambda: outputs.create(target), target, "written")
            made.callback(output.discard)
            bad = _BadRows(lambda: explained(lambda: outputs.create(job["bad_rows"]), target, "written"))
            made.callback(bad.discard)
            chunks = _explained(reader.chunks, source)
            explained(lambda: self._write(self._scored(chunks), output, bad), target, "written")
            self._report(last=True)
            explained(lambda: bad.commit(), job["bad_rows"], "written")
            explained(output.commit, target, "written")
            if not bad.count:
                explained(lambda: outputs.remove(job["bad_rows"]), job["bad_rows"], "written")
            made.pop_all()
        return dict(self._counts)

    def _scored(self, chunks: Iterator[reading.Chunk]) -> Iterator[scorers.Scored]:
        job = self._job
        if job["engine"] == "native":
            arguments = (job["model_dir"], job["schema"])
            yield from scorers.in_processes(chunks, scorers.NativeChunks, arguments, job["processes"])
            return
        spark = SparkChunks(job["schema"], self._ask)
        for chunk in chunks:
            yield scorers.Scored(chunk, *spark.score(chunk.table))

    def _write(self, scored: Iterator[scorers.Scored], output: Output, bad: _BadRows) -> None:
        target = self._job["target"]
        writer: writing.Writer | None = None
        for each in scored:
            if writer is None:
                writer = writing.writer(output.file, target["format"], target["header"], each.table.schema)
            if len(each.table):
                writer.write(each.table)
            bad.add(each)
            self._counts["rows_read"] += len(each.chunk.rows) + len(each.chunk.bad)
            self._counts["rows_written"] += len(each.table)
            self._counts["rows_bad"] = bad.count
            self._report()
        if writer is None:
            raise JobFailed("invalid_input_data", "The source holds no rows.")
        writer.close()

    def _report(self, last: bool = False) -> None:
        now = time.monotonic()
        if last or now - self._told >= _PAUSE:
            self._told = now
            self._tell({"progress": {**self._counts, "rows_total": self._total}})


def _explained(chunks: Iterator[reading.Chunk], source: dict[str, Any]) -> Iterator[reading.Chunk]:
    while (chunk := explained(lambda: next(chunks, None), source, "read")) is not None:
        yield chunk


class _BadRows:
    """The side file, made with the first row that goes there."""

    def __init__(self, make: Callable[[], Output]) -> None:
        self._make = make
        self._output: Output | None = None
        self.count = 0

    def add(self, scored: scorers.Scored) -> None:
        """The rows of a chunk that were left out."""
        found = [(each.row, each.reason, each.record) for each in scored.chunk.bad]
        if scored.problems:
            places = [place for place, _ in scored.problems]
            records = plain_rows(scored.chunk.table.take(pa.array(places, pa.int64())), ())
            found += [
                (scored.chunk.rows[place], reason, record)
                for (place, reason), record in zip(scored.problems, records, strict=True)
            ]
        for row, reason, record in sorted(found, key=lambda each: each[0]):
            if self._output is None:
                self._output = self._make()
            line = orjson.dumps({"row": row, "reason": reason, "record": record}, default=str)
            self._output.file.write(line + b"\n")
            self.count += 1

    def commit(self) -> None:
        if self._output is not None:
            self._output.commit()

    def discard(self) -> None:
        if self._output is not None:
            self._output.discard()


class _Parent:
    """The pipe to the runner."""

    def __init__(self, requests: IO[bytes], answers: IO[bytes]) -> None:
        self._requests, self._answers = requests, answers
        self._arrived: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._writing = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> dict[str, Any]:
        """The next line."""
        return self._arrived.get()

    def tell(self, message: dict[str, Any]) -> None:
        """Send a line."""
        with self._writing:
            self._answers.write(lines.encode(message))
            self._answers.flush()

    def transform(self, fields: list[str], values: list[list[Any]]) -> dict[str, Any]:
        """Have Spark score rows."""
        self.tell({"transform": {"fields": fields, "values": values}})
        return self.next()

    def _read(self) -> None:
        for line in self._requests:
            self._arrived.put(lines.decode(line))
        # Its processes notice that their pipes are closed.
        os._exit(0)


def main() -> None:
    """Entry point."""
    requests, answers = lines.own_pipes()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    parent = _Parent(requests, answers)
    job = parent.next()
    try:
        done: dict[str, Any] = {"completed": Job(job, parent.tell, parent.transform).run()}
    except JobFailed as error:
        done = {"failed": {"code": error.code, "message": error.message}}
    except Exception as error:
        logger.exception("the job failed")
        message = f"Unexpected {type(error).__name__}; see the log of the job."
        done = {"failed": {"code": "underlying_api_error", "message": message}}
    parent.tell(done)
    os._exit(0)


if __name__ == "__main__":
    main()
