"""Batch jobs in this process: what is read, scored and written, and what becomes of rows that cannot be."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import saved_models
from pyarrow import parquet

from wmlclient import scoring
from wmlclient.runner.batch import reading, storage
from wmlclient.runner.batch.failures import JobFailed
from wmlclient.runner.batch.job import Job
from wmlclient.runner.engine.errors import Forbidden, Invalid
from wmlclient.runner.engine.places import Folders, batch_places

SCHEMA = {"type": "struct", "fields": saved_models.TEXT_SCHEMA["fields"][:2]}
ROWS = [{"id": 1, "text": "what a day"}, {"id": 2, "text": "so sad"}]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_models.text_pipeline(tmp_path_factory.mktemp("model") / "text")


@pytest.fixture
def run(model: Path, tmp_path: Path) -> Callable[..., Any]:
    """Runs a job from one file to another; returns its counts."""

    def run(source: str, target: str, engine: str = "native", ask: Any = None, **more: Any) -> Any:
        body = {
            "input": {"source": {"type": "file", "filename": str(tmp_path / source), **more}},
            "output": {"target": {"type": "file", "filename": str(tmp_path / target)}},
        }
        places = batch_places(body, Folders((tmp_path,)))
        job = {
            "id": "j",
            "model_dir": str(model),
            "schema": SCHEMA,
            "engine": engine,
            "processes": 0,
            "source": places.source,
            "target": places.target,
            "bad_rows": places.bad_rows,
        }
        return Job(job, lambda message: None, ask).run()

    return run


def expected(model: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return scoring.load(model, SCHEMA).score(rows)


def bad(folder: Path, target: str) -> list[dict[str, Any]]:
    lines = (folder / f"{target}.bad-rows.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_parquet_to_parquet(run: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    rows = [{**row, "note": [f"n{number}"], "id": number} for number, row in enumerate(ROWS * 3)]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")
    assert run("in.parquet", "out.parquet") == {"rows_read": 6, "rows_written": 6, "rows_bad": 0}
    found = parquet.read_table(tmp_path / "out.parquet")
    assert found.column_names == [
        "id", "text", "note", "words", "features", "rawPrediction", "probability", "prediction",
    ]  # fmt: skip
    answers = expected(model, [{"id": row["id"], "text": row["text"]} for row in rows])
    for got, row, answer in zip(found.to_pylist(), rows, answers, strict=True):
        assert (got["id"], got["note"], got["words"]) == (row["id"], row["note"], answer["words"])
        assert (got["probability"]["type"], got["probability"]["values"]) == (1, answer["probability"])
        assert (got["features"]["type"], got["features"]["size"]) == (0, saved_models.FEATURES)
        assert got["prediction"] == answer["prediction"]
    spark = json.loads(found.schema.metadata[b"org.apache.spark.sql.parquet.row.metadata"])
    kinds = {column["name"]: column["type"] for column in spark["fields"]}
    assert kinds["features"]["class"] == "org.apache.spark.ml.linalg.VectorUDT"
    assert left(tmp_path) == ["in.parquet", "out.parquet"]


def test_words_of_any_alphabet(run: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    texts = ["Ärger  über ÖL", "", " ", "日本 語", "plain words", "🙂 ok"]
    rows = [{"id": number, "text": text} for number, text in enumerate(texts * 10)]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")
    run("in.parquet", "out.parquet")
    words = parquet.read_table(tmp_path / "out.parquet")["words"].to_pylist()
    assert words == [row["words"] for row in expected(model, rows)]


def test_csv_to_csv_and_its_bad_rows(run: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    lines = ["id,text,other", "1,what a day,x", "one,so sad,y", "3,only two", '4,"a, ""b""\nc",', "5,,z"]
    (tmp_path / "in.csv").write_text("\n".join(lines) + "\n", "utf-8")
    assert run("in.csv", "out.csv") == {"rows_read": 5, "rows_written": 2, "rows_bad": 3}
    import csv

    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    answers = expected(model, [{"id": 1, "text": "what a day"}, {"id": 4, "text": 'a, "b"\nc'}])
    assert [(row["id"], row["text"], row["other"]) for row in found] == [
        ("1", "what a day", "x"),
        ("4", 'a, "b"\nc', ""),
    ]
    assert [json.loads(row["probability"]) for row in found] == [row["probability"] for row in answers]
    one, two, three = bad(tmp_path, "out.csv")
    assert (one["row"], one["reason"]) == (1, "column 'id': 'one' is no int")
    assert one["record"] == {"id": "one", "text": "so sad", "other": "y"}
    assert (two["row"], two["reason"], two["record"]) == (2, "2 values for 3 columns", "3,only two")
    assert three["row"] == 4
    assert "is null" in three["reason"]


def test_csv_without_names(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("1,what a day\n2,so sad\n", "utf-8")
    assert run("in.csv", "out.parquet", firstlineheader="false")["rows_written"] == 2
    assert parquet.read_table(tmp_path / "out.parquet")["id"].to_pylist() == [1, 2]
    (tmp_path / "in.csv").write_text("1,what a day,3\n", "utf-8")
    with pytest.raises(JobFailed, match="3 columns and no names"):
        run("in.csv", "out.parquet", firstlineheader="false")


def test_lines_to_lines_and_their_bad_rows(run: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    lines = [json.dumps({**row, "more": 1.5}) for row in ROWS]
    lines[1:1] = ["{", '["x"]', '{"id": "one", "text": "t"}', "", '{"id": 3, "text": null}']
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    assert run("in.jsonl", "out.json") == {"rows_read": 6, "rows_written": 2, "rows_bad": 4}
    found = [json.loads(line) for line in (tmp_path / "out.json").read_text("utf-8").splitlines()]
    assert [(row["id"], row["more"]) for row in found] == [(1, 1.5), (2, 1.5)]
    assert set(found[0]["features"]) == {"type", "size", "indices", "values"}
    assert set(found[0]["probability"]) == {"type", "values"}
    assert [(row["row"], row["reason"][:22]) for row in bad(tmp_path, "out.json")] == [
        (1, "unexpected end of data"),
        (2, "not a JSON object"),
        (3, "column 'id': 'one' is "),
        (5, "column 'words': the co"),
    ]


def test_chunks_keep_their_order_and_numbers(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "ROWS", 7)
    rows = [f"{number},{'' if number % 10 == 3 else 'a day'}" for number in range(100)]
    (tmp_path / "in.csv").write_text("id,text\n" + "\n".join(rows) + "\n", "utf-8")
    assert run("in.csv", "out.parquet") == {"rows_read": 100, "rows_written": 90, "rows_bad": 10}
    kept = [number for number in range(100) if number % 10 != 3]
    assert parquet.read_table(tmp_path / "out.parquet")["id"].to_pylist() == kept
    assert [row["row"] for row in bad(tmp_path, "out.parquet")] == list(range(3, 100, 10))


def test_a_target_is_replaced_and_old_bad_rows_go(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,text\n1,a\n", "utf-8")
    (tmp_path / "out.csv").write_text("old", "utf-8")
    (tmp_path / "out.csv.bad-rows.jsonl").write_text("old", "utf-8")
    run("in.csv", "out.csv")
    assert left(tmp_path) == ["in.csv", "out.csv"]
    assert (tmp_path / "out.csv").read_text("utf-8") != "old"


@pytest.mark.parametrize(
    ("source", "content", "code", "message"),
    [
        ("none.csv", None, "file_not_found", "no such file"),
        ("in.csv", "id,texts\n1,a\n", "schema_mismatch", "lacks the column 'text'.*id, texts"),
        ("in.csv", "text,prediction\na,1\n", "schema_mismatch", "'prediction', which the model makes"),
        ("in.csv", "id,text\n", "invalid_input_data", "holds no rows"),
        ("in.parquet", "no Parquet", "invalid_input_data", "no Parquet file"),
    ],
)
def test_a_job_that_fails_leaves_nothing(
    run: Callable[..., Any], tmp_path: Path, source: str, content: str | None, code: str, message: str
) -> None:
    if content is not None:
        (tmp_path / source).write_text(content, "utf-8")
    (tmp_path / "out.parquet").write_text("old", "utf-8")
    with pytest.raises(JobFailed, match=message) as failed:
        run(source, "out.parquet")
    assert failed.value.code == code
    assert left(tmp_path) == sorted({"out.parquet", *([source] if content is not None else [])})
    assert (tmp_path / "out.parquet").read_text("utf-8") == "old"


def test_a_column_of_another_type_is_named(run: Callable[..., Any], tmp_path: Path) -> None:
    parquet.write_table(pa.table({"id": [1], "text": [2.5]}), tmp_path / "in.parquet")
    with pytest.raises(JobFailed, match="column 'text' is double, but the model reads it as string"):
        run("in.parquet", "out.parquet")


def test_a_full_disk_is_named_and_leaves_nothing(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.csv").write_text("id,text\n1,a\n", "utf-8")
    monkeypatch.setattr(storage.os, "fsync", _no_space)
    with pytest.raises(JobFailed, match="out.csv' cannot be written: the disk is full") as failed:
        run("in.csv", "out.csv")
    assert failed.value.code == "storage_full"
    assert left(tmp_path) == ["in.csv"]


def _no_space(_: int) -> None:
    raise OSError(28, os.strerror(28))


def test_spark_scores_through_the_runner_and_a_row_that_it_refuses_is_bad(
    run: Callable[..., Any], model: Path, tmp_path: Path
) -> None:
    scorer, asked = scoring.load(model, SCHEMA), []

    def ask(fields: list[str], values: list[list[Any]]) -> dict[str, Any]:
        asked.append(len(values))
        table = scorer.run(fields, values)
        if table.problems:
            return {"error": {"code": "transform_failed", "message": "null text"}, "refused": True}
        return {"fields": table.fields, "values": table.values, "dtypes": table.dtypes}

    rows = [{"id": number, "text": None if number == 5 else "a day", "x": number} for number in range(8)]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")
    assert run("in.parquet", "spark.parquet", "spark", ask) == {
        "rows_read": 8,
        "rows_written": 7,
        "rows_bad": 1,
    }
    assert bad(tmp_path, "spark.parquet") == [{"row": 5, "reason": "null text", "record": rows[5]}]
    run("in.parquet", "native.parquet")
    tables = [parquet.read_table(tmp_path / f"{name}.parquet") for name in ("spark", "native")]
    assert tables[0].to_pylist() == tables[1].to_pylist()
    assert asked[:3] == [8, 4, 4]


def test_places_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "home").mkdir()
    (tmp_path / "data" / "out").symlink_to(tmp_path)
    folders = Folders((tmp_path / "data",), tmp_path / "data" / "home")
    assert folders.check(str(tmp_path / "data" / "x.csv"), "f") == str(
        (tmp_path / "data" / "x.csv").resolve()
    )
    for name in ("data/../x.csv", "data/home/runner.db", "data/out/x.csv", "database/x.csv"):
        with pytest.raises(Forbidden, match="no folder that this service may use") as refused:
            folders.check(str(tmp_path / name), "f")
        assert refused.value.code == "path_not_allowed"
    with pytest.raises(Invalid, match="not an absolute path"):
        folders.check("x.csv", "f")
    with pytest.raises(Forbidden):
        Folders().check("/etc/passwd", "f")


CONNECTION = {"access_key": "a", "secret_key": "s", "url": "s3.example.com"}


def objects(**changes: Any) -> dict[str, Any]:
    source = {"bucket": "bucket", "filename": "in.csv", "fileformat": "csv", "type": "cloudobjectstorage"}
    target = {**source, "filename": "out.csv", "writemode": "write", "firstlineheader": "true"}
    source |= {"inferschema": "1", "firstlineheader": "true"}
    return {
        "input": {"source": {**source, **changes}, "connection": CONNECTION},
        "output": {"target": target, "connection": CONNECTION},
    }


def test_places_of_an_object_storage() -> None:
    places = batch_places(objects(), Folders())
    assert places.source == {
        "kind": "s3",
        "bucket": "bucket",
        "key": "in.csv",
        "connection": {**CONNECTION, "url": "https://s3.example.com"},
        "format": "csv",
        "header": True,
    }
    assert places.bad_rows["key"] == "out.csv.bad-rows.jsonl"
    assert batch_places(objects(container="tank", bucket=None), Folders()).source["bucket"] == "tank"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"type": "kafka"}, Invalid, "reads and writes files"),
        ({"type": "dashdb"}, Invalid, "input.source.tablename"),
        ({"filename": ""}, Invalid, "input.source.filename"),
        ({"bucket": "a/b"}, Invalid, "input.source.bucket"),
        ({"fileformat": "xlsx"}, Invalid, "one of csv, json, parquet and delta"),
        ({"firstlineheader": "maybe"}, Invalid, "true"),
        ({"filename": "out.csv"}, Invalid, "over its own source"),
    ],
)
def test_places_that_are_refused(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        batch_places(objects(**changes), Folders())


def test_what_a_run_that_was_killed_has_left_goes(tmp_path: Path) -> None:
    place = {"kind": "file", "path": str(tmp_path / "out.csv")}
    part = storage.part_name(tmp_path / "out.csv", "job")
    files = storage.LocalFiles("job")
    files.abort(place)
    part.write_text("half", "utf-8")
    files.abort(place)
    assert not part.exists()
    part.mkdir()
    part.joinpath("part-0").write_text("half", "utf-8")
    files.abort(place)
    assert not part.exists()
