"""Texts of requests that have to be one line, or an address."""

from __future__ import annotations

import re
from typing import Any, TypeGuard

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BUT_LINE_ENDS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# An '@' anywhere: a password with a '/' in it would make the rest look like a path.
_ADDRESS = re.compile(r"https?://[^\s/@]+(/[^\s@]*)?")


def is_text(value: Any, *, lines: bool = False) -> TypeGuard[str]:
    """Whether a value is a text that is not empty, without control characters.

    Args:
        value: The value.
        lines: Whether it may have several lines.

    >>> is_text("a b"), is_text("a\\nb"), is_text("a\\nb", lines=True), is_text("")
    (True, False, True, False)
    """
    return (
        isinstance(value, str) and bool(value) and not (_BUT_LINE_ENDS if lines else _CONTROL).search(value)
    )


def is_address(value: Any) -> TypeGuard[str]:
    """Whether a value is an address, http or https, without a login in it.

    >>> is_address("https://host:8081/path"), is_address("https://user:pass@host"), is_address("https://u:p/w@host")
    (True, False, False)
    """
    return isinstance(value, str) and _ADDRESS.fullmatch(value) is not None
