# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Linear support vectors, factorization machines and multilayer perceptrons.

Source: ``LinearSVCModel``, ``FMClassificationModel`` and ``FactorizationMachines``,
``MultilayerPerceptronClassificationModel`` and ``ml.ann`` of Spark 4.2.
Where Spark multiplies dense vectors or matrices with its BLAS, sums run here in the order of the index, and the last
bits may differ; everything else is in Spark's order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, DenseBlock, Floats, Ints, SparseBlock, vectors_of
from wmlclient.scoring.cells import Matrix
from wmlclient.scoring.columns import Column, Frame, Invalid
from wmlclient.scoring.linear import Dot
from wmlclient.scoring.registry import Params, Stage, loads, number, text
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.stages.classified import (
    Classifier,
    Part,
    classes_part,
    combine,
    of_two,
    predictor,
    probabilistic,
)
from wmlclient.scoring.stages.logistic import argmax, divide, exp, exps
from wmlclient.scoring.values import Sparse, to_dense, vector_size

WIDE = 40
"""Neurons in a layer from which NumPy is faster than Python for one row."""


def _stage(
    saved: SavedStage,
    params: Params,
    size: int,
    find: Callable[[Any], Any],
    find_block: Callable[[Block], Any],
    part: Part,
) -> Stage:
    columns, row, batch = combine(find, find_block, [part])

    def bind(frame: Frame) -> None:
        frame.vector(params.featuresCol, saved.uid)
        if columns:
            frame.add(saved.uid, [params.featuresCol], columns, row, batch)

    return Stage(saved.uid, saved.java_class, bind, hints={params.featuresCol: [Sparse(size, [], [])]})


def _same(found: Any) -> Any:
    return found


def _of_vectors(block_of: Callable[[DenseBlock | SparseBlock], Any]) -> Callable[[Block], Any]:
    def find(column: Block) -> Any:
        block = vectors_of(column)
        return None if block is None else block_of(block)

    return find


# -- linear support vectors -------------------------------------------------------------------------------------------


@loads(
    "org.apache.spark.ml.classification.LinearSVCModel",
    **predictor(
        "aggregationDepth", "fitIntercept", "maxBlockSizeInMB", "maxIter", "regParam", "standardization", "tol",
        "weightCol", rawPredictionCol=text, threshold=number,
    ),
)  # fmt: skip
def linear_svc_model(saved: SavedStage, params: Params) -> Stage:
    """``LinearSVCModel``: the threshold is one for the margin."""
    coefficients, intercept = saved.only("data", "coefficients", "intercept")
    both = Dot(coefficients)
    threshold = 0.0 if params.threshold is None else params.threshold
    with_raw, with_prediction = bool(params.rawPredictionCol), bool(params.predictionCol)
    columns = [
        *([Column(params.rawPredictionCol, "vector", size=2)] if with_raw else ()),
        *([Column(params.predictionCol, "double")] if with_prediction else ()),
    ]

    def find(vector: Any) -> float:
        return both.row(vector) + intercept  # type: ignore[no-any-return]

    def find_block(block: DenseBlock | SparseBlock) -> Floats | None:
        with np.errstate(all="ignore"):
            margins = both.block(block)
            return None if margins is None else margins + intercept

    def row(margin: float) -> Sequence[Any]:
        out: list[Any] = [[-margin, margin]] if with_raw else []
        if with_prediction:
            out.append(1.0 if margin > threshold else 0.0)
        return out

    def block(margin: Floats) -> Sequence[Block]:
        out: list[Block] = [DenseBlock([-margin, margin], len(margin))] if with_raw else []
        if with_prediction:
            out.append((margin > threshold).astype(np.float64))
        return out

    return _stage(
        saved, params, vector_size(coefficients), find, _of_vectors(find_block), Part(columns, row, block)
    )


# -- factorization machines -------------------------------------------------------------------------------------------


class FactorizationMachine:
    """``FactorizationMachines.getRawPrediction``, for one row and for all."""

    def __init__(self, intercept: float, linear: list[float] | Sparse, factors: Matrix) -> None:
        self.size = factors.num_rows
        self._dot = Dot(linear)
        self._intercept = intercept
        self._rows = factors.dense()
        self._columns = [np.array(column, dtype=np.float64) for column in zip(*self._rows)]

    def row(self, vector: Any) -> float:
        """The margin of one row."""
        raw = self._intercept + self._dot.row(vector)
        if vector.__class__ is list:
            stored = list(zip(vector, self._rows))
        else:
            stored = [(value, self._rows[index]) for index, value in zip(vector.indices, vector.values)]
        # A zero adds a zero to both sums, so it need not be left out as Spark does.
        for at in range(len(self._columns)):
            total = squares = 0.0
            for value, weights in stored:
                product = weights[at] * value
                squares += product * product
                total += product
            raw += 0.5 * (total * total - squares)
        return raw

    def block(self, block: DenseBlock | SparseBlock) -> Floats | None:
        """The margins of all rows, or ``None`` if their size is not the model's."""
        with np.errstate(all="ignore"):
            dots = self._dot.block(block)
            if dots is None:
                return None
            raw = self._intercept + dots
            count = len(block)
            for weights in self._columns:
                if isinstance(block, DenseBlock):
                    total, squares = np.zeros(count), np.zeros(count)
                    for weight, values in zip(weights.tolist(), block.features):
                        product = weight * values
                        squares += product * product
                        total += product
                else:
                    product = weights[block.indices] * block.values
                    rows = block.row_numbers()
                    total, squares = _sums(rows, product, count), _sums(rows, product * product, count)
                raw += 0.5 * (total * total - squares)
        return raw


