# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Vectors turned and projected: PCA, the discrete cosine transform, bucketed random projections.

Sources: ``PCAModel``, ``DCT`` and ``BucketedRandomProjectionLSHModel`` in ``org.apache.spark.ml.feature`` of Spark
4.2. Products of dense vectors and matrices are summed in index order here and in lanes there (see
:mod:`wmlclient.scoring.linear`); the cosine transform is a sum here, and a fast transform there. Both differ in the
last bits of the largest term.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, DenseBlock, Floats, vectors_of
from wmlclient.scoring.cells import Matrix
from wmlclient.scoring.columns import Column, Frame, Invalid
from wmlclient.scoring.linear import Margins
from wmlclient.scoring.registry import Params, Stage, boolean, integer, loads, number, text, training
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.stages.rescaling import on_vectors
from wmlclient.scoring.values import finite, to_dense

MAX_DCT = 1 << 20
"""The longest vector that is transformed."""
DIRECT_DCT = 16
"""Up to this size the cosine transform is a product with a matrix; beyond, a Fourier transform."""


@loads("org.apache.spark.ml.feature.PCAModel", inputCol=text, outputCol=text, k=integer)
def pca_model(saved: SavedStage, params: Params) -> Stage:
    """``PCAModel``: the vector times the principal components; always dense, and not centred before, as in Spark."""
    (components,) = saved.only("data", "pc")
    if not isinstance(components, Matrix):
        raise saved.damaged("its components are no matrix")
    transposed = Matrix(list(map(list, zip(*components.dense()))), components.num_rows)
    size = transposed.num_rows
    margins = Margins(transposed, [0.0] * size)

    @np.errstate(all="ignore")
    def batch(column: Block) -> tuple[Block] | None:
        block = vectors_of(column)
        totals = None if block is None else margins.block(block)
        return None if block is None or totals is None else (DenseBlock(totals, len(block)),)

    return on_vectors(saved, params, size, margins.row, batch)


# -- DCT --------------------------------------------------------------------------------------------------------


@loads("org.apache.spark.ml.feature.DCT", inputCol=text, outputCol=text, inverse=boolean)
def dct(saved: SavedStage, params: Params) -> Stage:
    """``DCT``: the cosine transform DCT-II, or its inverse, scaled to be orthogonal; always dense.

    A vector with an infinite value is refused: how infinities meet in Spark depends on its fast transform.
    """
    inverse = bool(params.inverse)

    def row(vector: Any) -> list[float]:
        values = to_dense(vector)
        size = len(values)
        if size < 2:
            if size == 0:
                raise Invalid("the vector is empty")
            return list(values)
        out = _fourier(values, inverse) if size > DIRECT_DCT else direct(values)
        if not finite(out) and not all(map(math.isfinite, out)):
            if any(value != value for value in values):
                return [math.nan] * size
            # Where infinities meet depends on the order of the sums, which is another in Spark.
            raise Invalid("the vector is infinite or too large to be transformed as Spark does it")
        return out

    def direct(values: list[float]) -> list[float]:
        out = []
        for weights in _cosines(len(values), inverse):
            total = 0.0
            for value, weight in zip(values, weights):
                total += value * weight
            out.append(total)
        return out

    @np.errstate(all="ignore")
    def batch(column: Block) -> tuple[Block] | None:
        block = vectors_of(column)
        if not isinstance(block, DenseBlock) or not 1 < len(block.features) <= DIRECT_DCT:
            return None
        features = []
        for weights in _cosines(len(block.features), inverse):
            total: Floats = np.zeros(len(block))
            for feature, weight in zip(block.features, weights):
                total += feature * weight
            if not np.isfinite(total).all():
                return None
            features.append(total)
        return (DenseBlock(features, len(block)),)

    return on_vectors(saved, params, None, row, batch)


