"""The documentation's own code, picked out of its pages."""

from __future__ import annotations

import re
from pathlib import Path


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The fenced blocks of a page in one language, as (line of the first line of code, code)."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, match.start(1)) + 1, match.group(1)) for match in found]


def runnable(page: Path, language: str) -> str:
    """All of them as one program, in which each line keeps the number that it has in the page."""
    program: list[str] = []
    for line, code in blocks(page, language):
        program += [""] * (line - 1 - len(program)) + code.splitlines()
    return "\n".join(program) + "\n"
