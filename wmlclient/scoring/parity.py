"""Native answers beside Spark's: the comparison behind a parity certificate, and rows to compare on."""

from __future__ import annotations

import datetime
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from attrs import field, frozen

from wmlclient.scoring.types import INTEGER_RANGES, simple_type
from wmlclient.scoring.values import Sparse, vector_size

__all__ = ["TOLERANCE", "Comparison", "compare", "generate_rows"]

TOLERANCE = 1e-12
"""Two floats agree if they differ by no more than this, absolutely or relative to the larger."""
MAX_EXAMPLES = 5
_MISSING = object()


class TableLike(Protocol):
    """A table of answers: :class:`wmlclient.scoring.Table`, or Spark's in the same form."""

    @property
    def fields(self) -> Sequence[str]: ...
    @property
    def values(self) -> Sequence[Sequence[Any]]: ...
    @property
    def dtypes(self) -> Mapping[str, str]: ...


@frozen
class Comparison:
    """How two tables of answers differ.

    Attributes:
        rows: Rows compared.
        mismatches: Values that differ: a float by more than :data:`TOLERANCE`, anything else at all; a column that
            is missing, or of another type, counts once for each row.
        largest_difference: The largest difference of two floats, absolute or relative, whichever is smaller.
        columns: The same for each column with floats in it.
        examples: The first mismatches: ``{"row", "column", "native", "spark"}``.
    """

    rows: int
    mismatches: int
    largest_difference: float
    columns: dict[str, float]
    examples: list[dict[str, Any]] = field(repr=False)


def compare(native: TableLike, spark: TableLike) -> Comparison:
    """Compares two tables of the same rows, in the same order.

    Args:
        native: Answers with values as online scoring shows them.
        spark: The same from Spark's ``transform``.
    """
    rows = max(len(native.values), len(spark.values))
    mismatches = 0
    examples: list[dict[str, Any]] = []
    differences: dict[str, float] = {}

    def report(row: int, column: str, ours: Any, theirs: Any) -> None:
        if len(examples) < MAX_EXAMPLES:
            examples.append({"row": row, "column": column, "native": ours, "spark": theirs})

    places = {name: place for place, name in enumerate(spark.fields)}
    ours_places = {name: place for place, name in enumerate(native.fields)}
    for name in dict.fromkeys([*native.fields, *spark.fields]):
        here, there = ours_places.get(name), places.get(name)
        if here is None or there is None:
            mismatches += rows
            report(
                0, name, "missing" if here is None else "present", "missing" if there is None else "present"
            )
            continue
        if native.dtypes.get(name) != spark.dtypes.get(name):
            mismatches += rows
            report(0, name, native.dtypes.get(name), spark.dtypes.get(name))
            continue
        largest = _Largest()
        for number in range(rows):
            ours = native.values[number][here] if number < len(native.values) else _MISSING
            theirs = spark.values[number][there] if number < len(spark.values) else _MISSING
            if ours is _MISSING or theirs is _MISSING or not _same(ours, theirs, largest):
                mismatches += 1
                report(number, name, *("no row" if v is _MISSING else v for v in (ours, theirs)))
        if largest.found:
            differences[name] = largest.value
    if list(native.fields) != list(spark.fields) and set(native.fields) == set(spark.fields):
        mismatches += rows
        report(0, "(order of the columns)", list(native.fields), list(spark.fields))
    return Comparison(rows, mismatches, max(differences.values(), default=0.0), differences, examples)


class _Largest:
    """The largest difference seen."""

    def __init__(self) -> None:
        self.value = 0.0
        self.found = False


def _same(ours: Any, theirs: Any, largest: _Largest) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float):
        largest.found = True
        difference = _difference(ours, theirs)
        largest.value = max(largest.value, difference)
        return difference <= TOLERANCE
    if isinstance(ours, (list, tuple)) and isinstance(theirs, (list, tuple)):
        if len(ours) != len(theirs):
            return False
        agree = True
        for a, b in zip(ours, theirs, strict=True):  # to the end: every difference counts for the largest
            agree = _same(a, b, largest) and agree
        return agree
    return type(ours) is type(theirs) and bool(ours == theirs)


def _difference(a: float, b: float) -> float:
    if a == b or (a != a and b != b):
        return 0.0
    gap = abs(a - b)
    if not math.isfinite(gap):
        return math.inf
    return min(gap, gap / max(abs(a), abs(b)))


# -- rows -------------------------------------------------------------------------------------------------------------

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
_DOUBLES = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-9, -1e-9, 1e9, -1e9, 1e-300, 1e100, -1e100, 4.9e-324, 123456789.125]
_EPOCH = datetime.datetime(2020, 1, 1)


