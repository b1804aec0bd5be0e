"""Doubles as Java writes them, where every Java writes them alike."""

from __future__ import annotations

import math
from decimal import Decimal

CERTAIN_DIGITS = 15


def certain_text(value: float) -> str | None:
    """``Double.toString``, or ``None`` where Java up to 18 may write more digits than Java since.

    The two agree on a double whose exact value has few digits, such as 3.0, 0.25 or 1024.5, but not on 2.0E23.

    >>> [certain_text(value) for value in (3.0, -0.25, -0.0, 1e7, math.inf, 0.1)]
    ['3.0', '-0.25', '-0.0', '1.0E7', 'Infinity', None]
    """
    if value != value:
        return "NaN"
    if value - value != 0.0:
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0.0:
        return "-0.0" if math.copysign(1.0, value) < 0 else "0.0"
    sign, digits, exponent = Decimal(abs(value)).normalize().as_tuple()
    if len(digits) > CERTAIN_DIGITS or not isinstance(exponent, int):
        return None
    text = "".join(map(str, digits))
    minus = "-" if value < 0 else ""
    # The value is 0.digits times ten to the power `point`.
    point = len(text) + exponent
    if not 1e-3 <= abs(value) < 1e7:
        return f"{minus}{text[0]}.{text[1:] or '0'}E{point - 1}"
    if point <= 0:
        return f"{minus}0.{'0' * -point}{text}"
    text = text.ljust(point, "0")
    return f"{minus}{text[:point]}.{text[point:] or '0'}"
