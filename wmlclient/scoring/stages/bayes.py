# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Naive Bayes of all four types.

Source: ``NaiveBayesModel`` of Spark 4.2. The Gaussian type is in Spark's order of operations. The other types multiply
a matrix, where Spark's BLAS may sum in another order than that of the index if both sides are dense.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, DenseBlock, Floats, SparseBlock, vectors_of
from wmlclient.scoring.cells import Matrix
from wmlclient.scoring.columns import Frame, Invalid
from wmlclient.scoring.linear import Margins
from wmlclient.scoring.registry import Params, Stage, loads, text
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.stages.classified import Classifier, classes_part, combine, probabilistic
from wmlclient.scoring.stages.logistic import divide, exp, softmax
from wmlclient.scoring.values import Sparse, to_dense

RowRaw = Callable[[Any], list[float]]
BlockRaw = Callable[[DenseBlock | SparseBlock], "list[Floats] | None"]


@loads(
    "org.apache.spark.ml.classification.NaiveBayesModel",
    **probabilistic("smoothing", "weightCol", modelType=text),
)
def naive_bayes_model(saved: SavedStage, params: Params) -> Stage:
    """``NaiveBayesModel``."""
    prior, theta = saved.only("data", "pi", "theta")
    pi = to_dense(prior)
    if not isinstance(theta, Matrix) or theta.num_rows != len(pi) or not pi:
        raise saved.damaged("it has not one prior for each class")
    kind = params.modelType or "multinomial"
    if kind == "multinomial":
        raw, raw_block = _linear(theta, pi, _nonnegative)
    elif kind == "complement":
        raw, raw_block = _complement(theta)
    elif kind == "bernoulli":
        raw, raw_block = _bernoulli(theta, pi)
    elif kind == "gaussian":
        (sigma,) = saved.only("data", "sigma")
        if not isinstance(sigma, Matrix) or (sigma.num_rows, sigma.num_cols) != (len(pi), theta.num_cols):
            raise saved.damaged("it has not one variance for each class and feature")
        raw, raw_block = _gaussian(theta.dense(), sigma.dense(), pi)
    else:
        raise saved.refuse(f"modelType is {kind!r}")

    def find_block(column: Block) -> list[Floats] | None:
        block = vectors_of(column)
        if block is None:
            return None
        with np.errstate(all="ignore"):
            return raw_block(block)

    model = Classifier(len(pi), raw=lambda found: found, raw_block=lambda found: found, probability=softmax)
    columns, row, batch = combine(raw, find_block, [classes_part(saved, params, model)])

    def bind(frame: Frame) -> None:
        frame.vector(params.featuresCol, saved.uid)
        if columns:
            frame.add(saved.uid, [params.featuresCol], columns, row, batch)

    # Not the empty vector alone: most of what is generated around zero is negative, which this model refuses.
    hints = {params.featuresCol: [Sparse(theta.num_cols, [], [])]}
    return Stage(saved.uid, saved.java_class, bind, hints=hints)


def _nonnegative(value: float) -> bool:
    return value >= 0.0


def _zero_or_one(value: float) -> bool:
    return value == 0.0 or value == 1.0


def _linear(matrix: Matrix, start: list[float], accepts: Callable[[Any], Any]) -> tuple[RowRaw, BlockRaw]:
    """``matrix . vector + start`` for vectors of values that the type of the model takes."""
    both = Margins(matrix, start)
    needs = "0 or 1" if accepts is _zero_or_one else "not negative"

    def row(vector: Any) -> list[float]:
        for value in vector if vector.__class__ is list else vector.values:
            if not accepts(value):
                raise Invalid(f"a feature is {value}; naive Bayes of this type takes values that are {needs}")
        return both.row(vector)

    def block(block: DenseBlock | SparseBlock) -> list[Floats] | None:
        values = block.features if isinstance(block, DenseBlock) else [block.values]
        if accepts is _zero_or_one:
            fit = all(((value == 0.0) | (value == 1.0)).all() for value in values)
        else:
            fit = all((value >= 0.0).all() for value in values)
        return both.block(block) if fit else None

    return row, block


def _complement(theta: Matrix) -> tuple[RowRaw, BlockRaw]:
    linear, linear_block = _linear(theta, [0.0] * theta.num_rows, _nonnegative)

    def scaled(raw: list[float]) -> list[float]:
        largest = max(raw)
        total = 0.0
        for value in raw:
            total += exp(value - largest)
        scale = (math.log(total) if total > 0.0 else math.nan) + largest
        return [value - scale for value in raw]

    def block(block: DenseBlock | SparseBlock) -> list[Floats] | None:
        raw = linear_block(block)
        if raw is None:
            return None
        rows = [scaled(list(values)) for values in zip(*[margin.tolist() for margin in raw])]
        return [np.array(column, dtype=np.float64) for column in zip(*rows)]

    return lambda vector: scaled(linear(vector)), block


def _log1p(value: float) -> float:
    if value > -1.0:
        return math.log1p(value)
    return -math.inf if value == -1.0 else math.nan


def _bernoulli(theta: Matrix, pi: list[float]) -> tuple[RowRaw, BlockRaw]:
    weights: list[list[float] | Sparse] = []
    starts = []
    for prior, row in zip(pi, theta.rows):
        # Of a sparse matrix Spark changes only what is stored.
        stored = row.values if isinstance(row, Sparse) else row
        absent = [_log1p(-exp(value)) for value in stored]
        values = [value - negative for value, negative in zip(stored, absent)]
        weights.append(Sparse(row.size, row.indices, values) if isinstance(row, Sparse) else values)
        total = prior if theta.by_column else 0.0
        for negative in absent:
            total += negative
        starts.append(total if theta.by_column else total + prior)
    return _linear(Matrix(weights, theta.num_cols, theta.by_column), starts, _zero_or_one)


def _gaussian(theta: list[list[float]], sigma: list[list[float]], pi: list[float]) -> tuple[RowRaw, BlockRaw]:
    size = len(theta[0])
    logs = []
    for variances in sigma:
        total = 0.0
        for variance in variances:
            total += math.log(variance) if variance > 0.0 else -math.inf if variance == 0.0 else math.nan
        logs.append(total)
    classes = list(zip(theta, sigma, pi, logs))

    def row(vector: Any) -> list[float]:
        values = to_dense(vector)
        if len(values) < size:
            raise Invalid(f"the vector has {len(values)} values, the model was fitted on {size}")
        out = []
        for means, variances, prior, log in classes:
            total = 0.0
            for value, mean, variance in zip(values, means, variances):
                gap = value - mean
                total += divide(gap * gap, variance)
            out.append(prior - (total + log) / 2)
        return out

    def block(block: DenseBlock | SparseBlock) -> list[Floats] | None:
        if isinstance(block, SparseBlock):
            if block.size < size:
                return None
            values = np.zeros((block.size, len(block)))
            values[block.indices, block.row_numbers()] = block.values
            features = list(values)
        else:
            features = block.features
            if len(features) < size:
                return None
        out = []
        for means, variances, prior, log in classes:
            total = np.zeros(len(block))
            for feature, mean, variance in zip(features, means, variances):
                gap = feature - mean
                total += gap * gap / variance
            out.append(prior - (total + log) / 2)
        return out

    return row, block
