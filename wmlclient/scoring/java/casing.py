"""Java's lower case of a capital sigma, which is a final one at the end of a word.

Unicode says what comes before and after; Java asks its word breaker instead, an old one with rules of its own: a
full stop, a quotation mark, a dash or an underscore between letters does not end a word, a colon does.

Source: ``ConditionalSpecialCasing.isFinalCased`` and ``BreakIteratorRules`` of the JDK.
"""

from __future__ import annotations

import re
import unicodedata

SIGMA = "\u03a3"

# One letter for each kind of character that the rules tell apart.
_KINDS = {
    **dict.fromkeys("\u0964\u0965", "A"),  # danda
    ".": "P",  # inside words and numbers, before numbers
    **dict.fromkeys("\"'", "Q"),  # inside words and numbers
    **dict.fromkeys(",\u066b", "C"),  # inside numbers
    **dict.fromkeys("\u00ad\u2027", "W"),  # inside words
    "#": "N",  # before numbers
    **dict.fromkeys("%&\u00a2\u066a\u2030\u2031", "T"),  # after numbers
    **dict.fromkeys("\n\f\u2028\u2029", "S"),  # ends a line
    "\r": "R",
    "\t": "Z",
    **dict.fromkeys("\u3099\u309a\u309b\u309c\u30fb\u30fc", "J"),  # marks of kana
}
_CATEGORIES = {
    "Mn": "M",
    "Me": "M",
    "Cf": "",
    "Pd": "W",
    "Pc": "W",
    "Sc": "N",
    "Zs": "Z",
    "Mc": "L",
    "Cc": "X",
}
_RANGES = [
    ("K", "\u3005\u3005\u4e00\u9fa5\uf900\ufa2d"),
    ("H", "\u30a1\u30fa\u30fd\u30fe"),  # katakana
    ("I", "\u3041\u3094\u309d\u309e"),  # hiragana
]
_LETTERS = "(?:LM*)+"
_WORD = f"(?:{_LETTERS}(?:[PQW]{_LETTERS})*A?)"
_DIGITS = "(?:DM*)+"
_NUMBER = f"(?:{_DIGITS}(?:[PQC]{_DIGITS})*)"
_RULES = [
    re.compile(rule).match
    for rule in (
        f"{_WORD}?(?:{_NUMBER}{_WORD})*(?:{_NUMBER}T?)?",
        f"[PN](?:{_NUMBER}{_WORD})*(?:{_NUMBER}T?)?",
        "(?:ZM*)*R?S?",
        "[HJ]*",
        "[IJ]*",
        "K*",
        "[^MXSR]M+",
    )
]
_CASED = [
    (0x2B0, 0x2B8), (0x2C0, 0x2C1), (0x2E0, 0x2E4), (0x345, 0x345), (0x37A, 0x37A), (0x1D2C, 0x1D61),
    (0x2160, 0x217F), (0x24B6, 0x24E9),
]  # fmt: skip


def _kind(character: str) -> str:
    found = _KINDS.get(character)
    if found is not None:
        return found
    for kind, bounds in _RANGES:
        if any(low <= character <= high for low, high in zip(bounds[::2], bounds[1::2], strict=True)):
            return kind
    category = unicodedata.category(character)
    return _CATEGORIES.get(category) or {"L": "L", "N": "D"}.get(category[0], "O") if category != "Cf" else ""


def _cased(character: str) -> bool:
    code = ord(character)
    return unicodedata.category(character) in ("Ll", "Lu", "Lt") or any(a <= code <= b for a, b in _CASED)


def word_starts(text: str) -> set[int]:
    """Where Java's word breaker starts a word: the boundaries before the end of the text."""
    kinds = [_kind(character) for character in text]
    places = [place for place, kind in enumerate(kinds) if kind]
    shown = "".join(kinds)
    starts = {0}
    at = 0
    while at < len(shown):
        at += max(1, *(len(found[0]) for rule in _RULES if (found := rule(shown, at))))
        if at < len(shown):
            starts.add(places[at])
    return starts


def final_sigmas(text: str) -> list[bool]:
    """For each capital sigma of the text, whether Java lowers it to a final one."""
    starts = word_starts(text)
    answers = []
    for place, character in enumerate(text):
        if character != SIGMA:
            continue
        before = place
        while before not in starts and not _cased(text[before - 1]):
            before -= 1
        after = place + 1
        while after < len(text) and after not in starts and not _cased(text[after]):
            after += 1
        answers.append(before not in starts and (after >= len(text) or after in starts))
    return answers
