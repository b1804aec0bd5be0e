"""Certificates in the facade: as files, on the wire, in a notebook, and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from facade_stub import Stub

from wmlclient import Certificate, errors
from wmlclient.cli import main
from wmlclient.client import Client

FOUND: dict[str, Any] = {
    "format": 1,
    "state": "checked",
    "engine": "spark",
    "reason": "2 values of 30 rows differ from Spark's, in prediction",
    "rows": 30,
    "sample_rows": 10,
    "generated_rows": 20,
    "refused_rows": 3,
    "mismatches": 2,
    "largest_difference": 0.5,
    "columns": {"prediction": 0.5, "probability": 0.0},
    "examples": [
        {"row": 4, "origin": "sample", "input": {"text": "<b>"}, "column": "prediction", "native": 1.0, "spark": 0.5},
        {"row": 7, "origin": "generated", "input": None, "column": "(row)", "native": "scored", "spark": [1, None]},
    ],
    "input": {"text": "string"},
    "spark_version": "4.2.0",
    "seed": 7,
    "model_digest": "sha256:aa",
    "scorer_digest": "sha256:bb",
    "checked_at": "2026-11-21T10:00:00.120Z",
    "seal": "sha256:cc",
}  # fmt: skip


@pytest.fixture
def certificate() -> Certificate:
    return Certificate.from_json(FOUND)


def test_json_and_back_lose_nothing(certificate: Certificate, tmp_path: Path) -> None:
    assert certificate.to_json() == FOUND
    certificate.save(tmp_path / "c.json")
    assert json.loads((tmp_path / "c.json").read_text("utf-8")) == FOUND
    assert Certificate.load(tmp_path / "c.json") == certificate


def test_a_service_may_tell_all_of_it(client: Client, stub: Stub, certificate: Certificate) -> None:
    stub.parity = [FOUND]
    assert client.models.get(stub.add_model("m")).parity == certificate


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"state": "checked", "checked_at": 7}', '{"state":1,"examples":7}']
)
def test_a_file_that_is_no_certificate(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(errors.PayloadError, match="wmlclient parity"):
        Certificate.load(path)


def test_published_with_a_certificate(
    client: Client, stub: Stub, saved_model: Path, certificate: Certificate, tmp_path: Path
) -> None:
    certificate.save(tmp_path / "c.json")
    for given in (certificate, FOUND, tmp_path / "c.json", str(tmp_path / "c.json")):
        client.models.publish(
            saved_model, "m", training_schema="text string", certificate=given, progress=False
        )
        assert stub.calls("POST", "models")[-1].json["certificate"] == FOUND
    client.models.publish(saved_model, "m", training_schema="text string", progress=False)
    assert "certificate" not in stub.calls("POST", "models")[-1].json


def test_a_certificate_that_cannot_be_read_is_told_before_anything_is_sent(
    client: Client, stub: Stub, saved_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "c.json").write_text("no")
    for given in (tmp_path / "c.json", tmp_path / "missing.json", 7):
        with pytest.raises(errors.PayloadError):
            client.models.publish(saved_model, "m", training_schema="text string", certificate=given)
    assert stub.requests == []


def test_shown_with_the_rows_that_differ(certificate: Certificate, client: Client, stub: Stub) -> None:
    html = certificate._repr_html_()
    for part in (
        "sample 4",
        "generated 7",
        "&lt;b&gt;",
        "10 of the sample, 20 generated",
        "sha256:aa",
        "5.0e-01",
    ):
        assert part in html
    assert "<b>" not in html
    assert "30 rows (10 of the sample, 20 generated) compared with Spark 4.2.0, 2 mismatches" in str(
        certificate
    )


def test_the_command_line_shows_them(client: Client, stub: Stub, tmp_path: Path) -> None:
    from facade_stub import INSTANCE, PASSWORD, USER

    values = {"url": stub.url, "username": USER, "password": PASSWORD, "instance_id": INSTANCE}
    (tmp_path / "credentials.json").write_text(json.dumps(values))
    stub.parity = [FOUND]
    model = stub.add_model("m")
    options = ["--credentials", str(tmp_path / "credentials.json")]

    shown = CliRunner().invoke(main, [*options, "models", "show", model])
    as_json = CliRunner().invoke(main, [*options, "--output", "json", "models", "show", model])

    assert shown.exit_code == 0, shown.output
    assert 'sample row 4, prediction: native 1.0, Spark 0.5; input {"text": "<b>"}' in shown.stdout
    assert json.loads(as_json.stdout)["certificate"] == FOUND


# -- wmlclient parity, as far as it gets without Spark


def parity(*arguments: Any) -> Any:
    return CliRunner().invoke(main, ["parity", *map(str, arguments)])


def test_no_model_cannot_be_checked(tmp_path: Path) -> None:
    done = parity(tmp_path / "missing")
    assert done.exit_code == 2
    assert "no such folder" in done.output


def test_without_java_it_cannot_be_checked(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("JAVA_HOME", "/nonexistent")
    done = parity(model)
    assert done.exit_code == 2
    assert "No Java" in done.output
    assert "Traceback" not in done.output


class Pool:
    """Stands in for the drivers: Spark's numbers are the native scorer's, a bit off or not."""

    skew = 0.0

    def __init__(self, home: Path, master: str, jars: Any) -> None:
        assert jars() == ()

    def get(self, master: str | None) -> Pool:
        return self

    def version(self) -> str:
        return "4.2.0"

    def transform(self, folder: str, schema: Any, fields: Any, values: Any) -> Any:
        from concurrent.futures import Future

        from certificate_maker import Twin

        from wmlclient.runner.engine.ports import TransformFailed
        from wmlclient.scoring import SparkRefused

        answer: Future[Any] = Future()
        try:
            answer.set_result(Twin(Path(folder), skew=self.skew).transform(schema, fields, values))
        except SparkRefused as error:
            answer.set_exception(TransformFailed(str(error)))
        return answer

    def close(self) -> None:
        """Nothing to end."""


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> type[Pool]:
    from wmlclient.runner.spark import pool

    kind = type("Mine", (Pool,), {})
    monkeypatch.setattr(pool, "DriverPool", kind)
    return kind


@pytest.fixture
def model(tmp_path: Path) -> Path:
    import saved_models

    return saved_models.text_pipeline(tmp_path / "sentiment")


def test_a_match_is_0_and_the_file_holds(pool: type[Pool], model: Path, tmp_path: Path) -> None:
    from wmlclient import scoring
    from wmlclient.scoring import certificates

    done = parity(model, "--rows", 40, "--out", tmp_path / "c.json")
    assert done.exit_code == 0, done.output
    assert "native" in done.stdout
    found = json.loads((tmp_path / "c.json").read_text())
    assert certificates.flaw(found, scoring.model_digest(model), {"text": "string"}) is None


def test_a_mismatch_is_1_with_its_rows(pool: type[Pool], model: Path) -> None:
    pool.skew = 1.0
    done = parity(model, "--rows", 40, "--output", "json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert found["engine"] == "spark"
    assert len(found["examples"]) == 5
    assert "prediction" in parity(model, "--rows", 5).stdout


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.json", '[{"text": "a", "n": 1}, {"text": "b", "n": 2}]'),
        ("rows.jsonl", '{"text": "a", "n": 1}\n{"text": "b", "n": 2}\n'),
        ("rows.json", '{"fields": ["text", "n"], "values": [["a", 1], ["b", 2]]}'),
        ("rows.csv", "text,n\na,1\nb,2\n"),
    ],
)
def test_a_sample_in_any_form(pool: type[Pool], model: Path, tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    for more in ((), ("--schema", "text string, n int")):
        done = parity(model, "--rows", 10, "--sample", path, "--output", "json", *more)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["sample_rows"] == 2


def test_a_sample_as_parquet_with_a_label(pool: type[Pool], model: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"text": ["a", "b"], "label": [1, 0]}), tmp_path / "rows.parquet")
    done = parity(model, "--rows", 10, "--sample", tmp_path / "rows.parquet", "--output", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["input"] == {"text": "string"}


@pytest.mark.parametrize(
    ("name", "text"),
    [("rows.json", "no"), ("rows.json", "[1]"), ("rows.csv", "text,n\n"), ("rows.parquet", "no")],
)
def test_a_sample_that_cannot_be_read_is_2(model: Path, tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    done = parity(model, "--sample", path, "--schema", "text string, n int")
    assert done.exit_code == 2
    assert "Error: " in done.output
    assert "Traceback" not in done.output


def test_a_stage_that_is_not_scored_natively_is_2(pool: type[Pool], tmp_path: Path) -> None:
    import saved_models

    folder = saved_models.text_pipeline(
        tmp_path / "m", last="org.apache.spark.ml.clustering.PowerIterationClustering"
    )
    for more in ((), ("--schema", "text string")):
        done = parity(folder, *more)
        assert done.exit_code == 2
        assert "PowerIterationClustering" in done.output


def test_a_class_that_is_not_sparks_own_is_not_run(pool: type[Pool], tmp_path: Path) -> None:
    import saved_models

    folder = saved_models.text_pipeline(tmp_path / "m", last="com.example.Evil")
    done = parity(folder, "--schema", "text string")
    assert done.exit_code == 2
    assert "com.example.Evil" in done.output


def test_a_damaged_model_is_2(pool: type[Pool], saved_model: Path) -> None:
    for more in ((), ("--schema", "text string")):
        done = parity(saved_model, *more)
        assert done.exit_code == 2
        assert "is damaged" in done.output


def test_a_schema_as_json_as_ddl_and_in_a_file(pool: type[Pool], model: Path, tmp_path: Path) -> None:
    from wmlclient import schema

    text = json.dumps(schema.to_schema("text string, n int, a_rather_long_name_of_a_column bigint, m double"))
    assert 255 < len(text) < 1000
    (tmp_path / "schema.json").write_text(text)
    for given in (text, "text string, n int", tmp_path / "schema.json"):
        done = parity(model, "--rows", 10, "--schema", given)
        assert done.exit_code == 0, done.output
