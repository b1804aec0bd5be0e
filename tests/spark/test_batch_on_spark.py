"""Batches that a real Spark does by itself."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from runner_fakes import eventually
from spark_cluster import Daemon, cluster  # noqa: F401 - a fixture among them
from spark_stand import Fitted

from wmlclient import scoring
from wmlclient.runner.batch.processes import BatchProcesses
from wmlclient.runner.engine.ports import BatchEvent, BatchSpec
from wmlclient.runner.spark.pool import DriverPool

pytestmark = pytest.mark.spark


class Jobs:
    """Runs jobs and keeps their last words."""

    def __init__(self, pool: DriverPool, folder: Path, master: str | None = None) -> None:
        self.folder, self.master = folder, master
        self.processes = BatchProcesses(folder / "home", pool, processes=1)
        self.events: list[BatchEvent] = []
        self.ended = threading.Event()

    def start(
        self, fitted: Fitted, source: str, target: str, engine: str = "spark", header: bool = True
    ) -> None:
        self.ended.clear()
        self.events.clear()
        places: list[dict[str, Any]] = [
            {"kind": "file", "path": str(self.folder / name), "header": header} for name in (source, target)
        ]
        for place in places:
            form = place["path"].rpartition(".")[2]
            place["format"] = {"csv": "csv", "jsonl": "json"}.get(form, "parquet")
        aside = {**places[1], "path": f"{places[1]['path']}.bad-rows.jsonl", "format": "json"}
        self.processes.start(
            BatchSpec(
                "j", fitted.path, fitted.schema, engine, "told so", self.master, places[0], places[1], aside
            ),
            self.take,
        )

    def take(self, event: BatchEvent) -> None:
        self.events.append(event)
        if event.kind in ("completed", "failed"):
            self.ended.set()

    def done(self) -> BatchEvent:
        assert self.ended.wait(300)
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


TEXTS = [
    "so good",
    'a, "quoted" word',
    "h\u00e9 \U0001f600",
    "back\\slash",
    " spaces ",
    "tab\tand/slash",
]


def csv_lines(rows: list[dict[str, Any]]) -> str:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerows([row["id"], row["text"]] for row in rows)
    return sink.getvalue()


@pytest.mark.parametrize(("form", "header"), [("csv", True), ("csv", False), ("jsonl", True)])
def test_a_file_of_texts(
    jobs: Jobs, pipelines: dict[str, Fitted], tmp_path: Path, form: str, header: bool
) -> None:
    fitted = pipelines["text"]
    rows = [
        {"id": None if number == 7 else number, "text": TEXTS[number % len(TEXTS)]} for number in range(600)
    ]
    styles = ((", ", ": "), (",", ":"))
    lines = [json.dumps(row, separators=styles[number % 2]) for number, row in enumerate(rows)]
    text = "\n".join(lines) + "\n\n" if form == "jsonl" else ("id,text\n" if header else "") + csv_lines(rows)
    (tmp_path / f"in.{form}").write_text(text, "utf-8")
    read: dict[str, Any] = {}
    for engine in ("spark", "native"):
        (tmp_path / f"{engine}.{form}").mkdir()  # of an earlier run
        jobs.start(fitted, f"in.{form}", f"{engine}.{form}", engine, header)
        done = jobs.done()
        assert (done.kind, done.details) == (
            "completed", {"rows_read": 600, "rows_written": 600, "rows_bad": 0},
        )  # fmt: skip
        # One that is done in chunks tells how far it is.
        assert any(event.kind == "progress" for event in jobs.events) == (engine == "native")
        written = (tmp_path / f"{engine}.{form}").read_text("utf-8")
        if form == "jsonl":
            read[engine] = [json.loads(line) for line in written.splitlines()]
        else:
            read[engine] = [[plain(cell) for cell in line] for line in csv.reader(io.StringIO(written))]
    assert len(read["spark"]) == 600 + (form == "csv" and header)
    assert near(read["spark"]) == near(read["native"])
    assert names(tmp_path) == [f"in.{form}", f"native.{form}", f"spark.{form}"]


def plain(cell: str) -> Any:
    """What is in a cell: a number, JSON, or a text."""
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def near(value: Any) -> Any:
    """With twelve digits of each number."""
    if isinstance(value, dict):
        return {name: near(each) for name, each in value.items()}
    if isinstance(value, list):
        return [near(each) for each in value]
    return float(f"{value:.12g}") if isinstance(value, (int, float)) else value


@pytest.mark.parametrize(
    ("name", "text", "bad"),
    [
        ("in.csv", 'id,text\n1,a b\n2,"two\nlines"\n+3,c\nx,d\n', [3]),
        ("in.jsonl", '{"id":1,"text":"a"}\n{"id":"2","text":"b"}\n{"id":3,"text":"c","more":1}\n', [1]),
    ],
)
def test_what_two_readers_may_read_in_two_ways_is_read_by_the_runner(
    jobs: Jobs, pipelines: dict[str, Fitted], tmp_path: Path, name: str, text: str, bad: list[int]
) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    jobs.start(pipelines["text"], name, "out.jsonl")
    done = jobs.done()
    assert done.kind == "completed", done
    aside = [
        json.loads(line)["row"] for line in (tmp_path / "out.jsonl.bad-rows.jsonl").read_text().splitlines()
    ]
    assert set(bad) <= set(aside)
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) + len(aside) == done.details["rows_read"]
    assert [row["id"] for row in rows][:1] == [1]
    assert names(tmp_path) == [name, "out.jsonl", "out.jsonl.bad-rows.jsonl"]


def test_a_cluster_does_a_job_alone(
    cluster: tuple[str, list[Daemon]],  # noqa: F811
    pipelines: dict[str, Fitted],
    tmp_path: Path,
) -> None:
    url, workers = cluster
    conf = tmp_path / "spark.conf"
    conf.write_text("spark.executor.memory 512m\n")
    pool = DriverPool(tmp_path / "home", conf=conf)
    jobs = Jobs(pool, tmp_path, url)
    lines = [json.dumps({"id": number, "text": f"so good {number}"}) for number in range(2000)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines), "utf-8")
    try:
        jobs.start(pipelines["text"], "in.jsonl", "out.csv")
        done = jobs.done()
        assert (done.kind, done.details["rows_written"]) == ("completed", 2000), jobs.events
        assert [event.kind for event in jobs.events] == ["completed"]
        for worker in workers:
            worker.said("Asked to (launch executor)")
    finally:
        jobs.processes.close()
        pool.close()
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["id"]), row["text"]) for row in rows[:2]] == [(0, "so good 0"), (1, "so good 1")]
    assert {row["prediction"] for row in rows} <= {"0.0", "1.0"}


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
