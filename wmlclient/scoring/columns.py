"""The columns of a pipeline while it is bound to an input: what each stage finds, and what it adds.

Binding happens once for a set of input fields. Each stage looks its input columns up in a :class:`Frame`, checks
their types as Spark's ``transformSchema`` does, and adds a :class:`Step` that computes its output columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import evolve, frozen

from wmlclient.scoring.errors import InputError
from wmlclient.scoring.types import NUMERIC

__all__ = ["Column", "Drop", "Frame", "Invalid", "Step"]


class Invalid(ValueError):
    """A stage's row function refuses a value; the text is the reason."""


class Drop(Exception):
    """A stage's row function drops the row, as Spark does with ``handleInvalid="skip"``."""


@frozen
class Column:
    """A column: its name, its short type, and what Spark keeps in its ML attributes.

    Attributes:
        labels: The values of a nominal column by index, which ``IndexToString`` reads.
        size: The size of the vectors of a vector column, where it is known before the first row.
        kinds: What the values of a vector are: so many categories, or 1 for a number; and how many values in a row
            are such. ``None`` where it is not known, or where Spark keeps nothing of it.
    """

    name: str
    type: str
    labels: tuple[str, ...] | None = None
    size: int | None = None
    kinds: tuple[tuple[int, int], ...] | None = None

    def categories(self, produced: bool) -> tuple[tuple[int, int], ...] | None:
        """The same for a column of any type; one of numbers that came in, and no stage ``produced``, holds numbers."""
        if self.type == "vector":
            return self.kinds
        if self.labels is not None:
            return ((len(self.labels), 1),)
        return None if produced else ((1, 1),)


@frozen
class Step:
    """One computation: from the slots of some columns to the slots of new ones.

    Attributes:
        stage: The uid of the stage it belongs to.
        inputs: Slots of the columns it reads.
        names: Names of the columns it adds, in order.
        row: Takes the input values as arguments; returns the output value, or a tuple if there are several.
        batch: Takes whole columns, returns the output columns in a tuple, or ``None`` if these columns need the
            row function. It must give the very values that ``row`` gives.
    """

    stage: str
    inputs: tuple[int, ...]
    names: tuple[str, ...]
    row: Callable[..., Any]
    batch: Callable[..., Any] | None = None


class Frame:
    """The columns at one point of a pipeline.

    Args:
        columns: The input columns.
        open: Columns that a stage wants and that are not there are added to the input; this is how the input of a
            model without a schema is found out.
    """

    def __init__(self, columns: Iterable[Column] = (), *, open: bool = False) -> None:
        self._open = open
        self.slots: list[Column] = []
        self.steps: list[Step] = []
        self.visible: dict[str, int] = {}
        self.wanted: list[str] = []
        """Names of the input columns that some stage reads."""
        for column in columns:
            self._put(column)
        self.inputs = len(self.slots)

    def _put(self, column: Column) -> None:
        if column.name in self.visible:
            raise InputError(
                "duplicate_field", column.name, None, f"the column {column.name!r} exists already"
            )
        self.visible[column.name] = len(self.slots)
        self.slots.append(column)

    def has(self, name: str) -> bool:
        """Whether the column is there; while the input is being found out, it will be."""
        return self._open or name in self.visible

    def type_of(self, name: str) -> str:
        """The short type of a column that is there."""
        return self.slots[self.visible[name]].type

    @property
    def columns(self) -> list[Column]:
        """The visible columns, in Spark's order."""
        return [self.slots[slot] for slot in self.visible.values()]

    @property
    def produced(self) -> set[str]:
        """Names of the columns that steps have added."""
        return {name for step in self.steps for name in step.names}

    def find(self, name: str, stage: str, accepts: Callable[[str], bool], what: str, default: str) -> Column:
        """The column of that name, its type checked.

        Args:
            name: The column.
            stage: The uid of the stage that asks.
            accepts: Whether a short type will do.
            what: What will do, in words, for the error.
            default: The type to assume if nothing is known of the input.

        Raises:
            InputError: ``missing_field`` or ``wrong_type``.
        """
        slot = self.visible.get(name)
        if slot is None:
            if not self._open:
                raise InputError(
                    "missing_field", name, None, f"the field {name!r} is missing: stage {stage} needs it"
                )
            self._put(Column(name, default))
            slot = self.visible[name]
        column = self.slots[slot]
        if name not in self.produced and name not in self.wanted:
            self.wanted.append(name)
        if not accepts(column.type):
            raise InputError(
                "wrong_type",
                name,
                None,
                f"the column {name!r} is {column.type}, but stage {stage} takes {what}",
            )
        return column

    def numeric(self, name: str, stage: str) -> Column:
        """A column of numbers."""
        return self.find(name, stage, is_numeric, "a number", "double")

    def text(self, name: str, stage: str) -> Column:
        """A column of strings."""
        return self.find(name, stage, "string".__eq__, "a string", "string")

    def words(self, name: str, stage: str) -> Column:
        """A column of arrays of strings."""
        return self.find(name, stage, "array<string>".__eq__, "an array of strings", "array<string>")

    def vector(self, name: str, stage: str) -> Column:
        """A column of vectors."""
        return self.find(name, stage, "vector".__eq__, "a vector", "vector")

    def add(
        self,
        stage: str,
        inputs: Sequence[str],
        outputs: Sequence[Column],
        row: Callable[..., Any],
        batch: Callable[..., Any] | None = None,
    ) -> None:
        """Adds a step; see :class:`Step` for its two functions."""
        slots = tuple(self.visible[name] for name in inputs)
        for column in outputs:
            self._put(column)
        self.steps.append(Step(stage, slots, tuple(c.name for c in outputs), row, batch))

    def replace(self, name: str, **changes: Any) -> None:
        """Changes what is known of a visible column, such as its size."""
        slot = self.visible[name]
        self.slots[slot] = evolve(self.slots[slot], **changes)

    def select(self, names: Iterable[str]) -> None:
        """Keeps only these columns visible, in this order."""
        self.visible = {name: self.visible[name] for name in names}


def is_numeric(type: str) -> bool:
    """Whether Spark counts the type as numeric."""
    return type in NUMERIC or type.startswith("decimal")
