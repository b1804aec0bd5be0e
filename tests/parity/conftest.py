"""A Spark session for the comparison with the native scorer, and the account of what was compared.

With ``WMLCLIENT_PARITY_LEAST`` set, a run fails that has compared fewer rows than that on any stage.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import COMPARED, SEED

from wmlclient.scoring.registry import supported

MISSING = {"3.5": ("org.apache.spark.ml.feature.TargetEncoderModel",)}
"""Stages that a version of Spark does not have yet."""
LEAST = int(os.environ.get("WMLCLIENT_PARITY_LEAST", "0"))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Real Spark on two threads, with its files in a temporary folder."""
    from pyspark.sql import SparkSession

    home: Path = tmp_path_factory.mktemp("spark")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = (
            SparkSession.builder.master("local[2]")
            .appName("parity")
            .config("spark.ui.enabled", "false")
            # Of many small jobs, compiling them well takes longer than running. Java's numbers do not depend on it.
            .config("spark.driver.extraJavaOptions", "-XX:+UseSerialGC -XX:TieredStopAtLevel=1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.sql.shuffle.partitions", "1")
            .config("spark.default.parallelism", "2")
            .config("spark.sql.warehouse.dir", str(home / "warehouse"))
            .config("spark.local.dir", str(home))
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.log.level", "OFF")
            .getOrCreate()
        )
    yield session
    session.stop()


def pytest_testnodedown(node: Any, error: Any) -> None:
    """Adds up what a worker has compared."""
    COMPARED.update(getattr(node, "workeroutput", {}).get("compared", {}))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hands the account on, or fails the run that has too little in it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["compared"] = dict(COMPARED)
    elif LEAST and short() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says how many rows of each stage were compared."""
    if not LEAST:
        return
    terminalreporter.section(f"rows compared with Spark {spark_version()}, seed {SEED}")
    for name in counted():
        terminalreporter.line(f"{COMPARED[name]:>9,} {name}")
    for name in short():
        terminalreporter.line(f"TOO FEW, {LEAST:,} are due: {name}", red=True)


def counted() -> list[str]:
    """The stages that the scorer knows and this Spark has."""
    return [name for name in supported() if name not in MISSING.get(spark_version()[:3], ())]


def short() -> list[str]:
    return [name for name in counted() if COMPARED[name] < LEAST]


def spark_version() -> str:
    import pyspark

    return str(pyspark.__version__)
