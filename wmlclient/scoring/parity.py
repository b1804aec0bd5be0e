"""Native answers beside Spark's: the comparison behind a parity certificate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from attrs import field, frozen

from wmlclient.scoring.rows import edge_rows, generate_rows

__all__ = ["TOLERANCE", "Comparison", "compare", "edge_rows", "generate_rows"]

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
    gap, largest = abs(a - b), max(abs(a), abs(b))
    # Two finite numbers may be further apart than the largest double.
    return min(gap, gap / largest if math.isfinite(gap) else abs(a / largest - b / largest))
