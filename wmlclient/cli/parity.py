"""``wmlclient parity``: the certificate of any saved model, without a service."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wmlclient.certifying import ROWS, SEED
from wmlclient.cli import common

if TYPE_CHECKING:
    from wmlclient.certificate import Certificate

_SECONDS = 300.0

MISMATCH, UNCHECKED = 1, 2


@click.command("parity")
@click.argument("path", type=click.Path())
@click.option(
    "--schema", metavar="FILE|DDL", help="Columns of the training data, as 'id int, text string' or as JSON."
)
@click.option(
    "--sample",
    type=click.Path(exists=True, path_type=Path),
    help="Rows to compare on: .json, .jsonl, .csv or .parquet.",
)
@click.option("--label-col", help="The column it predicts; by default found in the pipeline.")
@click.option("--rows", type=click.IntRange(min=0), default=ROWS, show_default=True, help="Rows to generate.")
@click.option("--seed", type=int, default=SEED, show_default=True, help="Which rows to generate.")
@click.option(
    "--out", type=click.Path(dir_okay=False), help="File for the certificate, to be published with the model."
)
@click.option("--spark-master", default="local[2]", show_default=True, help="The Spark to compare with.")
@click.option(
    "--output",
    type=click.Choice(["table", "json"]),
    help="As the option of the same name before the command.",
)
@click.pass_context
def command(
    ctx: click.Context,
    path: str,
    schema: str | None,
    sample: Path | None,
    label_col: str | None,
    rows: int,
    seed: int,
    out: str | None,
    spark_master: str,
    output: str | None,
) -> None:
    """Score the same rows natively and with Spark: PATH is a saved PipelineModel, its folder or its .tar.gz.

    The rows are those of --sample, and rows generated from the schema and the model's own edges. Without --schema
    and --sample the columns are those that the model's stages read.

    Exits with 0 if all values agree, 1 if any differs, 2 if it cannot be checked.
    """
    from wmlclient.errors import WmlError

    try:
        certificate = _certificate(path, schema, sample, label_col, rows, seed, spark_master)
        if out is not None:
            certificate.save(out)
    except (WmlError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        ctx.exit(UNCHECKED)
    if output == "json" or (output is None and common.as_json(ctx)):
        common.echo_json(certificate.to_json())
    else:
        common.echo_pairs(
            [
                ("engine", certificate.engine),
                ("reason", certificate.reason),
                ("rows", certificate.rows),
                ("sample", certificate.sample_rows),
                ("generated", certificate.generated_rows),
                ("refused by both", certificate.refused_rows),
                ("mismatches", certificate.mismatches),
                ("largest difference", certificate.largest_difference),
                ("Spark", certificate.spark_version),
                ("seed", certificate.seed),
                ("model", certificate.model_digest),
                ("scorer", certificate.scorer_digest),
            ]
        )
        common.echo_examples(certificate)
    if certificate.mismatches:
        ctx.exit(MISMATCH)
    if not certificate.exact:
        ctx.exit(UNCHECKED)


def _certificate(
    path: str, schema: str | None, sample: Path | None, label: str | None, rows: int, seed: int, master: str
) -> Certificate:
    from wmlclient import certifying
    from wmlclient.archive import archived
    from wmlclient.errors import LocalModeError, NotAModelError
    from wmlclient.publishing import described

    try:
        from wmlclient.runner.engine.comparison import SparkTable
        from wmlclient.runner.engine.ports import PortError
        from wmlclient.runner.spark.pool import DriverPool
    except ImportError as error:
        raise LocalModeError(
            f"The comparison needs {error.name or 'more packages'}. Run: pip install 'wmlclient[local]'"
        ) from None
    with archived(path) as archive, tempfile.TemporaryDirectory(prefix="wmlclient-parity-") as home:
        from wmlclient.scoring import metadata
        from wmlclient.scoring.archive import unpack

        saved = Path(home) / "model"
        unpack(archive.path, saved)
        foreign = metadata.inspect(saved).foreign
        if foreign:
            raise NotAModelError(f"{metadata.foreign_sentence(foreign[0])}: its code is not run.")
        columns = _schema(schema, saved, sample)
        given = _sample(sample, columns) if sample is not None else None
        body = described("model", archive, given, columns, label)
        # No stream runs here, so no connector is wanted.
        pool = DriverPool(Path(home), master, lambda: ())
        try:
            return certifying.made(
                archive, body, lambda folder: SparkTable(pool, folder, _SECONDS), rows, seed
            )
        except PortError as error:
            raise LocalModeError(error.message, code=error.code) from None
        except TimeoutError:
            raise LocalModeError(f"Spark gave no answer within {_SECONDS:.0f} s.") from None
        finally:
            pool.close()


def _schema(given: str | None, saved: Path, sample: Path | None) -> dict[str, Any]:
    """The columns: those given, or those that the stages read and the sample has."""
    from wmlclient import schema, scoring
    from wmlclient.errors import NotAModelError, PayloadError

    if given is not None:
        # JSON and DDL may be too long for a file's name.
        in_file = len(given) < 250 and Path(given).is_file()
        return schema.to_schema(Path(given).read_text("utf-8") if in_file else given)
    try:
        found = dict(scoring.load(saved).schema)
    except scoring.UnsupportedModel as error:
        raise PayloadError(f"{error}. There is nothing to compare; Spark has to score it.") from None
    except scoring.ArchiveError as error:
        raise NotAModelError(f"{error}.") from None
    except scoring.InputError as error:
        raise PayloadError(f"{error}. Give its columns with --schema.") from None
    if sample is not None:
        known = {column["name"] for column in found["fields"]}
        rows = _read(sample)
        others: list[Mapping[str, Any]] = [
            {name: row.get(name) for name in rows[0] if name not in known} for row in rows
        ]
        found["fields"] = [*found["fields"], *schema.of_rows(others)["fields"]]
    return found


def _sample(path: Path, columns: Mapping[str, Any]) -> Any:
    """The rows of a file, with the values of text files as their columns' types."""
    from wmlclient.errors import PayloadError
    from wmlclient.payload import Table, to_table
    from wmlclient.scoring.types import simple_type

    rows = _read(path)
    if not rows:
        raise PayloadError(f"{path}: there are no rows in it.")
    if path.suffix.lower() == ".csv":
        kinds = {column["name"]: _from_text(simple_type(column["type"])) for column in columns["fields"]}
        try:
            rows = [{name: kinds.get(name, str)(text) for name, text in row.items()} for row in rows]
        except ValueError as error:
            raise PayloadError(f"{path}: {error}. Give the types with --schema.") from None
    table = to_table(rows[:ROWS])
    return Table(table.fields, table.values)


