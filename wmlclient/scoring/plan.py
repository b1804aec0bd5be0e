# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""A pipeline bound to one set of input fields: compiled once, run for every request.

There are two ways through a plan, and they give the same values. The row path calls one small function for each
stage and is the fast one for a few rows; the column path hands whole columns to the stages and is the fast one for
many. When a row fails on the column path, the rows are run one by one, so that only the bad ones fail.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, DenseBlock, SparseBlock, rows_of
from wmlclient.scoring.columns import Column, Drop, Frame, Invalid, Step
from wmlclient.scoring.errors import InputError, RowDropped, RowError
from wmlclient.scoring.inputs import Reader, reader, ready
from wmlclient.scoring.pauses import collector_paused
from wmlclient.scoring.values import finite, json_float, json_vector

_log = logging.getLogger("wmlclient.scoring.plan")

CHUNK = 1024
"""Rows that go through the stages together; more would not stay in the processor's cache."""
COLUMNS_FROM = 8
"""Rows from which the column path is taken."""


class Plan:
    """See the module's text.

    Args:
        columns: The input columns, with the payload's order.
        added: Columns that the server adds after the payload's, and their value.
        bind: Binds the model's stages.
    """

    def __init__(
        self, columns: Sequence[Column], added: Sequence[tuple[Column, Any]], bind: Callable[[Frame], None]
    ) -> None:
        frame = Frame([*columns, *(column for column, _ in added)])
        bind(frame)
        self.columns: list[Column] = frame.columns
        self.fields = [column.name for column in self.columns]
        self.types = [column.type for column in columns]
        self._added = [value for _, value in added]
        self._steps = frame.steps
        self._names = [column.name for column in frame.slots]
        self._order = [frame.visible[name] for name in self.fields]
        self._all = self._order == list(range(len(frame.slots)))
        self._readers = [(slot, read) for slot, column in enumerate(columns) if (read := reader(column.type))]
        self._ready = {slot: ready(column.type) for slot, column in enumerate(columns)}
        self._run_steps = [_compiled(step) for step in frame.steps]
        self._encoders = [
            (place, encode) for place, column in enumerate(self.columns) if (encode := encoder(column.type))
        ]

    # -- rows ---------------------------------------------------------------------------------------------------

    def row(self, values: Iterable[Any]) -> list[Any]:
        """The output values for one row's input values; raises whatever the stage raises."""
        row = list(values)
        for slot, read in self._readers:
            row[slot] = read(row[slot])
        row += self._added
        for step in self._run_steps:
            step(row)
        return row if self._all else [row[slot] for slot in self._order]

    def explain(self, values: Sequence[Any], number: int) -> RowError:
        """Why the row fails, found by running it once more, step by step."""
        row = list(values)
        for slot, read in self._readers:
            try:
                row[slot] = read(row[slot])
            except (ValueError, OverflowError) as error:
                return RowError(number, self._names[slot], str(error))
        row += self._added
        for step, run in zip(self._steps, self._run_steps):
            try:
                run(row)
            except Drop as drop:
                return RowDropped(number, step.names[0], str(drop), step.stage)
            except Invalid as invalid:
                return RowError(number, step.names[0], str(invalid), step.stage)
            except Exception as error:
                null = next((self._names[slot] for slot in step.inputs if row[slot] is None), None)
                if null is not None:
                    reason = f"the column {null!r} is null"
                else:
                    reason = f"{type(error).__name__}: {error}"
                    _log.debug("stage %s failed on a row", step.stage, exc_info=error)
                return RowError(number, step.names[0], reason, step.stage)
        return RowError(number, self.fields[-1], "the row failed, but not when it was run again")

    def partial(self, values: Sequence[Any]) -> list[Any]:
        """The output of a row that fails: what was computed before, then nulls; null for an unreadable input."""
        row = list(values)
        readable = True
        for slot, read in self._readers:
            try:
                row[slot] = read(row[slot])
            except (ValueError, OverflowError):
                row[slot], readable = None, False
        row += self._added
        try:
            for run in self._run_steps if readable else ():
                run(row)
        except Exception as error:
            _log.debug("a failed row ends at %d of %d columns: %s", len(row), len(self._names), error)
        row += [None] * (len(self._names) - len(row))
        return [row[slot] for slot in self._order]

    # -- columns ------------------------------------------------------------------------------------------------

    def table(self, values: Sequence[Sequence[Any]]) -> list[Block]:
        """The output columns for many rows; raises whatever a stage raises for any of them."""
        return self.through(list(map(list, zip(*values))), len(values))

    @np.errstate(all="ignore")
    def through(self, columns: list[Any], count: int) -> list[Block]:
        """The output columns for some input columns; raises whatever a stage raises for any of their rows.

        Infinity less infinity is NaN, as in Spark, without a warning.

        Args:
            columns: Lists of input values; where the type is double, it may be a float64 array. The list is changed.
            count: How many rows they have.
        """
        for slot, read in self._readers:
            column = columns[slot]
            if isinstance(column, list) and not set(map(type, column)) <= self._ready[slot]:
                columns[slot] = list(map(read, column))
        columns += [[value] * count for value in self._added]
        for step in self._steps:
            inputs = [columns[slot] for slot in step.inputs]
            outputs = step.batch(*inputs) if step.batch is not None else None
            if outputs is None:
                rows = map(step.row, *map(rows_of, inputs)) if inputs else (step.row() for _ in range(count))
                outputs = [list(rows)] if len(step.names) == 1 else list(map(list, zip(*rows)))
            columns.extend(outputs)
        return columns if self._all else [columns[slot] for slot in self._order]

    # -- answers ------------------------------------------------------------------------------------------------

    def json_row(self, row: list[Any]) -> list[Any]:
        """The row with its values as online answers show them; changes the row."""
        for place, encode in self._encoders:
            row[place] = encode(row[place])
        return row

    def json_table(self, columns: list[Block]) -> list[list[Any]]:
        """The rows of the columns, with their values as online answers show them."""
        encoders = dict(self._encoders)
        shown = [_json_column(column, encoders.get(place)) for place, column in enumerate(columns)]
        return list(map(list, zip(*shown)))

    def run(self, values: Sequence[Sequence[Any]], json: bool) -> tuple[list[list[Any]], dict[int, RowError]]:
        """All rows and what went wrong, by row number.

        Args:
            values: The input rows.
            json: Whether the values are wanted as online answers show them.
        """
        rows: list[list[Any]] = []
        problems: dict[int, RowError] = {}
        if len(values) < COLUMNS_FROM:
            self._run_rows(0, values, json, rows, problems)
            return rows, problems
        with collector_paused():
            for start in range(0, len(values), CHUNK):
                chunk = values[start : start + CHUNK]
                try:
                    columns = self.table(chunk)
                    rows += self.json_table(columns) if json else map(list, zip(*map(rows_of, columns)))
                except Exception as error:
                    _log.debug("the columns failed (%s); the rows are run one by one", error)
                    self._run_rows(start, chunk, json, rows, problems)
        return rows, problems

    def _run_rows(
        self,
        start: int,
        values: Sequence[Sequence[Any]],
        json: bool,
        rows: list[list[Any]],
        problems: dict[int, RowError],
    ) -> None:
        for number, given in enumerate(values, start):
            try:
                row = self.row(given)
            except Exception:
                problems[number] = self.explain(given, number)
                row = self.partial(given)
            rows.append(self.json_row(row) if json else row)


