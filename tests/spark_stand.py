"""Fixtures that the Spark and the Kafka tests share: fitted pipelines, and a pool of drivers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from filelock import FileLock
from fit_pipelines import schema

from wmlclient.runner.spark.pool import DriverPool
from wmlclient.runner.spark.runner import DriverRunner

FIT_SECONDS = 280


@frozen
class Fitted:
    """A saved pipeline, its input schema, and what plain Spark answers."""

    path: str
    schema: dict[str, Any]
    expected: list[dict[str, Any]]

    @property
    def fields(self) -> list[str]:
        return [field["name"] for field in self.schema["fields"]]


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> dict[str, Fitted]:
    """All pipelines of ``fit_pipelines``, fitted once, by whichever worker comes first.

    ``WMLCLIENT_TEST_PIPELINES`` names a folder that keeps them from run to run.
    """
    base = tmp_path_factory.getbasetemp()
    base = base if worker_id == "master" else base.parent
    folder = Path(os.environ.get("WMLCLIENT_TEST_PIPELINES") or base / "pipelines")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock", timeout=FIT_SECONDS + 30):
        if not (folder / "expected.json").is_file():
            program = Path(__file__).with_name("fit_pipelines.py")
            with open(folder / "log", "wb") as log:
                subprocess.run(
                    [sys.executable, str(program), str(folder)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    timeout=FIT_SECONDS,
                    check=True,
                )
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return {name: Fitted(str(folder / name), schema(name), rows) for name, rows in expected.items()}


@pytest.fixture(scope="session")
def driver_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def driver_pool(driver_home: Path) -> Iterator[DriverPool]:
    conf = driver_home / "spark.conf"
    conf.write_text("spark.wmlclient.realtimeBatch 5 seconds\n")
    pool = DriverPool(driver_home, conf=conf)
    yield pool
    pool.close()


@pytest.fixture
def runner(driver_pool: DriverPool) -> DriverRunner:
    return driver_pool.get(None)
