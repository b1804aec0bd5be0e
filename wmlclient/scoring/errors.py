"""What can go wrong while a model is read or a row is scored.

::

    ScoringError
      ArchiveError(ValueError)         the archive or folder is not a safe, whole, saved Spark ML model
      UnsupportedModel                 a sound model with a stage that is not scored here exactly
      InputError(ValueError)           the payload as a whole does not fit the model's input
      RowError(ValueError)             one row cannot be scored; Spark would fail on it too
        RowDropped                     Spark drops this row (``handleInvalid="skip"``)
      SparkRefused                     in a comparison: Spark runs, and cannot score the rows

All of them pickle, and none of them carries a row's other values.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "ArchiveError",
    "InputError",
    "RowDropped",
    "RowError",
    "ScoringError",
    "SparkRefused",
    "UnsupportedModel",
]


class ScoringError(Exception):
    """Base of every error of :mod:`wmlclient.scoring`."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own __reduce__ calls the class with its message alone, which these cannot take.
        return (_rebuild, (type(self), self.args, dict(self.__dict__)))


def _rebuild(cls: type[ScoringError], args: tuple[Any, ...], state: dict[str, Any]) -> ScoringError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ArchiveError(ScoringError, ValueError):
    """The archive or folder is damaged, unsafe, or not a saved Spark ML model."""


class UnsupportedModel(ScoringError):
    """A stage of the model is not scored natively; Spark has to score it.

    Attributes:
        stage: The uid of the stage, for example ``"ALS_1f0c"``.
        java_class: Its Java class.
        reason: What is not supported.
    """

    def __init__(self, stage: str, reason: str, java_class: str = "") -> None:
        self.stage = stage
        self.reason = reason
        self.java_class = java_class
        name = java_class.rpartition(".")[2]
        super().__init__(f"stage {stage}{f' ({name})' if name else ''} is not scored natively: {reason}")


class InputError(ScoringError, ValueError):
    """The payload does not fit the model's input schema.

    Attributes:
        kind: ``unknown_field``, ``duplicate_field``, ``missing_field``, ``wrong_type``, ``row_length`` or ``no_rows``.
        field: The field's name, if the error is about one.
        row: The index of the first offending row, from 0, if the error is about rows.
        message: The whole sentence, for the user.
    """

    def __init__(self, kind: str, field: str | None, row: int | None, message: str) -> None:
        self.kind = kind
        self.field = field
        self.row = row
        self.message = message
        super().__init__(message)


class RowError(ScoringError, ValueError):
    """One row cannot be scored.

    Attributes:
        row: The index of the row in the request, from 0.
        column: The column that could not be computed.
        reason: Why.
        stage: The uid of the stage that failed, if one did.
    """

    def __init__(self, row: int, column: str, reason: str, stage: str = "") -> None:
        self.row = row
        self.column = column
        self.reason = reason
        self.stage = stage
        where = f" (stage {stage})" if stage else ""
        super().__init__(f"row {row}: column {column!r}{where}: {reason}")


class RowDropped(RowError):
    """Spark drops this row: a stage has ``handleInvalid="skip"`` and the row is invalid to it."""


class SparkRefused(ScoringError):
    """In a comparison: Spark runs, and cannot score these rows. The text is its reason."""
