# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Vectors value by value: MaxAbsScaler, MinMaxScaler, RobustScaler, Normalizer, ElementwiseProduct.

Source: the classes of the same name in ``org.apache.spark.ml.feature`` of Spark 4.2, and
``org.apache.spark.mllib.feature.Normalizer``. All are equal to Spark's to the last bit, but for norms other than
1, 2 and infinity: two libraries' ``pow`` may differ in the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, DenseBlock, Floats, SparseBlock, vectors_of
from wmlclient.scoring.columns import Column, Frame, Invalid
from wmlclient.scoring.forms import compress_block
from wmlclient.scoring.hints import affine
from wmlclient.scoring.registry import Params, Stage, boolean, loads, number, text, training
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.stages.hashing import scaled, scaled_batch
from wmlclient.scoring.stages.logistic import divide
from wmlclient.scoring.stages.scaling import _centred
from wmlclient.scoring.stages.vectors import most_stored
from wmlclient.scoring.values import Sparse, to_dense, vector_from_json, vector_size

Row = Callable[[Any], Any]
Batch = Callable[[Block], "tuple[Block] | None"]


def on_vectors(
    saved: SavedStage,
    params: Params,
    size: int | None,
    row: Row,
    batch: Batch | None,
    factors: list[float] | None = None,
    shifts: list[float] | None = None,
    plus: float = 0.0,
) -> Stage:
    """A stage that reads one column of vectors and adds another.

    Args:
        size: The size of its vectors, ``None`` for that of its input.
        factors: With ``shifts`` and ``plus``: how a value came about, where that can be undone.
    """

    def bind(frame: Frame) -> None:
        column = frame.vector(params.inputCol, saved.uid)
        output = Column(params.outputCol, "vector", size=column.size if size is None else size)
        frame.add(saved.uid, [params.inputCol], [output], row, batch)

    hints = {} if size is None else {params.inputCol: [[0.0] * size]}
    undone = factors is not None or shifts is not None
    back = affine(params.inputCol, params.outputCol, factors, shifts, plus) if undone else None
    return Stage(saved.uid, saved.java_class, bind, hints=hints, back=back)


def inverse(value: float) -> float:
    """``1.0 / value``, as Java divides."""
    return divide(1.0, value)


@loads("org.apache.spark.ml.feature.MaxAbsScalerModel", inputCol=text, outputCol=text)
def max_abs_scaler_model(saved: SavedStage, params: Params) -> Stage:
    """``MaxAbsScalerModel``: a product with 1/maximum, 1 where the maximum is 0; the vector keeps its form."""
    (largest,) = saved.only("data", "maxAbs")
    factors = [1.0 if value == 0.0 else inverse(value) for value in to_dense(largest)]
    return on_vectors(saved, params, len(factors), scaled(factors), scaled_batch(factors), factors)


@loads(
    "org.apache.spark.ml.feature.RobustScalerModel",
    inputCol=text,
    outputCol=text,
    withCentering=boolean,
    withScaling=boolean,
    lower=training,
    upper=training,
    relativeError=training,
)
def robust_scaler_model(saved: SavedStage, params: Params) -> Stage:
    """``RobustScalerModel``: a product with 1/range, 0 where it is 0; centred vectors become dense."""
    spread, median = (to_dense(vector) for vector in saved.only("data", "range", "median"))
    factors = [0.0 if value == 0.0 else inverse(value) for value in spread]
    scaling = params.withScaling is not False
    row: Row
    batch: Batch
    if params.withCentering:
        row, batch = _centred(median, factors if scaling else None)
    elif scaling:
        row, batch = scaled(factors), scaled_batch(factors)
    else:
        # Spark's function gives back what it gets, even a null.
        row, batch = (lambda vector: vector), (lambda column: (column,))
    shifts = median if params.withCentering else None
    return on_vectors(saved, params, len(median), row, batch, factors if scaling else None, shifts)


@loads("org.apache.spark.ml.feature.MinMaxScalerModel", inputCol=text, outputCol=text, min=number, max=number)
def min_max_scaler_model(saved: SavedStage, params: Params) -> Stage:
    """``MinMaxScalerModel``: stretched to ``min``..``max``, then stored sparse where that is smaller. NaN stays."""
    lowest, highest = (to_dense(vector) for vector in saved.only("data", "originalMin", "originalMax"))
    if len(lowest) != len(highest):
        raise saved.damaged("it has not one minimum for each maximum")
    least = 0.0 if params.min is None else params.min
    most = 1.0 if params.max is None else params.max
    ranges = [high - low for low, high in zip(lowest, highest)]
    factors = [0.0 if spread == 0.0 else divide(most - least, spread) for spread in ranges]
    row, batch = _stretched(lowest, factors, least, (least + most) / 2.0)
    return on_vectors(saved, params, len(lowest), row, batch, factors, lowest, least)


