"""A Spark session for the comparison with the native scorer, and the account of what was compared."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from account import ACCOUNT, LEAST, REPORT, VERSION
from harness import SEED, TIMES


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Real Spark on two threads, with its files in a temporary folder."""
    from pyspark.sql import SparkSession

    home: Path = tmp_path_factory.mktemp("spark")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = (
            SparkSession.builder.master("local[2]")
            .appName("parity")
            .config("spark.ui.enabled", "false")
            # A hundred thousand rows of vectors with five hundred values each.
            .config("spark.driver.memory", "1g" if TIMES == 1 else "4g")
            # Of many small jobs, compiling them well takes longer than running. Java's numbers do not depend on it.
            .config("spark.driver.extraJavaOptions", "-XX:+UseSerialGC -XX:TieredStopAtLevel=1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.sql.shuffle.partitions", "1")
            .config("spark.default.parallelism", "2")
            .config("spark.sql.warehouse.dir", str(home / "warehouse"))
            .config("spark.local.dir", str(home))
            .config("spark.ui.showConsoleProgress", "false")
            # What Spark 4 has by default; before, SQL wrapped what overflows and made null of a division by zero.
            .config("spark.sql.ansi.enabled", "true")
            .config("spark.log.level", "OFF")
            .getOrCreate()
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "pyspark.core.rdd.RDD._pickled" if VERSION >= "4" else "pyspark.rdd.RDD._pickled", _pickled
        )
        yield session
    session.stop()


def _pickled(rdd: Any) -> Any:
    """The rows as batches that the JVM reads. Rows at hand are such; Spark would start Python workers to see to it."""
    from pyspark.serializers import AutoBatchedSerializer, BatchedSerializer, CPickleSerializer

    wanted = AutoBatchedSerializer(CPickleSerializer())
    if type(rdd).__name__ == "RDD" and isinstance(rdd._jrdd_deserializer, BatchedSerializer):
        rdd._jrdd_deserializer = wanted
        return rdd
    return rdd._reserialize(wanted)


def pytest_testnodedown(node: Any, error: Any) -> None:
    """Adds up what a worker has compared."""
    if "compared" in getattr(node, "workeroutput", {}):
        ACCOUNT.merge(node.workeroutput["compared"])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hands the account on, or fails the run that has too little in it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["compared"] = ACCOUNT.to_json()
    elif LEAST and ACCOUNT.short() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Shows the account."""
    if not LEAST:
        return
    terminalreporter.section(f"rows compared with Spark {VERSION}, seed {SEED}")
    for name in ACCOUNT.due():
        largest = ACCOUNT.largest.get(name)
        apart = "" if largest is None else f"largest difference {largest:.1e}"
        terminalreporter.line(f"{ACCOUNT.rows[name]:>9,} {name:<75} {apart}")
    for name in ACCOUNT.short():
        terminalreporter.line(f"TOO FEW, {LEAST:,} are due: {name}", red=True)
    if REPORT:
        ACCOUNT.write(Path(REPORT), SEED)
