"""Java's strings where Python's differ."""

from __future__ import annotations


def lower(text: str) -> str:
    """``String.toLowerCase()`` in an English or root locale."""
    return text.lower()


def utf16_length(text: str) -> int:
    """``String.length()``: UTF-16 code units, two for each character beyond U+FFFF."""
    if text.isascii():
        return len(text)
    return len(text) + sum(character > "\uffff" for character in text)
