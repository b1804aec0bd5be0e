# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""A model that scores: the public face of the package."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import field, frozen

from wmlclient.bill import Description
from wmlclient.scoring.archive import Limits, unpack
from wmlclient.scoring.check import check_table
from wmlclient.scoring.columns import Column, Frame
from wmlclient.scoring.errors import InputError, RowError
from wmlclient.scoring.given import columns_of, label_value, label_values, leaves, step_columns
from wmlclient.scoring.hints import model_hints
from wmlclient.scoring.inputs import infer_type
from wmlclient.scoring.memory import reading
from wmlclient.scoring.metadata import find_root
from wmlclient.scoring.plan import Plan, check_lengths, first
from wmlclient.scoring.registry import Stage, load_stage
from wmlclient.scoring.saved import read_stage
from wmlclient.scoring.types import json_type
from wmlclient.scoring.values import plain

if TYPE_CHECKING:
    import pandas

    from wmlclient.scoring.frames import Part

_log = logging.getLogger("wmlclient.scoring")

__all__ = ["Scorer", "Table", "load"]

MAX_PLANS = 64


@frozen
class Table:
    """Rows that were scored.

    Attributes:
        fields: Names of the columns, in Spark's order.
        values: The rows, row by row, with values as online answers show them.
        dtypes: The short type of each column, as ``DataFrame.dtypes`` names it.
        problems: The rows that could not be scored, by row number, and those that Spark would drop
            (:class:`~wmlclient.scoring.errors.RowDropped`). Such a row has null in the columns it did not reach.
    """

    fields: list[str]
    values: list[list[Any]] = field(repr=False)
    dtypes: dict[str, str]
    problems: dict[int, RowError] = field(factory=dict)


