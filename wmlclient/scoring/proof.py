"""One model, two engines, the same rows: how a certificate is made, wherever the Spark is.

The rows are a sample, where there is one, and rows that are generated from the input's schema and the model's own
edges. What the native scorer refuses, Spark has to refuse; what it drops, Spark has to drop.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from attrs import define, field

from wmlclient.scoring import parity
from wmlclient.scoring.certificates import FORMAT, Certificate, sealed
from wmlclient.scoring.digests import model_digest, scorer_digest
from wmlclient.scoring.errors import RowDropped, RowError, SparkRefused, UnsupportedModel
from wmlclient.scoring.labels import LabelFiller, load_labelled
from wmlclient.scoring.scorer import Scorer, Table

__all__ = ["ROWS", "SEED", "Spark", "inputs_of", "prove"]

ROWS = 1000
"""Generated rows that are compared."""
SEED = 20170907

#: So many rows that the native scorer refuses are tried with Spark, one by one: each is a job of its own.
_REFUSED_TRIED = 5
#: So many jobs look for the rows that Spark refuses, and so many such rows are enough.
_JOBS, _ENOUGH = 40, 5
#: Characters of a row that is shown; a longer one is found again by its number and the seed.
_LONGEST = 1 << 16


class Spark(Protocol):
    """A Spark that holds the model."""

    def version(self) -> str:
        """Its version."""
        ...

    def transform(
        self, schema: dict[str, Any], fields: list[str], values: list[list[Any]]
    ) -> parity.TableLike:
        """All output columns for rows in the JSON form of online scoring, in order.

        A row that a stage drops is answered with null in every column that the stages add.

        Raises:
            SparkRefused: It cannot score them.
        """
        ...


@define
class _Rows:
    """Rows of the same columns, and what the native scorer says of them.

    Attributes:
        fields: The columns.
        values: The rows.
        origins: Of each row, ``sample`` or ``generated`` and its number there.
        table: The native answers.
    """

    fields: list[str]
    values: list[list[Any]] = field(factory=list)
    origins: list[tuple[str, int]] = field(factory=list)
    table: Table = field(factory=lambda: Table([], [], {}))

    def add(self, origin: str, numbers: Sequence[int], values: Sequence[list[Any]], table: Table) -> None:
        """Some more of them."""
        start = len(self.values)
        problems = {start + at: problem for at, problem in table.problems.items()}
        self.table = Table(
            table.fields,
            [*self.table.values, *table.values],
            table.dtypes,
            {**self.table.problems, **problems},
        )
        self.values += values
        self.origins += [(origin, number) for number in numbers]

    def refused(self) -> dict[int, RowError]:
        """Those that the native scorer refuses."""
        return {n: p for n, p in self.table.problems.items() if not isinstance(p, RowDropped)}


def _shown(value: Any) -> Any:
    text = json.dumps(value)
    return value if len(text) <= _LONGEST else f"{text[:200]}..."


@define
class _Found:
    """What the comparison has found so far."""

    mismatches: int = 0
    refused: int = 0
    compared: dict[str, int] = field(factory=lambda: {"sample": 0, "generated": 0})
    columns: dict[str, float] = field(factory=dict)
    examples: list[dict[str, Any]] = field(factory=list)

    def differs(self, rows: _Rows, at: int, column: str, native: Any, spark: Any, count: int = 1) -> None:
        self.mismatches += count
        if len(self.examples) < parity.MAX_EXAMPLES:
            origin, number = rows.origins[at]
            given = dict(zip(rows.fields, rows.values[at], strict=True))
            self.examples.append(
                {
                    "row": number,
                    "origin": origin,
                    "input": given if len(json.dumps(given)) <= _LONGEST else None,
                    "column": column,
                    "native": _shown(native),
                    "spark": _shown(spark),
                }
            )


def prove(
    model_dir: Path,
    schema: dict[str, Any],
    spark: Spark,
    *,
    sample: tuple[list[str], list[list[Any]]] | None = None,
    label: str | None = None,
    training: Mapping[str, Any] | None = None,
    rows: int = ROWS,
    seed: int = SEED,
    checked_at: str | None = None,
) -> Certificate:
    """Compares the native scorer with Spark, and says what came out.

    Args:
        model_dir: Folder with the saved model.
        schema: The input, as the JSON of a Spark ``StructType``.
        spark: Spark with the same model.
        sample: Fields and rows to compare on, in the JSON form of online scoring.
        label: Column of the training data that holds the labels, or None.
        training: Schema of the training data: the type of the label.
        rows: How many rows to generate.
        seed: Which.
        checked_at: When, as the wire writes times; now, by default.

    Returns:
        A sealed certificate whose state is ``checked``.

    Raises:
        ArchiveError: The model is damaged.
        InputError: The model needs what the schema lacks, or the sample does not fit.
        SparkRefused: Spark cannot load the model at all.
    """
    base: Certificate = {
        "format": FORMAT,
        "state": "checked",
        "rows": 0,
        "sample_rows": 0,
        "generated_rows": 0,
        "mismatches": 0,
        "seed": seed,
        "model_digest": model_digest(model_dir),
        "scorer_digest": scorer_digest(),
        "checked_at": checked_at or _now(),
    }
    try:
        scorer, filler = load_labelled(model_dir, schema, label, training)
    except UnsupportedModel as error:
        return sealed(base | {"engine": "spark", "reason": str(error)})
    base |= {"spark_version": spark.version(), "input": inputs_of(scorer)}
    found = _Found()
    for group in _groups(scorer, schema, sample, rows, seed):
        _compare(scorer, group, _Filled(spark, schema, filler), found)
    compared = sum(found.compared.values())
    base |= {
        "rows": compared,
        "sample_rows": found.compared["sample"],
        "generated_rows": found.compared["generated"],
        "refused_rows": found.refused,
        "mismatches": found.mismatches,
        "columns": found.columns,
        "largest_difference": max(found.columns.values(), default=None),
        "examples": found.examples,
    }
    if found.mismatches:
        where = ", ".join(sorted({example["column"] for example in found.examples}))
        engine, reason = (
            "spark",
            f"{found.mismatches} values of {compared} rows differ from Spark's, in {where}",
        )
    elif not compared:
        engine = "spark"
        reason = "no row to compare could be scored by either engine; publish with a sample of real rows"
    else:
        engine, reason = "native", f"all {compared} rows as Spark scores them"
    return sealed(base | {"engine": engine, "reason": reason})


def inputs_of(scorer: Scorer) -> dict[str, str]:
    """The columns that a model's stages read, with their short types: what a certificate is bound to."""
    types = scorer.output_types()
    return {name: types[name] for name in sorted(scorer.required) if name in types}


