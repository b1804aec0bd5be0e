# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Gaussian mixtures.

Source: ``GaussianMixtureModel`` and ``ml.stat.distribution.MultivariateGaussian`` of Spark 4.2. The density comes from
the eigenvectors of the covariance, found as Spark's own LAPACK finds them. Equal to the last bit where a vector has
fewer values than the processor's registers hold doubles (4 or 8); beyond, Spark's BLAS fuses products and sums.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, DenseBlock, Floats, vectors_of
from wmlclient.scoring.cells import Matrix
from wmlclient.scoring.columns import Column, Frame, Invalid
from wmlclient.scoring.distances import EPSILON
from wmlclient.scoring.java.lapack import NotComputed, eigen
from wmlclient.scoring.registry import Params, Stage, loads, text, training
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.stages.clustering import features
from wmlclient.scoring.stages.logistic import argmax, divide, exp
from wmlclient.scoring.values import Sparse, to_dense

WIDE = 12
"""Values in a vector from which NumPy is faster than Python for one row."""
_SYMMETRY = 1e-7


class _Gaussian:
    """``MultivariateGaussian``: ``exp(constant - |root . (mean - x)|**2 / 2)``.

    Args:
        mean: The mean, dense or sparse as it was saved.
        covariance: Shape (size, size).

    Raises:
        NotComputed: Its eigenvalues were not found.
    """

    def __init__(self, mean: list[float] | Sparse, covariance: Matrix) -> None:
        values, vectors = eigen(covariance.dense())
        self.size = len(values)
        tolerance = EPSILON * max(values) * len(values)
        logarithms = 0.0
        for value in values:
            if value > tolerance:
                logarithms += math.log(value)
        scales = [math.sqrt(1.0 / value) if value > tolerance else 0.0 for value in values]
        self._root: Floats = np.array(scales)[:, np.newaxis] * vectors.T
        self._columns: list[list[float]] = self._root.T.tolist()
        self._constant = -0.5 * (self.size * math.log(2.0 * math.pi) + logarithms)
        if isinstance(mean, Sparse):
            start = [total * 1.0 for total in self._sparse_products(mean)]
        else:
            start = [float(v) for v in self._add([0.0] * self.size, mean, 1.0)]
        self._start = start
        self._start_array = np.array(start)

    def _add(self, start: list[Any], x: list[Any], sign: float) -> list[Any]:
        """``start + sign * root . x``, four columns at a time, for one row or, with arrays in x, for many."""
        v = start
        columns = self._columns
        whole = len(x) // 4 * 4
        for at in range(0, whole, 4):
            x0, x1, x2, x3 = sign * x[at], sign * x[at + 1], sign * x[at + 2], sign * x[at + 3]
            four = zip(v, columns[at], columns[at + 1], columns[at + 2], columns[at + 3])
            v = [y + (x0 * a0 + x1 * a1 + x2 * a2 + x3 * a3) for y, a0, a1, a2, a3 in four]
        for at in range(whole, len(x)):
            x0 = sign * x[at]
            v = [y + x0 * a0 for y, a0 in zip(v, columns[at])]
        return v

    def _sparse_products(self, x: Sparse) -> list[float]:
        totals = [0.0] * self.size
        for index, value in zip(x.indices, x.values):
            totals = [total + value * a for total, a in zip(totals, self._columns[index])]
        return totals

    def density(self, vector: Any) -> float:
        """``pdf`` of one vector, whose size is right."""
        if vector.__class__ is not list:
            v = [total * -1.0 + 1.0 * y for total, y in zip(self._sparse_products(vector), self._start)]
        elif self.size >= WIDE:
            return self._wide(vector)
        else:
            v = self._add(self._start, vector, -1.0)
        squares = 0.0
        for value in v:
            squares += value * value
        return exp(self._constant - 0.5 * squares)

    def _wide(self, vector: list[float]) -> float:
        x = -1.0 * np.array(vector)
        v = self._start_array
        whole = self.size // 4 * 4
        with np.errstate(all="ignore"):
            products = self._root * x
            for at in range(0, whole, 4):
                a0, a1, a2, a3 = (
                    products[:, at],
                    products[:, at + 1],
                    products[:, at + 2],
                    products[:, at + 3],
                )
                v = v + (a0 + a1 + a2 + a3)
            for at in range(whole, self.size):
                v = v + products[:, at]
            squares = float(np.add.accumulate(v * v)[-1])
        return exp(self._constant - 0.5 * squares)

    def densities(self, block: DenseBlock) -> Floats:
        """The same for all rows of a block."""
        squares: Floats = np.zeros(len(block))
        for value in self._add(list(self._start), block.features, -1.0):
            squares += value * value
        # math.exp, not numpy's: the two may differ in the last bit, and rows and columns must agree.
        return np.array([exp(power) for power in (self._constant - 0.5 * squares).tolist()])


