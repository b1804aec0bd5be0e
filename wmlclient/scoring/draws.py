"""Numbers and vectors for generated rows: drawn at large, and from what means something to the model."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wmlclient.scoring.types import INTEGER_RANGES
from wmlclient.scoring.values import Sparse, json_float, to_dense, vector_size

__all__ = ["Draw", "edges_of", "hinted", "vectors"]

DOUBLES = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-9, -1e-9, 1e9, -1e9, 1e-300, 1e100, -1e100, 4.9e-324, 123456789.125]
_NAMED = ["NaN", "Infinity", "-Infinity"]
_EXTREME = [*DOUBLES, 1.7976931348623157e308, -1.7976931348623157e308, 2.0**53 + 2.0, *_NAMED]
#: So many values of a vector are set by one edge each; more would leave no rows for the other columns.
_INDICES = 64


class Draw:
    """Draws numbers.

    Args:
        chance: Where they come from.
        invalid: Whether floats are NaN or infinite at times.
        positive: Whether all are 0 or more.
    """

    def __init__(self, chance: random.Random, invalid: bool = False, positive: bool = False) -> None:
        self.chance = chance
        self.invalid = invalid
        self.positive = positive

    def double(self) -> Any:
        """A double as JSON has it."""
        chance = self.chance
        draw = chance.random()
        if draw < 0.05:
            value = chance.choice(DOUBLES)
        elif draw < 0.06 and self.invalid:
            return chance.choice(_NAMED)
        elif draw < 0.15:
            value = float(chance.randint(-10, 10))
        else:
            value = chance.gauss(0.0, 1.0) * 10.0 ** chance.randint(-2, 3)
        return abs(value) if self.positive else value

    def integer(self, low: int, high: int) -> int:
        """A whole number of a range."""
        draw = self.chance.random()
        value = self.chance.choice((low, high, 0, 1, -1)) if draw < 0.05 else self.chance.randint(-100, 100)
        return min(abs(value), high) if self.positive else value

    def beside(self, value: float) -> float:
        """A border, or at times the double just beside it; a whole number stays, as it may be a category."""
        draw = self.chance.random()
        if draw < 0.3 and not value.is_integer():
            return math.nextafter(value, math.inf if draw < 0.15 else -math.inf)
        return value


def hinted(
    kind: str, draw: Draw, hints: Sequence[Any] | None, make: Callable[[], Any], unseen: float
) -> Callable[[], Any]:
    """Makes hints mostly, and now and then what the model has never seen; its errors would else go unseen."""
    fitting = _fitting(hints or (), kind)
    if not fitting:
        return make
    chance = draw.chance
    if kind in ("double", "float"):
        # Borders alone would leave out what lies between them.
        whole = all(value.is_integer() for value in fitting)
        share = 1.0 - unseen if whole else 0.5
        return lambda: json_float(draw.beside(chance.choice(fitting))) if chance.random() < share else make()
    return lambda: chance.choice(fitting) if chance.random() >= unseen else make()


def _fitting(hints: Sequence[Any], kind: str) -> list[Any]:
    """The hints that are values of the column's type; of a border between two whole numbers, both."""
    found: list[Any] = []
    for hint in hints:
        if kind == "string":
            found += [hint] if isinstance(hint, str) else []
            continue
        if kind not in INTEGER_RANGES and kind not in ("double", "float"):
            continue
        try:
            value = float(hint)
        except (TypeError, ValueError):
            continue
        if kind in ("double", "float"):
            found.append(value)
        elif math.isfinite(value):
            low, high = INTEGER_RANGES[kind]
            found += [w for w in dict.fromkeys((math.floor(value), math.ceil(value))) if low <= w <= high]
    return found


def edges_of(
    kind: str, hints: Sequence[Any] | None, make: Callable[[], Any], chance: random.Random, most: int
) -> list[Any]:
    """The edges of a column: extreme values of its type, and the model's own values with their neighbours.

    Args:
        kind: The column's short type.
        hints: What means something to the model.
        make: Makes an ordinary value; a vector's edges are put into such.
        chance: Chooses where there are too many.
        most: How many of the model's own are taken.
    """
    if kind == "vector":
        return _vector_edges(hints or (), make, chance, most)
    own = list(dict.fromkeys(_fitting(hints or (), kind)))
    own = own if len(own) <= most else chance.sample(own, most)
    if kind in ("double", "float"):
        return [*_EXTREME, *map(json_float, _with_neighbours(own))]
    if kind in INTEGER_RANGES:
        low, high = INTEGER_RANGES[kind]
        near = [n for value in own for n in (value - 1, value, value + 1) if low <= n <= high]
        return list(dict.fromkeys([0, 1, -1, low, high, low + 1, high - 1, *near]))
    if kind == "string":
        return own
    return [False, True] if kind == "boolean" else []


