r"""Java's regular expressions as Python's, where the two can be made to agree exactly.

The differences that bite: Java's ``\s``, ``\w``, ``\d`` and POSIX classes are ASCII only; ``.`` stops at five line
terminators; ``$`` also matches before a final ``\r\n`` or ``\u2028``; ``split`` drops trailing empty strings; a
``[`` or ``&&`` inside a class nests or intersects. A pattern is parsed, and written anew with every class spelled
out. What is not known to agree is refused by name: ``\b`` (its meaning changed between Java versions), Unicode
properties (their tables do), flags, back references, and patterns that match the empty string.

Source: ``java.util.regex.Pattern`` of Java 17.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

__all__ = ["Unsupported", "finder", "splitter", "translate"]

Ranges = list[tuple[int, int]]

_DIGIT: Ranges = [(48, 57)]
_SPACE: Ranges = [(9, 13), (32, 32)]
_WORD: Ranges = [(48, 57), (65, 90), (95, 95), (97, 122)]
_HORIZONTAL: Ranges = [
    (9, 9),
    (32, 32),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x180E, 0x180E),
    (0x2000, 0x200A),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
]
_VERTICAL: Ranges = [(10, 13), (0x85, 0x85), (0x2028, 0x2029)]
_TERMINATORS: Ranges = [(10, 10), (13, 13), (0x85, 0x85), (0x2028, 0x2029)]
_CLASSES = {"d": _DIGIT, "s": _SPACE, "w": _WORD, "h": _HORIZONTAL, "v": _VERTICAL}
_POSIX: dict[str, Ranges] = {
    "Lower": [(97, 122)],
    "Upper": [(65, 90)],
    "ASCII": [(0, 127)],
    "Alpha": [(65, 90), (97, 122)],
    "Digit": _DIGIT,
    "Alnum": [(48, 57), (65, 90), (97, 122)],
    "Punct": [(33, 47), (58, 64), (91, 96), (123, 126)],
    "Graph": [(33, 126)],
    "Print": [(32, 126)],
    "Blank": [(9, 9), (32, 32)],
    "Cntrl": [(0, 31), (127, 127)],
    "XDigit": [(48, 57), (65, 70), (97, 102)],
    "Space": _SPACE,
}
_ESCAPES = {"t": 9, "n": 10, "r": 13, "f": 12, "a": 7, "e": 27}
# Java: at the end, or before a line terminator that ends the input, but never inside "\r\n".
_DOLLAR = r"(?:(?=\r\n\Z)|(?<!\r)(?=\n\Z)|(?=[\r\x85\u2028\u2029]\Z)|(?=\Z))"
_POSSESSIVE = sys.version_info >= (3, 11)


class Unsupported(ValueError):
    """The pattern, or a part of it, has no exact counterpart; the text names the part."""


def _negated(ranges: Ranges) -> Ranges:
    out: Ranges = []
    start = 0
    for low, high in _merged(ranges):
        if low > start:
            out.append((start, low - 1))
        start = high + 1
    if start <= sys.maxunicode:
        out.append((start, sys.maxunicode))
    return out


def _merged(ranges: Ranges) -> Ranges:
    out: Ranges = []
    for low, high in sorted(ranges):
        if out and low <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(high, out[-1][1]))
        else:
            out.append((low, high))
    return out


def _char(code: int) -> str:
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _set(ranges: Ranges) -> str:
    merged = _merged(ranges)
    if not merged:
        raise Unsupported("a class that matches nothing")
    return "[" + "".join(_char(a) if a == b else f"{_char(a)}-{_char(b)}" for a, b in merged) + "]"


class _Parser:
    """A recursive descent over the pattern; every rule gives Python's text and whether it may match nothing."""

    def __init__(self, pattern: str) -> None:
        self.text = pattern
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        return self.text[self.at + ahead : self.at + ahead + 1]

    def take(self, expected: str = "") -> str:
        character = self.peek()
        if not character or (expected and character != expected):
            raise Unsupported(f"{self.text!r}, which is not a regular expression of Java")
        self.at += 1
        return character

    def alternatives(self) -> tuple[str, bool]:
        branches = [self.sequence()]
        while self.peek() == "|":
            self.take()
            branches.append(self.sequence())
        return "|".join(text for text, _ in branches), any(empty for _, empty in branches)

    def sequence(self) -> tuple[str, bool]:
        parts: list[str] = []
        empty = True
        while self.peek() not in ("", "|", ")"):
            text, may_be_empty = self.quantified()
            parts.append(text)
            empty = empty and may_be_empty
        return "".join(parts), empty

    def quantified(self) -> tuple[str, bool]:
        text, empty = self.atom()
        character = self.peek()
        if character in ("?", "*", "+"):
            self.take()
            quantifier, least, most = character, 0 if character in "?*" else 1, 1 if character == "?" else -1
        elif character == "{":
            found = re.compile(r"\{([0-9]{1,6})(,([0-9]{0,6}))?\}").match(self.text, self.at)
            if not found:
                raise Unsupported("a '{' that starts no repetition")
            self.at = found.end()
            least = int(found[1])
            most = least if found[2] is None else int(found[3]) if found[3] else -1
            quantifier = found[0]
        else:
            return text, empty
        if empty and most != 1:
            raise Unsupported("a repetition of what may match the empty string")
        mode = self.peek()
        if mode in ("?", "+"):
            if mode == "+" and not _POSSESSIVE:
                raise Unsupported("a possessive repetition (Python 3.11 has them)")
            quantifier += self.take()
        if self.peek() in ("?", "*", "+", "{"):
            raise Unsupported("a repetition of a repetition")
        return f"(?:{text}){quantifier}", empty or least == 0

    def atom(self) -> tuple[str, bool]:
        character = self.take()
        if character == "(":
            return self.group()
        if character == "[":
            return _set(self.char_class()), False
        if character == ".":
            return _set(_negated(_TERMINATORS)), False
        if character == "^":
            return r"\A", True
        if character == "$":
            return _DOLLAR, True
        if character == "\\":
            return self.escape()
        if character in "?*+{":
            raise Unsupported(f"a {character!r} that repeats nothing")
        return _char(ord(character)), False

    def group(self) -> tuple[str, bool]:
        opening, lookaround = "(?:", False
        if self.peek() == "?":
            for marker in ("?:", "?=", "?!", "?<=", "?<!", "?>"):
                if self.text.startswith(marker, self.at):
                    break
            else:
                raise Unsupported("a group that starts with '(?', other than (?:, (?=, (?!, (?<=, (?<!, (?>")
            if marker == "?>" and not _POSSESSIVE:
                raise Unsupported("an atomic group (Python 3.11 has them)")
            self.at += len(marker)
            opening, lookaround = "(" + marker, marker not in ("?:", "?>")
        text, empty = self.alternatives()
        self.take(")")
        return f"{opening}{text})", empty or lookaround

    def escape(self) -> tuple[str, bool]:
        kind = self.peek()
        if kind == "A":
            self.take()
            return r"\A", True
        if kind == "z":
            self.take()
            return r"\Z", True
        if kind == "Z":
            self.take()
            return _DOLLAR, True
        if kind == "Q":
            self.take()
            literal, quote, rest = self.text[self.at :].partition("\\E")
            self.at += len(literal) + len(quote)
            if len(literal) > 1 and rest[:1] in ("?", "*", "+", "{"):
                raise Unsupported("a repetition after \\E")
            return "".join(_char(ord(c)) for c in literal), not literal
        return _set(self.escaped_set()), False

    def escaped_set(self) -> Ranges:
        """The characters of an escape, after its backslash."""
        kind = self.take()
        if kind in _CLASSES:
            return _CLASSES[kind]
        if kind.lower() in _CLASSES:
            return _negated(_CLASSES[kind.lower()])
        if kind in "pP":
            found = re.compile(r"\{(\w+)\}").match(self.text, self.at)
            name = found[1] if found else ""
            if found is None or name not in _POSIX:
                raise Unsupported(f"the Unicode property \\{kind}{found[0] if found else self.peek()}")
            self.at = found.end()
            return _POSIX[name] if kind == "p" else _negated(_POSIX[name])
        if kind in _ESCAPES:
            return [(_ESCAPES[kind],) * 2]
        if kind == "0":
            return self.code(r"0*([0-3]?[0-7]{1,2})", 8, "\\0")
        if kind == "x":
            return self.code(r"\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2})", 16, "\\x")
        if kind == "u":
            return self.code(r"([0-9A-Fa-f]{4})", 16, "\\u")
        if kind.isascii() and kind.isalnum():
            raise Unsupported(f"\\{kind}")
        return [(ord(kind),) * 2]

    def code(self, digits: str, base: int, what: str) -> Ranges:
        found = re.compile(digits).match(self.text, self.at)
        number = int(next(g for g in found.groups() if g), base) if found else -1
        if found is None or not 0 <= number <= sys.maxunicode or 0xD800 <= number < 0xE000:
            raise Unsupported(f"{what} without a character's number")
        self.at = found.end()
        return [(number, number)]

    def char_class(self) -> Ranges:
        negative = self.peek() == "^"
        if negative:
            self.take()
        ranges: Ranges = []
        first = True
        while (character := self.peek()) != "]" or first:
            if character == "[":
                raise Unsupported("a class inside a class")
            if self.text.startswith("&&", self.at):
                raise Unsupported("an intersection of classes")
            if character == "]":
                raise Unsupported("a ']' at the start of a class")
            ranges += self.class_item()
            first = False
        self.take("]")
        return _negated(ranges) if negative else ranges

    def class_item(self) -> Ranges:
        low = self.class_char()
        if self.peek() != "-" or self.peek(1) in ("]", "", "["):
            return low
        if len(low) != 1 or low[0][0] != low[0][1]:
            raise Unsupported("a range that does not start with one character")
        self.take()
        high = self.class_char()
        if len(high) != 1 or high[0][0] != high[0][1] or high[0][0] < low[0][0]:
            raise Unsupported("a range that does not end with a later character")
        return [(low[0][0], high[0][0])]

    def class_char(self) -> Ranges:
        character = self.take()
        if character == "\\":
            if self.peek() == "Q":
                raise Unsupported("\\Q inside a class")
            return self.escaped_set()
        return [(ord(character),) * 2]


