"""The proof that a model scores natively as in Spark: generated rows through both, nothing may differ.

``WMLCLIENT_PARITY_ROWS`` and ``WMLCLIENT_PARITY_SEED`` set how many rows a proof generates, and which.
What was compared goes into the account.
"""

from __future__ import annotations

import datetime
import math
import os
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from account import ACCOUNT, LEAST, VERSION
from attrs import frozen
from spark_values import to_json

from wmlclient import scoring
from wmlclient.scoring import RowDropped, Scorer, Table, parity
from wmlclient.scoring.pauses import collector_paused
from wmlclient.scoring.registry import Stage
from wmlclient.scoring.types import simple_type

ROWS = int(os.environ.get("WMLCLIENT_PARITY_ROWS", "2000"))
TIMES = 1 if LEAST <= 10_000 else -(-11 * LEAST // 100_000)
"""How often the rows that suffice for 10,000 of a stage: a tenth more than are due, as some may be refused."""
SEED = int(os.environ.get("WMLCLIENT_PARITY_SEED", "20261121"))
NUMBER = "row_number"


def rows_each(tests: int) -> int:
    """How many rows each of so many tests generates, for their stage to have its due in all; some may be refused."""
    return max(ROWS, 11_000 // tests)


SINGLE = 200  # rows that are also scored one by one
WHOLE = 1_000  # rows of one form and without a null that are scored once more, in columns
NAMED = ("NaN", "Infinity", "-Infinity")
FORMS = 4  # forms of rows of which there are so many
REFUSED = 2  # rows that the scorer refuses, which Spark is asked to score, too

SPARK_3 = VERSION.startswith("3.")


@frozen
class Proof:
    """What was compared: rows that both scored, rows that both refused, rows that both dropped."""

    scorer: Scorer
    rows: int
    refused: int
    dropped: int
    comparison: parity.Comparison

    @property
    def bit_equal(self) -> bool:
        """Whether not one bit differs; of Spark 3, which adds up in another order, whether 1e-12 holds."""
        return self.comparison.largest_difference <= (parity.TOLERANCE if SPARK_3 else 0.0)


def _form(value: Any) -> Any:
    """What vectors of a column have to share for a column function to take them: dense or sparse, and the size."""
    if not isinstance(value, list) or not value or (isinstance(value[0], str) and value[0] not in NAMED):
        return None
    return ("sparse", value[0]) if len(value) == 3 and isinstance(value[1], list) else ("dense", len(value))


@collector_paused()
def prove(
    spark: Any,
    model: Any,
    schema: str | Any,
    folder: Path,
    *,
    values: Sequence[Sequence[Any]] | None = None,
    rows: int = ROWS,
    seed: int = SEED,
    nulls: bool = False,
    invalid: bool = False,
    hints: Mapping[str, Sequence[Any]] | None = None,
    least: float = 0.5,
    cancelled: Callable[[Mapping[str, Any]], float] | None = None,
) -> Proof:
    """Scores rows with Spark and natively, and fails where they differ.

    Args:
        spark: The session.
        model: A fitted model, a transformer, or a PipelineModel.
        schema: The input: a StructType, or DDL.
        folder: Where the model may be saved.
        values: Rows to score before the generated ones, with values as JSON has them.
        rows: How many rows to generate; more where more than 10,000 of a stage are due.
        seed: Which.
        nulls: Whether nullable columns get nulls.
        invalid: Whether floats are NaN or infinite at times.
        hints: Instead of the model's own hints.
        least: The part of the rows that has to be scored; a test that compares nothing is none.
        cancelled: Beside Spark 3, of a scored row: how many times larger the terms of its sum are than the sum.
    """
    if rows and TIMES > 1:
        rows = (rows + len(values or ())) * TIMES - len(values or ())
    struct, scorer = saved_and_loaded(spark, model, schema, folder)
    used = {"type": "struct", "fields": [f for f in scorer.schema["fields"] if f["name"] != NUMBER]}
    fields, made = parity.generate_rows(
        used, rows, seed, nulls=nulls, invalid=invalid, hints=scorer.hints if hints is None else hints
    )
    table = [list(row) for row in values or ()] + made
    print(f"seed {seed}, {len(table)} rows")  # noqa: T201 - pytest shows it beside a failure
    fields = [*fields, NUMBER]
    table = [[*row, number] for number, row in enumerate(table)]

    native = scorer.run(fields, table)
    refused = [n for n, problem in native.problems.items() if not isinstance(problem, RowDropped)]
    dropped = [n for n, problem in native.problems.items() if isinstance(problem, RowDropped)]
    scored = [n for n in range(len(table)) if n not in native.problems]
    assert len(scored) >= least * len(table), (
        f"only {len(scored)} rows are scored: {list(native.problems.values())[:3]}"
    )

    theirs = transformed(spark, model, struct, [table[n] for n in sorted(scored + dropped)])
    place = theirs.fields.index(NUMBER)
    numbers = [row[place] for row in theirs.values]
    assert numbers == scored, f"Spark kept other rows: {sorted(set(numbers) ^ set(scored))[:5]}"
    ours = Table(native.fields, [native.values[n] for n in scored], native.dtypes)
    comparison = parity.compare(*settled(ours, theirs, cancelled))
    assert comparison.mismatches == 0, f"{comparison.mismatches} differ: {comparison.examples}"
    assert comparison.rows == len(scored)

    # A null sends a whole column to the row functions, and so do dense and sparse vectors in one: the column functions
    # get rows without nulls, and of one form.
    forms: dict[tuple[Any, ...], list[int]] = {}
    for n in scored:
        if None not in table[n]:
            forms.setdefault(tuple(map(_form, table[n])), []).append(n)
    for alike in sorted(forms.values(), key=len)[-FORMS:]:
        whole = alike[:WHOLE]
        rows_alike = [table[n] for n in whole]
        # What fails in columns is run again by rows, which would hide it.
        scorer._plan(fields, rows_alike).table(rows_alike)
        columns = scorer.run(fields, rows_alike).values
        for n, values in zip(whole, columns, strict=True):
            assert repr(values) == repr(native.values[n]), f"row {n} differs in a table of its like"

    step = max(1, len(table) // SINGLE)
    for n in range(0, len(table), step):
        alone = scorer.run(fields, [table[n]])
        assert alone.values[0] == native.values[n], f"row {n} alone differs from the row in the table"
        assert bool(alone.problems) == (n in native.problems)
    for n in refused[:REFUSED]:
        assert spark_refuses(spark, model, struct, table[n]), (
            f"Spark scores a row that is refused: {native.problems[n]}"
        )
    ACCOUNT.add(_classes(scorer._stage), len(scored), comparison.largest_difference)
    return Proof(scorer, len(scored), len(refused), len(dropped), comparison)


def _classes(stage: Stage) -> set[str]:
    """The Java classes of a stage and of all that it holds."""
    return {stage.java_class}.union(*map(_classes, stage.children))


def saved_and_loaded(spark: Any, model: Any, schema: str | Any, folder: Path) -> tuple[Any, Scorer]:
    """The model, saved by Spark and loaded without it, and its input with a column that numbers the rows."""
    from pyspark.ml import PipelineModel
    from pyspark.sql.types import LongType, StructField, StructType

    struct = parse(schema) if isinstance(schema, str) else schema
    struct = StructType([*struct.fields, StructField(NUMBER, LongType(), False)])
    pipeline = model if isinstance(model, PipelineModel) else PipelineModel([model])
    path = folder / "model"
    pipeline.write().overwrite().save(str(path))
    return struct, scoring.load(path, struct.jsonValue())


def parse(schema: str) -> Any:
    """A StructType of DDL; Spark 3.5 has no ``StructType.fromDDL``."""
    from pyspark.sql.types import _parse_datatype_string

    return _parse_datatype_string(schema)


def transformed(spark: Any, model: Any, struct: Any, table: Sequence[Sequence[Any]]) -> Table:
    """Spark's own answer, with values as online answers show them."""
    kinds = [simple_type(field.jsonValue()["type"]) for field in struct.fields]
    data = [tuple(to_spark(value, kind) for value, kind in zip(row, kinds, strict=True)) for row in table]
    frame = model.transform(spark.createDataFrame(data, struct, verifySchema=False))
    return Table(frame.columns, [[to_json(v) for v in row] for row in frame.collect()], dict(frame.dtypes))


def settled(
    ours: Table, theirs: Table, cancelled: Callable[[Mapping[str, Any]], float] | None = None
) -> tuple[Table, Table]:
    """Both tables as they are; beside Spark 3 with what it does otherwise taken out.

    It has other rules of when a vector is sparse. And it adds up in another order: what a sum loses
    where its terms cancel out is measured by the largest value of its vector, or by its terms.
    """
    if SPARK_3 and cancelled is not None and ours.fields == theirs.fields:
        theirs = _without_loss(ours, theirs, cancelled)
    vectors = [place for place, name in enumerate(ours.fields) if ours.dtypes[name] == "vector"]
    if not SPARK_3 or not vectors or ours.fields != theirs.fields:
        return ours, theirs
    tables = [[list(row) for row in table.values] for table in (ours, theirs)]
    for mine, other in zip(*tables, strict=True):
        for place in vectors:
            if mine[place] is not None and other[place] is not None:
                mine[place], other[place] = _settled(by_index(mine[place]), by_index(other[place]))
    return (
        Table(ours.fields, tables[0], ours.dtypes),
        Table(theirs.fields, tables[1], theirs.dtypes),
    )


def _without_loss(ours: Table, theirs: Table, cancelled: Callable[[Mapping[str, Any]], float]) -> Table:
    """Their numbers, and ours where two differ by no more than such a sum loses."""
    rows = []
    for mine, other in zip(ours.values, theirs.values, strict=True):
        near = parity.TOLERANCE * cancelled(dict(zip(ours.fields, mine, strict=True)))
        rows.append(
            [
                a
                if isinstance(a, float) and isinstance(b, float) and abs(a - b) <= near * abs(b) < math.inf
                else b
                for a, b in zip(mine, other, strict=True)
            ]
        )
    return Table(theirs.fields, rows, theirs.dtypes)


def by_index(vector: list[Any]) -> dict[int, Any]:
    """The values that are not zero, by index; vectors may be very long."""
    if len(vector) == 3 and isinstance(vector[1], list):
        pairs = zip(vector[1], vector[2], strict=True)
        return {-1: vector[0]} | {index: value for index, value in pairs if value != 0.0}
    return {-1: len(vector)} | {index: value for index, value in enumerate(vector) if value != 0.0}


def _settled(mine: dict[int, Any], other: dict[int, Any]) -> tuple[list[Any], list[Any]]:
    sizes = [
        abs(v) for at, v in (mine | other).items() if at >= 0 and isinstance(v, float) and math.isfinite(v)
    ]
    near = max(sizes, default=0.0) * parity.TOLERANCE
    indices = sorted(mine.keys() | other.keys())
    first = [mine.get(at, 0.0) for at in indices]
    second = [other.get(at, 0.0) for at in indices]
    for at, (a, b) in enumerate(zip(first, second, strict=True)):
        if isinstance(a, float) and isinstance(b, float) and abs(a - b) <= near:
            first[at] = b
    return first, second


def spark_refuses(spark: Any, model: Any, struct: Any, row: Sequence[Any]) -> bool:
    """Whether Spark fails on a row."""
    try:
        transformed(spark, model, struct, [row])
    except Exception as error:  # py4j's, pyspark's: any failure of the job is a refusal
        return "Py4J" in type(error).__name__ or type(error).__module__.startswith("pyspark")
    return False


def to_spark(value: Any, kind: str) -> Any:
    """A JSON value as PySpark takes it."""
    if value is None:
        return None
    if kind in ("double", "float"):
        return float(value)
    if kind == "vector":
        from pyspark.ml.linalg import Vectors

        if len(value) == 3 and isinstance(value[1], list):
            return Vectors.sparse(value[0], value[1], [float(v) for v in value[2]])
        return Vectors.dense([float(v) for v in value])
    if kind.startswith("array<"):
        return [to_spark(item, kind[6:-1]) for item in value]
    if kind.startswith("decimal"):
        return Decimal(value)
    if kind == "date":
        return datetime.date.fromisoformat(value)
    if kind.startswith("timestamp"):
        return datetime.datetime.fromisoformat(value.removesuffix("Z"))
    return value