def _stretched(lowest: list[float], factors: list[float], least: float, constant: float) -> tuple[Row, Batch]:
    size = len(factors)
    few = most_stored(size)
    plan = list(zip(lowest, factors))

    def row(vector: Any) -> list[float] | Sparse:
        values = to_dense(vector)
        if len(values) != size:
            raise Invalid(f"the vector has {len(values)} values, the model was fitted on {size}")
        out = [
            (value - low) * by + least
            if by != 0.0 and value == value
            else (constant if value == value else value)
            for value, (low, by) in zip(values, plan)
        ]
        if few >= 0 and size - out.count(0.0) <= few:
            indices = [index for index, value in enumerate(out) if value]
            return Sparse(size, indices, [out[index] for index in indices])
        return out

    @np.errstate(all="ignore")
    def batch(column: Block) -> tuple[Block] | None:
        block = vectors_of(column)
        if not isinstance(block, DenseBlock) or len(block.features) != size:
            return None
        features: list[Floats] = []
        for feature, (low, by) in zip(block.features, plan):
            if by != 0.0:
                features.append((feature - low) * by + least)
            else:
                features.append(np.where(np.isnan(feature), feature, constant))
        return (compress_block(DenseBlock(features, len(block))),)

    return row, batch


# -- Normalizer -------------------------------------------------------------------------------------------------


@loads("org.apache.spark.ml.feature.Normalizer", inputCol=text, outputCol=text, p=number)
def normalizer(saved: SavedStage, params: Params) -> Stage:
    """``Normalizer``: divided by the p-norm; a vector whose norm is 0 stays as it is."""
    p = 2.0 if params.p is None else params.p
    if not p >= 1.0:
        raise saved.refuse(f"its p is {p}")
    norm = _norm(p)

    def row(vector: Any) -> list[float] | Sparse:
        values = vector if vector.__class__ is list else vector.values
        length = norm(values)
        if length == 0.0:
            return vector  # type: ignore[no-any-return]
        divided = [value / length for value in values]
        return divided if vector.__class__ is list else Sparse(vector.size, vector.indices, divided)

    return on_vectors(saved, params, None, row, _normalized(p) if p in (1.0, 2.0, math.inf) else None)


def _norm(p: float) -> Callable[[list[float]], float]:
    def one(values: list[float]) -> float:
        total = 0.0
        for value in values:
            total += abs(value)
        return total

    def two(values: list[float]) -> float:
        total = 0.0
        for value in values:
            total += value * value
        return math.sqrt(total)

    def largest(values: list[float]) -> float:
        most = 0.0
        for value in values:
            if abs(value) > most:
                most = abs(value)
        return most

    def other(values: list[float]) -> float:
        total = 0.0
        for value in values:
            total += power(abs(value), p)
        return power(total, 1.0 / p)

    return {1.0: one, 2.0: two, math.inf: largest}.get(p, other)


def power(base: float, exponent: float) -> float:
    """``Math.pow`` for a base that is not negative: infinity where Python raises."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf


def _normalized(p: float) -> Batch:
    @np.errstate(all="ignore")
    def batch(column: Block) -> tuple[Block] | None:
        block = vectors_of(column)
        if block is None:
            return None
        lengths: Floats = np.zeros(len(block))
        if isinstance(block, SparseBlock):
            if p == math.inf:
                return None
            parts = np.abs(block.values) if p == 1.0 else block.values * block.values
            rows = block.row_numbers()
            lengths = np.bincount(rows, weights=parts, minlength=len(block)).astype(np.float64, copy=False)
        elif p == math.inf:
            for feature in block.features:
                # fmax, as a comparison with NaN is false
                lengths = np.fmax(lengths, np.abs(feature))
        else:
            for feature in block.features:
                lengths += np.abs(feature) if p == 1.0 else feature * feature
        if p == 2.0:
            lengths = np.sqrt(lengths)
        lengths[lengths == 0.0] = 1.0
        if isinstance(block, SparseBlock):
            return (SparseBlock(block.size, block.ends, block.indices, block.values / lengths[rows]),)
        return (DenseBlock([feature / lengths for feature in block.features], len(block)),)

    return batch


# -- ElementwiseProduct -----------------------------------------------------------------------------------------


def _vector(value: Any) -> list[float]:
    """A param that is a vector."""
    if not isinstance(value, dict):
        raise ValueError("is not a vector")
    return to_dense(vector_from_json(value))


@loads("org.apache.spark.ml.feature.ElementwiseProduct", inputCol=text, outputCol=text, scalingVec=_vector)
def elementwise_product(saved: SavedStage, params: Params) -> Stage:
    """``ElementwiseProduct``: a product with a given vector; the vector keeps its form."""
    factors = params.scalingVec
    if factors is None:
        raise saved.damaged("its scalingVec is missing")
    size, product = len(factors), scaled(factors)

    def row(vector: Any) -> list[float] | Sparse:
        if vector_size(vector) != size:
            raise Invalid(f"the vector has {vector_size(vector)} values, but scalingVec has {size}")
        return product(vector)  # type: ignore[no-any-return]

    return on_vectors(saved, params, size, row, scaled_batch(factors), factors)
