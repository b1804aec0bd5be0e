"""Java's strings where Python's differ."""

from __future__ import annotations

import re

from wmlclient.scoring.java.casing import SIGMA, final_sigmas

# Capital letters that are younger than Unicode 13, which Java 17 knows: Java 17 leaves them as they are. So do
# Pythons of that age; newer ones lower them, and so do newer Javas.
_YOUNG = (
    "\u2c2f\ua7c0\ua7d0\ua7d6\ua7d8\U00010570-\U00010595\u1c89\ua7cb\ua7cc\ua7da\ua7dc\U00010d50-\U00010d65"
)
_YOUNG += "\ua7ce\ua7d2\ua7d4\U00016ea0-\U00016eb8"
_special = re.compile(f"[{SIGMA}{_YOUNG}]").search
_apart = re.compile(f"([{SIGMA}{_YOUNG}])").split


def lower(text: str) -> str:
    """``String.toLowerCase()`` of Java 17 in an English or root locale.

    >>> lower("ΟΔΟΣ ΣΟΦΙΑΣ")
    'οδος σοφιας'
    """
    if text.isascii() or _special(text) is None:
        return text.lower()
    finals = iter(final_sigmas(text))
    parts = _apart(text)
    parts[::2] = map(str.lower, parts[::2])
    parts[1::2] = [
        ("\u03c2" if next(finals) else "\u03c3") if part == SIGMA else part for part in parts[1::2]
    ]
    return "".join(parts)


def utf16_length(text: str) -> int:
    """``String.length()``: UTF-16 code units, two for each character beyond U+FFFF."""
    if text.isascii():
        return len(text)
    return len(text) + sum(character > "\uffff" for character in text)
