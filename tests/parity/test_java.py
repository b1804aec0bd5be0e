"""The translation of Java's regular expressions beside Java itself, on patterns made at random."""

from __future__ import annotations

import random
from typing import Any

import pytest
from harness import SEED

from wmlclient.scoring.java import regex

pytestmark = pytest.mark.spark

PATTERNS = 1500
ATOMS = [
    *"ab1 _-é😀", r"\s", r"\S", r"\d", r"\D", r"\w", r"\W", r"\h", r"\V", ".", "^", "$", r"\z", r"\Z", r"\A", r"\.",
    r"\t", r"\x41", r"\u00e9", r"\x{1F600}", r"\p{Alpha}", r"\P{Punct}", r"\p{Space}", r"\Qa.b\E", "[ab]", "[^ab]",
    "[a-z1-9]", r"[^\s\w]", r"[\w.-]", r"[^\n\r]", "[é-ü]", r"[\x{1F600}-\x{1F64F}a]", r"[\D]", "[-a]", "[a^]", "[$.]",
]  # fmt: skip
QUANTIFIERS = [
    "",
    "",
    "",
    "",
    "?",
    "*",
    "+",
    "{2}",
    "{1,2}",
    "{2,}",
    "+?",
    "*?",
    "??",
    "{1,2}?",
    "++",
    "*+",
    "?+",
]
GROUPS = ["({})", "(?:{})", "(?={})", "(?!{})", "(?<={})", "(?<!{})", "(?>{})"]
LETTERS = "aab1 _-.é😀A\t\n\r\u0085\u2028\u00a0,;$^ü"


def made(chance: random.Random, depth: int = 0) -> str:
    """A pattern, often a valid one."""
    parts = []
    for _ in range(chance.choice((1, 1, 2, 3))):
        if depth < 3 and chance.random() < 0.25:
            atom = chance.choice(GROUPS).format(made(chance, depth + 1))
        else:
            atom = chance.choice(ATOMS)
        parts.append(atom + chance.choice(QUANTIFIERS))
    text = "".join(parts)
    return text if chance.random() < 0.85 else f"{text}|{made(chance, depth + 1)}" if depth < 3 else text


def test_random_patterns(spark: Any) -> None:
    print(f"seed {SEED}")  # noqa: T201 - pytest shows it beside a failure
    chance = random.Random(SEED)
    java = spark._jvm.java.util.regex.Pattern
    compared = 0
    for _ in range(PATTERNS):
        pattern = made(chance)
        try:
            find, split = regex.finder(pattern), regex.splitter(pattern, keep_empty=True)
            words = regex.splitter(pattern, keep_empty=False)
        except regex.Unsupported:
            continue
        compiled = java.compile(pattern)  # what Java refuses was to be refused before
        for _ in range(3):
            text = "".join(chance.choice(LETTERS) for _ in range(chance.choice((0, 1, 2, 5, 12))))
            matcher = compiled.matcher(text)
            found = []
            while matcher.find():
                found.append(matcher.group())
            parts = list(compiled.split(text))
            assert find(text) == found, (pattern, text)
            assert split(text) == parts, (pattern, text)
            assert words(text) == [part for part in parts if part], (pattern, text)
            compared += 1
    assert compared > PATTERNS / 2
