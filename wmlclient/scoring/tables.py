"""Parquet files of a saved model, read with an eye on what they unpack to.

Parquet packs a billion equal values into a few bytes, and a long string that comes a million times into one copy of
it. What a file claims, and what its strings would fill, is looked at before anything is read.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wmlclient.scoring.footer import Unreadable, read_footer

__all__ = ["ANY_BYTES", "ANY_VALUES", "MAX_BYTES", "MAX_VALUES", "read_table", "reading_arrow"]

MAX_VALUES = 500_000_000
"""Values in the Parquet files of one stage."""
MAX_BYTES = 4 << 30
"""Bytes of the unpacked columns, and of all strings, of one stage."""
VALUES_PER_BYTE = 64
"""Values for each byte of the files, once there are more than :data:`ANY_VALUES`."""
ANY_VALUES = 1 << 24
ANY_BYTES = 256 << 20
_RATIO = 200


_lock = threading.Lock()
_reading = 0
_pool: Any = None


@contextlib.contextmanager
def reading_arrow() -> Iterator[None]:
    """Arrow takes memory from the C library: its own pool keeps 15 MB for good. The last one out restores it."""
    import pyarrow as pa

    global _reading, _pool
    with _lock:
        if _reading == 0:
            _pool = pa.default_memory_pool()
            pa.set_memory_pool(pa.system_memory_pool())
        _reading += 1
    try:
        yield
    finally:
        with _lock:
            _reading -= 1
            if _reading == 0:
                pa.set_memory_pool(_pool)
                _pool.release_unused()


def read_table(files: list[Path]) -> Any:
    """The files as one ``pyarrow.Table``.

    Raises:
        Unreadable: One is damaged, or they hold more than is read.
    """
    import pyarrow as pa

    try:
        return _read(files)
    except _TooLarge as error:
        raise Unreadable(f"is larger than a model can be: {error}") from None
    except (pa.ArrowException, OSError, MemoryError, KeyError, ValueError) as error:
        # pyarrow looks columns up by names that a damaged file spells in two ways.
        raise Unreadable(f"is not readable Parquet: {error}") from None


class _TooLarge(Exception):
    pass


def _read(files: list[Path]) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    tables = []
    values = unpacked = strings = 0
    size = sum(file.stat().st_size for file in files)
    for file in files:
        footer = read_footer(file)
        values += max(footer.rows, footer.values)
        if values > min(MAX_VALUES, max(ANY_VALUES, VALUES_PER_BYTE * size)):
            raise _TooLarge(f"it holds {values} values in {size} bytes")
        unpacked += footer.unpacked
        if unpacked > min(MAX_BYTES, max(ANY_BYTES, _RATIO * size)):
            raise _TooLarge(f"it unpacks to {unpacked} bytes from {size}")
        if footer.texts:
            strings += _string_bytes(file, list(footer.texts))
            if strings > MAX_BYTES or strings > max(ANY_BYTES, _RATIO * size):
                raise _TooLarge(f"its strings unpack to {strings} bytes from {size}")
        with parquet.ParquetFile(file, memory_map=False) as opened:
            table = opened.read()
        if table.num_rows:
            tables.append(table)
        else:
            tables.insert(0, table)
    return pa.concat_tables(tables)


def _string_bytes(file: Path, paths: list[str]) -> int:
    """Bytes of the strings of a file; each distinct one is in memory once while they are counted."""
    from pyarrow import parquet

    with parquet.ParquetFile(file, memory_map=False, read_dictionary=paths) as opened:
        table = opened.read(columns=paths)
    return sum(_bytes_of(chunk) for column in table.columns for chunk in column.chunks)


def _bytes_of_texts(distinct: Any, indices: Any) -> int:
    """The bytes of strings that are numbers of distinct ones; a null counts as one of them.

    Without ``pyarrow.compute``, whose 9 MB a server needs for nothing else.
    """
    if not len(distinct):
        return 0
    kind = np.int64 if str(distinct.type).startswith("large_") else np.int32
    ends = np.frombuffer(distinct.buffers()[1], kind)[distinct.offset : distinct.offset + len(distinct) + 1]
    numbers = np.frombuffer(indices.buffers()[1], indices.type.to_pandas_dtype())
    numbers = numbers[indices.offset : indices.offset + len(indices)]
    return int(np.diff(ends).astype(np.int64).take(numbers, mode="clip").sum())


def _bytes_of(array: Any) -> int:
    from pyarrow import types

    if types.is_dictionary(array.type):
        return _bytes_of_texts(array.dictionary, array.indices)
    if types.is_struct(array.type):
        return sum(_bytes_of(part) for part in array.flatten())
    if types.is_map(array.type):
        return _bytes_of(array.keys) + _bytes_of(array.items)
    if types.is_list(array.type) or types.is_large_list(array.type):
        return _bytes_of(array.values)
    size: int = array.nbytes
    return size
