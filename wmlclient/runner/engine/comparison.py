"""One model, two engines, the same rows: what the certificate says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import frozen

from . import native
from .ports import SparkRunner, TransformFailed, TransformResult

#: So many of the rows that the native scorer refuses are tried with Spark, one by one.
_REFUSED_TRIED = 3


@frozen
class SparkTable:
    """Spark's transform of a model, with what the service adds to a table.

    Attributes:
        runner: Spark.
        model_dir: Folder with the saved model.
        schema: The schema of the model's input.
        timeout: Seconds for one transform.
        label: What is filled in, or None.
    """

    runner: SparkRunner
    model_dir: Path
    schema: dict[str, Any]
    timeout: float
    label: native.LabelFiller | None = None

    def transform(self, fields: list[str], values: list[list[Any]]) -> TransformResult:
        """Score with Spark, and wait for it.

        Raises:
            PortError: Spark is not there, or refuses the rows.
            TimeoutError: It took too long.
        """
        schema = self.schema
        if self.label is not None:
            schema, fields, values = self.label.fill(schema, fields, values)
        return self.runner.transform(str(self.model_dir), schema, fields, values).result(self.timeout)


def compare(
    scorer: native.NativeScorer, spark: SparkTable, fields: list[str], values: list[list[Any]]
) -> dict[str, Any]:
    """The certificate's members that say which engine scores, and the proof.

    Rows that the native scorer refuses must be refused by Spark, too; those that a stage drops are compared as far
    as both answer them.

    Raises:
        PortError: Spark is not there, or refuses rows that the native scorer takes.
        TimeoutError: Spark took too long.
    """
    from wmlclient.scoring import RowDropped, Table, parity

    scored = scorer.run(fields, values)
    refused = [row for row, error in scored.problems.items() if not isinstance(error, RowDropped)]
    kept = [row for row in range(len(values)) if row not in scored.problems]
    base = {"state": "checked", "spark_version": spark.runner.version(), "rows": len(kept)}
    for row in refused[:_REFUSED_TRIED]:
        if _takes(spark, fields, values[row]):
            reason = f"Spark scores a row that the native scorer refuses: {scored.problems[row].reason}"
            return base | {"engine": "spark", "reason": reason, "mismatches": 1}
    if not kept:
        reason = "no row to compare could be scored by either engine; publish with a sample of real rows"
        return base | {"engine": "spark", "reason": reason, "mismatches": 0}
    theirs = spark.transform(fields, [values[row] for row in kept])
    ours = Table(scored.fields, [scored.values[row] for row in kept], scored.dtypes)
    found = parity.compare(ours, Table(theirs.fields, theirs.values, theirs.dtypes))
    base |= {
        "mismatches": found.mismatches,
        "largest_difference": found.largest_difference,
        "columns": found.columns,
        "examples": found.examples,
    }
    if found.mismatches:
        where = ", ".join(sorted({str(example["column"]) for example in found.examples}))
        reason = f"{found.mismatches} values of {found.rows} rows differ from Spark's, in {where}"
        return base | {"engine": "spark", "reason": reason}
    return base | {"engine": "native", "reason": f"all {found.rows} rows as Spark scores them"}


def _takes(spark: SparkTable, fields: list[str], row: list[Any]) -> bool:
    try:
        spark.transform(fields, [row])
    except TransformFailed:
        return False
    return True
