# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Vectors made of columns: VectorAssembler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, DenseBlock, Floats, Ints, SparseBlock, doubles_of, vectors_of
from wmlclient.scoring.columns import Column, Drop, Frame, Invalid, is_numeric
from wmlclient.scoring.hints import assembled
from wmlclient.scoring.registry import Params, Stage, loads, text, texts
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.values import Sparse


def most_stored(size: int) -> int:
    """The most non-zero values with which Spark 4.2 compresses a vector of that size to a sparse one, or -1.

    ``Vector.compressed`` compares bytes: 12 for each stored value and 28 more, against 8 for each value and 12 more.
    Spark up to 4.0 compared ``1.5 * (stored + 1) < size``, which differs for a few small vectors.
    """
    return (8 * size - 17) // 12 if size > 2 else -1


def compress(size: int, indices: list[int], values: list[float]) -> list[float] | Sparse:
    """``Vectors.sparse(...).compressed``, for values none of which is zero."""
    if len(indices) <= most_stored(size):
        return Sparse(size, indices, values)
    dense = [0.0] * size
    for index, value in zip(indices, values):
        dense[index] = value
    return dense


@loads("org.apache.spark.ml.feature.VectorAssembler", inputCols=texts, outputCol=text, handleInvalid=text)
def vector_assembler(saved: SavedStage, params: Params) -> Stage:
    """``VectorAssembler``: numbers, booleans and vectors in one vector, sparse where that is smaller.

    Zeros, stored or not, are dropped on the way, -0.0 too. ``error`` refuses nulls, and NaN in a column of numbers;
    ``keep`` writes NaN for them, for which it has to know the size of a vector column that is null; ``skip`` drops
    the row.
    """
    names = params.inputCols or []
    invalid = params.handleInvalid or "error"
    if invalid not in ("error", "skip", "keep"):
        raise saved.refuse(f"handleInvalid is {invalid!r}")

    def bind(frame: Frame) -> None:
        columns = [
            frame.find(name, saved.uid, _fits, "a number, a boolean or a vector", "double") for name in names
        ]
        for column in columns:
            if column.type == "vector" and column.size is None and invalid == "keep":
                raise saved.refuse(
                    f"handleInvalid is 'keep' and the size of the vectors in {column.name!r} is not known"
                )
        kinds = [column.type for column in columns]
        sizes = [column.size if column.type == "vector" else 1 for column in columns]
        known = [size for size in sizes if size is not None]
        total = sum(known) if len(known) == len(sizes) else None
        if "vector" in kinds or invalid == "keep":
            row = _general(names, kinds, sizes, invalid)
            batch = _general_batch([kind == "vector" for kind in kinds], invalid == "keep")
        else:
            row = _numbers(names, all(kind == "double" for kind in kinds), invalid)
            batch = _numbers_batch
        made = Column(params.outputCol, "vector", size=total, kinds=_kinds(frame, columns))
        frame.add(saved.uid, names, [made], row, batch)

    return Stage(saved.uid, saved.java_class, bind, back=assembled(names, params.outputCol))


def _kinds(frame: Frame, columns: list[Column]) -> tuple[tuple[int, int], ...] | None:
    """What the values of the vector are: Spark takes those of a vector without attributes for numbers."""
    produced = frame.produced
    found: list[tuple[int, int]] = []
    for column in columns:
        kinds = column.categories(column.name in produced)
        if (
            column.type == "vector"
            and kinds is None
            and column.name not in produced
            and column.size is not None
        ):
            kinds = ((1, column.size),)
        if kinds is None:
            return None
        found += kinds
    return tuple(found)


def _fits(type: str) -> bool:
    return type in ("vector", "boolean") or is_numeric(type)


def _refused(name: str, value: Any, invalid: str) -> Exception:
    what = f"the column {name!r} is {'null' if value is None else 'NaN'}"
    return Drop(what) if invalid == "skip" else Invalid(f"{what}; handleInvalid='keep' would take it as NaN")


