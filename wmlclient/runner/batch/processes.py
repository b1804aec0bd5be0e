"""The jobs' processes as the runner sees them."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from wmlclient.runner import lines
from wmlclient.runner.engine.ports import BatchEvent, BatchSpec, PortError, SparkPool, TransformFailed

logger = logging.getLogger("wmlclient.runner.batch")

_SPARK_SECONDS = 600.0


class BatchProcesses:
    """The real :class:`wmlclient.runner.engine.ports.BatchRunner`.

    Args:
        home: The runner's folder; logs go to ``logs/`` in it.
        spark: Where Spark is.
        processes: How many processes score natively in each job; all cores by default.
    """

    def __init__(self, home: Path, spark: SparkPool, processes: int | None = None) -> None:
        self._logs = home / "logs"
        self._spark = spark
        self._processes = processes or os.cpu_count() or 1
        self._jobs: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def start(self, spec: BatchSpec, on_event: Callable[[BatchEvent], None]) -> None:
        """See :class:`BatchRunner`."""
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = self._logs / "batch.log"
        with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "wmlclient.runner.batch.job"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                env={**os.environ, "PYTHONSAFEPATH": "1"},
                start_new_session=os.name == "posix",
            )
        with self._lock:
            self._jobs[spec.job_id] = process
        job = {**attrs.asdict(spec), "id": spec.job_id, "processes": self._processes}
        thread = threading.Thread(
            target=self._watch, args=(process, spec, job, on_event), name=f"batch-{process.pid}", daemon=True
        )
        thread.start()

    def stop(self, job_id: str) -> None:
        """See :class:`BatchRunner`."""
        with self._lock:
            process = self._jobs.pop(job_id, None)
        if process is not None:
            _end(process)

    def close(self) -> None:
        """End all jobs."""
        with self._lock:
            jobs, self._jobs = list(self._jobs.values()), {}
        for process in jobs:
            _end(process)

    def _watch(
        self,
        process: subprocess.Popen[bytes],
        spec: BatchSpec,
        job: dict[str, Any],
        on_event: Callable[[BatchEvent], None],
    ) -> None:
        assert process.stdout is not None
        ended: BatchEvent | None = None
        lines.send(process.stdin, job)
        with process.stdout as stream:
            for line in stream:
                message = lines.decode(line)
                if "transform" in message:
                    lines.send(process.stdin, self._transformed(spec, **message["transform"]))
                elif "progress" in message:
                    on_event(BatchEvent(spec.job_id, "progress", message["progress"]))
                else:
                    kind, details = next(iter(message.items()))
                    ended = BatchEvent(spec.job_id, kind, details)
        code = process.wait()
        with contextlib.suppress(OSError):
            assert process.stdin is not None
            process.stdin.close()
        with self._lock:
            stopped = self._jobs.get(spec.job_id) is not process
            if not stopped:
                del self._jobs[spec.job_id]
        if stopped:
            return
        on_event(
            ended
            or BatchEvent(
                spec.job_id,
                "failed",
                {
                    "code": "job_died",
                    "message": f"The job's process has ended with code {code}; nothing was written. Start it again.",
                },
            )
        )

    def _transformed(self, spec: BatchSpec, fields: list[str], values: list[list[Any]]) -> dict[str, Any]:
        try:
            runner = self._spark.get(spec.spark_master)
            runner.version()
            answer = runner.transform(spec.model_dir, spec.schema, fields, values).result(_SPARK_SECONDS)
        except TransformFailed as error:
            return {"error": {"code": error.code, "message": error.message}, "refused": True}
        except PortError as error:
            return {"error": {"code": error.code, "message": error.message}}
        except TimeoutError:
            return {"error": {"code": "operation_timeout", "message": "Spark gave no answer. Run it again."}}
        return attrs.asdict(answer)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a job; its own processes notice that their pipes are closed."""
    process.kill()
    process.wait()
