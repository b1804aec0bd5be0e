# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""What stands in the Parquet files of a saved model, as Python's own objects and NumPy's arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from attrs import frozen

from wmlclient.scoring.errors import ArchiveError
from wmlclient.scoring.footer import Unreadable
from wmlclient.scoring.tables import MAX_VALUES, read_table, reading_arrow
from wmlclient.scoring.values import Sparse, to_dense

__all__ = ["Cells", "Matrix", "read_columns", "read_rows"]

MAX_SIZE = 1 << 26
"""The size of a sparse vector. Some stages write it out, and a size takes no room in a file."""

Cells: TypeAlias = Any
"""A column: an array of numbers; for lists of numbers, their values and where each starts and ends; for structs, a
dict of such; ``None`` for what holds something else, or a null."""


@frozen
class Matrix:
    """A matrix of a saved model, by rows.

    Attributes:
        rows: Each row, dense or sparse as the matrix was saved.
        num_cols: Values in a row.
        by_column: It was saved sparse and column by column, which is the order in which Spark sums then.
        transposed: It was saved row by row.
    """

    rows: list[list[float] | Sparse]
    num_cols: int
    by_column: bool = False
    transposed: bool = False

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return len(self.rows)

    def dense(self) -> list[list[float]]:
        """All values, ``dense()[i][j]``."""
        return [to_dense(row) for row in self.rows]


def read_rows(files: list[Path]) -> list[dict[str, Any]]:
    """The rows of some files; vectors and matrices are decoded, structs are dicts.

    Raises:
        Unreadable: They are damaged, or hold more than is read.
        ArchiveError: A vector or a matrix of theirs cannot be.
    """
    with reading_arrow():
        table = read_table(files)
        columns = {}
        for column in table.column_names:
            try:
                cells = table.column(column).to_pylist()
            except UnicodeDecodeError:
                raise Unreadable(f"has a text in {column!r} that is not UTF-8") from None
            decode = _decoder(table.schema.field(column).type)
            columns[column] = [decode(cell) for cell in cells] if decode else cells
        return [dict(zip(columns, row)) for row in zip(*columns.values())]


def read_columns(files: list[Path]) -> dict[str, Cells]:
    """The columns of some files, by name.

    Raises:
        Unreadable: They are damaged, or hold more than is read.
    """
    with reading_arrow():
        table = read_table(files)
        return {name: _cells(table.column(name).combine_chunks()) for name in table.column_names}


def _cells(column: Any) -> Cells:
    from pyarrow import types

    if column.null_count:
        return None
    if types.is_struct(column.type):
        return {part.name: _cells(column.field(part.name)) for part in column.type}
    if types.is_list(column.type):
        values = _cells(column.values)
        return None if values is None else (values, np.from_dlpack(column.offsets))
    if types.is_integer(column.type) or types.is_floating(column.type):
        # Not to_numpy(): that imports pandas, whose 40 MB a server needs for nothing else.
        return np.from_dlpack(column)
    return None


def _decoder(arrow_type: Any) -> Callable[[Any], Any] | None:
    """Decodes vectors and matrices, known by the names of their struct's fields, at any depth."""
    from pyarrow import types

    if types.is_struct(arrow_type):
        names = {arrow_type.field(i).name for i in range(arrow_type.num_fields)}
        if names == {"type", "size", "indices", "values"}:
            return _vector
        if names == {"type", "numRows", "numCols", "colPtrs", "rowIndices", "values", "isTransposed"}:
            return _matrix
        inner = {f.name: d for f in arrow_type if (d := _decoder(f.type)) is not None}
        if inner:
            return lambda cell: cell and {k: inner[k](v) if k in inner else v for k, v in cell.items()}
    elif types.is_list(arrow_type) or types.is_large_list(arrow_type):
        element = _decoder(arrow_type.value_type)
        if element is not None:
            return lambda cell: cell and [element(item) for item in cell]
    return None


def _vector(cell: dict[str, Any] | None) -> list[float] | Sparse | None:
    if cell is None:
        return None
    if cell["type"] == 1:
        return list(cell["values"])
    if cell["size"] > MAX_SIZE:
        raise ArchiveError(f"the model holds a vector of the size {cell['size']}")
    return Sparse(cell["size"], list(cell["indices"]), list(cell["values"]))


def _matrix(cell: dict[str, Any] | None) -> Matrix | None:
    if cell is None:
        return None
    rows, cols = cell["numRows"], cell["numCols"]
    transposed = bool(cell["isTransposed"])
    values = cell["values"]
    if rows * cols > MAX_VALUES:
        raise ArchiveError(f"the model holds a matrix of {rows} x {cols}")
    if cell["type"] == 0:  # compressed by column, or by row when transposed
        ends, others = cell["colPtrs"], cell["rowIndices"]
        indices: list[list[int]] = [[] for _ in range(rows)]
        stored: list[list[float]] = [[] for _ in range(rows)]
        for major in range(rows if transposed else cols):
            for at in range(ends[major], ends[major + 1]):
                i, j = (major, others[at]) if transposed else (others[at], major)
                indices[i].append(j)
                stored[i].append(values[at])
        return Matrix([Sparse(cols, i, v) for i, v in zip(indices, stored)], cols, not transposed, transposed)
    if len(values) != rows * cols:
        raise ArchiveError(f"the model holds a matrix of {rows} x {cols} with {len(values)} values")
    if transposed:
        return Matrix([values[i * cols : (i + 1) * cols] for i in range(rows)], cols, transposed=True)
    return Matrix([values[i::rows] for i in range(rows)], cols)
