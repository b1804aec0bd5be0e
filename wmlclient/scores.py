"""What a deployment answers: rows and columns, in plain Python, or in pandas and numpy on request."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from attrs import field, frozen

from wmlclient import display
from wmlclient.errors import PayloadError, ResponseError

if TYPE_CHECKING:
    import numpy
    import pandas

_log = logging.getLogger("wmlclient.scores")

_NON_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
SHOWN = 10


@frozen(repr=False)
class Scores(Sequence[dict[str, Any]]):
    """A scored table, in the order of the rows that were sent.

    A sequence of rows, each a dict: ``scores[0]["prediction"]``. Dense vectors (``probability``) are lists of floats,
    sparse ones ``[size, [indices], [values]]``.

    Attributes:
        fields: names of the columns.
        values: the rows, each a list in the order of ``fields``.
        engine: ``"native"`` or ``"spark"``; None if the service does not say.
        errors: the rows that could not be scored, by their numbers from 0, and why. They have None in the columns
            that they did not reach.
        version: id of the model's version that scored; None if the service does not say.

    Example:
        >>> scores = Scores(["x", "prediction"], [[1.0, 0.0], [None, None]], errors={1: "column 'x': it is null"})
        >>> scores
        Scores(2 rows x 2 columns: x, prediction; 1 not scored, row 1: column 'x': it is null)
    """

    fields: list[str]
    values: list[list[Any]] = field(eq=True)
    engine: str | None = field(default=None, eq=False)
    errors: Mapping[int, str] = field(factory=dict, eq=False)
    version: str | None = field(default=None, eq=False)

    @classmethod
    def _of(
        cls,
        body: bytes,
        engine: str | None,
        texts: frozenset[str] = frozenset(),
        version: str | None = None,
    ) -> Scores:
        """From an answer's body. ``texts``: columns that were sent as text, so "NaN" in them is a text."""
        try:
            answer = _loads(body)
            fields, values = answer["fields"], answer["values"]
            if any(len(row) != len(fields) for row in values):
                raise ValueError
            errors = {problem["row"]: _reason(problem) for problem in answer.get("errors") or ()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ResponseError("The service's scores are not a table of fields and values.") from None
        if b'NaN"' in body or b'Infinity"' in body:
            _restore_non_finite(fields, values, texts)
        scores = cls(fields, values, engine, errors, version)
        if errors:
            _log.warning("%s", scores._not_scored())
        return scores

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return [dict(zip(self.fields, row, strict=True)) for row in self.values[index]]
        return dict(zip(self.fields, self.values[index], strict=True))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self.values:
            yield dict(zip(self.fields, row, strict=True))

    def column(self, name: str) -> list[Any]:
        """All values of one column.

        Raises:
            PayloadError: there is no such column.
        """
        try:
            at = self.fields.index(name)
        except ValueError:
            raise PayloadError(
                f"There is no column {name!r}. There are: {', '.join(self.fields)}.", column=name
            ) from None
        return [row[at] for row in self.values]

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as a list of dicts."""
        return list(self)

    def to_pandas(self) -> pandas.DataFrame:
        """The table as a pandas DataFrame; vectors stay lists."""
        import pandas

        return pandas.DataFrame({name: self.column(name) for name in self.fields}, columns=self.fields)

    def to_numpy(self, name: str | None = None) -> numpy.ndarray[Any, Any]:
        """One column as an array, or the whole table.

        Args:
            name: the column, for example ``"probability"``: one-dimensional, or rows x length for dense vectors.
                Without it: rows x columns, of dtype object unless all columns hold plain numbers.
        """
        import numpy

        if name is not None:
            one: numpy.ndarray[Any, Any] = _array(self.column(name), numpy)
            return one
        columns = [_array(self.column(each), numpy) for each in self.fields]
        if all(column.ndim == 1 and column.dtype.kind in "biuf" for column in columns):
            stacked: numpy.ndarray[Any, Any] = numpy.stack(columns, axis=1)
            return stacked
        table = numpy.empty((len(self), len(self.fields)), dtype=object)
        for at, name in enumerate(self.fields):
            for row, value in enumerate(self.column(name)):
                table[row, at] = value
        return table

    def _not_scored(self) -> str:
        row, reason = next(iter(self.errors.items()))
        return f"{len(self.errors)} not scored, row {row}: {display.short(reason)}"

    def __repr__(self) -> str:
        engine = f", engine={self.engine!r}" if self.engine else ""
        failed = f"; {self._not_scored()}" if self.errors else ""
        columns = display.short(", ".join(self.fields))
        return f"Scores({len(self)} rows x {len(self.fields)} columns: {columns}{engine}{failed})"

    def _repr_html_(self) -> str:
        note = f"{len(self)} rows" + (f", scored by the {self.engine} engine" if self.engine else "")
        if not self.errors:
            return display.table(self.fields, self.values[:SHOWN], note)
        rows = [[*row, self.errors.get(number, "")] for number, row in enumerate(self.values[:SHOWN])]
        return display.table([*self.fields, "not scored"], rows, f"{note}; {self._not_scored()}")


def _reason(problem: dict[str, Any]) -> str:
    column = problem.get("column")
    return f"column {column!r}: {problem['reason']}" if column else str(problem["reason"])


def _array(values: list[Any], numpy: Any) -> Any:
    try:
        return numpy.asarray(values)
    except ValueError:  # sparse vectors, or arrays of several lengths
        ragged = numpy.empty(len(values), dtype=object)
        ragged[:] = values
        return ragged


def _loads(body: bytes) -> Any:
    try:
        import orjson
    except ImportError:
        return json.loads(body)
    return orjson.loads(body)


def _restore_non_finite(fields: list[str], values: list[list[Any]], texts: frozenset[str]) -> None:
    """The words for NaN and the infinities back to floats, in columns that hold numbers and nothing else."""
    for at, name in enumerate(fields):
        cells = [row[at] for row in values]
        if name in texts or not any(_holds_word(cell) for cell in cells):
            continue
        if all(_numeric(cell) for cell in cells):
            for row in values:
                row[at] = _floats(row[at])


def _holds_word(cell: Any) -> bool:
    if isinstance(cell, list):
        return any(_holds_word(item) for item in cell)
    return isinstance(cell, str) and cell in _NON_FINITE


def _numeric(cell: Any) -> bool:
    if isinstance(cell, list):
        return all(_numeric(item) for item in cell)
    if isinstance(cell, str):
        return cell in _NON_FINITE
    return cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool))


def _floats(cell: Any) -> Any:
    if isinstance(cell, list):
        return [_floats(item) for item in cell]
    return _NON_FINITE[cell] if isinstance(cell, str) else cell
