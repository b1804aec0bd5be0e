"""Special functions of Apache Commons Math 3.6.1, as Spark's Breeze calls them: same steps, same limits, same bits.

Source: ``special.Gamma``, ``special.Erf`` and ``util.ContinuedFraction``. Exact functions will not do: its digamma
is off by up to 3e-9 (the second term of its series has the wrong sign), and the numbers of Spark with it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Floats

_LOG_GAMMA_HALF = 0.5723649429247001
"""``Gamma.logGamma(0.5)``."""
_EPSILON = 1e-15
_SMALL = 1e-50
_EULER = 0.5772156649015329
_SERIES_FROM = 49
_SMALLEST = 1e-5
_CHUNK = 2048
MAX_STEPS = 4000
"""Steps down from a negative argument; Java's stack would not bear many more."""


def erf(value: float) -> float:
    """``Erf.erf``: the error function.

    >>> erf(0.5), erf(-3.0)
    (0.5204998778130466, -0.9999779095030014)
    """
    if abs(value) > 40.0:
        return 1.0 if value > 0.0 else -1.0
    square = value * value
    if square != square:
        return math.nan
    if square == 0.0:
        result = 0.0
    elif square >= 1.5:
        result = 1.0 - _upper(square)
    else:
        result = _lower(square)
    return -result if value < 0.0 else result


def _scale(square: float) -> float:
    return math.exp(-square + 0.5 * math.log(square) - _LOG_GAMMA_HALF)


def _lower(square: float) -> float:
    """``Gamma.regularizedGammaP(0.5, square)`` by its series."""
    n = 0.0
    term = 2.0
    total = term
    while abs(term / total) > _EPSILON:
        n += 1.0
        term *= square / (0.5 + n)
        total += term
    return _scale(square) * total


def _upper(square: float) -> float:
    """``Gamma.regularizedGammaQ(0.5, square)`` by its continued fraction."""
    previous = 2.0 * 0.0 + 1.0 - 0.5 + square
    c = h = previous
    d = 0.0
    for n in range(1, 10000):
        a = 2.0 * n + 1.0 - 0.5 + square
        b = n * (0.5 - n)
        d = a + b * d
        if abs(d) <= _SMALL:
            d = _SMALL
        c = a + b / c
        if abs(c) <= _SMALL:
            c = _SMALL
        d = 1.0 / d
        delta = c * d
        h *= delta
        if abs(delta - 1.0) < _EPSILON:
            break
    return _scale(square) * (1.0 / h)


def normal_cdf(value: float) -> float:
    """``breeze.stats.distributions.Gaussian(0, 1).cdf``."""
    return 0.5 * (1.0 + erf(value / math.sqrt(2.0)))


def digamma(values: Any) -> Floats:
    """``Gamma.digamma`` of each value of an array of any shape.

    Raises:
        OverflowError: A value is so far below zero that Java's stack would overflow.
    """
    shape = np.shape(values)
    flat = np.ascontiguousarray(values, dtype=np.float64).reshape(-1)
    if len(flat) <= _CHUNK:
        result = _digamma(flat)
    else:
        result = np.empty_like(flat)
        for start in range(0, len(flat), _CHUNK):
            result[start : start + _CHUNK] = _digamma(flat[start : start + _CHUNK])
    shaped: Floats = result.reshape(shape)
    return shaped


def _digamma(values: Floats) -> Floats:
    with np.errstate(all="ignore"):
        usual = (values > _SMALLEST) & (values < math.inf)
        if usual.all():
            return _from_above(values)
        result: Floats = np.array([_from_below(value) for value in values.tolist()])
        if usual.any():
            result[usual] = _from_above(values[usual])
        return result


def _from_above(x: Floats) -> Floats:
    """Of values above 1e-5: Java goes up by 1 until 49, then takes off 1/x from the top down."""
    steps = max(0, math.ceil(_SERIES_FROM - float(x.min()))) + 1 if len(x) else 1
    ladder = np.ones((steps, len(x)))
    ladder[0] = x
    np.add.accumulate(ladder, axis=0, out=ladder)
    below = ladder < _SERIES_FROM
    top = ladder[below.sum(axis=0), np.arange(len(x))]
    fractions = np.empty((steps + 1, len(x)))
    np.divide(1.0, ladder[::-1], out=fractions[1:])
    fractions[1:][~below[::-1]] = 0.0
    inverse = 1.0 / (top * top)
    # math.log, not numpy's, so that rows and columns have the same last bit.
    logarithms: Floats = np.array(list(map(math.log, top.tolist())))
    fractions[0] = logarithms - 0.5 / top - inverse * (1.0 / 12 + inverse * (1.0 / 120 - inverse / 252))
    difference: Floats = np.subtract.reduce(fractions, axis=0)
    return difference


def _from_below(value: float) -> float:
    """Of zero, of what is just above, of negative values, and of what is no finite number."""
    if value - value != 0.0:
        return value
    if value < -MAX_STEPS:
        raise OverflowError(f"the digamma of {value} is too deep a recursion")
    taken = []
    x = value
    while not (x >= _SERIES_FROM or 0.0 < x <= _SMALLEST):
        taken.append(1.0 / x if x else math.inf * math.copysign(1.0, x))
        x += 1.0
    if x <= _SMALLEST:
        total = -_EULER - 1.0 / x
    else:
        inverse = 1.0 / (x * x)
        total = math.log(x) - 0.5 / x - inverse * (1.0 / 12 + inverse * (1.0 / 120 - inverse / 252))
    for fraction in reversed(taken):
        total -= fraction
    return total
