"""``java.lang.Math`` where Python raises or answers otherwise."""

from __future__ import annotations

import math


def power(base: float, exponent: float) -> float:
    """``Math.pow``.

    >>> power(-8.0, 0.5), power(0.0, -1.0), power(-0.0, -1.0), power(10.0, 400.0), power(1.0, math.inf)
    (nan, inf, -inf, inf, nan)
    """
    try:
        value = math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0.0 and exponent % 2.0 == 1.0 else math.inf
    except ValueError:
        if base != 0.0:
            return math.nan  # a negative base with a broken exponent
        return math.copysign(math.inf, base) if exponent % 2.0 == 1.0 else math.inf
    if exponent - exponent != 0.0 and abs(base) == 1.0:
        return math.nan  # C says 1
    return value


def less(left: float, right: float) -> bool:
    """``Double.compare(left, right) < 0``: NaN is above all, -0.0 below 0.0."""
    if left < right:
        return True
    if left > right:
        return False
    if left == right:
        return left == 0.0 and math.copysign(1.0, left) < math.copysign(1.0, right)
    return left == left
