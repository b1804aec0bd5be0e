"""Linear models of a number: linear regression, generalized linear regression, factorization machines, survival.

Source: ``LinearRegressionModel``, ``GeneralizedLinearRegressionModel``, ``FMRegressionModel`` and
``AFTSurvivalRegressionModel`` of Spark 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, DenseBlock, Floats, doubles_of, vectors_of
from wmlclient.scoring.cells import Matrix
from wmlclient.scoring.columns import Column, Frame
from wmlclient.scoring.java.maths import power
from wmlclient.scoring.java.special import normal_cdf
from wmlclient.scoring.linear import Dot
from wmlclient.scoring.registry import Params, Stage, boolean, integer, loads, number, numbers, text, training
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.stages.classifiers import FactorizationMachine
from wmlclient.scoring.stages.logistic import divide, exp
from wmlclient.scoring.values import Sparse, vector_size

_COMMON: dict[str, Any] = {"featuresCol": text, "predictionCol": text, "labelCol": training}


def _trained(names: str) -> dict[str, Any]:
    return {**_COMMON, **dict.fromkeys(names.split(), training)}


@loads(
    "org.apache.spark.ml.regression.LinearRegressionModel",
    **_trained(
        "weightCol regParam elasticNetParam maxIter tol fitIntercept standardization solver loss epsilon "
        "aggregationDepth maxBlockSizeInMB"
    ),
)
def linear_regression_model(saved: SavedStage, params: Params) -> Stage:
    """``LinearRegressionModel``: the inner product and the intercept."""
    coefficients, intercept = saved.only("data", "coefficients", "intercept")
    dots = Dot(coefficients)
    dot = dots.row

    def row(vector: Any) -> Any:
        return dot(vector) + intercept

    def batch(column: Block) -> tuple[Block] | None:
        totals = _dots(column, dots)
        if totals is None:
            return None
        with np.errstate(all="ignore"):
            return (totals + intercept,)

    return _predictor(saved, params, vector_size(coefficients), row, batch)


def _predictor(saved: SavedStage, params: Params, size: int, row: Any, batch: Any) -> Stage:
    """A stage that adds one column of doubles, or nothing if the column has no name."""

    def bind(frame: Frame) -> None:
        frame.vector(params.featuresCol, saved.uid)
        if params.predictionCol:
            frame.add(saved.uid, [params.featuresCol], [Column(params.predictionCol, "double")], row, batch)

    return Stage(saved.uid, saved.java_class, bind, hints=_size_hint(params, size))


def _size_hint(params: Params, size: int) -> dict[str, list[Any]]:
    return {params.featuresCol: [Sparse(size, [], [])]}


def _dots(column: Block, dots: Dot) -> Floats | None:
    block = vectors_of(column)
    if block is None:
        return None
    with np.errstate(all="ignore"):
        return dots.block(block)


# -- generalized linear models ----------------------------------------------------------------------------------


_TINY = 1e-16
_LARGEST = 1.7976931348623157e308

Function = Callable[[float], float]


def _real_line(mean: float) -> float:
    """``Gaussian.project``."""
    if mean - mean != 0.0 and mean == mean:
        return math.copysign(_LARGEST, mean)
    return mean


def _positive(mean: float) -> float:
    """``Tweedie.project``, Poisson and Gamma too."""
    if mean < _TINY:
        return _TINY
    return _LARGEST if mean == math.inf else mean


def _unit(mean: float) -> float:
    """``Binomial.project``."""
    if mean < _TINY:
        return _TINY
    return 1.0 - _TINY if mean > 1.0 - _TINY else mean


def _same(eta: float) -> float:
    return eta


def _square(eta: float) -> float:
    return eta * eta


def _inverse(eta: float) -> float:
    return divide(1.0, eta)


def _logistic(eta: float) -> float:
    return 1.0 / (1.0 + exp(-1.0 * eta))


def _cloglog(eta: float) -> float:
    return 1.0 - exp(-1.0 * exp(eta))


_INVERSE_LINKS: dict[str, Function] = {
    "identity": _same,
    "log": exp,
    "inverse": _inverse,
    "logit": _logistic,
    "probit": normal_cdf,
    "cloglog": _cloglog,
    "sqrt": _square,
}
_FAMILIES: dict[str, tuple[Function, tuple[str, ...]]] = {
    "gaussian": (_real_line, ("identity", "log", "inverse")),
    "binomial": (_unit, ("logit", "probit", "cloglog")),
    "poisson": (_positive, ("log", "identity", "sqrt")),
    "gamma": (_positive, ("inverse", "identity", "log")),
}
"""How each family trims its mean, and its links, the default first."""


def _power_link(link_power: float) -> Function:
    """The inverse of the link ``mean ** link_power``; some powers have links of their own."""
    named = {0.0: exp, 1.0: _same, -1.0: _inverse, 0.5: _square}
    if link_power in named:
        return named[link_power]
    exponent = divide(1.0, link_power)
    return lambda eta: power(eta, exponent)


def mean_of(saved: SavedStage, params: Params) -> Function:
    """The mean for a linear prediction, by the family and the link: ``FamilyAndLink.fitted``."""
    family = (params.family or "gaussian").lower()
    if family == "tweedie":
        variance_power = params.variancePower or 0.0
        # The three powers that are families of their own bring their default links.
        own = {0.0: "gaussian", 1.0: "poisson", 2.0: "gamma"}.get(variance_power)
        project = _FAMILIES[own][0] if own else _positive
        if saved.is_set("linkPower"):
            unlink = _power_link(params.linkPower)
        elif own:
            unlink = _INVERSE_LINKS[_FAMILIES[own][1][0]]
        else:
            exponent = divide(1.0, 1.0 - variance_power)
            unlink = lambda eta: power(eta, exponent)  # noqa: E731
    else:
        if family not in _FAMILIES:
            raise saved.refuse(f"its family is {params.family!r}")
        project, links = _FAMILIES[family]
        link = params.link.lower() if saved.is_set("link") else links[0]
        if link not in links:
            raise saved.refuse(f"the family {family} does not go with the link {params.link!r}, in Spark too")
        unlink = _INVERSE_LINKS[link]
    if unlink is _same:
        return project
    return lambda eta: project(unlink(eta))


@loads(
    "org.apache.spark.ml.regression.GeneralizedLinearRegressionModel",
    family=text,
    link=text,
    variancePower=number,
    linkPower=number,
    linkPredictionCol=text,
    offsetCol=text,
    **_trained("weightCol regParam maxIter tol fitIntercept solver aggregationDepth"),
)
def generalized_linear_regression_model(saved: SavedStage, params: Params) -> Stage:
    """``GeneralizedLinearRegressionModel``: every family and link. A null offset gives nulls, as in Spark."""
    coefficients, intercept = saved.only("data", "coefficients", "intercept")
    dots = Dot(coefficients)
    dot = dots.row
    mean = mean_of(saved, params)
    offset_col = params.offsetCol if saved.is_set("offsetCol") else None
    link_col, prediction_col = params.linkPredictionCol, params.predictionCol
    columns = [Column(name, "double") for name in (link_col, prediction_col) if name]

    def outputs(eta: Any) -> Any:
        if link_col:
            return (eta, mean(eta)) if prediction_col else eta
        return mean(eta)

    null: Any = (None,) * len(columns) if len(columns) > 1 else None

    def row(vector: Any, offset: Any = 0.0) -> Any:
        if offset is None:
            return null
        return outputs(dot(vector) + intercept + float(offset))

    def batch(column: Block, offsets: Any = None) -> tuple[Block, ...] | None:
        shift = 0.0 if offsets is None else doubles_of(offsets)
        totals = None if shift is None else _dots(column, dots)
        if totals is None:
            return None
        with np.errstate(all="ignore"):
            eta = (totals + intercept + shift).tolist()
        results: list[Block] = []
        if link_col:
            results.append(eta)
        if prediction_col:
            results.append(list(map(mean, eta)))
        return tuple(results)

    def bind(frame: Frame) -> None:
        frame.vector(params.featuresCol, saved.uid)
        inputs = [params.featuresCol]
        if offset_col:
            frame.numeric(offset_col, saved.uid)
            inputs.append(offset_col)
        if columns:
            frame.add(saved.uid, inputs, columns, row, batch)

    return Stage(saved.uid, saved.java_class, bind, hints=_size_hint(params, vector_size(coefficients)))


# -- factorization machines -------------------------------------------------------------------------------------


@loads(
    "org.apache.spark.ml.regression.FMRegressionModel",
    factorSize=integer,
    fitLinear=boolean,
    **_trained("fitIntercept initStd maxIter miniBatchFraction regParam seed solver stepSize tol weightCol"),
)
def fm_regression_model(saved: SavedStage, params: Params) -> Stage:
    """``FMRegressionModel``."""
    intercept, linear, factors = saved.only("data", "intercept", "linear", "factors")
    if not isinstance(factors, Matrix) or factors.num_rows != vector_size(linear):
        raise saved.damaged("its factors do not fit its linear weights")
    machine = FactorizationMachine(intercept, linear, factors)

    def batch(column: Block) -> tuple[Block] | None:
        block = vectors_of(column)
        predictions = None if block is None else machine.block(block)
        return None if predictions is None else (predictions,)

    return _predictor(saved, params, machine.size, machine.row, batch)


# -- survival ---------------------------------------------------------------------------------------------------


@loads(
    "org.apache.spark.ml.regression.AFTSurvivalRegressionModel",
    quantilesCol=text,
    quantileProbabilities=numbers,
    **_trained("censorCol fitIntercept maxIter tol aggregationDepth maxBlockSizeInMB"),
)
def aft_survival_regression_model(saved: SavedStage, params: Params) -> Stage:
    """``AFTSurvivalRegressionModel``: the expected lifetime, and quantiles of the Weibull distribution."""
    coefficients, intercept, scale = saved.only("data", "coefficients", "intercept", "scale")
    dots = Dot(coefficients)
    dot = dots.row
    factors = [_weibull(probability, scale) for probability in params.quantileProbabilities or ()]
    quantiles_col, prediction_col = params.quantilesCol, params.predictionCol
    columns = [Column(prediction_col, "double")] if prediction_col else []
    if quantiles_col:
        columns.append(Column(quantiles_col, "vector", size=len(factors)))

    def outputs(lifetime: float) -> Any:
        if not quantiles_col:
            return lifetime
        quantiles = [lifetime * factor for factor in factors]
        return (lifetime, quantiles) if prediction_col else quantiles

    def row(vector: Any) -> Any:
        return outputs(exp(dot(vector) + intercept))

    def batch(column: Block) -> tuple[Block, ...] | None:
        totals = _dots(column, dots)
        if totals is None:
            return None
        with np.errstate(all="ignore"):
            # math.exp, not numpy's: the two may differ in the last bit, and rows and columns must agree.
            lifetimes = np.array([exp(total) for total in (totals + intercept).tolist()], dtype=np.float64)
            quantiles = DenseBlock([lifetimes * factor for factor in factors], len(lifetimes))
        results: list[Block] = [lifetimes] if prediction_col else []
        if quantiles_col:
            results.append(quantiles)
        return tuple(results)

    def bind(frame: Frame) -> None:
        frame.vector(params.featuresCol, saved.uid)
        if columns:
            frame.add(saved.uid, [params.featuresCol], columns, row, batch)

    return Stage(saved.uid, saved.java_class, bind, hints=_size_hint(params, vector_size(coefficients)))


def _weibull(probability: float, scale: float) -> float:
    """The quantile of a lifetime with scale 1."""
    return exp(math.log(-math.log1p(-probability)) * scale)
