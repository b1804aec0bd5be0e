"""A batch by Spark, beside a bare Spark job that does the same, on the same cluster, in one run.

    .venv/bin/python benchmarks/batch_spark.py [--rows 3000000] [--cluster]

Ours is the whole way: a deployment of kind batch that names the Spark service, until its status is COMPLETED. The bare
job is the limit: a session that reads the file, transforms it and writes Parquet. Both have loaded the model and
scored a small file before; neither start is counted. ``--cluster`` starts a standalone cluster of two workers with a
core each, instead of ``local[2]``. Printed: rows a second of both, and their ratio (the goal is 0.9); the exit code
says whether it was met.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from batch import source
from pyarrow import parquet

import wmlclient
from wmlclient.runner.java import find_java

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import saved_models

GOAL = 0.9


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """A master and two workers on this machine; its address."""
    import pyspark

    home = Path(pyspark.__file__).parent
    program = home / "bin" / "spark-class"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    master = f"spark://127.0.0.1:{port}"
    package = "org.apache.spark.deploy"
    common = ["--host", "127.0.0.1", "--webui-port", "0"]
    commands = [[f"{package}.master.Master", *common, "--port", str(port)]]
    for number in range(2):
        work = ["--cores", "1", "--memory", "2g", "--work-dir", str(folder / f"worker{number}")]
        commands.append([f"{package}.worker.Worker", *common, *work, master])
    env = {**os.environ, "JAVA_HOME": str(find_java().home), "SPARK_HOME": str(home)}
    started = []
    try:
        with open(folder / "cluster.log", "wb") as log:
            for command in commands:
                started.append(subprocess.Popen([program, *command], env=env, stdout=log, stderr=log))
                while not _open(port):
                    time.sleep(0.2)
        yield master
    finally:
        for process in started:
            process.kill()
            process.wait()


def _open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ours(model: Path, small: Path, given: Path, folder: Path, master: str) -> float:
    """Seconds of a batch deployment."""
    with wmlclient.Client.local(allow_uncertified=True) as client:
        published = client.models.publish(
            model, "batch", training_schema=saved_models.TEXT_SCHEMA, label_col="label"
        )
        published.wait_parity()
        spark = wmlclient.SparkService(cluster_master_url=master)
        warm = published.deploy("small", source=small, target=folder / "small.parquet", spark=spark).wait(
            None
        )
        assert warm.engine == "spark"
        began = time.perf_counter()
        published.deploy("batch", source=given, target=folder / "ours.parquet", spark=spark).wait(None)
        return time.perf_counter() - began


def bare(model: Path, small: Path, given: Path, folder: Path, master: str) -> float:
    """Seconds of Spark for the same."""
    from pyspark.ml import PipelineModel
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master(master)
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    try:
        loaded = PipelineModel.load(str(model))
        loaded.transform(session.read.parquet(str(small))).write.parquet(str(folder / "bare-small"))
        began = time.perf_counter()
        loaded.transform(session.read.parquet(str(given))).write.parquet(str(folder / "bare"))
        return time.perf_counter() - began
    finally:
        session.stop()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--cluster", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as running:
        folder = Path(name)
        model, given, small = (
            saved_models.text_pipeline(folder / "model"),
            folder / "in.parquet",
            folder / "s.parquet",
        )
        source(given, options.rows)
        source(small, 1000)
        master = running.enter_context(cluster(folder)) if options.cluster else "local[2]"
        theirs = options.rows / bare(model, small, given, folder, master)
        mine = options.rows / ours(model, small, given, folder, master)
        written = folder / "ours.parquet"
        assert written.is_dir(), "Spark has not done it alone"
        assert sum(parquet.read_metadata(each).num_rows for each in written.glob("*.parquet")) == options.rows
        where = "standalone, two workers" if options.cluster else master
        print(f"bare Spark job    {options.rows:,} rows, {where}: {theirs:,.0f} rows/s")
        print(f"wmlclient, batch  {mine:,.0f} rows/s; ratio {mine / theirs:.2f}")
        return int(mine < GOAL * theirs)


if __name__ == "__main__":
    sys.exit(main())
