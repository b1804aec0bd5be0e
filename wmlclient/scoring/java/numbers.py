"""Numbers as Java writes them."""

from __future__ import annotations

import re
import struct

_PLAIN = re.compile(r"-?(0|[1-9][0-9]{0,6})\.(0|[0-9]*[1-9])")
_SCIENTIFIC = re.compile(r"-?[1-9]\.(0|[0-9]*[1-9])E(-?[1-9][0-9]*)")


def is_double_text(text: str) -> bool:
    """Whether ``Double.toString`` may have written the text; ``"1"``, ``"1.50"`` and ``"1e9"`` it never writes.

    >>> [text for text in ("1.0", "1", "1.50", "1.0E7", "10000000.0", "NaN", "-0.0") if is_double_text(text)]
    ['1.0', '1.0E7', 'NaN', '-0.0']
    """
    if text in ("NaN", "Infinity", "-Infinity", "0.0", "-0.0"):
        return True
    if _SCIENTIFIC.fullmatch(text):
        return not 1e-3 <= abs(float(text)) < 1e7
    return bool(_PLAIN.fullmatch(text)) and 1e-3 <= abs(float(text)) < 1e7


def double_text(value: float) -> str:
    """A double cast to a string: ``Double.toString`` of Java 19 and later, which writes the fewest digits that do.

    Java 17 writes one or two more for some values, mostly from 1e16 on: do not compare such texts.

    >>> double_text(1e7), double_text(0.001), double_text(1234.5), double_text(-0.0)
    ('1.0E7', '0.001', '1234.5', '-0.0')
    """
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
