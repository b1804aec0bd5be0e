"""The engine's side of :mod:`wmlclient.scoring`: its errors in the engine's codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wmlclient.scoring.errors import ArchiveError, InputError, RowError, UnsupportedModel

from .errors import Invalid

__all__ = ["NativeScorer", "UnsupportedModel", "check_rows", "load"]


def check_rows(schema: dict[str, Any], fields: list[str], values: list[list[Any]]) -> None:
    """Return where a table fits the schema of a model's input.

    Raises:
        Invalid: ``invalid_payload`` for the table's form, ``invalid_input_data`` for its rows; the messages are
            those of the service.
    """
    from wmlclient.scoring import check_table

    try:
        check_table(schema, fields, values)
    except InputError as error:
        raise _invalid(error) from None


class NativeScorer:
    """A model scored in this process, without a JVM.

    Args:
        scorer: What :func:`wmlclient.scoring.load` gave.
        schema: The schema of the model's input.
    """

    engine = "native"

    def __init__(self, scorer: Any, schema: dict[str, Any]) -> None:
        self._scorer = scorer
        self._schema = schema

    def score(self, fields: list[str], values: list[list[Any]]) -> tuple[list[str], list[list[Any]]]:
        """All columns that Spark would give for these rows, in its order.

        Raises:
            Invalid: The table does not fit the model's input, or a row cannot be scored.
        """
        check_rows(self._schema, fields, values)
        try:
            scored: tuple[list[str], list[list[Any]]] = self._scorer.score_table(fields, values)
            return scored
        except InputError as error:
            raise _invalid(error) from None
        except RowError as error:
            raise Invalid("invalid_input_data", str(error), {"type": "field", "name": error.column}) from None


def load(model_dir: Path, schema: dict[str, Any], label: str | None) -> NativeScorer:
    """A scorer for a saved model.

    Raises:
        UnsupportedModel: A stage is not scored natively; it and the reason are named.
        Invalid: ``load_model_failure``: the model is damaged.
    """
    from wmlclient import scoring

    try:
        return NativeScorer(scoring.load(model_dir, schema, label), schema)
    except ArchiveError as error:
        raise Invalid("load_model_failure", f"The model cannot be loaded: {error}.") from None


def _invalid(error: InputError) -> Invalid:
    target = {"type": "field", "name": error.field} if error.field else None
    if error.kind == "unknown_field":
        message = f"Input Json parsing failed with error: invalid field: {error.field}"
        return Invalid("invalid_payload", message, target)
    if error.kind == "duplicate_field":
        message = f"Input Json parsing failed with error: struct already has field: {error.field}"
        return Invalid("invalid_payload", message, target)
    code = "invalid_input_data" if error.kind == "no_rows" else "invalid_payload"
    return Invalid(code, f"Input Json parsing failed with error: {error.message}", target)
