"""Spark's classes, kept by a real JVM and read by the next one."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from spark_stand import Fitted

from wmlclient.runner.spark import class_archive
from wmlclient.runner.spark.pool import DriverPool

pytestmark = [pytest.mark.spark, pytest.mark.timeout(300)]


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DriverPool]:
    monkeypatch.setenv("WMLCLIENT_CACHE", str(tmp_path / "a cache"))
    made = DriverPool(tmp_path, default_master="local[1]", jars=list)
    yield made
    made.close()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_driver_reads_them_and_does_without_what_is_damaged(
    pool: DriverPool, pipelines: dict[str, Fitted]
) -> None:
    model = pipelines["text"]

    def reads(file: Path) -> bool:
        """Whether a driver, which scores, has the file in its memory."""
        runner = pool.get()
        answer = runner.transform(model.path, model.schema, ["text"], [["a word"]]).result(100)
        assert len(answer.values) == 1
        return str(file) in Path(f"/proc/{runner.jvm_pid}/maps").read_text()

    file = class_archive.make()
    assert reads(file)
    pool.close()
    # A byte here and there is another one.
    os.chmod(file, 0o600)
    chance, size = random.Random(20261122), file.stat().st_size
    with open(file, "r+b") as damaged:
        for _ in range(1000):
            damaged.seek(chance.randrange(8192, size))
            damaged.write(b"?")
    assert not reads(file)
    pool.close()
    # The end is lost.
    os.truncate(file, size // 2)
    assert not reads(file)
