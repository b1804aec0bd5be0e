"""Rows to compare on: ordinary values for the most part, and the edges that tend to differ.

Two kinds are made. :func:`generate_rows` draws whole rows, of the model's own values where it knows some.
:func:`edge_rows` puts one edge into each row and leaves the rest ordinary, so that a row that is refused says which
value was the reason.
"""

from __future__ import annotations

import datetime
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from wmlclient.scoring.draws import Draw, edges_of, hinted, vectors
from wmlclient.scoring.types import INTEGER_RANGES, simple_type

__all__ = ["edge_rows", "generate_rows"]

_WORDS = [
    "the",
    "a",
    "and",
    "not",
    "is",
    "good",
    "bad",
    "great",
    "awful",
    "love",
    "hate",
    "happy",
    "sad",
    "day",
    "time",
    "friend",
    "never",
    "always",
    "movie",
    "service",
    "it's",
    "don't",
    "I'm",
    "AT&T",
    "3.14",
    "100%",
    ":-)",
    ":(",
    "#tag",
    "@name",
    "http://example.com",
    "naïve",
    "café",
    "Ünï",
    "straße",
    "ÉCOLE",
    "ТЕСТ",
    "東京",
    "عربي",
    "नमस्ते",
    "😀",
    "👩\u200d👩\u200d👧",
    "𝒳𝓎",
    "é",
    "İstanbul",
    "ǅ",
    "ﬃ",
    "Σας",
    "ΟΔΟΣ",
    "a_b",
    "x-y",
    "\u200b",
    "½",
    "①",
    "ſ",
    "K",
]
_GAPS = [
    " ",
    " ",
    " ",
    " ",
    "  ",
    "\t",
    "\n",
    "\u00a0",
    "\u2003",
    ", ",
    "...",
    "!? ",
    "\r\n",
    "\x0b",
    "\u0085",
    "\x1c",
]
_TEXTS = [
    "",
    " ",
    "  ",
    "\t",
    "\n",
    ".",
    "a",
    "A",
    "😀",
    "\u00a0",
    "a ",
    " a",
    "a  b",
    "null",
    "NaN",
    "\u2028",
]
_EPOCH = datetime.datetime(2020, 1, 1)


def generate_rows(
    schema: Mapping[str, Any],
    n: int,
    seed: int,
    *,
    nulls: bool = False,
    invalid: bool = False,
    positive: bool = False,
    hints: Mapping[str, Sequence[Any]] | None = None,
) -> tuple[list[str], list[list[Any]]]:
    """Rows for a schema: ordinary values for the most part, and the edges that tend to differ.

    The same arguments give the same rows. By default there is nothing that a stage with Spark's default settings
    fails on, except a label or category that it has not seen: pass ``hints`` for those.

    Args:
        schema: The JSON of a Spark ``StructType``.
        n: How many rows.
        seed: Any number.
        nulls: Whether nullable columns get nulls.
        invalid: Whether floats are NaN or infinite at times.
        positive: Whether all numbers are 0 or more, for the models that refuse others.
        hints: Values that mean something to the model, by column: :attr:`wmlclient.scoring.Scorer.hints`.

    Returns:
        Fields and rows, with values as JSON has them.
    """
    draw = Draw(random.Random(seed), invalid, positive)  # noqa: S311 - test data, to be the same each time
    makers = [make for _, make in _makers(schema, draw, hints, nulls)]
    return _names(schema), [[make() for make in makers] for _ in range(n)]


