"""Rows of Parquet scored in batch, beside Spark's own read, transform and write on the same cores, in one run.

    .venv/bin/python benchmarks/batch.py [--rows 10000000] [--skip-spark]

The model is words, hashes and a logistic regression, written by hand. Ours is the whole way: a deployment of kind
batch at an embedded runner, until its status is COMPLETED. Spark's is a local[cores] session that reads the same file,
transforms it and writes Parquet; its start is not counted. Printed: rows a second of both, their ratio (the goal is
2), and the most resident memory of the job with its processes, shared pages counted once (the goal is 500 MB). The
exit code says whether the goals were met.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pyarrow as pa
from pyarrow import parquet

import wmlclient

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import saved_models

GROUP = 100_000
WORDS = ("a", "day", "what", "so", "sad", "lovely", "glad", "rain", "sun", "never", "works", "slow", "fast")
MEMORY_GOAL, SPEED_GOAL = 500e6, 2.0


def source(path: Path, rows: int) -> None:
    """A file of tweets."""
    chance = random.Random(1)
    texts = pa.array([" ".join(chance.choices(WORDS, k=12)) for _ in range(GROUP)])
    schema = pa.schema([("id", pa.int32()), ("text", pa.string())])
    with parquet.ParquetWriter(path, schema) as writer:
        for first in range(0, rows, GROUP):
            count = min(GROUP, rows - first)
            ids = pa.array(range(first, first + count), pa.int32())
            writer.write_table(pa.table({"id": ids, "text": texts.slice(0, count)}, schema=schema))


class Memory:
    """The most resident memory of a runner's batch job, looked at ten times a second."""

    def __init__(self, runner: int) -> None:
        self.most = 0
        self._runner = psutil.Process(runner)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> int:
        """The most, in bytes."""
        self._over.set()
        self._thread.join()
        return self.most

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            total = 0
            for process in self._processes():
                try:
                    # Pages that processes share count once in all, where the system tells.
                    told = process.memory_full_info()
                    total += getattr(told, "pss", told.rss)
                except psutil.NoSuchProcess:
                    continue
            self.most = max(self.most, total)

    def _processes(self) -> list[psutil.Process]:
        """The job and what it has started; the runner has other children, too."""
        for child in self._runner.children():
            try:
                if "wmlclient.runner.batch.job" in child.cmdline():
                    return [child, *child.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        return []


def ours(model: Path, given: Path, taken: Path) -> tuple[float, int]:
    """Seconds of a batch deployment, and its memory."""
    with wmlclient.Client.local(allow_uncertified=True) as client:
        published = client.models.publish(
            model, "batch", training_schema=saved_models.TEXT_SCHEMA, label_col="label"
        )
        # The check against Spark starts a Spark, which is to be gone before anything is measured.
        published.wait_parity()
        runner = client._local._runner.pid if client._local is not None else None
        assert runner is not None
        for child in psutil.Process(runner).children():
            child.kill()
            while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.1)
        memory = Memory(runner)
        began = time.perf_counter()
        batch = published.deploy("batch", source=given, target=taken).wait(timeout=None)
        seconds = time.perf_counter() - began
        assert batch.engine == "native", batch.engine_reason
        return seconds, memory.stop()


def spark_seconds(model: Path, given: Path, taken: Path, cores: int) -> float:
    """Seconds of Spark for the same."""
    from pyspark.ml import PipelineModel
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master(f"local[{cores}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "2g")
        .getOrCreate()
    )
    loaded = PipelineModel.load(str(model))
    session.range(1000).count()
    began = time.perf_counter()
    loaded.transform(session.read.parquet(str(given))).write.parquet(str(taken))
    seconds = time.perf_counter() - began
    session.stop()
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--skip-spark", action="store_true")
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, given = saved_models.text_pipeline(folder / "model"), folder / "in.parquet"
        source(given, options.rows)
        seconds, memory = ours(model, given, folder / "ours.parquet")
        assert parquet.ParquetFile(folder / "ours.parquet").metadata.num_rows == options.rows
        rate = options.rows / seconds
        print(
            f"wmlclient, batch  {options.rows:,} rows on {cores} cores: {rate:,.0f} rows/s, {memory / 1e6:.0f} MB"
        )
        met = memory <= MEMORY_GOAL
        (folder / "ours.parquet").unlink()
        if not options.skip_spark:
            theirs = options.rows / spark_seconds(model, given, folder / "spark.parquet", cores)
            print(f"Spark, local[{cores}]   {theirs:,.0f} rows/s; ratio {rate / theirs:.2f}")
            met = met and rate >= SPEED_GOAL * theirs
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