def _sums(rows: Ints, values: Floats, count: int) -> Floats:
    """The values of each row, added one after the other."""
    sums: Floats = np.bincount(rows, weights=values, minlength=count).astype(np.float64, copy=False)
    return sums


@loads(
    "org.apache.spark.ml.classification.FMClassificationModel",
    **probabilistic(
        "factorSize", "fitIntercept", "fitLinear", "initStd", "maxIter", "miniBatchFraction", "regParam", "seed",
        "solver", "stepSize", "tol", "weightCol",
    ),
)  # fmt: skip
def fm_classification_model(saved: SavedStage, params: Params) -> Stage:
    """``FMClassificationModel``."""
    machine = FactorizationMachine(*saved.only("data", "intercept", "linear", "factors"))

    probability, probability_block = of_two(1, _sigmoid, lambda values: 1.0 / (1.0 + exps(-values)))
    model = Classifier(
        2,
        raw=lambda margin: [-margin, margin],
        raw_block=lambda margins: [-margins, margins],
        probability=probability,
        probability_block=probability_block,
    )
    part = classes_part(saved, params, model)
    return _stage(saved, params, machine.size, machine.row, _of_vectors(machine.block), part)


# -- multilayer perceptrons -------------------------------------------------------------------------------------------


class _Layer:
    """An affine layer. Sums run over the inputs in order, then the bias is added, for one row and for all."""

    def __init__(self, weights: list[float], inputs: int, outputs: int) -> None:
        # Spark keeps the weights of all outputs for the first input, then for the second ..., then the biases.
        self._matrix = np.array(weights[: inputs * outputs], dtype=np.float64).reshape(inputs, outputs)
        self._rows = list(zip(*self._matrix.tolist()))
        self._biases = weights[inputs * outputs :]
        self._wide = outputs >= WIDE

    def row(self, values: list[float]) -> list[float]:
        if self._wide:
            with np.errstate(all="ignore"):
                out: list[float] = self.block(np.array(values, dtype=np.float64)[:, None])[:, 0].tolist()
            return out
        out = []
        for weights, bias in zip(self._rows, self._biases):
            total = 0.0
            for value, weight in zip(values, weights):
                total += weight * value
            out.append(total + bias)
        return out

    def block(self, values: Floats) -> Floats:
        """The same for all rows: shapes (inputs, rows) and (outputs, rows)."""
        sums = np.zeros((len(self._biases), values.shape[1]))
        for value, column in zip(values, self._matrix):
            sums += column[:, None] * value
        sums += np.array(self._biases, dtype=np.float64)[:, None]
        return sums


def _sigmoid(value: float) -> float:
    return 1.0 / (1.0 + exp(-value))


def _softmax(raw: list[float]) -> list[float]:
    """The softmax of ``ml.ann``, which is not that of logistic regression: it divides, and knows no infinity."""
    largest = -1.7976931348623157e308
    for value in raw:
        if value > largest:
            largest = value
    powers = [exp(value - largest) for value in raw]
    total = 0.0
    for power in powers:
        total += power
    return [divide(power, total) for power in powers]


@loads(
    "org.apache.spark.ml.classification.MultilayerPerceptronClassificationModel",
    **probabilistic(
        "blockSize", "initialWeights", "maxIter", "seed", "solver", "stepSize", "tol",
        layers=lambda value: value,
    ),
)  # fmt: skip
def multilayer_perceptron_classification_model(saved: SavedStage, params: Params) -> Stage:
    """``MultilayerPerceptronClassificationModel``: sigmoid layers, and a softmax on top for the probabilities."""
    sizes = params.layers
    if not isinstance(sizes, list) or len(sizes) < 2 or not all(type(s) is int and s > 0 for s in sizes):
        raise saved.refuse("the sizes of its layers are not known")
    weights = to_dense(saved.only("data", "weights")[0])
    pairs = list(zip(sizes, sizes[1:]))
    if len(weights) != sum((inputs + 1) * outputs for inputs, outputs in pairs):
        raise saved.damaged("its weights do not fit its layers")
    layers, start = [], 0
    for inputs, outputs in pairs:
        end = start + (inputs + 1) * outputs
        layers.append(_Layer(weights[start:end], inputs, outputs))
        start = end
    first, *others = layers

    def find(vector: Any) -> list[float]:
        values = to_dense(vector)
        if len(values) != sizes[0]:
            raise Invalid(f"the vector has {len(values)} values, the model was fitted on {sizes[0]}")
        values = first.row(values)
        for layer in others:
            values = layer.row([_sigmoid(value) for value in values])
        return values

    def find_block(block: DenseBlock | SparseBlock) -> list[Floats] | None:
        if isinstance(block, SparseBlock):
            if block.size != sizes[0]:
                return None
            values = np.zeros((block.size, len(block)))
            values[block.indices, block.row_numbers()] = block.values
        elif len(block.features) != sizes[0]:
            return None
        else:
            values = np.stack(block.features)
        with np.errstate(all="ignore"):
            values = first.block(values)
            for layer in others:
                # Python's exp, as for one row: NumPy's may differ in the last bit.
                active = [list(map(_sigmoid, neuron)) for neuron in values.tolist()]
                values = layer.block(np.array(active, dtype=np.float64))
        return list(values)

    model = Classifier(
        sizes[-1], raw=_same, raw_block=_same, probability=_softmax, predict=lambda raw: argmax(_softmax(raw))
    )
    part = classes_part(saved, params, model)
    return _stage(saved, params, sizes[0], find, _of_vectors(find_block), part)