def generate_rows(
    schema: Mapping[str, Any],
    n: int,
    seed: int,
    *,
    nulls: bool = False,
    invalid: bool = False,
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
        hints: Values that mean something to the model, by column: :attr:`wmlclient.scoring.Scorer.hints`.

    Returns:
        Fields and rows, with values as JSON has them.
    """
    chance = random.Random(seed)  # noqa: S311 - test data, to be the same each time
    known = dict(hints or {})
    words = [*_WORDS, *_hint_words(known)]
    fields: list[str] = []
    columns: list[Callable[[], Any]] = []
    for column in schema["fields"]:
        name, kind = column["name"], simple_type(column["type"])
        make = _maker(kind, chance, words, invalid, column.get("metadata") or {}, known.get(name))
        if nulls and column.get("nullable", True):
            make = _sometimes_null(chance, make)
        fields.append(name)
        columns.append(make)
    return fields, [[make() for make in columns] for _ in range(n)]


def _sometimes_null(chance: random.Random, make: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: None if chance.random() < 0.05 else make()


def _hint_words(hints: Mapping[str, Sequence[Any]]) -> list[str]:
    """Words of a vocabulary or stop words, for sentences."""
    return [
        w for values in hints.values() for v in values if isinstance(v, list) for w in v if isinstance(w, str)
    ]


def _maker(
    kind: str,
    chance: random.Random,
    words: list[str],
    invalid: bool,
    metadata: Mapping[str, Any],
    hints: Sequence[Any] | None,
) -> Callable[[], Any]:
    if kind == "vector":
        return _vectors(chance, invalid, metadata, hints)
    make = _scalar(kind, chance, words, invalid)
    if kind.startswith("array<"):
        element = _scalar(kind[6:-1], chance, words, invalid)
        if kind == "array<string>":
            return lambda: [chance.choice(words) for _ in range(chance.choice((0, 1, 2, 5, 12, 30)))]
        return lambda: [element() for _ in range(chance.choice((0, 1, 3, 8)))]
    if hints:
        # A hint mostly, and now and then what the model has never seen; without that its errors would go unseen.
        fitting = [_fitted(hint, kind) for hint in hints]
        if all(hint is not None for hint in fitting):
            return lambda: chance.choice(fitting) if chance.random() < 0.98 else make()
    return make


def _fitted(hint: Any, kind: str) -> Any:
    """A hint as a value of the column's type, or ``None`` if it is none."""
    try:
        if kind == "string":
            return hint if isinstance(hint, str) else None
        if kind in INTEGER_RANGES:
            return int(hint)
        return float(hint) if kind in ("double", "float") else None
    except (TypeError, ValueError):
        return None


def _scalar(kind: str, chance: random.Random, words: list[str], invalid: bool) -> Callable[[], Any]:
    if kind in ("double", "float"):
        return lambda: _double(chance, invalid)
    if kind in INTEGER_RANGES:
        low, high = INTEGER_RANGES[kind]
        return lambda: _integer(chance, low, high)
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
        return lambda: str(chance.randint(-999, 999))
    return lambda: None


def _text(chance: random.Random, words: list[str]) -> str:
    if chance.random() < 0.1:
        return chance.choice(_TEXTS)
    parts: list[str] = []
    for _ in range(chance.choice((1, 2, 3, 6, 12, 12, 25))):
        parts += (chance.choice(words), chance.choice(_GAPS))
    return "".join(parts if chance.random() < 0.1 else parts[:-1])


def _double(chance: random.Random, invalid: bool) -> Any:
    draw = chance.random()
    if draw < 0.05:
        return chance.choice(_DOUBLES)
    if draw < 0.06 and invalid:
        return chance.choice(("NaN", "Infinity", "-Infinity"))
    if draw < 0.15:
        return float(chance.randint(-10, 10))
    return chance.gauss(0.0, 1.0) * 10.0 ** chance.randint(-2, 3)


def _integer(chance: random.Random, low: int, high: int) -> int:
    draw = chance.random()
    if draw < 0.05:
        return chance.choice((low, high, 0, 1, -1))
    return chance.randint(-100, 100)


def _vectors(
    chance: random.Random, invalid: bool, metadata: Mapping[str, Any], hints: Sequence[Any] | None
) -> Callable[[], Any]:
    attributes = metadata.get("ml_attr") or {}
    size = attributes.get("num_attrs")
    if size is None and isinstance(attributes.get("attrs"), dict):
        size = sum(len(group) for group in attributes["attrs"].values())
    if size is None:
        example = next((h for h in hints or () if isinstance(h, (list, Sparse))), None)
        size = vector_size(example) if example is not None else 4

    def make() -> Any:
        if size <= 1000 and chance.random() < 0.5:
            return [_double(chance, invalid) for _ in range(size)]
        indices = sorted(chance.sample(range(size), chance.randint(0, min(size, 20))))
        return [size, indices, [_double(chance, invalid) for _ in indices]]

    return make