def _numbers(names: list[str], doubles: bool, invalid: str) -> Callable[..., Any]:
    """The row function for columns of numbers alone, none of which may be null or NaN."""
    size = len(names)
    most = most_stored(size)

    def row(*values: Any) -> list[float] | Sparse:
        try:
            out = list(values) if doubles else list(map(float, values))
            total = sum(out)
        except TypeError:
            total = float("nan")
        if total != total:
            for name, value in zip(names, values):
                if value is None or value != value:
                    raise _refused(name, value, invalid)
        zeros = out.count(0.0)
        if zeros:
            if size - zeros <= most:
                indices = [at for at, value in enumerate(out) if value]
                return Sparse(size, indices, [out[at] for at in indices])
            return [value or 0.0 for value in out]
        return out

    return row


def _numbers_batch(*columns: Block) -> tuple[Block] | None:
    """The same for whole columns, where every row comes out dense."""
    arrays: list[Floats] = []
    for column in columns:
        array = doubles_of(column)
        if array is None or np.isnan(array).any():
            return None
        arrays.append(array)
    if not arrays:
        return None
    size, most = len(arrays), most_stored(len(arrays))
    stored = np.zeros(len(arrays[0]), dtype=np.int64)
    for array in arrays:
        stored += array != 0.0
    if most >= 0 and bool((stored <= most).any()):
        return None
    # Adding 0.0 turns -0.0 into 0.0 and changes nothing else.
    return (DenseBlock([array + 0.0 for array in arrays], len(arrays[0])),) if size else None


def _general(names: list[str], kinds: list[str], sizes: list[int | None], invalid: str) -> Callable[..., Any]:
    """The row function for columns of which some are vectors, or may be null or NaN."""
    keep = invalid == "keep"
    vectors = [kind == "vector" for kind in kinds]

    def row(*columns: Any) -> list[float] | Sparse:
        indices: list[int] = []
        values: list[float] = []
        at = 0
        for place, value in enumerate(columns):
            if value.__class__ is list:
                for index, item in enumerate(value, at):
                    if item:
                        indices.append(index)
                        values.append(item)
                at += len(value)
            elif value.__class__ is Sparse:
                for index, item in zip(value.indices, value.values):
                    if item:
                        indices.append(at + index)
                        values.append(item)
                at += value.size
            elif value is None or value != value:
                if not keep:
                    raise _refused(names[place], value, invalid)
                size = (sizes[place] or 0) if vectors[place] else 1
                indices.extend(range(at, at + size))
                values.extend([float("nan")] * size)
                at += size
            else:
                if value:
                    indices.append(at)
                    values.append(float(value))
                at += 1
        return compress(at, indices, values)

    return row


def _general_batch(vectors: list[bool], keep: bool) -> Callable[..., tuple[Block] | None]:
    """The same for whole columns without nulls, where the rows all come out sparse."""

    def batch(*columns: Block) -> tuple[Block] | None:
        stored: list[tuple[Any, Ints | int, Floats]] = []
        size = 0
        for column, vector in zip(columns, vectors):
            block = vectors_of(column) if vector else doubles_of(column)
            if block is None:
                return None
            if isinstance(block, np.ndarray) and not keep and np.isnan(block).any():
                return None
            if isinstance(block, SparseBlock):
                full = block.values != 0.0
                stored.append((block.row_numbers()[full], block.indices[full] + size, block.values[full]))
                size += block.size
                continue
            for values in block.features if isinstance(block, DenseBlock) else [block]:
                rows = np.flatnonzero(values)
                stored.append((rows, size, values[rows]))
                size += 1
        if not stored or not len(columns[0]):
            return None
        count = len(columns[0])
        counts = [np.bincount(rows, minlength=count) for rows, _, _ in stored]
        total = np.sum(counts, axis=0)
        if total.max(initial=0) > most_stored(size):
            return None
        ends = np.cumsum(total)
        # Where the next value of each row goes.
        free = ends - total
        indices, values = np.empty(ends[-1], np.int64), np.empty(ends[-1])
        for (rows, own, some), several in zip(stored, counts):
            places = free[rows]
            if several.max(initial=0) > 1:
                firsts = np.cumsum(several) - several
                places += np.arange(len(rows)) - firsts[rows]
            indices[places], values[places] = own, some
            free += several
        return (SparseBlock(size, ends, indices, values),)

    return batch
