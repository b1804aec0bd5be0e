"""An SQL expression with its type, and the types in which expressions meet.

Only conversions that no digit is lost in are made: between whole numbers, and from them to doubles. Decimals occur
only as literals that become doubles or are compared with whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from attrs import evolve, frozen

Row = tuple[Any, ...]
WHOLE = ["tinyint", "smallint", "int", "bigint"]
"""Narrow to wide."""


class Unsupported(Exception):
    """An expression whose exact meaning in Spark is not computed here; the text is what it is."""


@frozen
class Typed:
    """An expression: its type, and its value for a row.

    Attributes:
        type: A short type, ``decimal`` for a decimal literal, ``void`` for ``NULL``.
        value: Takes the row, gives a value or ``None``.
        literal: The number of a decimal literal.
    """

    type: str
    value: Callable[[Row], Any]
    literal: Decimal | None = None


def constant(type: str, value: Any) -> Typed:
    """A literal."""
    return Typed(type, lambda row: value)


def strict(function: Callable[..., Any], *arguments: Typed) -> Callable[[Row], Any]:
    """Null if an argument is null, else the function of them."""
    if len(arguments) == 1:
        (only,) = arguments
        first = only.value

        def of_one(row: Row) -> Any:
            value = first(row)
            return None if value is None else function(value)

        return of_one
    first, second = (argument.value for argument in arguments)

    def of_two(row: Row) -> Any:
        left = first(row)
        if left is None:
            return None
        right = second(row)
        return None if right is None else function(left, right)

    return of_two


def is_number(typed: Typed) -> bool:
    """Whether it is a number that takes part in arithmetic here."""
    return typed.type in WHOLE or typed.type in ("double", "decimal")


def double(typed: Typed) -> Typed:
    """The expression as a double."""
    if typed.type == "double":
        return typed
    if typed.literal is not None:
        return constant("double", float(typed.literal))
    if typed.type in WHOLE:
        return Typed("double", strict(float, typed))
    if typed.type == "void":
        return evolve(typed, type="double")
    raise Unsupported(f"a {typed.type} where a double is needed")


def common(*typed: Typed) -> tuple[str, list[Typed]]:
    """The type in which these expressions meet, and the expressions in that type."""
    kinds = {each.type for each in typed if each.type != "void"}
    if not kinds:
        raise Unsupported("NULL without a type")
    if kinds <= {"string"} or kinds <= {"boolean"}:
        kind = kinds.pop()
        return kind, [evolve(each, type=kind) for each in typed]
    if kinds <= set(WHOLE):
        kind = max(kinds, key=WHOLE.index)
        return kind, [evolve(each, type=kind) for each in typed]
    if "double" in kinds and kinds <= {*WHOLE, "double", "decimal"}:
        return "double", [double(each) for each in typed]
    raise Unsupported(f"{' and '.join(sorted(kinds))} together")
