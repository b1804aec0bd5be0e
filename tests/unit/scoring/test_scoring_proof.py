"""How a certificate is made: which rows are compared, and what each kind of difference does to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from certificate_maker import Twin, made
from scoring_models import (
    MATRIX,
    VECTOR,
    assembler,
    dense,
    indexer,
    logistic,
    matrix,
    schema,
    text_model,
    write_pipeline,
)

from wmlclient import scoring
from wmlclient.scoring import certificates

TYPES = schema(x="double", colour="string")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Refuses nulls, NaN and labels that it has not seen."""
    stages = [
        indexer(["red", "green"], "colour", "code"),
        assembler(["x", "code"]),
        logistic([[0.5, -1.0]], [0.125]),
    ]
    return write_pipeline(tmp_path / "m", stages)


@pytest.fixture
def skipping(tmp_path: Path) -> Path:
    """Drops them."""
    stages = [
        indexer(["red", "green"], "colour", "code", handleInvalid="skip"),
        assembler(["x", "code"], handleInvalid="skip"),
        logistic([[0.5, -1.0]], [0.125]),
    ]
    return write_pipeline(tmp_path / "m", stages)


def test_equal_numbers_are_scored_natively(model: Path) -> None:
    found = made(model, TYPES, rows=200, seed=3, checked_at="2026-01-02T03:04:05.678Z")

    assert (found["state"], found["engine"], found["mismatches"]) == ("checked", "native", 0)
    assert found["rows"] == found["generated_rows"] >= 200
    assert found["sample_rows"] == 0
    assert found["refused_rows"] == 5  # nulls, a NaN, unseen labels; no more are tried
    assert found["columns"]["probability"] == found["largest_difference"] == 0.0
    assert found["input"] == {"colour": "string", "x": "double"}
    assert (found["seed"], found["spark_version"], found["format"]) == (3, "4.2.0", certificates.FORMAT)
    assert found["model_digest"] == scoring.model_digest(model)
    assert found["scorer_digest"] == scoring.scorer_digest()
    assert found["checked_at"] == "2026-01-02T03:04:05.678Z"
    assert certificates.flaw(json.loads(json.dumps(found)), found["model_digest"], found["input"]) is None


def test_sample_and_generated_rows_go_to_spark_as_one_table(model: Path) -> None:
    spark = Twin(model)
    sample = (["colour", "x"], [["red", 1.0], ["green", 2.5], ["blue", 0.0]])

    found = made(model, TYPES, spark=spark, sample=sample, rows=50)

    assert found["sample_rows"] == 2
    assert spark.tables[-1] == found["rows"] == 2 + found["generated_rows"]
    assert set(spark.tables[:-1]) == {1}  # refused rows, one by one


def test_a_sample_without_all_columns_is_a_table_of_its_own(tmp_path: Path) -> None:
    folder = text_model(tmp_path / "m")
    spark = Twin(folder)

    found = made(
        folder, schema(text="string", id="int"), spark=spark, sample=(["text"], [["a day"]]), rows=50
    )

    assert spark.tables[0] == found["sample_rows"] == 1
    assert spark.tables[-1] == found["generated_rows"]


def test_other_numbers_are_scored_by_spark_and_shown_with_their_rows(model: Path) -> None:
    found = made(model, TYPES, sample=(["x", "colour"], [[1.5, "red"]]), rows=20, skew=0.5)

    assert (found["engine"], found["mismatches"]) == ("spark", found["rows"])
    assert found["reason"].endswith("in prediction")
    assert len(found["examples"]) == 5
    first = found["examples"][0]
    assert (first["row"], first["origin"], first["column"]) == (0, "sample", "prediction")
    assert first["input"] == {"x": 1.5, "colour": "red"}
    assert first["spark"] == first["native"] + 0.5


def test_a_row_that_spark_alone_refuses_is_found_and_counts(model: Path) -> None:
    values = [[float(number), "red"] for number in range(200)]
    spark = Twin(model, refuses=("x", {77.0, 141.0}))

    found = made(model, TYPES, spark=spark, sample=(["x", "colour"], values), rows=0)

    assert (found["engine"], found["mismatches"], found["rows"]) == ("spark", 2, 198)
    assert {example["row"] for example in found["examples"]} == {77, 141}
    assert all(e["spark"].startswith("refused: Failed to execute") for e in found["examples"])
    assert len(spark.tables) < 50


