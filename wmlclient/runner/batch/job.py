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
from typing import IO, Any

import pyarrow as pa

from wmlclient.runner import lines
from wmlclient.runner.batch import ends, reading, scorers
from wmlclient.runner.batch.failures import JobFailed
from wmlclient.runner.batch.spark import SparkChunks
from wmlclient.runner.batch.storage import explained
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
        source, target = self._job["source"], self._job["target"]
        with ends.source(self._job, input_types(self._job["schema"])) as reader:
            self._total = reader.total
            output = ends.target(self._job)
            try:
                chunks = _explained(reader.chunks, source)
                explained(lambda: output.take(self._tables(self._scored(chunks), output)), target, "written")
            except BaseException:
                output.discard()
                raise
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

    def _tables(self, scored: Iterator[scorers.Scored], output: ends.Target) -> Iterator[pa.Table]:
        any_rows = False
        for each in scored:
            any_rows = True
            self._put_aside(each, output)
            self._counts["rows_read"] += len(each.chunk.rows) + len(each.chunk.bad)
            self._counts["rows_written"] += len(each.table)
            self._report()
            yield each.table
        if not any_rows:
            raise JobFailed("invalid_input_data", "The source holds no rows.")
        self._report(last=True)

    def _put_aside(self, scored: scorers.Scored, output: ends.Target) -> None:
        found = [(each.row, each.reason, each.record) for each in scored.chunk.bad]
        if scored.problems:
            places = [place for place, _ in scored.problems]
            records = plain_rows(scored.chunk.table.take(pa.array(places, pa.int64())), ())
            found += [
                (scored.chunk.rows[place], reason, record)
                for (place, reason), record in zip(scored.problems, records, strict=True)
            ]
        for row, reason, record in sorted(found, key=lambda each: each[0]):
            output.bad(row, reason, record)
        self._counts["rows_bad"] += len(found)

    def _report(self, last: bool = False) -> None:
        now = time.monotonic()
        if last or now - self._told >= _PAUSE:
            self._told = now
            self._tell({"progress": {**self._counts, "rows_total": self._total}})


def _explained(chunks: Iterator[reading.Chunk], source: dict[str, Any]) -> Iterator[reading.Chunk]:
    while (chunk := explained(lambda: next(chunks, None), source, "read")) is not None:
        yield chunk


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