def _compiled(step: Step) -> Callable[[list[Any]], None]:
    """The step as a function that appends its outputs to a row."""
    function, inputs = step.row, step.inputs
    several = len(step.names) > 1
    if len(inputs) == 1:
        slot = inputs[0]
        if several:

            def run(row: list[Any]) -> None:
                row.extend(function(row[slot]))

        else:

            def run(row: list[Any]) -> None:
                row.append(function(row[slot]))

    else:
        pick: Callable[[list[Any]], tuple[Any, ...]] = itemgetter(*inputs) if inputs else (lambda row: ())
        if several:

            def run(row: list[Any]) -> None:
                row.extend(function(*pick(row)))

        else:

            def run(row: list[Any]) -> None:
                row.append(function(*pick(row)))

    return run


def encoder(type: str) -> Reader | None:
    """What turns a value of the type into its JSON form, or ``None`` where it is one already."""
    if type == "vector":
        return json_vector
    if type in ("double", "float"):
        return json_double
    if type.startswith("array<"):
        element = encoder(type[6:-1])
        if element is not None:
            return lambda value: value if value is None else [element(item) for item in value]
    return None


def json_double(value: Any) -> Any:
    """A double or null as online answers show it."""
    return value if value is None else json_float(value)


def _json_column(column: Block, encode: Reader | None) -> list[Any]:
    if isinstance(column, (DenseBlock, SparseBlock)):
        return column.json()
    rows = rows_of(column)
    if encode is None:
        return rows
    if encode is json_double:
        try:
            if finite(rows):
                return rows
        except TypeError:
            _log.debug("a column of doubles has nulls")
    return list(map(encode, rows))


def check_lengths(fields: Sequence[str], values: Sequence[Any]) -> None:
    """Every row has one value for each field, and there are rows.

    Raises:
        InputError: ``no_rows`` or ``row_length``.
    """
    if not values:
        raise InputError("no_rows", None, None, "there are no rows to score: 'values' is empty")
    if set(map(type, values)) <= {list, tuple} and set(map(len, values)) == {len(fields)}:
        return
    for number, row in enumerate(values):
        if not isinstance(row, (list, tuple)):
            raise InputError("row_length", None, number, f"row {number} is not an array of values")
        if len(row) != len(fields):
            raise InputError(
                "row_length",
                None,
                number,
                f"row {number} has {len(row)} values, but there are {len(fields)} fields",
            )


def first(problems: dict[int, RowError]) -> RowError | None:
    """The first row that is in error, not counting those that Spark drops."""
    bad = (problem for problem in problems.values() if not isinstance(problem, RowDropped))
    return next(itertools.islice(bad, 1), None)