def _read(path: Path) -> list[dict[str, Any]]:
    from wmlclient.errors import PayloadError

    kind = path.suffix.lower()
    try:
        if kind == ".parquet":
            from pyarrow import parquet

            found: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
            return found
        if kind == ".csv":
            with open(path, encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))
        return _objects(path.read_text("utf-8"))
    except (ValueError, TypeError, KeyError) as error:  # pyarrow's errors are ValueErrors
        raise PayloadError(f"{path}: not rows as JSON, CSV or Parquet: {error}") from None


def _objects(text: str) -> list[dict[str, Any]]:
    """JSON objects: an array of them, one a line, or fields and values."""
    try:
        found = json.loads(text)
    except ValueError:
        found = [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(found, dict) and set(found) == {"fields", "values"}:
        return [dict(zip(found["fields"], row, strict=True)) for row in found["values"]]
    rows = found if isinstance(found, list) else [found]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a row is no object")
    return rows


def _from_text(kind: str) -> Callable[[str], Any]:
    """Reads a cell of a CSV file; an empty one is null, but in a column of texts."""
    if kind == "string":
        return str
    if kind in ("double", "float"):
        read: Callable[[str], Any] = _double
    elif kind in ("int", "bigint", "smallint", "tinyint"):
        read = int
    elif kind == "boolean":
        read = _boolean
    elif kind == "vector" or kind.startswith("array<"):
        read = json.loads
    else:
        read = str
    return lambda text: None if text == "" else read(text)


def _double(text: str) -> Any:
    return text if text in ("NaN", "Infinity", "-Infinity") else float(text)


def _boolean(text: str) -> Any:
    return {"true": True, "false": False}.get(text.strip().lower(), text)
