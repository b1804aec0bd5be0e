"""A standalone Spark cluster on this machine, from the classes that pyspark brings."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from waiting import eventually

from wmlclient.runner.java import find_java, find_pyspark
from wmlclient.runner.spark.settings import FOREIGN_VARIABLES

_DEPLOY = "org.apache.spark.deploy"


class Daemon:
    """A process of the cluster, with its log."""

    def __init__(self, folder: Path, name: str, *command: str) -> None:
        home, self.log = find_pyspark().home, folder / f"{name}.log"
        env = {key: value for key, value in os.environ.items() if key not in FOREIGN_VARIABLES}
        env |= {"SPARK_HOME": str(home), "JAVA_HOME": str(find_java().home), "SPARK_DAEMON_MEMORY": "256m"}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                # It becomes the JVM.
                [str(home / "bin" / "spark-class"), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env | {"SPARK_LOCAL_IP": "127.0.0.1"},
            )

    def said(self, pattern: str, seconds: float = 90) -> str:
        """What stands in the log; waits for it."""
        eventually(lambda: re.search(pattern, self.log.read_text()), seconds, f"{pattern} in {self.log}")
        return re.search(pattern, self.log.read_text())[1]  # type: ignore[index]

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[Daemon]]]:
    """The URL of a master, and its two workers of one core each."""
    with ExitStack() as stack:

        def start(name: str, *command: str) -> Daemon:
            made = Daemon(tmp_path, name, *command)
            stack.callback(made.end)
            return made

        here = ("--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
        url = start("master", f"{_DEPLOY}.master.Master", *here).said(
            r"Starting Spark master at (spark://\S+)"
        )
        size = ("--cores", "1", "--memory", "640m")
        workers = [
            start(name, f"{_DEPLOY}.worker.Worker", *here, *size, "--work-dir", str(tmp_path / name), url)
            for name in ("one", "two")
        ]
        for worker in workers:
            worker.said("(Successfully registered) with master")
        yield url, workers
