"""Columns as JSON: one text for all values of a column, of which each row gets its piece.

Row by row, most of the time of a batch would go into lists of a vector's numbers, made to be written and thrown away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from wmlclient.scoring.blocks import Block, DenseBlock, SparseBlock

#: Fewer rows are written faster one by one.
LEAST = 32
_COMMA = ord(",")
_SPLIT = frozenset(("boolean", "tinyint", "smallint", "int", "bigint"))


class Texts:
    """The texts of the columns of one batch.

    Args:
        shapes: For each column, what turns it into values that orjson writes.
        types: Their short types.
    """

    def __init__(self, shapes: list[Callable[[Any], list[Any]]], types: list[str]) -> None:
        self._shapes = shapes
        self._types = types
        # Vectors that differ in their values alone share their indices.
        self._indices: tuple[Any, list[bytes]] = (None, [])

    def of(self, columns: list[Block]) -> list[list[bytes]] | None:
        """A text for each value of each column; None where a column has a null."""
        found = []
        for shape, type, column in zip(self._shapes, self._types, columns, strict=True):
            texts = self._block(column)
            if texts is None:
                texts = _listed(shape(column), type)
            if texts is None:
                return None
            found.append(texts)
        return found

    def _block(self, column: Block) -> list[bytes] | None:
        """The texts of what is no list and finite."""
        if isinstance(column, np.ndarray):
            return _pieces(column, np.arange(1, len(column) + 1)) if np.isfinite(column).all() else None
        if isinstance(column, DenseBlock):
            values = np.stack(column.features, 1).ravel() if column.features else np.zeros(0)
            if not np.isfinite(values).all():
                return None
            ends = np.arange(1, len(column) + 1) * len(column.features)
            return [b'{"type":1,"values":[%b]}' % piece for piece in _pieces(values, ends)]
        if isinstance(column, SparseBlock) and np.isfinite(column.values).all():
            if self._indices[0] is not column.indices:
                self._indices = column.indices, _pieces(column.indices, column.ends)
            both = zip(self._indices[1], _pieces(column.values, column.ends), strict=True)
            form = b'{"type":0,"size":%d,"indices":[%%b],"values":[%%b]}' % column.size
            return [form % pair for pair in both]
        return None


def _listed(values: list[Any], type: str) -> list[bytes] | None:
    if None in values:
        return None
    if type in _SPLIT:
        return orjson.dumps(values)[1:-1].split(b",")
    return list(map(orjson.dumps, values))


def _pieces(values: NDArray[Any], ends: NDArray[np.int64]) -> list[bytes]:
    """The texts of the numbers of each row, with commas between them.

    Args:
        values: Numbers of all rows.
        ends: Where each row ends.
    """
    text = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
    # Where the bracket is, and what stands behind each number.
    marks = np.concatenate(([0], np.flatnonzero(np.frombuffer(text, np.uint8) == _COMMA), [len(text) - 1]))
    if not len(values):
        marks = marks[:1]
    stops = marks[ends]
    starts = np.concatenate(([0], stops[:-1])) + 1
    return [text[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]
