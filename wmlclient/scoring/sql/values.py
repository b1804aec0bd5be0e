"""Values as Spark SQL computes them, in the ANSI mode that is Spark 4's default.

No function here is called with a null. Source: ``org.apache.spark.sql.catalyst.expressions`` of Spark 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from wmlclient.scoring.columns import Invalid
from wmlclient.scoring.types import INTEGER_RANGES

LONG_MIN, LONG_MAX = INTEGER_RANGES["bigint"]


def fitting(type: str, operation: Callable[..., int]) -> Callable[..., int]:
    """An operation on whole numbers whose result has to fit the type."""
    low, high = INTEGER_RANGES[type]

    def checked(*values: int) -> int:
        result = operation(*values)
        if not low <= result <= high:
            raise Invalid(f"{result} does not fit {type}")
        return result

    return checked


def divide(left: float, right: float) -> float:
    """``/`` of doubles."""
    if right == 0.0:
        raise Invalid("a division by zero")
    return left / right


def remainder(left: float, right: float) -> float:
    """``%`` of doubles, with the sign of the left one."""
    if right == 0.0:
        raise Invalid("a division by zero")
    if left - left != 0.0:
        return math.nan
    return math.fmod(left, right)


def whole_remainder(left: int, right: int) -> int:
    """``%`` of whole numbers, with the sign of the left one."""
    if right == 0:
        raise Invalid("a division by zero")
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


# Spark SQL holds NaN equal to itself and larger than everything else.


def equal(left: float, right: float) -> bool:
    """``=`` of doubles."""
    return left == right or (left != left and right != right)


def less(left: float, right: float) -> bool:
    """``<`` of doubles."""
    return left < right or (right != right and left == left)


def less_or_equal(left: float, right: float) -> bool:
    """``<=`` of doubles."""
    return left <= right or right != right


def power(base: float, exponent: float) -> float:
    """``Math.pow``, which knows nothing of 1 to the power of infinity or NaN."""
    if exponent - exponent != 0.0 and (exponent != exponent or abs(base) == 1.0):
        return math.nan
    try:
        return math.pow(base, exponent)
    except OverflowError:
        odd = exponent % 2.0 == 1.0
        return -math.inf if base < 0.0 and odd else math.inf
    except ValueError:
        if base == 0.0:
            odd = exponent % 2.0 == 1.0
            return math.copysign(math.inf, base) if odd else math.inf
        return math.nan


def exponential(value: float) -> float:
    """``Math.exp``."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def root(value: float) -> float:
    """``Math.sqrt``."""
    return math.sqrt(value) if value >= 0.0 else math.nan


def logarithm(of: Callable[[float], float], above: float = 0.0) -> Callable[[float], float | None]:
    """A logarithm: null up to where it is not defined, as in Spark."""

    def log(value: float) -> float | None:
        return None if value <= above else of(value)

    return log


def sign(value: float) -> float:
    """``Math.signum``."""
    return math.copysign(1.0, value) if value and value == value else value


def to_long(value: float) -> int:
    """A double narrowed as Java does it: NaN is 0, and the rest is cut off at the ends."""
    if value != value:
        return 0
    if value - value != 0.0:
        return LONG_MAX if value > 0 else LONG_MIN
    return max(LONG_MIN, min(LONG_MAX, int(value)))


def floor(value: float) -> int:
    """``FLOOR`` of a double."""
    return math.floor(value) if abs(value) < 2.0**62 else to_long(value)


def ceil(value: float) -> int:
    """``CEIL`` of a double."""
    return math.ceil(value) if abs(value) < 2.0**62 else to_long(value)


def to_whole(type: str) -> Callable[[float], int]:
    """``CAST`` of a double to a type of whole numbers."""
    low, high = INTEGER_RANGES[type]

    def cast(value: float) -> int:
        if value - value == 0.0:
            whole = int(value)
            if low <= whole <= high:
                return whole
            if type == "bigint" and value == 2.0**63:
                return LONG_MAX  # Spark compares with the largest long as a double
        raise Invalid(f"{value} does not fit {type}")

    return cast
