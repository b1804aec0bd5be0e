"""The input tables of the corpus: small, made without chance, with the rows at the edges."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

ROWS = 40
NAN = math.nan
TEXTS = [
    "what a lovely day", "awful, just awful", "so good, love it", "bad bad news", "I don't know it at all",
    "café ÜBER 😀 ok", "a  b\tc", "The end of the day", "", "x", "naïve straße İstanbul", "  lead and trail  ",
    "one two three four five six seven", "UPPER lower MiXed", "3.14 is not 100% pi", "love love love",
]  # fmt: skip


class Table:
    """A table: its columns, as in DDL, and what makes a row of a number."""

    def __init__(self, columns: str, row: Callable[[int], tuple[Any, ...]]) -> None:
        self.columns = columns
        self.row = row

    def frame(self, spark: Any) -> Any:
        from pyspark.ml.linalg import VectorUDT
        from pyspark.sql import types as t

        kinds = {
            "vector": VectorUDT(),
            "string": t.StringType(),
            "double": t.DoubleType(),
            "int": t.IntegerType(),
            "long": t.LongType(),
            "boolean": t.BooleanType(),
        }
        columns = [column.partition(" ") for column in f"{self.columns}, row_number long".split(", ")]
        fields = [t.StructField(name, kinds[kind], True) for name, _, kind in columns]
        rows = [(*self.row(number), number) for number in range(ROWS)]
        return spark.createDataFrame(rows, t.StructType(fields)).coalesce(1)


def wave(number: int, *turns: int) -> list[float]:
    """Quarters between -4 and 4 that look like noise."""
    return [((number * turn * 37 + turn * 11) % 33 - 16) / 4 for turn in turns]


def text(number: int) -> tuple[Any, ...]:
    return (TEXTS[number % len(TEXTS)] + (f" {number % 3}" if number > 15 else ""), float(number % 2))


def mixed(number: int) -> tuple[Any, ...]:
    """Numbers and strings, with nulls and NaN where a stage keeps or skips them."""
    x, y = wave(number, 1, 5)
    kind = ["red", "green", "blue", "green", "", "red", None, "teal"][number % 8]
    return (
        None if number == 7 else x,
        NAN if number == 11 else None if number == 23 else y,
        None if number == 13 else number % 5,
        kind,
        "rare" if number in (5, 17) else "abc"[number % 3],
        number % 3 == 0,
        float((x + y + number % 2) > 0),
    )


def whole(number: int) -> tuple[Any, ...]:
    """The same with nothing missing."""
    x, y = wave(number, 1, 5)
    return (
        x,
        y,
        number % 5,
        ["red", "green", "blue", "green"][number % 4],
        "abc"[number % 3],
        "yes" if x + y > 0 else "no",
        x * 2 - y + number % 3,
    )


def vectors(number: int) -> tuple[Any, ...]:
    """Vectors, every third one sparse, one of them empty, and labels of all kinds."""
    from pyspark.ml.linalg import Vectors

    values = wave(number, 1, 3, 7, 11)
    category = float(number % 3)
    features: Any = Vectors.dense([*values, category])
    if number % 3 == 0:
        features = Vectors.sparse(5, [i for i in range(4) if i % 2 == number % 2], [values[1], values[2]])
    if number == 21:
        features = Vectors.sparse(5, [], [])
    counts = [float((number * step) % 4) for step in (1, 3, 5)] + [1.0]
    bits = [float(number >> bit & 1) for bit in range(3)] + [1.0]
    target = values[0] - values[1] / 2 + values[2] * values[3] / 8
    return (
        features,
        Vectors.dense(counts) if number % 2 else Vectors.sparse(4, range(4), counts),
        Vectors.dense(bits),
        float(target > 0),
        float(0 if target < -1 else 1 if target < 1 else 2),
        target,
        abs(target) + 0.5,
        float(int(abs(target))),
        float(number % 4 != 0),
        0.25 * (number % 3),
    )


def ratings(number: int) -> tuple[Any, ...]:
    return (number % 7 if number != 30 else 99, number % 5 if number != 31 else 77, float(number % 4 + 1))


ALL = {
    "text": Table("text string, label double", text),
    "mixed": Table(
        "x double, y double, n int, kind string, letter string, flag boolean, label double", mixed
    ),
    "whole": Table("x double, y double, n int, kind string, letter string, said string, label double", whole),
    "vectors": Table(
        "features vector, counts vector, bits vector, two double, three double, target double, "
        "positive double, count double, censor double, offset double",
        vectors,
    ),
    "ratings": Table("user int, item int, rating double", ratings),
}