@lru_cache(maxsize=64)
def _cosines(size: int, inverse: bool) -> list[list[float]]:
    """For each output, the weight of each input."""
    scales = [math.sqrt((1.0 if k == 0 else 2.0) / size) for k in range(size)]
    # The angle's multiple of pi / (2 size) is taken modulo a full turn first: large angles lose digits.
    forward = [
        [scales[k] * math.cos(math.pi * ((2 * n + 1) * k % (4 * size)) / (2 * size)) for n in range(size)]
        for k in range(size)
    ]
    return list(map(list, zip(*forward))) if inverse else forward


def _fourier(values: list[float], inverse: bool) -> list[float]:
    """The same by a Fourier transform of twice the size."""
    size = len(values)
    if size > MAX_DCT:
        raise Invalid(f"the vector has {size} values; up to {MAX_DCT} are transformed")
    turns, scales = _turns(size)
    given = np.array(values, dtype=np.float64)
    with np.errstate(all="ignore"):
        if inverse:
            spectrum = np.zeros(size + 1, dtype=np.complex128)
            spectrum[:size] = given / scales * np.conj(turns)
            out = np.fft.irfft(spectrum, 2 * size)[:size]
        else:
            spectrum = np.fft.rfft(np.concatenate([given, given[::-1]]))[:size]
            out = (spectrum * turns).real * scales
    answer: list[float] = out.tolist()
    return answer


@lru_cache(maxsize=8)
def _turns(size: int) -> tuple[Any, Any]:
    angles = np.arange(size) * (-math.pi / (2 * size))
    scales = np.full(size, 1.0 / math.sqrt(2.0 * size))
    scales[0] /= math.sqrt(2.0)
    return np.cos(angles) + 1j * np.sin(angles), scales


# -- BucketedRandomProjectionLSH --------------------------------------------------------------------------------


@loads(
    "org.apache.spark.ml.feature.BucketedRandomProjectionLSHModel",
    inputCol=text,
    outputCol=text,
    bucketLength=number,
    numHashTables=training,
    seed=training,
)
def bucketed_random_projection_lsh_model(saved: SavedStage, params: Params) -> Stage:
    """``BucketedRandomProjectionLSHModel``: for each hash table, the bucket as a vector of one value.

    A dense product within a rounding error of a bucket's border may fall to its other side.
    """
    (unit,) = saved.only("data", "randUnitVectors")
    if not isinstance(unit, Matrix) or any(not isinstance(line, list) for line in unit.rows):
        raise saved.damaged("its random vectors are no dense matrix")
    if not params.bucketLength or params.bucketLength < 0.0:
        raise saved.damaged("its bucketLength is not positive")
    scale = 1.0 / params.bucketLength
    # Models of Spark 3 keep the matrix by columns; Spark then scales a dense vector first, and not the product.
    by_columns = not unit.transposed
    margins = Margins(unit, [0.0] * unit.num_rows)

    def row(vector: Any) -> list[list[float]]:
        if by_columns and vector.__class__ is list:
            return [[_floor(product)] for product in margins.row([value * scale for value in vector])]
        return [[_floor(product * scale)] for product in margins.row(vector)]

    @np.errstate(all="ignore")
    def batch(column: Block) -> tuple[Block] | None:
        block = vectors_of(column)
        if block is None:
            return None
        scale_first = by_columns and isinstance(block, DenseBlock)
        if scale_first and isinstance(block, DenseBlock):
            block = DenseBlock([feature * scale for feature in block.features], len(block))
        totals = margins.block(block)
        if totals is None:
            return None
        buckets = [np.floor(total if scale_first else total * scale).tolist() for total in totals]
        return ([[[bucket] for bucket in some] for some in zip(*buckets)],)

    def bind(frame: Frame) -> None:
        frame.vector(params.inputCol, saved.uid)
        frame.add(saved.uid, [params.inputCol], [Column(params.outputCol, "array<vector>")], row, batch)

    return Stage(saved.uid, saved.java_class, bind, hints={params.inputCol: [[0.0] * unit.num_cols]})


def _floor(value: float) -> float:
    """``Math.floor``, which keeps NaN, the infinities and -0.0."""
    return float(math.floor(value)) if value - value == 0.0 and value != 0.0 else value
