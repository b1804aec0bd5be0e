"""Values that mean something to a model, led back to the columns that a user sends.

A forest knows its thresholds by their place in an assembled vector. What made the vector is walked back, so that the
rows of a comparison sit on the forest's borders in the columns of the input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wmlclient.scoring.values import Sparse

if TYPE_CHECKING:
    from wmlclient.scoring.columns import Column
    from wmlclient.scoring.registry import Stage

__all__ = ["Back", "affine", "assembled", "model_hints", "picked", "same"]

Hints = dict[str, list[Any]]
Columns = Mapping[str, "Column"]
Back = Callable[[Mapping[str, Sequence[Any]], Columns], Hints]
"""Takes the hints so far and all columns; gives hints of a stage's input columns that lead to those of its outputs."""

MOST = 4000
"""Hints that are led back to one column."""


def model_hints(stage: Stage, columns: Columns) -> Hints:
    """The hints of all stages, by column, those of inner columns led back as far as that goes.

    Args:
        stage: The model.
        columns: The columns of the bound model, by name, for the sizes of its vectors.
    """
    hints: Hints = {}
    for part in reversed(list(_parts(stage))):
        led = part.back(hints, columns) if part.back is not None else {}
        for name, values in [*part.hints.items(), *led.items()]:
            hints.setdefault(name, []).extend(values)
    return hints


def _parts(stage: Stage) -> Iterator[Stage]:
    for child in stage.children:
        yield from _parts(child)
    yield stage


def same(pairs: Sequence[tuple[str, str]]) -> Back:
    """For a stage that hands values on as they are, from source to target."""

    def back(hints: Mapping[str, Sequence[Any]], columns: Columns) -> Hints:
        return {source: list(hints[target])[:MOST] for source, target in pairs if target in hints}

    return back


def assembled(sources: Sequence[str], target: str) -> Back:
    """For a vector that is put together from numbers and vectors."""

    def back(hints: Mapping[str, Sequence[Any]], columns: Columns) -> Hints:
        found: Hints = {}
        start = 0
        wanted = _places(hints.get(target, ()))
        for name in sources:
            column = columns.get(name)
            if column is None:
                break
            if column.type != "vector":
                values = dict.fromkeys(value for at, value in wanted if at == start)
                found.setdefault(name, []).extend(list(values)[:MOST])
                start += 1
                continue
            if column.size is None:
                break
            end = start + column.size
            found.setdefault(name, []).extend(
                Sparse(column.size, [at - start], [value]) for at, value in wanted[:MOST] if start <= at < end
            )
            start = end
        return {name: values for name, values in found.items() if values}

    return back


def picked(source: str, target: str, chosen: Sequence[int]) -> Back:
    """For some values of a vector."""

    def back(hints: Mapping[str, Sequence[Any]], columns: Columns) -> Hints:
        column = columns.get(source)
        size = (column.size if column is not None else None) or max(chosen, default=-1) + 1
        wanted = _places(hints.get(target, ()))[:MOST]
        return {source: [Sparse(size, [chosen[at]], [value]) for at, value in wanted if at < len(chosen)]}

    return back


def affine(
    source: str,
    target: str,
    factors: Sequence[float] | None,
    shifts: Sequence[float] | None,
    plus: float = 0.0,
) -> Back:
    """For vectors of ``(value - shift) * factor + plus``; as near as a double comes."""
    size = len(factors if factors is not None else shifts or ())

    def value_at(at: int, value: float) -> float:
        by = factors[at] if factors is not None else 1.0
        return (value - plus) / by + (shifts[at] if shifts is not None else 0.0)

    def back(hints: Mapping[str, Sequence[Any]], columns: Columns) -> Hints:
        wanted = _places(hints.get(target, ()))[:MOST]
        return {
            source: [
                Sparse(size, [at], [value_at(at, value)])
                for at, value in wanted
                if at < size and (factors is None or factors[at])
            ]
        }

    return back


def _places(hints: Sequence[Any]) -> list[tuple[int, float]]:
    """The values of hinted vectors with their places, each once, in ascending order."""
    pairs = {
        (at, value)
        for hint in hints
        if isinstance(hint, Sparse)
        for at, value in zip(hint.indices, hint.values, strict=True)
    }
    return sorted(pairs)
