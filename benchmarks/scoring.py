"""Spark's pipelines scored natively, beside Spark local[2], MLflow's Spark flavor and onnxruntime, in one run.

    python3 dev.py bench scoring [--only SECTION ...] [--rows N]

Sections: `row` (one row, in process), `batch` (whole columns, on one core), `onnx` and `mlflow` (beside the first
two), `http` (a runner under load; with the memory that it takes). The figures of a busy machine are only worth
something beside their peers', which are measured in turn with ours. Each peer has a virtual environment of its own in
the user's cache folder, made on the first run (about 1 GB each, with a pyspark of its own).

On one core means: the thread that scores is pinned to it. Spark has both. Under HTTP load the runner and the echo
are pinned to one core and the generator of the load to the other.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas
from figures import Figure, report
from pyspark.sql import SparkSession
from workloads import WORKLOADS, Workload, large_forest

from wmlclient import scoring

SECTIONS = ("row", "batch", "onnx", "mlflow", "http")
ROUNDS = 5
CALLS = 4_000


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="some sections")
    parser.add_argument("--rows", type=int, default=200_000, help="rows of a batch (default: 200,000)")
    options = parser.parse_args()
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.memory", "2g")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    cores = os.sched_getaffinity(0)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(spark, Path(scratch), options.rows)
        if {"row", "onnx", "mlflow"} & set(options.only):
            figures += report("one row, in process, p50", bench.rows())
        if {"batch", "onnx", "mlflow"} & set(options.only):
            figures += report(
                f"a batch of {options.rows:,} rows: columns in, columns out, on one core", bench.batches()
            )
        os.sched_setaffinity(0, cores)
        if "onnx" in options.only:
            report("beside onnxruntime (float32, one thread)", *bench.beside_onnx())
        if "mlflow" in options.only:
            report("beside MLflow's Spark flavor, pyfunc.predict on pandas, local[2]", bench.beside_mlflow())
        if "http" in options.only:
            figures += report("a runner, on one core; the load comes from the other", bench.http())
    spark.stop()
    missed = [figure.what for figure in figures if figure.met is False]
    print(f"\n{len(missed)} goals missed{': ' + '; '.join(missed) if missed else ''}")
    return 1 if missed else 0


class Bench:
    """The measurements, and what they share: fitted pipelines, and what was found before."""

    def __init__(self, spark: SparkSession, scratch: Path, count: int) -> None:
        self._spark, self._scratch, self._count = spark, scratch, count
        self._models: dict[str, Any] = {}
        self._row_times: dict[str, float] = {}
        self._rates: dict[str, float] = {}

    def _model(self, name: str) -> Any:
        if name not in self._models:
            self._models[name] = WORKLOADS[name].fit(self._spark, self._scratch / name)
        return self._models[name]

    def _scorer(self, name: str) -> scoring.Scorer:
        self._model(name)
        frame = self._spark.createDataFrame(WORKLOADS[name].inputs(10))
        return scoring.load(self._scratch / name, frame.schema.jsonValue())

    # -- one row

    def rows(self) -> Iterator[Figure]:
        """One row through ``score_table`` and ``score``, and through Spark's ``transform(...).collect()``."""
        for name, workload in WORKLOADS.items():
            yield from self._row(name, workload)

    def _row(self, name: str, workload: Workload) -> list[Figure]:
        scorer, model = self._scorer(name), self._model(name)
        frame = workload.inputs(100)
        fields, rows = list(frame), frame.to_numpy(dtype=object).tolist()
        one = self._spark.createDataFrame(frame.head(1))
        spark = median_of(lambda: model.transform(one).collect(), 12, 3)
        table = each([partial(scorer.score_table, fields, [row]) for row in rows])
        dicts = [dict(zip(fields, row, strict=True)) for row in rows]
        plain = each([partial(scorer.score, [row]) for row in dicts])
        self._row_times[name] = table
        limit = workload.row_limit
        goal = {} if limit is None else {"limit": f"<= {limit:.0f} us", "met": table <= limit}
        return [
            Figure(workload.title, table, "us", spark, "Spark, collect()", **goal),
            Figure("  .score([dict]) with its dicts", plain, "us"),
        ]

    # -- batches

    def batches(self) -> Iterator[Figure]:
        """Columns in, columns out, and Spark's cached rows into its noop sink, in turn."""
        for name, workload in WORKLOADS.items():
            if workload.batch:
                yield from self._batch(name, workload)

    def _batch(self, name: str, workload: Workload) -> list[Figure]:
        scorer, model, count = self._scorer(name), self._model(name), self._count
        frame = workload.inputs(count)
        fields = list(frame)
        columns = [column_of(frame[name]) for name in fields]
        cached = self._spark.createDataFrame(frame).repartition(2).cache()
        cached.count()

        def spark() -> None:
            model.transform(cached).write.format("noop").mode("overwrite").save()

        def ours() -> None:
            on_one_core(lambda: sum(len(part.rows) for part in scorer.parts(fields, columns)))

        def pandas_too() -> None:
            on_one_core(lambda: scorer.transform(frame))

        times: dict[Callable[[], None], list[float]] = {spark: [], ours: [], pandas_too: []}
        for number in range(-2, ROUNDS):
            for call, found in times.items():
                started = time.perf_counter()
                call()
                if number >= 0:
                    found.append(time.perf_counter() - started)
        cached.unpersist()
        rate, peer, frames = (count / statistics.median(times[call]) for call in (ours, spark, pandas_too))
        self._rates[name] = rate
        return [
            Figure(workload.title, rate, "rows/s", peer, "Spark local[2]", ">= 2 x Spark", rate >= 2 * peer),
            Figure("  transform(pandas) with its cells", frames, "rows/s", peer, "Spark local[2]"),
        ]

    # -- peers

    def _jobs(self, count: int, **more: Any) -> list[dict[str, Any]]:
        """For each pipeline its folder, and rows with Spark's predictions in a file."""
        jobs = []
        for name, workload in WORKLOADS.items():
            model = self._model(name)
            frame = workload.inputs(count)
            scored = model.transform(self._spark.createDataFrame(frame).coalesce(1)).select("prediction")
            path = self._scratch / f"{name}.parquet"
            frame.assign(prediction=scored.toPandas()["prediction"].astype(float)).to_parquet(path)
            jobs.append({"name": name, "model": str(self._scratch / name), "rows": str(path), **more})
        return jobs

    def beside_onnx(self) -> tuple[list[Figure], list[str]]:
        """Where it converts: one row and a batch, and how many labels it flips; else why it does not."""
        from onnx_peer import time_onnx

        figures, notes = [], []
        for name, found in time_onnx(self._jobs(20_000), self._scratch).items():
            title = WORKLOADS[name].title
            if "reason" in found:
                notes.append(f"{title}: not converted: {found['reason']}")
                continue
            figures.append(
                Figure(f"{title}, one row", self._row_times[name], "us", found["row"], "onnxruntime")
            )
            if name in self._rates:
                figures.append(Figure("  batch", self._rates[name], "rows/s", found["rate"], "onnxruntime"))
            notes.append(f"{title}: onnxruntime flips {found['flipped']} of {found['rows']:,} labels")
        return figures, notes

    def beside_mlflow(self) -> list[Figure]:
        """One row and a batch."""
        from mlflow_peer import time_mlflow

        figures = []
        for name, found in time_mlflow(self._jobs(20_000, calls=10), self._scratch).items():
            title = WORKLOADS[name].title
            figures.append(Figure(f"{title}, one row", self._row_times[name], "us", found["row"], "MLflow"))
            if name in self._rates:
                figures.append(Figure("  batch", self._rates[name], "rows/s", found["rate"], "MLflow"))
        return figures

    # -- a runner

    def http(self) -> list[Figure]:
        """Requests, delay and memory."""
        from serving import measure

        text = WORKLOADS["text"]
        row = text.inputs(1).to_dict("records")[0]
        sample = self._spark.createDataFrame(text.rows(200, 1))
        big, rows = large_forest(self._spark, self._scratch / "big")
        return measure(self._model("text"), sample, row, (big, rows), self._scratch / "big", self._scratch)


def column_of(series: pandas.Series[Any]) -> Any:
    """A column as ``Scorer.parts`` takes it: an array of doubles, or a list."""
    return series.to_numpy() if series.dtype.kind == "f" else series.tolist()


def on_one_core(call: Callable[[], Any]) -> None:
    """Calls on this thread, which stays on one core; Spark's threads keep theirs."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        call()
    finally:
        os.sched_setaffinity(0, before)


def median_of(call: Callable[[], Any], calls: int, warm_up: int) -> float:
    """Median microseconds of a call."""
    times = []
    for number in range(-warm_up, calls):
        started = time.perf_counter()
        call()
        if number >= 0:
            times.append((time.perf_counter() - started) * 1e6)
    return statistics.median(times)


def each(calls: list[Callable[[], Any]]) -> float:
    """Median microseconds of calls that are made in turn, each timed on its own."""
    times = []
    for number in range(-len(calls), CALLS):
        call = calls[number % len(calls)]
        started = time.perf_counter()
        call()
        if number >= 0:
            times.append((time.perf_counter() - started) * 1e6)
    return statistics.median(times)


if __name__ == "__main__":
    sys.exit(main())