def test_many_such_rows_take_no_longer(model: Path) -> None:
    values = [[float(number), "red"] for number in range(500)]
    spark = Twin(model, refuses=("x", {float(number) for number in range(0, 500, 2)}))

    found = made(model, TYPES, spark=spark, sample=(["x", "colour"], values), rows=0)

    assert found["engine"] == "spark"
    assert 1 <= found["mismatches"] <= 5
    assert len(spark.tables) <= 45


def test_a_row_that_the_native_scorer_alone_refuses_counts(model: Path) -> None:
    found = made(model, TYPES, rows=100, takes=True)

    assert found["engine"] == "spark"
    assert found["mismatches"] >= 1
    assert found["examples"][0]["native"].startswith("refused: ")
    assert found["refused_rows"] == 0


def test_dropped_rows_have_to_be_dropped_by_both(skipping: Path) -> None:
    class Keeping(Twin):
        def transform(self, schema: dict[str, Any], fields: list[str], values: list[list[Any]]) -> Any:
            table = super().transform(schema, fields, values)
            place = table.fields.index("prediction")
            for row in table.values:
                row[place] = 0.0 if row[place] is None else row[place]
            return table

    agreed = made(skipping, TYPES, rows=100)
    differs = made(skipping, TYPES, rows=100, spark=Keeping(skipping))

    assert agreed["engine"] == "native"
    assert agreed["refused_rows"] == 0
    assert differs["engine"] == "spark"
    assert (differs["examples"][0]["native"], differs["examples"][0]["spark"]) == ("no row", "a row")


def test_a_spark_that_cannot_load_the_model_proves_nothing(model: Path) -> None:
    with pytest.raises(scoring.SparkRefused, match="NoSuchMethodError"):
        made(model, TYPES, rows=10, broken=True)


def test_a_stage_that_is_not_scored_natively_needs_no_spark(tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path / "m", [("org.apache.spark.ml.feature.Future", {}, None)])
    spark = Twin(folder)

    found = made(folder, TYPES, spark=spark)

    assert (found["state"], found["engine"], found["rows"]) == ("checked", "spark", 0)
    assert "Future" in found["reason"]
    assert spark.tables == []
    assert certificates.flaw(found, scoring.model_digest(folder)) is None


def test_no_row_to_compare_is_no_proof(model: Path) -> None:
    found = made(model, TYPES, sample=(["x", "colour"], [[1.0, "blue"]]), rows=0)

    assert (found["engine"], found["rows"]) == ("spark", 0)
    assert "no row" in found["reason"]


def test_the_label_is_filled_in_for_both(tmp_path: Path) -> None:
    folder = text_model(tmp_path / "m")
    training = schema(text="string", sentiment="string")

    found = made(folder, schema(text="string"), label="sentiment", training=training, rows=60)

    assert found["engine"] == "native", found["reason"]
    assert found["input"] == {"text": "string"}


def test_a_model_that_takes_no_negative_numbers_gets_others(tmp_path: Path) -> None:
    data = {
        "pi": pa.array([dense([-0.5, -1.0])], VECTOR),
        "theta": pa.array([matrix([[-0.5] * 6, [-1.5] * 6])], MATRIX),
        "sigma": pa.array([matrix([[0.0]])], MATRIX),
    }
    names = {
        "featuresCol": "features",
        "rawPredictionCol": "raw",
        "probabilityCol": "p",
        "predictionCol": "prediction",
    }
    params = {"modelType": "multinomial", "smoothing": 1.0, **names}
    stage = ("org.apache.spark.ml.classification.NaiveBayesModel", params, pa.table(data))
    folder = write_pipeline(tmp_path / "m", [stage])
    found = made(folder, schema(features="vector"), rows=200)

    assert found["engine"] == "native", found["reason"]
    assert found["rows"] >= 150
    assert found["refused_rows"] >= 1


def test_a_very_long_row_is_named_and_not_shown(model: Path) -> None:
    types = schema(x="double", colour="string", note="string")
    found = made(
        model, types, sample=(["x", "colour", "note"], [[1.0, "red", "n" * 100_000]]), rows=0, skew=1.0
    )

    assert found["examples"][0]["input"] is None
    assert len(json.dumps(found)) < 10_000
