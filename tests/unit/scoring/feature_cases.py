"""One saved feature stage, scored row by row and as whole columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from scoring_models import FEATURE, VECTOR, schema, write_stage

from wmlclient import scoring
from wmlclient.scoring import RowDropped, Scorer

DROPPED = "dropped"


def load_feature(
    folder: Path,
    name: str,
    params: Mapping[str, Any],
    types: Mapping[str, str],
    data: Mapping[str, Any] | None = None,
) -> Scorer:
    """A stage of ``org.apache.spark.ml.feature``.

    Args:
        name: Its class.
        params: Its params.
        types: The columns of its input.
        data: The columns of its Parquet, each one value; values made by ``dense`` become vectors.
    """
    table = None
    if data is not None:
        columns = {
            key: pa.array(
                [value], VECTOR if isinstance(value, dict) and set(value) == set(VECTOR.names) else None
            )
            if not isinstance(value, pa.Array)
            else value
            for key, value in data.items()
        }
        table = pa.table(columns)
    write_stage(folder / "stage", FEATURE + name, f"{name}_0", params, table)
    return scoring.load(folder / "stage", schema(**types))


def outputs(scorer: Scorer, rows: list[list[Any]], column: str = "o") -> list[Any]:
    """The values of an output column: ``dropped`` for a dropped row, the reason for one in error.

    The rows are scored one by one, and all together often enough that whole columns are.
    """
    fields = [field["name"] for field in scorer.schema["fields"]]
    alone = [_shown(scorer, fields, [row], column)[0] for row in rows]
    together = _shown(scorer, fields, rows * 8, column)
    assert repr(together[: len(rows)]) == repr(alone)
    good = [number for number, row in enumerate(rows) if not scorer.run(fields, [row]).problems]
    if good:
        found = _shown(scorer, fields, [rows[number] for number in good] * 8, column)
        assert repr(found) == repr([alone[number] for number in good] * 8)
    return alone


def _shown(scorer: Scorer, fields: list[str], rows: list[list[Any]], column: str) -> list[Any]:
    table = scorer.run(fields, rows)
    place = table.fields.index(column)
    shown = []
    for number, row in enumerate(table.values):
        problem = table.problems.get(number)
        if problem is None:
            shown.append(row[place])
        else:
            shown.append(DROPPED if isinstance(problem, RowDropped) else problem.reason)
    return shown
