"""Two versions' scored records side by side: labels that flip, and how far each column moves."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

from attrs import define, field

#: Differences of a column that are kept for its quantiles; of more, a sample drawn evenly.
KEPT = 100_000
_EXAMPLES = 20
_PAIRS = 20
_SHARES = (0.5, 0.9, 0.99)
_WHOLE = frozenset(("tinyint", "smallint", "int", "bigint"))
_NUMBERS = _WHOLE | {"float", "double"}
_SCORES = frozenset(("probability", "rawPrediction"))


def label_of(types: Mapping[str, str]) -> str | None:
    """Which of the columns that a model makes is its label; None where none is one, as of a regression.

    >>> label_of({"words": "array<string>", "probability": "vector", "prediction": "double"})
    'prediction'
    >>> label_of({"prediction": "double"}) is None
    True
    """
    kind = types.get("prediction")
    if kind in _WHOLE or (kind is not None and not _SCORES.isdisjoint(types)):
        return "prediction"
    words = [name for name, kind in types.items() if kind == "string"]
    return words[-1] if words else None


@define
class _Column:
    kind: str
    changed: int = 0
    measured: int = 0
    total: float = 0.0
    largest: float = 0.0
    kept: list[float] = field(factory=list)
    chance: random.Random = field(factory=lambda: random.Random(0))  # noqa: S311 - a sample

    def add(self, before: Any, after: Any) -> None:
        if before == after:
            found: float | None = 0.0
        else:
            found = distance(self.kind, before, after)
            self.changed += found is None or found > 0.0
        if found is None:
            return
        self.measured += 1
        self.total += found
        self.largest = max(self.largest, found)
        if len(self.kept) < KEPT:
            self.kept.append(found)
        else:
            place = self.chance.randrange(self.measured)
            if place < KEPT:
                self.kept[place] = found

    def to_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"changed": self.changed}
        if _measurable(self.kind) and self.measured:
            ordered = sorted(self.kept)
            told["mean"] = self.total / self.measured
            told["largest"] = self.largest
            for share in _SHARES:
                told[f"p{share * 100:.0f}"] = ordered[min(len(ordered) - 1, int(share * len(ordered)))]
        return told


class Comparison:
    """Counts over pairs of scored records.

    Args:
        before: Columns that the one version makes, with their short types.
        after: Those of the other.
        label: The column whose changes are flips; None for the one that :func:`label_of` finds.

    Attributes:
        label: That column; None where there is none.
    """

    def __init__(self, before: Mapping[str, str], after: Mapping[str, str], label: str | None = None) -> None:
        both = {name: kind for name, kind in before.items() if after.get(name) == kind}
        self.label = label if label is not None else label_of(both)
        if self.label not in both:
            self.label = None
        self._columns = {name: _Column(kind) for name, kind in both.items()}
        self._only = {
            "only_before": [name for name in before if name not in both],
            "only_after": [name for name in after if name not in both],
        }
        self._compared = 0
        self._pairs: Counter[tuple[Any, Any]] = Counter()
        self._examples: list[dict[str, Any]] = []

    def add(self, place: tuple[int, int], before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """One record of the source, scored by both.

        Args:
            place: Its partition and offset.
            before: By column; one without a value is left out.
            after: Likewise.
        """
        self._compared += 1
        for name, column in self._columns.items():
            column.add(before.get(name), after.get(name))
        if self.label is not None:
            old, new = before.get(self.label), after.get(self.label)
            if old != new:
                self._pairs[old, new] += 1
                if len(self._examples) < _EXAMPLES:
                    self._examples.append(
                        {"partition": place[0], "offset": place[1], "before": old, "after": new}
                    )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "label": self.label,
            "compared": self._compared,
            "flips": sum(self._pairs.values()) if self.label is not None else None,
            "pairs": [[old, new, count] for (old, new), count in self._pairs.most_common(_PAIRS)],
            "examples": self._examples,
            "columns": {name: column.to_json() for name, column in self._columns.items()},
            **self._only,
        }


def distance(kind: str, before: Any, after: Any) -> float | None:
    """How far apart two values of JSON are: of vectors and arrays, the largest difference of two elements.

    None where that is no number: a value and none, vectors of two sizes, a number and NaN, texts.

    >>> distance("double", 0.25, 1.0)
    0.75
    >>> distance("vector", {"type": 1, "values": [1, 2]}, {"type": 0, "size": 2, "indices": [1], "values": [5]})
    3.0
    """
    if not _measurable(kind) or before is None or after is None:
        return None
    if kind in _NUMBERS:
        return _apart(before, after)
    old, new = _elements(before), _elements(after)
    if old[0] != new[0]:
        return None
    found = 0.0
    for at in old[1].keys() | new[1].keys():
        apart = _apart(old[1].get(at, 0.0), new[1].get(at, 0.0))
        if apart is None:
            return None
        found = max(found, apart)
    return found


def _measurable(kind: str) -> bool:
    return kind == "vector" or kind in _NUMBERS or (kind.startswith("array<") and kind[6:-1] in _NUMBERS)


def _apart(before: Any, after: Any) -> float | None:
    # JSON has no word for what is no number: it is a text, "NaN".
    if before == after:
        return 0.0
    if before is None or after is None:
        return None
    found = abs(float(before) - float(after))
    return found if math.isfinite(found) else None


def _elements(value: Any) -> tuple[int, dict[int, Any]]:
    """Size and elements of a vector or an array."""
    if isinstance(value, list):
        return len(value), dict(enumerate(value))
    if value["type"] == 1:
        return len(value["values"]), dict(enumerate(value["values"]))
    return value["size"], dict(zip(value["indices"], value["values"], strict=True))
