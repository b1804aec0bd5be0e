"""Chunks scored by Spark, which the runner asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from wmlclient.wire import NON_FINITE

from .failures import JobFailed
from .tables import arrow_type, input_types, values_of

_ROWS = 4096


class SparkChunks:
    """Scores with Spark.

    A chunk with a row that Spark refuses is halved until that row stands alone.

    Args:
        schema: The model's input.
        ask: Takes fields and values; gives ``{"fields", "values", "dtypes"}``, or ``{"error": {"code", "message"}}``
            with ``refused`` where Spark refused the rows.
    """

    def __init__(
        self, schema: dict[str, Any], ask: Callable[[list[str], list[list[Any]]], dict[str, Any]]
    ) -> None:
        self._types = input_types(schema)
        self._ask = ask

    def score(self, table: pa.Table) -> tuple[pa.Table, list[tuple[int, str]]]:
        """The scored rows, and the places of those that cannot be."""
        fields = [name for name in table.column_names if name in self._types]
        problems: list[tuple[int, str]] = []
        kept: list[int] = []
        parts: list[pa.Table] = []
        for start in range(0, max(len(table), 1), _ROWS):
            self._some(table.slice(start, _ROWS), start, fields, kept, parts, problems)
        if not parts:
            parts.append(self._asked(table.slice(0, 0), fields))
        made = pa.concat_tables(parts)
        rest = table.take(pa.array(kept, pa.int64()))
        for name in made.column_names:
            if name in rest.column_names:
                continue
            rest = rest.append_column(name, made.column(name))
        return rest, sorted(problems)

    def _some(
        self,
        table: pa.Table,
        start: int,
        fields: list[str],
        kept: list[int],
        parts: list[pa.Table],
        problems: list[tuple[int, str]],
    ) -> None:
        try:
            scored = self._asked(table, fields)
        except _Refused as refused:
            if len(table) <= 1:
                problems.append((start, refused.reason))
                return
            half = len(table) // 2
            self._some(table.slice(0, half), start, fields, kept, parts, problems)
            self._some(table.slice(half), start + half, fields, kept, parts, problems)
            return
        if len(scored) != len(table):
            raise JobFailed(
                "not_supported",
                "A stage of the model drops rows, and Spark does not say which. Publish it with handleInvalid=keep.",
            )
        kept.extend(range(start, start + len(table)))
        parts.append(scored)

    def _asked(self, table: pa.Table, fields: list[str]) -> pa.Table:
        columns = [
            _plain(values_of(table.column(name).combine_chunks(), self._types[name])) for name in fields
        ]
        answer = self._ask(fields, [list(row) for row in zip(*columns, strict=True)])
        if "error" in answer:
            if answer.get("refused") and len(table):
                raise _Refused(str(answer["error"]["message"]))
            raise JobFailed(answer["error"]["code"], answer["error"]["message"])
        made = {}
        for place, name in enumerate(answer["fields"]):
            short = answer["dtypes"][name]
            kind = arrow_type(short)
            if kind is None:
                raise JobFailed(
                    "schema_mismatch", f"The model's column {name!r} is {short}, which no file can hold."
                )
            if name not in fields:
                cells = [_cell(row[place], short) for row in answer["values"]]
                made[name] = pa.array(cells, kind)
        return pa.table(made) if made else table


class _Refused(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _plain(values: Any) -> list[Any]:
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _cell(value: Any, short: str) -> Any:
    if short == "vector" and value is not None:
        if len(value) == 3 and isinstance(value[1], list):
            return {"type": 0, "size": value[0], "indices": value[1], "values": _floats(value[2])}
        return {"type": 1, "size": None, "indices": None, "values": _floats(value)}
    if short in ("double", "float") and isinstance(value, str):
        return NON_FINITE[value]
    return value


def _floats(values: list[Any]) -> list[float]:
    return [NON_FINITE[value] if isinstance(value, str) else value for value in values]
