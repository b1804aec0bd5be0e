"""Feedback of a model: rows with what it should have predicted, kept here or in a table of a database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from wmlclient.runner import databases
from wmlclient.wire import words_for_non_finite

from ..store import Learning, Model, Referenced, Store
from .errors import Invalid, NotFound, NotSupported
from .native import check_rows
from .places import Folders
from .schemas import label_column
from .sql_places import table_place

Rows = list[dict[str, Any]]


def training_schema(model: Model) -> dict[str, Any]:
    """The columns of a model's training data.

    Raises:
        Invalid: It was published without them, or without a label.
    """
    schema = model.body.get("training_data_schema")
    if not schema or label_column(model.body) not in [column["name"] for column in schema["fields"]]:
        raise Invalid(
            "invalid_request_payload",
            "The model does not say what it was trained on; publish it with `training_data_schema` and `label_column`.",
        )
    found: dict[str, Any] = schema
    return found


def reference_place(reference: Any, name: str, folders: Folders) -> dict[str, Any]:
    """The table that a reference to data names.

    Raises:
        Invalid: ``invalid_feedback_data_connection``: it names none.
        Forbidden: ``path_not_allowed``.
    """
    try:
        if not isinstance(reference, Mapping):
            raise Invalid("invalid_request_payload", f"`{name}` is not an object.")
        return table_place(reference, name, "source", folders.check)
    except Invalid as error:
        raise Invalid("invalid_feedback_data_connection", error.message, error.target) from None


class Feedback:
    """The feedback of models.

    Args:
        store: Rows.
        folders: The files that a SQLite database may be.
    """

    def __init__(self, store: Store, folders: Folders) -> None:
        self._store = store
        self._folders = folders

    def add(self, model: Model, learning: Learning, body: Mapping[str, Any]) -> int:
        """Keep rows, all of them or none.

        Args:
            model: The model.
            learning: How it learns.
            body: ``{"fields", "values"}``.

        Returns:
            How many there are then.

        Raises:
            Invalid: The rows do not fit the training data; the table cannot take them.
        """
        schema, fields, values = training_schema(model), list(body["fields"]), body["values"]
        check_rows(schema, fields, values)
        rows = [dict(zip(fields, row, strict=True)) for row in values]
        place = self._place(learning)
        if place is None:
            try:
                return self._store.learning.add_feedback(model.id, rows)
            except Referenced:  # the model was deleted meanwhile
                raise NotFound() from None
        with _told(), databases.opened(place) as connection:
            table = databases.reflected(connection, place)
            databases.insert(connection, table, rows)
            return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())

    def rows(self, model: Model, learning: Learning) -> Rows:
        """All rows, oldest first; those of a table by its primary key.

        Raises:
            Invalid: ``sql_error``.
        """
        place = self._place(learning)
        return self._store.learning.feedback(model.id) if place is None else self.table(model, place)

    def table(self, model: Model, place: Mapping[str, Any]) -> Rows:
        """The rows of a table, the columns of the training data alone.

        Raises:
            Invalid: ``sql_error``.
        """
        names = [column["name"] for column in training_schema(model)["fields"]]
        with _told(), databases.opened(place) as connection:
            table = databases.reflected(connection, place)
            # Databases fold names without quotes to one case or the other.
            by_name = {column.name.lower(): column for column in table.columns}
            lacking = [name for name in names if name.lower() not in by_name]
            if lacking:
                raise databases.DatabaseError(
                    f"The {databases.shown(place)} has no column {lacking[0]!r}. Add it, or name another."
                )
            wanted = [by_name[name.lower()] for name in names]
            found = connection.execute(
                databases.ordered(table).with_only_columns(*wanted, maintain_column_froms=True)
            )
            return [{name: _json(value) for name, value in zip(names, row, strict=True)} for row in found]

    def _place(self, learning: Learning) -> dict[str, Any] | None:
        reference = learning.body.get("feedback_data_reference")
        if not reference:
            return None
        return reference_place(reference, "feedback_data_reference", self._folders)


@contextmanager
def _told() -> Iterator[None]:
    """Turns the refusals of a database into the service's."""
    try:
        yield
    except databases.DatabaseError as error:
        refusal = NotSupported if error.code == "not_supported" else Invalid
        raise refusal(error.code, error.message) from None


def _json(value: Any) -> Any:
    """A value of a database as JSON has it."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return words_for_non_finite(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
