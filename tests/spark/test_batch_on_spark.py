"""Batches that a real Spark does by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from runner_fakes import eventually
from spark_stand import Fitted

from wmlclient import scoring
from wmlclient.runner.batch.processes import BatchProcesses
from wmlclient.runner.engine.ports import BatchEvent, BatchSpec
from wmlclient.runner.spark.pool import DriverPool

pytestmark = pytest.mark.spark


class Jobs:
    """Runs jobs and keeps their last words."""

    def __init__(self, pool: DriverPool, folder: Path) -> None:
        self.folder = folder
        self.processes = BatchProcesses(folder / "home", pool, processes=1)
        self.events: list[BatchEvent] = []
        self.ended = threading.Event()

    def start(self, fitted: Fitted, source: str, target: str) -> None:
        self.ended.clear()
        places = [
            {"kind": "file", "path": str(self.folder / name), "header": True} for name in (source, target)
        ]
        for place in places:
            place["format"] = "parquet"
        aside = {**places[1], "path": f"{places[1]['path']}.bad-rows.jsonl", "format": "json"}
        self.processes.start(
            BatchSpec("j", fitted.path, fitted.schema, "spark", "told so", None, places[0], places[1], aside),
            self.take,
        )

    def take(self, event: BatchEvent) -> None:
        self.events.append(event)
        if event.kind in ("completed", "failed"):
            self.ended.set()

    def done(self) -> BatchEvent:
        assert self.ended.wait(120)
        return self.events[-1]


@pytest.fixture
def jobs(driver_pool: DriverPool, tmp_path: Path) -> Any:
    jobs = Jobs(driver_pool, tmp_path)
    yield jobs
    jobs.processes.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "home")


def test_whole_files(jobs: Jobs, pipelines: dict[str, Fitted], tmp_path: Path) -> None:
    fitted = pipelines["text"]
    rows = [
        {"id": number, "text": f"so good {number % 50}", "note": [f"n{number}"]} for number in range(3000)
    ]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")  # its ids are 64 bits wide
    answers = scoring.load(fitted.path, fitted.schema).score(
        [{k: r[k] for k in ("id", "text")} for r in rows]
    )
    (tmp_path / "out.parquet").write_text("a file that was there", "utf-8")
    (tmp_path / "out.parquet.bad-rows.jsonl").write_text("{}", "utf-8")
    for source, target in (("in.parquet", "out.parquet"), ("out.parquet", "again.parquet")):
        if target == "again.parquet":  # what was written is a source: a folder, whose vectors are vectors
            table = (
                parquet.read_table(tmp_path / source).select(["id", "text", "note"]).replace_schema_metadata()
            )
            (tmp_path / "plain").mkdir()
            parquet.write_table(table, tmp_path / "plain" / "part-0.parquet")
            source = "plain"
        jobs.start(fitted, source, target)
        done = jobs.done()
        assert (done.kind, done.details) == (
            "completed", {"rows_read": 3000, "rows_written": 3000, "rows_bad": 0},
        )  # fmt: skip
        assert (tmp_path / target / "_SUCCESS").exists()
        found = sorted(parquet.read_table(tmp_path / target).to_pylist(), key=lambda row: row["id"])
        for got, answer, row in zip(found, answers, rows, strict=True):
            assert (got["prediction"], got["note"]) == (answer["prediction"], row["note"])
            assert got["probability"]["values"] == pytest.approx(answer["probability"], abs=1e-12)
    assert names(tmp_path) == ["again.parquet", "in.parquet", "out.parquet", "plain"]


def test_a_bad_row_is_put_aside(jobs: Jobs, pipelines: dict[str, Fitted], tmp_path: Path) -> None:
    fitted = pipelines["strict"]
    known = fitted.expected[0]["kind"]
    rows = [{"id": number, "x": 1.0, "kind": known} for number in range(50)]
    rows[17]["kind"] = "never seen"
    schema = pa.schema([("id", pa.int32()), ("x", pa.float64()), ("kind", pa.string())])
    parquet.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "in.parquet")
    (tmp_path / "out.parquet").mkdir()
    jobs.start(fitted, "in.parquet", "out.parquet")
    done = jobs.done()
    assert (done.kind, done.details) == ("completed", {"rows_read": 50, "rows_written": 49, "rows_bad": 1})
    assert parquet.read_metadata(tmp_path / "out.parquet").num_rows == 49
    (line,) = (tmp_path / "out.parquet.bad-rows.jsonl").read_text("utf-8").splitlines()
    assert (json.loads(line)["row"], json.loads(line)["record"]["kind"]) == (17, "never seen")


def test_a_job_that_is_cancelled(jobs: Jobs, pipelines: dict[str, Fitted], tmp_path: Path) -> None:
    fitted = pipelines["text"]
    count = 2_000_000
    table = pa.table({"id": pa.array(range(count), pa.int32()), "text": ["so good and so long"] * count})
    parquet.write_table(table, tmp_path / "in.parquet")
    jobs.start(fitted, "in.parquet", "out.parquet")
    eventually(lambda: any(tmp_path.glob(".out.parquet.j.part/*")), 60)
    jobs.processes.stop("j")
    gone: Callable[[], bool] = lambda: names(tmp_path) == ["in.parquet"]  # noqa: E731
    eventually(gone, 60)
    assert [event.kind for event in jobs.events] == []
