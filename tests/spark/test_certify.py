"""Certificates with a real Spark: made in the publisher's session, and by the command line in a driver process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import wmlclient
from wmlclient import scoring
from wmlclient.cli import main
from wmlclient.scoring import certificates

pytestmark = pytest.mark.spark

ROWS = 120


@pytest.fixture(scope="module")
def train(spark: Any) -> Any:
    rows = [(i, float(i % 7) + 0.25, "abc"[i % 3], float(i % 5), "yes" if i % 2 else "no") for i in range(42)]
    return spark.createDataFrame(rows, "id int, x double, kind string, y double, bought string")


@pytest.fixture(scope="module")
def fitted(train: Any) -> Any:
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import RandomForestClassifier
    from pyspark.ml.feature import Bucketizer, StandardScaler, StringIndexer, VectorAssembler

    borders = [float("-inf"), 1.5, 3.0, float("inf")]
    stages = [
        StringIndexer(inputCol="bought", outputCol="label", stringOrderType="alphabetAsc"),
        StringIndexer(inputCol="kind", outputCol="code"),
        Bucketizer(inputCol="y", outputCol="bucket", splits=borders),
        VectorAssembler(inputCols=["x", "y", "code", "bucket"], outputCol="raw"),
        StandardScaler(inputCol="raw", outputCol="features"),
        RandomForestClassifier(numTrees=4, maxDepth=4, seed=1),
    ]
    return Pipeline(stages=stages).fit(train)


def test_made_in_the_publishers_session(fitted: Any, train: Any, tmp_path: Path) -> None:
    certificate = wmlclient.certify(fitted, train, rows=ROWS, seed=7)

    assert certificate.exact, certificate
    assert certificate.engine == "native"
    assert certificate.sample_rows == 42
    assert (certificate.generated_rows or 0) >= ROWS
    assert certificate.refused_rows  # unseen labels, nulls, NaN: refused by both
    assert certificate.spark_version == train.sparkSession.version
    assert certificate.input == {"kind": "string", "x": "double", "y": "double"}
    assert (certificate.largest_difference or 0.0) <= 1e-12

    fitted.write().overwrite().save(f"file://{tmp_path / 'model'}")
    certificate.save(tmp_path / "c.json")
    again = wmlclient.Certificate.load(tmp_path / "c.json")
    assert again == certificate
    digest = scoring.model_digest(tmp_path / "model")
    # Spark names its files anew each time that it saves: another save is another content.
    assert certificates.flaw({**again.to_json(), "model_digest": digest}, digest) is not None


def test_a_saved_model_in_any_session_and_by_the_command_line(
    fitted: Any, train: Any, tmp_path: Path
) -> None:
    folder, out, sample = tmp_path / "model", tmp_path / "c.json", tmp_path / "rows.jsonl"
    fitted.write().overwrite().save(f"file://{folder}")
    sample.write_text("\n".join(json.dumps(row.asDict()) for row in train.limit(20).collect()))
    schema = json.dumps(train.schema.jsonValue())

    by_session = wmlclient.certify(folder, training_schema=schema, rows=ROWS, seed=7)
    done = CliRunner().invoke(
        main,
        [
            *("parity", str(folder), "--schema", schema, "--sample", str(sample)),
            *("--rows", str(ROWS), "--seed", "7", "--out", str(out), "--output", "json"),
        ],
    )

    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    assert shown == json.loads(out.read_text())
    assert (shown["sample_rows"], shown["mismatches"], shown["engine"]) == (20, 0, "native")
    assert shown["model_digest"] == by_session.model_digest == scoring.model_digest(folder)
    assert shown["generated_rows"] == by_session.generated_rows
    assert certificates.flaw(shown, scoring.model_digest(folder), shown["input"]) is None


def test_what_spark_scores_otherwise_is_found_with_its_row(
    fitted: Any, train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wmlclient.scoring.stages import numeric

    # A bucket's border belongs to the bucket above it; here it is taken for the one below.
    monkeypatch.setattr(numeric, "bisect_right", __import__("bisect").bisect_left)

    certificate = wmlclient.certify(fitted, train, rows=ROWS, seed=7)

    assert certificate.engine == "spark"
    assert certificate.mismatches
    example = certificate.examples[0]
    assert example["column"] == "bucket"
    assert example["input"]["y"] in (1.5, 3.0)
    assert example["native"] == example["spark"] - 1.0