def translate(pattern: str) -> str:
    r"""Python's text for a pattern of Java.

    >>> translate(r"\W+")
    '(?:[\\x00-\\x2f\\x3a-\\x40\\x5b-\\x5e\\x60\\x7b-\\U0010ffff])+'

    Raises:
        Unsupported: It, or a part of it, has no exact counterpart.
    """
    parser = _Parser(pattern)
    text, empty = parser.alternatives()
    if parser.at != len(pattern):
        raise Unsupported(f"{pattern!r}, which is not a regular expression of Java")
    if empty:
        raise Unsupported("a pattern that matches the empty string")
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise Unsupported(f"{pattern!r} ({error})") from None
    return text


def finder(pattern: str) -> Callable[[str], list[str]]:
    """The matches, in order: Scala's ``findAllIn``."""
    return re.compile(translate(pattern)).findall


def splitter(pattern: str, keep_empty: bool) -> Callable[[str], list[str]]:
    """``Pattern.split``: no trailing empty strings, and the whole input where nothing matches.

    Args:
        pattern: Java's pattern.
        keep_empty: Whether empty strings at the start and in the middle matter to the caller. If they do not, a
            pattern of one class is turned inside out, which is several times faster.
    """
    if not keep_empty:
        single = _one_class(pattern)
        if single is not None:
            return re.compile(_set(_negated(single)) + "+").findall
        split = re.compile(translate(pattern)).split
        return lambda text: list(filter(None, split(text)))
    split = re.compile(translate(pattern)).split

    def parts(text: str) -> list[str]:
        found = split(text)
        if len(found) > 1:
            while found and not found[-1]:
                found.pop()
        return found

    return parts


def _one_class(pattern: str) -> Ranges | None:
    """The characters of a pattern that is one class, once or more often; not one that spans everything."""
    parser = _Parser(pattern)
    character = parser.take()
    if character == "[":
        ranges = parser.char_class()
    elif character == "\\" and parser.peek() not in ("Q", "A", "z", "Z"):
        ranges = parser.escaped_set()
    elif character in "\\().^$|?*+{":
        return None
    else:
        ranges = [(ord(character),) * 2]
    if parser.text[parser.at :] not in ("", "+"):
        return None
    return ranges if _negated(ranges) else None
