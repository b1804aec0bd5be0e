"""How soon Spark is there: its driver with kept classes, beside one without them and beside a session by hand.

    .venv/bin/python benchmarks/spark_start.py [--turns 3]

Each starts a JVM, loads a pipeline and scores one row, in turns; the best of each counts. The classes are kept in a
temporary folder first, which takes half a minute; `wmlclient doctor --fetch` keeps them for good.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from figures import Figure, report
from streams import FIT, SCHEMA

from wmlclient.runner.spark import class_archive
from wmlclient.runner.spark.pool import DriverPool

GOAL = 0.6
BY_HAND = """
import json, sys, time
began = time.perf_counter()
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config("spark.log.level", "ERROR")
    .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1").getOrCreate())
ready = time.perf_counter() - began
from pyspark.ml import PipelineModel
rows = spark.createDataFrame([(1, "a word")], "id int, text string")
PipelineModel.load(sys.argv[1]).transform(rows).toJSON().collect()
print(json.dumps([ready, time.perf_counter() - began]), flush=True)
spark.stop()
"""
Times = tuple[float, float]


def by_hand(model: Path) -> Times:
    """Seconds until a session stands, and until a row is scored."""
    done = subprocess.run(
        [sys.executable, "-c", BY_HAND, str(model)], capture_output=True, text=True, timeout=200, check=True
    )
    ready, scored = json.loads(done.stdout.splitlines()[-1])
    return ready, scored


def ours(model: Path, cache: Path) -> Times:
    """The same of a driver, with the classes that are kept in a folder."""
    os.environ["WMLCLIENT_CACHE"] = str(cache)
    fields: list[Any] = [column["name"] for column in SCHEMA["fields"]]  # type: ignore[index]
    with tempfile.TemporaryDirectory() as home:
        pool = DriverPool(Path(home), jars=list)
        try:
            began = time.perf_counter()
            runner = pool.get()
            runner.version()
            ready = time.perf_counter() - began
            runner.transform(str(model), SCHEMA, fields, [[1, "a word"]]).result(100)
            return ready, time.perf_counter() - began
        finally:
            pool.close()


def figures(home: Path, model: Path, turns: int) -> Iterator[Figure]:
    full, empty = home / "kept", home / "none"
    os.environ["WMLCLIENT_CACHE"] = str(full)
    began = time.perf_counter()
    class_archive.make()
    yield Figure("keeping the classes, once", time.perf_counter() - began, "s")
    found = [(ours(model, full), ours(model, empty), by_hand(model)) for _ in range(turns)]
    for place, what in enumerate(("ready", "one row scored")):
        kept, bare, hand = (min(turn[who][place] for turn in found) for who in range(3))
        met = kept <= GOAL * bare if place == 0 else None
        goal = f"<= {GOAL:g} x" if place == 0 else ""
        yield Figure(f"Spark's driver, {what}", kept, "s", bare, "without kept classes", goal, met)
        yield Figure(f"Spark's driver, {what}", kept, "s", hand, "session by hand")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        subprocess.run(
            [sys.executable, "-c", FIT, str(model), str(Path(__file__).parent)],
            check=True,
            capture_output=True,
        )
        found = report("how soon Spark is there", figures(Path(folder), model, arguments.turns))
    return 1 if any(figure.met is False for figure in found) else 0


if __name__ == "__main__":
    sys.exit(main())