@frozen
class ScoredStage:
    """A stage of the model: its uid, its Java class, the columns it reads and those it adds."""

    uid: str
    java_class: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Scorer:
    """A Spark ML model that scores without Spark. Made by :func:`load`.

    It may be used from any number of threads.

    Attributes:
        schema: The input, as the JSON of a Spark ``StructType``: the one given to :func:`load`, or the columns that
            the stages need, with the types they expect.
        stages: The stages that compute something, in order.
        hints: By column, values that mean something to a stage, for
            :func:`wmlclient.scoring.parity.generate_rows`.
        required: Names of the input columns that must be in a payload.
    """

    def __init__(
        self, stage: Stage, schema: Mapping[str, Any] | None = None, label_col: str | None = None
    ) -> None:
        self._stage = stage
        self._typed = schema is not None
        frame = Frame(open=True) if schema is None else Frame(columns_of(schema), open=True)
        known = {column.name for column in frame.columns}
        stage.bind(frame)
        produced = frame.produced
        inputs = [column for column in frame.slots if column.name not in produced]
        missing = [column.name for column in inputs if column.name not in known] if schema is not None else []
        # What only a StringIndexerModel wants may be missing: it leaves itself out, as in Spark.
        self.required = tuple(
            c.name for c in inputs if c.name in frame.wanted and not self._binds_without(c, inputs)
        )
        absent = [name for name in missing if name in self.required]
        if absent:
            raise InputError(
                "missing_field",
                absent[0],
                None,
                f"the model needs the column {absent[0]!r}, which is not in its input schema",
            )
        if schema is None:
            self.schema: dict[str, Any] = {
                "type": "struct",
                "fields": [
                    {"name": c.name, "type": json_type(c.type), "nullable": True, "metadata": {}}
                    for c in inputs
                ],
            }
        else:
            self.schema = dict(schema)
        self._inputs = {column.name: column for column in inputs if column.name not in missing}
        self._label = self._label_fill(label_col)
        self.stages = tuple(
            ScoredStage(uid, java_class, *step_columns(uid, frame)) for uid, java_class in leaves(stage)
        )
        self.hints = model_hints(stage, {column.name: column for column in frame.slots})
        self._plans: dict[tuple[Any, ...], Plan] = {}
        self._materials: Any = None  # what load() read beside the stages

    def _binds_without(self, column: Column, inputs: Sequence[Column]) -> bool:
        try:
            self._stage.bind(Frame([other for other in inputs if other.name != column.name]))
        except InputError:
            return False
        return True

    def _label_fill(self, label_col: str | None) -> tuple[Column, Any] | None:
        if label_col is None:
            return None
        labels = label_values(self._stage, label_col)
        if not labels:
            return None
        column = self._inputs.get(label_col) or Column(label_col, "string")
        return column, label_value(labels[0], column.type)

    # -- scoring ------------------------------------------------------------------------------------------------

    def score(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Scores rows.

        Args:
            rows: One mapping of column names to values for each row. A key that a row lacks is null in it; a key
                that no stage reads is carried through.

        Returns:
            For each row, every output column of Spark's ``transform`` in Spark's order; vectors are lists of floats.
            A row that Spark would drop has ``None`` in the columns it did not reach.

        Raises:
            InputError: A column is missing or has the wrong type.
            RowError: A row cannot be scored; Spark would fail on it too.
        """
        fields = list(dict.fromkeys(name for row in rows for name in row))
        values = [[row.get(name) for name in fields] for row in rows]
        check_lengths(fields, values)
        plan = self._plan(fields, values)
        out, problems = plan.run(values, json=False)
        _raise_first(problems)
        names = plan.fields
        wide = [place for place, column in enumerate(plan.columns) if "vector" in column.type]
        for row in out:
            for place in wide:
                row[place] = plain(row[place])
        return [dict(zip(names, row)) for row in out]

    def score_table(
        self, fields: Sequence[str], values: Sequence[Sequence[Any]]
    ) -> tuple[list[str], list[list[Any]]]:
        """Scores a table as online scoring does: one answer for each row, in order.

        Args:
            fields: Column names.
            values: Rows, each with one value for each field.

        Returns:
            Fields and values of the answer: the payload's columns, what the server adds, then the stages' outputs.
            Dense vectors are ``[v, ...]``, sparse ones ``[size, [i, ...], [v, ...]]``; doubles that JSON cannot hold
            are the strings ``"NaN"``, ``"Infinity"``, ``"-Infinity"``.

        Raises:
            InputError: The table does not fit the model's input.
            RowError: A row cannot be scored.
        """
        check_lengths(fields, values)
        plan = self._plan(fields, values)
        if len(values) == 1:  # the shortest way for the commonest request
            try:
                return plan.fields, [plan.json_row(plan.row(values[0]))]
            except Exception as error:
                _log.debug("a row failed (%s); it is run again to find out where", error)
        out, problems = plan.run(values, json=True)
        _raise_first(problems)
        return plan.fields, out

    def run(self, fields: Sequence[str], values: Sequence[Sequence[Any]]) -> Table:
        """Scores a table and keeps going: bad rows are in ``problems``, the good ones are scored.

        Raises:
            InputError: The table as a whole does not fit.
        """
        check_lengths(fields, values)
        plan = self._plan(fields, values)
        out, problems = plan.run(values, json=True)
        return Table(plan.fields, out, {column.name: column.type for column in plan.columns}, problems)

    def transform(self, frame: pandas.DataFrame) -> pandas.DataFrame:
        """Scores a pandas DataFrame, column by column: the way to score many rows.

        Args:
            frame: The rows. In a column of objects None, NaN, NaT and NA are null; in one of floats NaN is NaN.

        Returns:
            Every column of Spark's ``transform`` in Spark's order, with the frame's index. Dense vectors are float64
            arrays, sparse ones ``[size, indices, values]``. A column with nulls is of objects, with ``None``. Rows
            that a stage skips are not there.

        Raises:
            InputError: A column is missing or has the wrong type.
            RowError: A row cannot be scored; Spark would fail on it too.

        Example:
            >>> import pandas
            >>> from wmlclient import scoring
            >>> model = scoring.load("sentiment.tar.gz")                        # doctest: +SKIP
            >>> model.transform(pandas.DataFrame({"text": ["what a day"]}))     # doctest: +SKIP
        """
        from wmlclient.scoring.frames import transform

        return transform(frame, self._plan_of, self._inputs)

    def parts(self, fields: Sequence[str], columns: Sequence[Any], problems: Any = None) -> Iterator[Part]:
        """Scores columns, some thousand rows at a time: for batches of any length.

        Args:
            fields: Column names.
            columns: For each, its values: a list with ``None`` for null, or a float64 array.
            problems: Called with the :class:`RowError` of each row that cannot be scored, which is then left out.

        Yields:
            The columns that :meth:`output_fields` names, for some rows, and the numbers of these rows.

        Raises:
            InputError: A column is missing or has the wrong type.
            RowError: A row cannot be scored, and nobody is to be told.
        """
        from wmlclient.scoring.frames import parts

        return parts(self._plan_of(fields, columns), columns, problems=problems)

    def transform_table(self, fields: Sequence[str], values: Sequence[Sequence[Any]]) -> Table:
        """Scores a table as ``transform`` does: rows that a stage skips are not in the answer.

        Raises:
            InputError: The table as a whole does not fit.
            RowError: A row cannot be scored.
        """
        table = self.run(fields, values)
        _raise_first(table.problems)
        if not table.problems:
            return table
        kept = [row for number, row in enumerate(table.values) if number not in table.problems]
        return Table(table.fields, kept, table.dtypes)

    # -- what it is ---------------------------------------------------------------------------------------------

    def check(self, fields: Sequence[str], values: Sequence[Sequence[Any]]) -> None:
        """:func:`~wmlclient.scoring.check_table` with this model's schema; only what stages need must be there."""
        check_table(self.schema, fields, values, required=self.required)

    def output_fields(self, fields: Sequence[str] | None = None) -> list[str]:
        """The columns of an answer to these input columns; to all of the schema's, if none are given."""
        return list(self._described(fields).fields)

    def output_types(self, fields: Sequence[str] | None = None) -> dict[str, str]:
        """The short types of those columns, such as ``vector`` or ``array<string>``."""
        return {column.name: column.type for column in self._described(fields).columns}

    def describe(self) -> Description:
        """The model's bill of materials; see :func:`wmlclient.scoring.describe`."""
        from wmlclient.scoring.materials import with_scorer

        return with_scorer(self._materials, self)

    def _described(self, fields: Sequence[str] | None) -> Plan:
        names = list(self._inputs) if fields is None else list(fields)
        return self._plan(names, [[None] * len(names)])

    def __repr__(self) -> str:
        return f"<Scorer of {self._stage.uid}: {len(self.stages)} stages, input {', '.join(self._inputs) or 'none'}>"

    def _plan(self, fields: Sequence[str], values: Sequence[Sequence[Any]]) -> Plan:
        return self._plan_of(fields, None if self._typed else zip(*values))

    def _plan_of(self, fields: Sequence[str], columns: Iterable[Sequence[Any]] | None) -> Plan:
        """The plan for some fields; a scorer without a schema looks at their columns, too."""
        if self._typed or columns is None:
            types = None
            key: tuple[Any, ...] = tuple(fields)
        else:
            types = [self._type_of(name, column) for name, column in zip(fields, columns)]
            key = (*fields, *types)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._compile(list(fields), types)
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            self._plans[key] = plan
        return plan

    def _type_of(self, name: str, values: Any) -> str:
        known = self._inputs.get(name)
        expected = known.type if known else None
        if isinstance(values, np.ndarray):
            return expected if expected == "float" else "double"
        return infer_type(list(values), expected)

    def _compile(self, fields: list[str], types: list[str] | None) -> Plan:
        repeated = next((name for place, name in enumerate(fields) if name in fields[:place]), None)
        if repeated is not None:
            raise InputError("duplicate_field", repeated, None, f"the field {repeated!r} is there twice")
        for name in self.required:
            if name not in fields:
                raise InputError(
                    "missing_field", name, None, f"the field {name!r} is missing: the model needs it"
                )
        columns = []
        for place, name in enumerate(fields):
            known = self._inputs.get(name)
            if types is not None:
                columns.append(Column(name, types[place]))
            elif known is not None:
                columns.append(known)
            else:
                columns.append(Column(name, "unknown"))
        added = [self._label] if self._label and self._label[0].name not in fields else []
        return Plan(columns, added, self._stage.bind)


def load(
    path: str | os.PathLike[str],
    schema: Mapping[str, Any] | None = None,
    label_col: str | None = None,
    limits: Limits | None = None,
) -> Scorer:
    """Loads a saved Spark ML model for scoring without Spark.

    Nothing in the model is executed: it is read as JSON and Parquet.

    Args:
        path: The folder that ``PipelineModel.save`` wrote, or a ``.tar.gz`` of it.
        schema: The input, as the JSON of a Spark ``StructType`` (``df.schema.jsonValue()``). Without it, types are
            inferred from each payload.
        label_col: The column that training took the label from. If a ``StringIndexerModel`` indexes it and a payload
            lacks it, it is added with the indexer's first label, as Watson ML answers do.
        limits: What an archive may hold.

    Example:
        >>> from wmlclient import scoring
        >>> model = scoring.load("sentiment.tar.gz")                        # doctest: +SKIP
        >>> model.score([{"text": "what a day"}])[0]["prediction"]          # doctest: +SKIP
        1.0

    Raises:
        ArchiveError: It is no saved model, or it is damaged or unsafe.
        UnsupportedModel: A stage is not scored natively; the error names it and the reason.
        FileNotFoundError: There is nothing at the path.
    """
    source = Path(path)
    if source.is_dir():
        return _loaded(find_root(source), schema, label_col)
    with tempfile.TemporaryDirectory(prefix="wmlclient-model-") as folder:
        unpack(source, folder, limits)
        return _loaded(find_root(folder), schema, label_col, source)


def _loaded(root: Path, schema: Any, label_col: str | None, archive: Path | None = None) -> Scorer:
    from wmlclient.scoring.materials import materials

    with reading():
        saved = read_stage(root)
        scorer = Scorer(load_stage(saved), schema, label_col)
        scorer._materials = materials(saved, archive)
    return scorer


def _raise_first(problems: dict[int, RowError]) -> None:
    problem = first(problems) if problems else None
    if problem is not None:
        raise problem
