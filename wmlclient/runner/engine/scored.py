"""What an online deployment answers, and how a table is scored of which some rows cannot be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from wmlclient.scoring.errors import InputError, RowDropped, RowError

__all__ = ["RowProblem", "Rows", "Scored", "readable", "score_the_rest", "unread"]

Rows = list[list[Any]]


class RowProblem(NamedTuple):
    """Why a row was not scored.

    Attributes:
        row: Its number in the request, from 0.
        code: The service's code for it.
        reason: In words.
        column: The column that is wrong, or that could not be computed.
    """

    row: int
    code: str
    reason: str
    column: str | None

    def as_json(self) -> dict[str, Any]:
        """As the contract has it."""
        shown: dict[str, Any] = {"row": self.row, "code": self.code, "reason": self.reason}
        return shown if self.column is None else {**shown, "column": self.column}


class Scored(NamedTuple):
    """Scored rows, in the order of the request.

    Attributes:
        fields: All columns that Spark would give, in its order.
        values: The rows. One that could not be scored has null in the columns that it did not reach.
        errors: Those rows.
    """

    fields: list[str]
    values: Rows
    errors: Sequence[RowProblem] = ()


def score_the_rest(
    scorer: Any, check: Callable[[list[str], Rows], None], fields: list[str], values: Rows
) -> Scored | None:
    """Scores the rows of a table that can be, and gives the others their reasons; None where none can be.

    Args:
        scorer: A :class:`wmlclient.scoring.Scorer`.
        check: Raises ``InputError`` where some rows are not what the model takes.
        fields: Columns of the table.
        values: Its rows.

    Raises:
        InputError: The table as a whole does not fit.
    """
    good, errors = readable(check, fields, values)
    if not good:
        return None
    table = scorer.run(fields, [values[number] for number in good])
    for at, problem in table.problems.items():
        # A row that Spark would drop is no error: the model is made to leave it out.
        if not isinstance(problem, RowDropped):
            errors[good[at]] = _of_row(good[at], problem)
    if len(errors) == len(values):
        return None
    answers = dict(zip(good, table.values, strict=True))
    rows = [
        answers.get(number) or unread(check, table.fields, fields, row) for number, row in enumerate(values)
    ]
    return Scored(table.fields, rows, [errors[number] for number in sorted(errors)])


def readable(
    check: Callable[[list[str], Rows], None], fields: list[str], values: Rows
) -> tuple[list[int], dict[int, RowProblem]]:
    """The numbers of the rows that are what the model takes, and what is wrong with the others.

    Raises:
        InputError: The table as a whole does not fit.
    """
    errors: dict[int, RowProblem] = {}
    good: list[int] = []
    for number, row in enumerate(values):
        wrong = _wrong(check, fields, row)
        if wrong is None:
            good.append(number)
        else:
            errors[number] = _of_input(number, wrong)
    return good, errors


def _wrong(check: Callable[[list[str], Rows], None], fields: list[str], row: list[Any]) -> InputError | None:
    try:
        check(fields, [row])
    except InputError as error:
        if error.row is None or error.kind != "wrong_type":
            raise
        return error
    return None


def unread(
    check: Callable[[list[str], Rows], None], names: list[str], fields: list[str], row: list[Any]
) -> list[Any]:
    """A row that never came to the first stage: what was sent, but for the values of a wrong type."""
    shown = dict(zip(fields, row, strict=True))
    wrong = _wrong(check, fields, list(row))
    while wrong is not None and shown.get(str(wrong.field)) is not None:
        shown[str(wrong.field)] = None
        wrong = _wrong(check, fields, list(shown.values()))
    return [shown.get(name) for name in names]


def _of_input(number: int, error: InputError) -> RowProblem:
    place = f"row {error.row}, field {error.field!r:.80}: "
    return RowProblem(number, "invalid_payload", error.message.removeprefix(place), error.field)


def _of_row(number: int, error: RowError) -> RowProblem:
    return RowProblem(number, "invalid_input_data", error.reason, error.column)