@loads(
    "org.apache.spark.ml.clustering.GaussianMixtureModel",
    featuresCol=text,
    predictionCol=text,
    probabilityCol=text,
    **dict.fromkeys(["k", "maxIter", "seed", "tol", "weightCol", "aggregationDepth"], training),
)
def gaussian_mixture_model(saved: SavedStage, params: Params) -> Stage:
    """``GaussianMixtureModel``: the probability of each component, and the likeliest of them."""
    weights, means, covariances = saved.only("data", "weights", "mus", "sigmas")
    if not weights or not len(weights) == len(means) == len(covariances):
        raise saved.damaged("it has not one mean and one covariance for each weight")
    gaussians = [_gaussian(saved, mean, covariance) for mean, covariance in zip(means, covariances)]
    size = gaussians[0].size
    if any(gaussian.size != size for gaussian in gaussians):
        raise saved.damaged("its components differ in size")
    probability_col, prediction_col = params.probabilityCol, params.predictionCol
    columns = [Column(probability_col, "vector", size=len(weights))] if probability_col else []
    if prediction_col:
        columns.append(Column(prediction_col, "int"))

    def outputs(probability: list[float]) -> Any:
        if not prediction_col:
            return probability
        prediction = int(argmax(probability))
        return (probability, prediction) if probability_col else prediction

    def row(vector: Any) -> Any:
        found = len(vector) if vector.__class__ is list else vector.size
        if found != size:
            raise Invalid(f"the vector has {found} values, the model was fitted on {size}")
        parts = [EPSILON + weight * g.density(vector) for weight, g in zip(weights, gaussians)]
        total = 0.0
        for part in parts:
            total += part
        return outputs([divide(part, total) for part in parts])

    def batch(column: Block) -> tuple[Block, ...] | None:
        block = vectors_of(column)
        if not isinstance(block, DenseBlock) or len(block.features) != size:
            return None
        with np.errstate(all="ignore"):
            parts = [EPSILON + weight * g.densities(block) for weight, g in zip(weights, gaussians)]
            total: Floats = np.zeros(len(block))
            for part in parts:
                total += part
            probability = DenseBlock([part / total for part in parts], len(block))
        results: list[Block] = [probability] if probability_col else []
        if prediction_col:
            results.append([int(argmax(values)) for values in probability.rows()])
        return tuple(results)

    def bind(frame: Frame) -> None:
        features(frame, params.featuresCol, saved.uid)
        if columns:
            frame.add(saved.uid, [params.featuresCol], columns, row, batch)

    hints = {params.featuresCol: [Sparse(size, [], [])]}
    return Stage(saved.uid, saved.java_class, bind, hints=hints)


def _gaussian(saved: SavedStage, mean: Any, covariance: Any) -> _Gaussian:
    if not isinstance(covariance, Matrix) or covariance.num_rows != covariance.num_cols:
        raise saved.damaged("a covariance is not square")
    rows = covariance.dense()
    if len(rows) != len(to_dense(mean)) or not rows:
        raise saved.damaged("a mean does not fit its covariance")
    pairs = ((rows[i][j], rows[j][i]) for i in range(len(rows)) for j in range(i))
    if any(abs(left - right) > _SYMMETRY for left, right in pairs):
        raise saved.refuse("a covariance is not symmetric; Spark fails on it")
    try:
        return _Gaussian(mean, covariance)
    except NotComputed as error:
        raise saved.refuse(f"the eigenvalues of a covariance are not found: {error}") from None
