"""The engine's side of :mod:`wmlclient.scoring`: its errors in the engine's codes, and the label that is filled in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wmlclient.scoring.errors import ArchiveError, InputError, RowError, UnsupportedModel

from .errors import Invalid
from .scored import Scored, score_the_rest

__all__ = [
    "NativeScorer",
    "UnsupportedModel",
    "check_rows",
    "label_filler",
    "load",
    "load_untyped",
    "materials",
]

Rows = list[list[Any]]

if TYPE_CHECKING:
    from wmlclient.scoring.labels import LabelFiller


def label_filler(model_dir: Path, training: dict[str, Any] | None, label: str | None) -> LabelFiller | None:
    """See :func:`wmlclient.scoring.labels.label_filler`; imported when it is asked for."""
    from wmlclient.scoring import labels

    return labels.label_filler(model_dir, training, label)


def check_rows(schema: dict[str, Any], fields: list[str], values: Rows) -> None:
    """Return where a table has all columns of the schema of a model's input, and values of their types.

    Args:
        schema: The model's input.
        fields: Columns of the table.
        values: Its rows.

    Raises:
        Invalid: ``invalid_payload``, or ``invalid_input_data`` for 0 rows; the messages are those of the service.
    """
    from wmlclient.scoring import check_table

    try:
        check_table(schema, fields, values)
    except InputError as error:
        raise invalid(error) from None


class NativeScorer:
    """A model scored in this process, without a JVM.

    Args:
        scorer: What :func:`wmlclient.scoring.load` gave.
        schema: The schema of the model's input.
        label: What the service adds to a table; the scorer does it.
    """

    engine: Literal["native", "spark"] = "native"

    def __init__(self, scorer: Any, schema: dict[str, Any], label: LabelFiller | None) -> None:
        self._scorer = scorer
        self._schema = schema
        self._label = label

    @property
    def schema(self) -> dict[str, Any]:
        """The schema of the model's input."""
        return self._schema

    @property
    def inputs(self) -> dict[str, str]:
        """The columns that the model's stages read, with their short types."""
        from wmlclient.scoring.proof import inputs_of

        return inputs_of(self._scorer)

    def score(self, fields: list[str], values: Rows) -> Scored:
        """All columns that Spark would give for these rows, in its order.

        A row that cannot be scored is among the ``errors``, where another one can be.

        Raises:
            Invalid: The table does not fit the model's input, or no row can be scored.
        """
        problem: InputError | RowError
        try:
            self._check(fields, values)
            return Scored(*self._scorer.score_table(fields, values))
        except (InputError, RowError) as error:
            problem = error
        rest = None
        if len(values) > 1 and (isinstance(problem, RowError) or problem.kind == "wrong_type"):
            try:
                rest = score_the_rest(self._scorer, self._check, fields, values)
            except InputError as error:
                problem = error
        if rest is not None:
            return rest
        if isinstance(problem, InputError):
            raise invalid(problem, self._label) from None
        raise Invalid("invalid_input_data", str(problem), {"type": "field", "name": problem.column}) from None

    def _check(self, fields: list[str], values: Rows) -> None:
        from wmlclient.scoring import check_table

        check_table(self._schema, fields, values, required=self._scorer.required)


def load(
    model_dir: Path, schema: dict[str, Any], label: str | None, training: dict[str, Any] | None = None
) -> NativeScorer:
    """A scorer for a saved model.

    Args:
        model_dir: Folder with the saved model.
        schema: The schema of the model's input.
        label: Column of the training data that holds the labels, or None.
        training: Schema of the training data: the type of the label.

    Raises:
        UnsupportedModel: A stage is not scored natively; it and the reason are named.
        Invalid: ``load_model_failure``: the model is damaged, or needs what its schema lacks.
    """
    from wmlclient.scoring.labels import load_labelled

    try:
        scorer, filler = load_labelled(model_dir, schema, label, training)
        return NativeScorer(scorer, schema, filler)
    except (ArchiveError, InputError) as error:
        raise Invalid("load_model_failure", f"The model cannot be loaded: {error}.") from None


def load_untyped(model_dir: Path) -> NativeScorer:
    """A scorer for a saved model that came without a schema: its input is what its stages read.

    Args:
        model_dir: Folder with the saved model.

    Raises:
        UnsupportedModel: A stage is not scored natively; it and the reason are named.
        Invalid: ``load_model_failure``: the model is damaged.
    """
    from wmlclient.scoring import load as load_scorer

    try:
        scorer = load_scorer(model_dir)
        return NativeScorer(scorer, scorer.schema, None)
    except (ArchiveError, InputError) as error:
        raise Invalid("load_model_failure", f"The model cannot be loaded: {error}.") from None


def materials(
    model_dir: Path, schema: dict[str, Any] | None, size: int | None, digest: str
) -> dict[str, Any]:
    """The bill of materials of a saved model.

    Args:
        model_dir: Folder with the saved model.
        schema: The schema of the model's input, or None.
        size: Bytes of its archive.
        digest: Digest of its archive.

    Raises:
        Invalid: ``load_model_failure``: the model is damaged.
    """
    from wmlclient.scoring.materials import describe_folder

    try:
        return describe_folder(model_dir, schema, size, digest).to_dict()
    except ArchiveError as error:
        raise Invalid("load_model_failure", f"The model cannot be read: {error}.") from None


def invalid(error: InputError, label: LabelFiller | None = None) -> Invalid:
    """The engine's error for a table that does not fit; the messages are those of the service."""
    target = {"type": "field", "name": error.field} if error.field else None
    twice = error.kind == "duplicate_field" or (
        error.kind == "unknown_field" and label is not None and error.field == label.name
    )
    if error.kind == "unknown_field" and error.field and not twice:
        message = f"Input Json parsing failed with error: invalid field: {error.field}"
        return Invalid("invalid_payload", message, target)
    if twice:
        message = f"Input Json parsing failed with error: struct already has field: {error.field}"
        return Invalid("invalid_payload", message, target)
    code = "invalid_input_data" if error.kind == "no_rows" else "invalid_payload"
    return Invalid(code, f"Input Json parsing failed with error: {error.message}", target)
