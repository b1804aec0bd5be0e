# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Term frequencies by the hashing trick, and inverse document frequencies."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, DenseBlock, SparseBlock, WordsBlock, vectors_of
from wmlclient.scoring.columns import Column, Frame, Invalid
from wmlclient.scoring.java.hashing import SEED, hash_many, hasher
from wmlclient.scoring.registry import Params, Stage, boolean, integer, loads, text
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.values import Sparse, to_dense

MEMO_SIZE = 1 << 18
"""Terms whose index is remembered; then it starts afresh, so that no input can fill the memory."""


class TermIndex(dict[Any, int]):
    """The index of each term, computed once."""

    def __init__(self, hash_term: Callable[[Any], int], size: int) -> None:
        super().__init__()
        self._hash = hash_term
        self._size = size

    def __missing__(self, term: Any) -> int:
        if len(self) >= MEMO_SIZE:
            self.clear()
        # Python's % is never negative for a positive size: Spark's nonNegativeMod.
        index = self[term] = (SEED if term is None else self._hash(term)) % self._size
        return index


class _ByBits(TermIndex):
    """The same for terms that Python holds equal and Java hashes apart: 0.0 and -0.0, NaN and itself."""

    def __getitem__(self, term: Any) -> int:
        return self.__missing__(term)

    def __setitem__(self, term: Any, index: int) -> None:
        """Remembers nothing."""


def term_counter(index: TermIndex, size: int, binary: bool) -> Callable[[list[Any]], Sparse]:
    """The row function of ``HashingTF``."""

    def count(terms: list[Any]) -> Sparse:
        counts: dict[int, float] = {}
        for term in terms:
            at = index[term]
            counts[at] = counts.get(at, 0.0) + 1.0
        indices = sorted(counts)
        if binary:
            return Sparse(size, indices, [1.0] * len(indices))
        return Sparse(size, indices, [counts[at] for at in indices])

    return count


def count_block(flat: Any, lengths: Any, size: int) -> SparseBlock:
    """Counts the indices of all rows at once.

    Args:
        flat: The indices of all terms, row after row, int64.
        lengths: How many each row has, int64.
    """
    row = np.repeat(np.arange(len(lengths)), lengths)
    keys, counts = np.unique(row * size + flat, return_counts=True)
    rows, indices = np.divmod(keys, size)
    ends = np.cumsum(np.bincount(rows, minlength=len(lengths)))
    return SparseBlock(size, ends, indices, counts.astype(np.float64))


@loads(
    "org.apache.spark.ml.feature.HashingTF",
    inputCol=text,
    outputCol=text,
    numFeatures=integer,
    binary=boolean,
)
def hashing_tf(saved: SavedStage, params: Params) -> Stage:
    """``HashingTF``. Models of Spark 2 hash otherwise and are not read."""
    size = 1 << 18 if params.numFeatures is None else params.numFeatures
    binary = bool(params.binary)
    if size <= 0:
        raise saved.damaged("numFeatures is not positive")

    def bind(frame: Frame) -> None:
        column = frame.find(
            params.inputCol, saved.uid, lambda t: t.startswith("array<"), "an array", "array<string>"
        )
        element = column.type[6:-1]
        hash_term = hasher(element)
        if hash_term is None:
            raise saved.refuse(f"terms of type {element} are not hashed")
        index = (_ByBits if element == "double" else TermIndex)(hash_term, size)
        row = term_counter(index, size, binary)

        def batch(column: Block) -> tuple[Block] | None:
            if isinstance(column, WordsBlock):
                lengths = column.counts
                hashes = hash_many(column.text, column.starts, column.ends - column.starts)
                flat = np.mod(hashes.astype(np.int64), size)
            else:
                if not isinstance(column, list) or None in column:
                    return None
                lengths = np.fromiter(map(len, column), dtype=np.int64, count=len(column))
                lookup = index.__getitem__
                terms = itertools.chain.from_iterable(column)
                flat = np.fromiter(map(lookup, terms), dtype=np.int64, count=int(lengths.sum()))
            block = count_block(flat, lengths, size)
            if binary:
                block.values = np.ones_like(block.values)
            return (block,)

        frame.add(saved.uid, [params.inputCol], [Column(params.outputCol, "vector", size=size)], row, batch)

    return Stage(saved.uid, saved.java_class, bind)


def scaled(factors: list[float]) -> Callable[[Any], Any]:
    """A row function that multiplies each value of a vector by its factor, and keeps the vector's form and size.

    As in Spark, a vector may have fewer values than there are factors, but no more.
    """
    size = len(factors)
    factor = factors.__getitem__

    def scale(vector: Any) -> Any:
        if vector.__class__ is list:
            if len(vector) > size:
                raise Invalid(f"the vector has {len(vector)} values, the model was fitted on {size}")
            return [value * by for value, by in zip(vector, factors)]
        indices = vector.indices
        if indices and indices[-1] >= size:
            raise Invalid(f"the vector has a value at {indices[-1]}, the model was fitted on {size} values")
        return Sparse(
            vector.size, indices, [value * by for value, by in zip(vector.values, map(factor, indices))]
        )

    return scale


def scaled_batch(factors: list[float]) -> Callable[[Block], tuple[Block] | None]:
    """The same for whole columns."""
    array = np.array(factors, dtype=np.float64)

    def batch(column: Block) -> tuple[Block] | None:
        block = vectors_of(column)
        if isinstance(block, SparseBlock) and block.size == len(factors):
            return (block.with_values(block.values * array[block.indices]),)
        if isinstance(block, DenseBlock) and len(block.features) == len(factors):
            return (DenseBlock([f * by for f, by in zip(block.features, factors)], len(block)),)
        return None

    return batch


@loads("org.apache.spark.ml.feature.IDFModel", inputCol=text, outputCol=text, minDocFreq=integer)
def idf_model(saved: SavedStage, params: Params) -> Stage:
    """``IDFModel``: a product with the inverse document frequency; stored zeros stay stored."""
    (idf,) = saved.only("data", "idf")
    factors = to_dense(idf)
    row, batch = scaled(factors), scaled_batch(factors)

    def bind(frame: Frame) -> None:
        frame.vector(params.inputCol, saved.uid)
        frame.add(
            saved.uid, [params.inputCol], [Column(params.outputCol, "vector", size=len(factors))], row, batch
        )

    return Stage(saved.uid, saved.java_class, bind, hints={params.inputCol: [Sparse(len(factors), [], [])]})
