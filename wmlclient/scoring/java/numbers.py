"""Numbers as Java and Spark write them."""

from __future__ import annotations

import struct


def double_text(value: float) -> str:
    """A double cast to a string: ``Double.toString``, with ``NaN``, ``Infinity``, ``-Infinity``.

    >>> double_text(1e7), double_text(0.001), double_text(1234.5), double_text(-0.0)
    ('1.0E7', '0.001', '1234.5', '-0.0')
    """
    return _text(value, repr(value))


def float_text(value: float) -> str:
    """The same for a value of Spark's ``float``: the shortest digits that give that float again."""
    for digits in range(1, 10):
        shown = f"{value:.{digits - 1}e}"
        if to_float(float(shown)) == value:
            return _text(value, shown)
    return _text(value, repr(value))


def to_float(value: float) -> float:
    """The nearest ``float`` (32 bits), infinite where it is too large."""
    try:
        narrow: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return narrow


def _text(value: float, shown: str) -> str:
    if value != value:
        return "NaN"
    if value - value != 0.0:
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0.0:
        return "-0.0" if shown.startswith("-") else "0.0"
    mantissa, _, exponent = shown.lower().partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    # The value is 0.digits times ten to the power `point`.
    point = len(whole) + int(exponent or 0)
    if len(whole + fraction) != len(digits):
        point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0") or "0"
    if 1e-3 <= abs(value) < 1e7:
        if point <= 0:
            return f"{sign}0.{'0' * -point}{digits}"
        padded = digits.ljust(point, "0")
        return f"{sign}{padded[:point]}.{padded[point:] or '0'}"
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{point - 1}"
