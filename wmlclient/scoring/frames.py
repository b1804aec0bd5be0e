# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Columns in, columns out: the way of many rows, and of pandas."""

from __future__ import annotations

import datetime
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from wmlclient.scoring.blocks import Block, DenseBlock, SparseBlock, rows_of
from wmlclient.scoring.columns import Column
from wmlclient.scoring.errors import InputError, RowDropped, RowError
from wmlclient.scoring.pauses import collector_paused
from wmlclient.scoring.plan import Plan
from wmlclient.scoring.values import Sparse

if TYPE_CHECKING:
    import pandas

_log = logging.getLogger("wmlclient.scoring.frames")

__all__ = ["Part", "parts", "transform"]

PART = 4096
"""Rows that go through the stages together: enough to make NumPy's calls cheap, few enough to stay in the cache."""

_DTYPES = {
    "boolean": np.bool_,
    "tinyint": np.int8,
    "smallint": np.int16,
    "int": np.int32,
    "bigint": np.int64,
    "float": np.float32,
    "double": np.float64,
}


@frozen
class Part:
    """Some rows after the last stage.

    Attributes:
        columns: The output columns.
        rows: The numbers of these rows in the input; those that a stage skips are not among them.
    """

    columns: list[Block]
    rows: Sequence[int]


def parts(
    plan: Plan,
    columns: Sequence[Any],
    size: int = PART,
    problems: Callable[[RowError], None] | None = None,
) -> Iterator[Part]:
    """Scores columns, some rows at a time.

    Args:
        plan: The compiled model.
        columns: For each input column of the plan, the list of its values, or a float64 array.
        size: How many rows at a time.
        problems: Told of each row that cannot be scored, which is then left out.

    Raises:
        RowError: A row cannot be scored, and nobody is to be told.
    """
    count = len(columns[0]) if columns else 0
    columns = [
        column.tolist() if isinstance(column, np.ndarray) and type != "double" else column
        for column, type in zip(columns, plan.types)
    ]
    for start in range(0, count, size):
        rows = range(start, min(start + size, count))
        some = [column[rows.start : rows.stop] for column in columns]
        with collector_paused():
            part = _part(plan, some, rows, problems)
        yield part


def _part(plan: Plan, columns: list[Any], rows: range, problems: Callable[[RowError], None] | None) -> Part:
    try:
        return Part(plan.through(list(columns), len(rows)), rows)
    except Exception as error:
        _log.debug("the columns failed (%s); the rows are run one by one", error)
        return _one_by_one(plan, columns, rows, problems)


def _one_by_one(
    plan: Plan, columns: list[Any], rows: range, problems: Callable[[RowError], None] | None
) -> Part:
    """The same, row by row: to find the one that fails, or those that are skipped."""
    kept: list[int] = []
    found: list[list[Any]] = []
    for number, values in zip(rows, zip(*map(rows_of, columns))):
        try:
            found.append(plan.row(values))
        except Exception:
            problem = plan.explain(values, number)
            if isinstance(problem, RowDropped):
                continue
            if problems is None:
                raise problem from None
            problems(problem)
        else:
            kept.append(number)
    return Part([list(column) for column in zip(*found)] or [[] for _ in plan.columns], kept)


# -- pandas ---------------------------------------------------------------------------------------------------------


def transform(
    frame: pandas.DataFrame,
    plan_of: Callable[[Sequence[str], Iterable[Sequence[Any]]], Plan],
    known: Mapping[str, Column],
) -> pandas.DataFrame:
    """See :meth:`wmlclient.scoring.Scorer.transform`.

    Args:
        frame: The rows.
        plan_of: Compiles the model for some fields and their values.
        known: The model's input columns.
    """
    import pandas

    names = list(frame.columns)
    for name in names:
        if not isinstance(name, str):
            raise InputError("unknown_field", None, None, f"a column's name is not a string: {name!r:.60}")
    if len(set(names)) != len(names):
        name = next(name for at, name in enumerate(names) if name in names[:at])
        raise InputError("duplicate_field", name, None, f"the column {name!r:.80} is there twice")
    columns = [_values(frame[name], known.get(name)) for name in names]
    plan = plan_of(names, columns)
    found = list(parts(plan, columns))
    with collector_paused():
        made = {
            column.name: _series([part.columns[at] for part in found], column.type)
            for at, column in enumerate(plan.columns)
        }
    kept = list(itertools.chain.from_iterable(part.rows for part in found))
    index = frame.index if len(kept) == len(frame) else frame.index[kept]
    return pandas.DataFrame(
        {name: pandas.Series(values, index=index) for name, values in made.items()}, index
    )


def _values(series: pandas.Series[Any], column: Column | None) -> Any:
    """A column of a frame as :func:`parts` takes it."""
    kind = series.dtype.kind if isinstance(series.dtype, np.dtype) else ""
    if kind == "f" or (kind in "iu" and kind and column is not None and column.type == "double"):
        return np.ascontiguousarray(series.to_numpy(), dtype=np.float64)
    values = series.tolist()
    if kind and kind in "iub":
        return values
    kinds = set(map(type, values))
    return values if kinds <= {str, list, bool, int} else list(map(_value, values))


def _value(value: Any) -> Any:
    """A cell; what pandas has for "no value" is null."""
    if value is None or value.__class__.__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, float):
        return None if value != value else float(value)
    if isinstance(value, datetime.datetime):
        return value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value
    return value.item() if isinstance(value, np.generic) else value


def _series(blocks: list[Block], type: str) -> Any:
    """The blocks of a column, one after the other, as what pandas makes a column of."""
    if not blocks:
        return np.empty(0, dtype=_DTYPES.get(type, np.object_))
    if all(isinstance(block, np.ndarray) for block in blocks):
        return np.concatenate(blocks)  # type: ignore[arg-type]
    cells: list[Any] = list(itertools.chain.from_iterable(_cells(block, type) for block in blocks))
    dtype = _DTYPES.get(type)
    if dtype is not None and None not in cells:
        return np.array(cells, dtype=dtype)
    return np.fromiter(cells, np.object_, len(cells))


def _cells(block: Block, type: str) -> Iterable[Any]:
    if isinstance(block, DenseBlock):
        return np.stack(block.features, axis=1) if block.features else [np.empty(0)] * len(block)
    if isinstance(block, SparseBlock):
        size, starts = block.size, [0, *block.ends.tolist()]
        return [[size, block.indices[a:b], block.values[a:b]] for a, b in itertools.pairwise(starts)]
    return map(_vector, rows_of(block)) if type == "vector" else rows_of(block)


def _vector(vector: list[float] | Sparse | None) -> Any:
    if vector is None:
        return None
    if vector.__class__ is list:
        return np.array(vector, dtype=np.float64)
    return [vector.size, np.array(vector.indices, dtype=np.int64), np.array(vector.values, dtype=np.float64)]  # type: ignore[union-attr]
