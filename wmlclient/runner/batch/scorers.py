"""What scores the chunks of a batch: the native scorer, in some processes, or Spark, asked through the runner."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, Protocol

import pyarrow as pa
from attrs import frozen

from .failures import JobFailed
from .reading import Chunk
from .tables import array_of, arrow_type, input_types, values_of

Problems = list[tuple[int, str]]


@frozen
class Scored:
    """A chunk and what came out of it.

    Attributes:
        chunk: The chunk.
        table: Its rows, scored.
        problems: Places in the chunk of rows that could not be scored, and why.
    """

    chunk: Chunk
    table: pa.Table
    problems: Problems


class ChunkScorer(Protocol):
    """Scores one table."""

    def score(self, table: pa.Table) -> tuple[pa.Table, Problems]:
        """The scored rows, and the places of those that cannot be."""
        ...


class NativeChunks:
    """Scores with the native scorer.

    Args:
        model_dir: Folder with the saved model.
        schema: The model's input.
    """

    def __init__(self, model_dir: str, schema: dict[str, Any]) -> None:
        from wmlclient import scoring

        self._scorer = scoring.load(model_dir, schema)
        self._types = input_types(schema)
        # A stage that selects columns decides what becomes of all of them; else only those that stages read are
        # taken out of Arrow and the others pass by.
        self._selects = any(stage.java_class.endswith(".SQLTransformer") for stage in self._scorer.stages)

    def score(self, table: pa.Table) -> tuple[pa.Table, Problems]:
        """See :class:`ChunkScorer`."""
        scorer = self._scorer
        lacking = [name for name in scorer.required if name not in table.column_names]
        if lacking:
            raise JobFailed(
                "schema_mismatch",
                f"The source lacks the column {lacking[0]!r}, which the model reads; it has: "
                f"{', '.join(table.column_names)[:500]}.",
            )
        read = {name for stage in scorer.stages for name in stage.inputs}
        fields = [
            name for name in table.column_names if name in self._types and (self._selects or name in read)
        ]
        types = scorer.output_types(fields)
        clash = [name for name in types if name not in fields and name in table.column_names]
        if clash and not self._selects:
            raise JobFailed(
                "schema_mismatch", f"The source has a column {clash[0]!r}, which the model makes."
            )
        columns = [values_of(table.column(name).combine_chunks(), self._types[name]) for name in fields]
        problems: Problems = []
        kept: list[int] = []
        made: dict[str, list[pa.Array]] = {name: [] for name in types}
        if len(table):
            told = scorer.parts(fields, columns, lambda error: problems.append((error.row, _reason(error))))
            for part in told:
                kept.extend(part.rows)
                for (name, short), block in zip(types.items(), part.columns, strict=True):
                    made[name].append(array_of(block, short))
        outputs = {
            name: pa.chunked_array(made[name], _type(name, short))
            for name, short in types.items()
            if self._selects or name not in fields
        }
        if self._selects:
            return pa.table(outputs), problems
        rest = table if len(kept) == len(table) else table.take(pa.array(kept, pa.int64()))
        for name, column in outputs.items():
            rest = rest.append_column(name, column)
        return rest, problems


def _type(name: str, short: str) -> pa.DataType:
    kind = arrow_type(short)
    if kind is None:
        raise JobFailed("schema_mismatch", f"The model's column {name!r} is {short}, which no file can hold.")
    return kind


def _reason(error: Any) -> str:
    return f"column {error.column!r}: {error.reason}" if error.column else str(error.reason)


def in_processes(
    chunks: Iterable[Chunk], make: Callable[..., ChunkScorer], arguments: Sequence[Any], count: int
) -> Iterator[Scored]:
    """Score chunks in some processes, and give them back in their order.

    Args:
        chunks: The chunks.
        make: Makes the scorer in each process.
        arguments: Its arguments.
        count: How many processes; 0 scores in this one.
    """
    if not count:
        scorer = make(*arguments)
        for chunk in chunks:
            yield Scored(chunk, *scorer.score(chunk.table))
        return
    context = multiprocessing.get_context("spawn")
    pipes, threads = [], []
    try:
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, make, arguments), daemon=True)
            process.start()
            theirs.close()
            pipes.append((ours, process))
            threads.append(ThreadPoolExecutor(1))
        waiting: deque[Future[Scored]] = deque()
        for number, chunk in enumerate(chunks):
            if len(waiting) >= 2 * count:
                yield waiting.popleft().result()
            waiting.append(threads[number % count].submit(_ask, pipes[number % count][0], chunk))
        while waiting:
            yield waiting.popleft().result()
    finally:
        for pipe, process in pipes:
            process.kill()
            process.join()
            pipe.close()
        for thread in threads:
            thread.shutdown()


def _ask(pipe: Connection, chunk: Chunk) -> Scored:
    try:
        pipe.send_bytes(_packed(chunk.table))
        answer = pipe.recv()
        if isinstance(answer, JobFailed):
            raise JobFailed(answer.code, answer.message)
        return Scored(chunk, _unpacked(pipe.recv_bytes()), answer)
    except (EOFError, OSError):
        raise JobFailed(
            "underlying_api_error",
            "A process that scored has ended; it may have run out of memory. Run it again.",
        ) from None


def _serve(pipe: Connection, make: Callable[..., ChunkScorer], arguments: Sequence[Any]) -> None:
    pa.set_cpu_count(1)
    scorer: ChunkScorer | None = None
    while True:
        try:
            table = _unpacked(pipe.recv_bytes())
        except EOFError:
            return
        try:
            scorer = scorer or make(*arguments)
            scored, problems = scorer.score(table)
        except JobFailed as error:
            pipe.send(error)
        except Exception as error:
            pipe.send(JobFailed("underlying_api_error", f"Unexpected {type(error).__name__}: {error}"))
        else:
            pipe.send(problems)
            pipe.send_bytes(_packed(scored))


def _packed(table: pa.Table) -> memoryview:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return memoryview(sink.getvalue())


def _unpacked(data: bytes) -> pa.Table:
    with pa.ipc.open_stream(pa.py_buffer(data)) as stream:
        return stream.read_all()
