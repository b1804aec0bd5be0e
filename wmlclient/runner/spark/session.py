"""Starts the JVM with its Spark session, and ends it. In the driver process only."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

from wmlclient.runner.processes import end_leftover, remember_pid

logger = logging.getLogger("wmlclient.runner.spark.driver")


class Session:
    """The Spark session, held through py4j alone: pyspark's DataFrames add nothing here but start-up time.

    Attributes:
        jvm: py4j's view of the JVM.
        spark: The JVM's ``SparkSession``.
        jvm_pid: Its process id.
    """

    def __init__(self, folder: Path) -> None:
        self._pid_file = folder / "jvm.pid"
        self.gateway: Any = None
        self.jvm_pid: int | None = None
        self._folder = folder
        self._local = folder / "local"

    def start(self) -> None:
        """Start the JVM and the session.

        Raises:
            Exception: Whatever pyspark or Spark raises.
        """
        # A JVM of a driver that was killed ends by itself; two on one checkpoint must not be.
        end_leftover(self._pid_file, str(self._folder), wait=10.0)
        # Whatever a JVM that was killed has left in its scratch folder.
        shutil.rmtree(self._local, ignore_errors=True)
        self._local.mkdir(parents=True)
        from pyspark.java_gateway import launch_gateway

        properties = self._folder / "spark.properties"
        os.environ["PYSPARK_SUBMIT_ARGS"] = f"--properties-file {_quoted(properties)} pyspark-shell"
        # pyspark leaves its connection file's folder behind where the process is killed: keep it in ours.
        tempfile.tempdir = str(self._local)
        self.gateway = launch_gateway()
        self.jvm = self.gateway.jvm
        self.jvm_pid = int(self.jvm.java.lang.ProcessHandle.current().pid())
        remember_pid(self._pid_file, self.jvm_pid)
        self.spark = self.jvm.org.apache.spark.sql.SparkSession.builder().getOrCreate()
        self.functions = self.jvm.org.apache.spark.sql.functions

    @property
    def version(self) -> str:
        """Spark's version."""
        return str(self.spark.version())

    def setting(self, name: str) -> str | None:
        """A setting of the session, or None."""
        found = self.spark.conf().get(name, None)
        return None if found is None else str(found)

    def seq(self, items: list[Any]) -> Any:
        """A Scala Seq, as Spark's variadic methods take."""
        return self.jvm.org.apache.spark.api.python.PythonUtils.toSeq(items)

    def foreach_batch(self, writer: Any, function: Any) -> None:
        """Have a Python object called with each micro-batch of a ``DataStreamWriter``."""
        from pyspark.java_gateway import ensure_callback_server_started

        helper = self.jvm.org.apache.spark.sql.execution.streaming.sources.PythonForeachBatchHelper
        helper.callForeachBatch(writer, function)
        ensure_callback_server_started(self.gateway)

    def listen(self, listener: Any) -> None:
        """Have a Python object told what the session's queries do."""
        from pyspark.java_gateway import ensure_callback_server_started

        ensure_callback_server_started(self.gateway)
        wrapper = self.jvm.org.apache.spark.sql.streaming.PythonStreamingQueryListenerWrapper(listener)
        self.spark.streams().addListener(wrapper)

    def wait(self) -> int:
        """Wait for the JVM's end; its exit code."""
        return int(self.gateway.proc.wait())

    def kill(self) -> None:
        """End the JVM at once. Never fails."""
        with contextlib.suppress(Exception):
            if self.gateway is not None:
                self.gateway.proc.kill()
        if self.jvm_pid is not None:
            with contextlib.suppress(OSError):
                os.kill(self.jvm_pid, signal.SIGKILL)

    def stop(self) -> None:
        """End the JVM for good: its streams have been stopped, and nothing else in it is worth a slow farewell."""
        self.kill()
        with contextlib.suppress(Exception):
            self.gateway.proc.wait(10.0)
        self._pid_file.unlink(missing_ok=True)
        shutil.rmtree(self._local, ignore_errors=True)


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