def _now() -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z"


# -- rows -------------------------------------------------------------------------------------------------------------


def _groups(
    scorer: Scorer,
    schema: dict[str, Any],
    sample: tuple[list[str], list[list[Any]]] | None,
    rows: int,
    seed: int,
) -> Iterator[_Rows]:
    """The rows to compare, scored natively; one table where the sample has all columns, else two."""
    fields = [column["name"] for column in schema["fields"]]
    group = _Rows(fields)
    if sample is not None and sample[1]:
        scorer.check(*sample)
        whole = set(sample[0]) == set(fields)
        given = group = _Rows(list(sample[0]))
        given.add("sample", range(len(sample[1])), sample[1], scorer.run(*sample))
        if not whole:
            yield given
            group = _Rows(fields)
    if rows and fields:
        _generate(scorer, schema, group, rows, seed)
    if group.values:
        yield group


def _generate(scorer: Scorer, schema: dict[str, Any], group: _Rows, rows: int, seed: int) -> None:
    """Adds rows until enough of them can be scored: half of them ordinary, half with one edge each."""
    by_name = {column["name"]: column for column in schema["fields"]}
    ordered = {"type": "struct", "fields": [by_name[name] for name in group.fields]}
    wanted, number, positive, tried = rows, 0, False, 0
    while wanted > 0 and tried < 4:
        half = max(1, wanted // 2)
        _, plain = parity.generate_rows(
            ordered, half, seed + 2 * tried, positive=positive, hints=scorer.hints
        )
        _, edges = parity.edge_rows(
            ordered, max(1, wanted - half), seed + 2 * tried + 1, positive=positive, hints=scorer.hints
        )
        table = scorer.run(group.fields, plain + edges)
        group.add("generated", range(number, number + len(table.values)), plain + edges, table)
        refused = [n for n, p in table.problems.items() if not isinstance(p, RowDropped)]
        # Some models take no negative numbers: then most of the rows would prove nothing.
        positive = positive or sum(n < half for n in refused) > half // 2
        number += len(table.values)
        wanted -= len(table.values) - len(refused)
        tried += 1


# -- the comparison ---------------------------------------------------------------------------------------------------


@define
class _Filled:
    """Spark, with the label that the service fills in."""

    spark: Spark
    schema: dict[str, Any]
    filler: LabelFiller | None

    def given(self, fields: list[str]) -> list[str]:
        """The columns of a table that no stage adds."""
        return fields if self.filler is None else [*fields, self.filler.name]

    def transform(self, fields: list[str], values: list[list[Any]]) -> parity.TableLike:
        schema = self.schema
        if self.filler is not None:
            schema, fields, values = self.filler.fill(schema, fields, values)
        return self.spark.transform(schema, fields, values)


def _compare(scorer: Scorer, rows: _Rows, spark: _Filled, found: _Found) -> None:
    refused = rows.refused()
    for at in _various(refused):
        problem = refused[at]
        try:
            theirs = spark.transform(rows.fields, [rows.values[at]])
        except SparkRefused:
            found.refused += 1
            continue
        shown = dict(zip(theirs.fields, theirs.values[0], strict=True)).get(problem.column)
        found.differs(rows, at, problem.column, f"refused: {problem.reason}", shown)
    scored = [at for at in range(len(rows.values)) if at not in refused]
    for part, theirs in _answers(rows, scored, spark, found):
        for at in part:
            found.compared[rows.origins[at][0]] += 1
        _compare_part(rows, part, theirs, spark.given(rows.fields), found)


def _compare_part(
    rows: _Rows, part: list[int], theirs: parity.TableLike, given: Sequence[str], found: _Found
) -> None:
    ours = rows.table
    kept = []
    for place, at in enumerate(part):
        if at not in ours.problems:
            kept.append((place, at))
        elif not _dropped(theirs, theirs.values[place], given):
            found.differs(rows, at, ours.problems[at].column, "no row", "a row")
    if not kept:
        return
    result = parity.compare(
        Table(ours.fields, [ours.values[at] for _, at in kept], ours.dtypes),
        Table(list(theirs.fields), [list(theirs.values[place]) for place, _ in kept], dict(theirs.dtypes)),
    )
    for example in result.examples:
        at = kept[example["row"]][1]
        found.differs(rows, at, example["column"], example["native"], example["spark"], count=0)
    found.mismatches += result.mismatches
    for name, difference in result.columns.items():
        found.columns[name] = max(difference, found.columns.get(name, 0.0))


def _dropped(table: parity.TableLike, row: Sequence[Any], fields: Sequence[str]) -> bool:
    """Whether a stage left the row out."""
    added = [value for name, value in zip(table.fields, row, strict=True) if name not in fields]
    return bool(added) and all(value is None for value in added)


def _various(refused: Mapping[int, RowError]) -> list[int]:
    """A few of the refused rows, one for each stage and column first."""
    first: dict[tuple[str, str], int] = {}
    for at, problem in refused.items():
        first.setdefault((problem.stage, problem.column), at)
    ordered = [*first.values(), *(at for at in refused if at not in set(first.values()))]
    return ordered[:_REFUSED_TRIED]


def _answers(
    rows: _Rows, scored: list[int], spark: _Filled, found: _Found
) -> Iterator[tuple[list[int], parity.TableLike]]:
    """Spark's answers in as few tables as it takes; a row that it refuses is looked for, and is a mismatch."""
    pending = [scored] if scored else []
    jobs = refused = 0
    while pending and jobs < _JOBS and refused < _ENOUGH:
        part = pending.pop()
        jobs += 1
        try:
            theirs = spark.transform(rows.fields, [rows.values[at] for at in part])
        except SparkRefused as error:
            if jobs == 1:
                spark.transform(rows.fields, [])  # raises where no row at all would do
            if len(part) == 1:
                refused += 1
                found.differs(rows, part[0], "(row)", "scored", f"refused: {error}"[:1000])
            else:
                middle = len(part) // 2
                pending += [part[middle:], part[:middle]]
        else:
            yield part, theirs
