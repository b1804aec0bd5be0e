"""A batch by Spark, beside a bare Spark job that does the same, on the same cluster, in one run.

    .venv/bin/python benchmarks/batch_spark.py [--rows 3000000] [--cluster]

Ours is a job of the service's batch runner, on its own driver, until it says that the job is completed. The bare job
is the limit: a session that reads the file, transforms it and writes one. Both have loaded the model and scored a
small file before; neither start is counted. Each does it twice, and the better one counts. ``--cluster`` starts a
standalone cluster of two workers with a core each, instead of ``local[2]``. Printed: rows a second of both, rows for
each second of CPU of all processes (which bears a machine that has other things to do), and the ratios; the goal is
0.9, and the exit code says whether the second met it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psutil
from attrs import frozen
from batch import source
from pyarrow import parquet

from wmlclient.runner.batch.processes import BatchProcesses
from wmlclient.runner.engine.ports import BatchEvent, BatchSpec
from wmlclient.runner.java import find_java
from wmlclient.runner.spark.pool import DriverPool

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


def cpu_seconds() -> float:
    """User and system time so far of this process and all below it: drivers, workers, executors."""
    total = 0.0
    for each in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(each.cpu_times()[:2])
    return total


@frozen
class Cost:
    """What a job took, in seconds of the clock and of CPU."""

    clock: float
    cpu: float


def cost(job: Callable[[], object]) -> Cost:
    """Run a job."""
    clock, cpu = time.perf_counter(), cpu_seconds()
    job()
    return Cost(time.perf_counter() - clock, cpu_seconds() - cpu)


def best(costs: Iterable[Cost]) -> Cost:
    """The least of each."""
    found = list(costs)
    return Cost(min(each.clock for each in found), min(each.cpu for each in found))


def ours(model: Path, folder: Path, master: str, form: str) -> Cost:
    """A job of the batch runner."""
    pool = DriverPool(folder / "home")
    processes = BatchProcesses(folder / "home", pool, processes=2)
    schema = {"type": "struct", "fields": saved_models.TEXT_SCHEMA["fields"][:2]}

    def run(name: str) -> None:
        ended, told = threading.Event(), list[BatchEvent]()

        def hear(event: BatchEvent) -> None:
            told.append(event)
            if event.kind != "progress":
                ended.set()

        paths = (f"{name}.{form}", f"ours-{name}.{form}", f"{name}.bad-rows")
        ends = [
            {"kind": "file", "path": str(folder / path), "header": True, "format": form} for path in paths
        ]
        processes.start(
            BatchSpec(name, str(model), schema, "spark", "asked", master, ends[0], ends[1], ends[2]), hear
        )
        ended.wait()
        assert told[-1].kind == "completed", told
        assert not any(event.kind == "progress" for event in told), "Spark has not done it alone"

    try:
        run("small")
        return best(cost(lambda: run("given")) for _ in range(2))
    finally:
        processes.close()
        pool.close()


def bare(model: Path, folder: Path, master: str, form: str) -> Cost:
    """Spark for the same."""
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

        def run(name: str) -> None:
            given = session.read.parquet(str(folder / f"{name}.{form}"))
            loaded.transform(given).write.mode("overwrite").parquet(str(folder / f"bare-{name}"))

        run("small")
        return best(cost(lambda: run("given")) for _ in range(2))
    finally:
        session.stop()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--cluster", action="store_true")
    options = parser.parse_args()
    form = "parquet"
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as running:
        folder = Path(name)
        model = saved_models.text_pipeline(folder / "model")
        source(folder / f"given.{form}", options.rows)
        source(folder / f"small.{form}", 1000)
        master = running.enter_context(cluster(folder)) if options.cluster else "local[2]"
        where = "standalone, two workers" if options.cluster else master
        limit = bare(model, folder, master, form)
        print(f"{options.rows:,} rows, {where}")
        print(line("bare Spark job", options.rows, limit), flush=True)
        mine = ours(model, folder, master, form)
        print(line("wmlclient, batch", options.rows, mine))
        written = folder / f"ours-given.{form}"
        assert sum(parquet.read_metadata(each).num_rows for each in written.glob("*.parquet")) == options.rows
        ratio = limit.cpu / mine.cpu
        print(f"ratio: {limit.clock / mine.clock:.2f} by the clock, {ratio:.2f} by CPU (goal {GOAL})")
        return int(ratio < GOAL)


def line(title: str, rows: int, took: Cost) -> str:
    return f"{title:<18}{rows / took.clock:>12,.0f} rows/s {rows / took.cpu:>12,.0f} rows a CPU second"


if __name__ == "__main__":
    sys.exit(main())