def _with_neighbours(values: Sequence[float]) -> list[float]:
    return [
        near
        for value in values
        for near in (value, math.nextafter(value, -math.inf), math.nextafter(value, math.inf))
    ]


def _vector_edges(
    hints: Sequence[Any], make: Callable[[], Any], chance: random.Random, most: int
) -> list[Any]:
    """Ordinary vectors with one value replaced by an edge."""
    pools = _pools(hints)
    pairs: list[tuple[int, Any]] = [
        (index, value) for index, pool in pools.items() for value in _with_neighbours(pool)
    ]
    pairs = pairs if len(pairs) <= most else chance.sample(pairs, most)
    some_vector = make()
    sparse = len(some_vector) == 3 and isinstance(some_vector[1], list)
    size = some_vector[0] if sparse else len(some_vector)
    if size:
        some = range(size) if size <= _INDICES else sorted(chance.sample(range(size), _INDICES))
        pairs += [(chance.choice(some), value) for value in _EXTREME]
    return [_replaced(make(), index, value) for index, value in pairs]


def _replaced(vector: Any, index: int, value: Any) -> Any:
    """A vector in its JSON form with another value at a place."""
    shown = json_float(value) if isinstance(value, float) else value
    if len(vector) == 3 and isinstance(vector[1], list):
        size, indices, values = vector
        if index >= size:
            return vector
        at = dict(zip(indices, values, strict=True)) | {index: shown}
        return [size, sorted(at), [at[i] for i in sorted(at)]]
    return [*vector[:index], shown, *vector[index + 1 :]] if index < len(vector) else vector


def _pools(hints: Sequence[Any]) -> dict[int, list[float]]:
    """The values of hinted vectors that mean something, by place."""
    pools: dict[int, dict[float, None]] = {}
    for hint in hints:
        if isinstance(hint, Sparse):
            for index, value in zip(hint.indices, hint.values, strict=True):
                pools.setdefault(index, {})[value] = None
        elif isinstance(hint, list) and any(value for value in hint if isinstance(value, float)):
            for index, value in enumerate(to_dense(hint)):
                pools.setdefault(index, {})[value] = None
    return {index: list(pool) for index, pool in sorted(pools.items())}


def _size(hints: Sequence[Any]) -> int | None:
    sizes = [vector_size(h) for h in hints if isinstance(h, Sparse) or (isinstance(h, list) and _numbers(h))]
    return max(sizes, default=None)


def _numbers(values: list[Any]) -> bool:
    return all(isinstance(value, float) for value in values)


def vectors(draw: Draw, metadata: Mapping[str, Any], hints: Sequence[Any] | None) -> Callable[[], Any]:
    """Makes vectors of the model's size, dense and sparse, with the model's own values in part of them.

    Args:
        draw: Draws the other values.
        metadata: What Spark ML keeps of the column.
        hints: Vectors that mean something to the model.
    """
    attributes = metadata.get("ml_attr") or {}
    given = attributes.get("num_attrs")
    if given is None and isinstance(attributes.get("attrs"), dict):
        given = sum(len(group) for group in attributes["attrs"].values())
    if given is None:
        given = _size(hints or ())
    size = 4 if given is None else int(given)
    pools = {index: pool for index, pool in _pools(hints or ()).items() if index < size}
    chance = draw.chance

    def element(index: int) -> Any:
        pool = pools.get(index)
        if pool is not None and chance.random() < 0.5:
            return json_float(draw.beside(chance.choice(pool)))
        return draw.double()

    own = list(pools)

    def make() -> Any:
        if size <= 1000 and chance.random() < 0.5:
            return [element(index) for index in range(size)]
        count = chance.randint(0, min(size, 20))
        chosen = set(chance.sample(range(size), count))
        if own:
            chosen |= set(chance.sample(own, min(len(own), count)))
        indices = sorted(chosen)
        return [size, indices, [element(index) for index in indices]]

    return make