def edge_rows(
    schema: Mapping[str, Any],
    n: int,
    seed: int,
    *,
    positive: bool = False,
    hints: Mapping[str, Sequence[Any]] | None = None,
) -> tuple[list[str], list[list[Any]]]:
    """Rows with one edge each: a null, an empty or unseen text, an extreme number, NaN, a border, a label.

    Each edge of each column has its turn before one comes again; of a column with very many, an even choice.

    Args:
        schema: The JSON of a Spark ``StructType``.
        n: How many rows.
        seed: Any number.
        positive: Whether all other numbers are 0 or more.
        hints: Values that mean something to the model, by column.

    Returns:
        Fields and rows, with values as JSON has them.
    """
    chance = random.Random(seed)  # noqa: S311 - test data, to be the same each time
    draw = Draw(chance, False, positive)
    known = dict(hints or {})
    made = list(_makers(schema, draw, hints, nulls=False, unseen=0.0))
    turns: list[tuple[int, Iterator[Any]]] = []
    for place, column in enumerate(schema["fields"]):
        kind = simple_type(column["type"])
        edges: list[Any] = [None] if column.get("nullable", True) else []
        edges += [*_TEXTS, "never-seen-\u00fc"] if kind == "string" else []
        edges += [[], [""]] if kind == "array<string>" else []
        edges += edges_of(kind, known.get(column["name"]), made[place][1], chance, most=max(50, n // 4))
        chance.shuffle(edges)
        if edges:
            turns.append((place, itertools.cycle(edges)))
    rows: list[list[Any]] = []
    for number in range(n):
        row = [make() for _, make in made]
        if turns:
            place, edges_left = turns[number % len(turns)]
            row[place] = next(edges_left)
        rows.append(row)
    return _names(schema), rows


def _names(schema: Mapping[str, Any]) -> list[str]:
    return [column["name"] for column in schema["fields"]]


def _makers(
    schema: Mapping[str, Any],
    draw: Draw,
    hints: Mapping[str, Sequence[Any]] | None,
    nulls: bool,
    unseen: float = 0.02,
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """For each column its type and what makes its values."""
    known = dict(hints or {})
    words = [*_WORDS, *_hint_words(known)]
    for column in schema["fields"]:
        kind = simple_type(column["type"])
        metadata = column.get("metadata") or {}
        make = _maker(kind, draw, words, metadata, known.get(column["name"]), unseen)
        if nulls and column.get("nullable", True):
            make = _sometimes_null(draw.chance, make)
        yield kind, make


def _sometimes_null(chance: random.Random, make: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: None if chance.random() < 0.05 else make()


def _hint_words(hints: Mapping[str, Sequence[Any]]) -> list[str]:
    """Words of a vocabulary or stop words, for sentences."""
    return [
        w for values in hints.values() for v in values if isinstance(v, list) for w in v if isinstance(w, str)
    ]


def _maker(
    kind: str,
    draw: Draw,
    words: list[str],
    metadata: Mapping[str, Any],
    hints: Sequence[Any] | None,
    unseen: float,
) -> Callable[[], Any]:
    chance = draw.chance
    if kind == "vector":
        return vectors(draw, metadata, hints)
    make = _scalar(kind, draw, words)
    if kind.startswith("array<"):
        element = _scalar(kind[6:-1], draw, words)
        if kind == "array<string>":
            return lambda: [chance.choice(words) for _ in range(chance.choice((0, 1, 2, 5, 12, 30)))]
        return lambda: [element() for _ in range(chance.choice((0, 1, 3, 8)))]
    return hinted(kind, draw, hints, make, unseen)


def _scalar(kind: str, draw: Draw, words: list[str]) -> Callable[[], Any]:
    chance = draw.chance
    if kind in ("double", "float"):
        return draw.double
    if kind in INTEGER_RANGES:
        low, high = INTEGER_RANGES[kind]
        return lambda: draw.integer(low, high)
    makers: dict[str, Callable[[], Any]] = {
        "string": lambda: _text(chance, words),
        "boolean": lambda: chance.random() < 0.5,
        "date": lambda: (_EPOCH + datetime.timedelta(days=chance.randint(-20000, 20000))).date().isoformat(),
        "timestamp": lambda: (
            (_EPOCH + datetime.timedelta(seconds=chance.randint(-(10**9), 10**9))).isoformat() + "Z"
        ),
        "timestamp_ntz": lambda: (
            _EPOCH + datetime.timedelta(seconds=chance.randint(-(10**9), 10**9))
        ).isoformat(),
    }
    if kind in makers:
        return makers[kind]
    if kind.startswith("decimal"):
        return lambda: str(chance.randint(0 if draw.positive else -999, 999))
    return lambda: None


def _text(chance: random.Random, words: list[str]) -> str:
    if chance.random() < 0.1:
        return chance.choice(_TEXTS)
    parts: list[str] = []
    for _ in range(chance.choice((1, 2, 3, 6, 12, 12, 25))):
        parts += (chance.choice(words), chance.choice(_GAPS))
    return "".join(parts if chance.random() < 0.1 else parts[:-1])
