"""The jobs' processes as the runner sees them."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from wmlclient.runner import lines
from wmlclient.runner.batch import on_spark
from wmlclient.runner.batch.storage import LocalFiles, Objects
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
        self._on_spark: dict[str, on_spark.SparkRun] = {}
        self._lock = threading.RLock()

    def start(self, spec: BatchSpec, on_event: Callable[[BatchEvent], None]) -> None:
        """See :class:`BatchRunner`."""
        if not on_spark.can(spec):
            return self._start_process(spec, on_event)
        run = on_spark.SparkRun(spec, self._spark.get(spec.spark_master))
        with self._lock:
            self._on_spark[spec.job_id] = run
        name = f"batch-{spec.job_id}"
        threading.Thread(target=self._run_on_spark, args=(run, on_event), name=name, daemon=True).start()
        return None

    def _run_on_spark(self, run: on_spark.SparkRun, on_event: Callable[[BatchEvent], None]) -> None:
        id, done = run.spec.job_id, None
        try:
            counts = run.score()
            with self._lock:
                if self._on_spark.get(id) is run:
                    run.commit()
                    del self._on_spark[id]
                    done = counts
        except Exception as error:
            # In chunks it is slower, and told row by row; what fails there fails with its name.
            logger.info("batch %s is not for Spark alone, so it goes in chunks: %s", id, error)
        run.discard()
        with self._lock:
            if done is None and self._on_spark.get(id) is run:  # it was not stopped
                del self._on_spark[id]
                self._start_process(run.spec, on_event)
        run.ended.set()
        if done is not None:
            on_event(BatchEvent(id, "completed", dict(done)))

    def _start_process(self, spec: BatchSpec, on_event: Callable[[BatchEvent], None]) -> None:
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
            process, run = self._jobs.pop(job_id, None), self._on_spark.pop(job_id, None)
        if run is not None:
            run.cancel()
        if process is not None:
            _end(process)

    def sweep(self, job_id: str, places: Sequence[dict[str, Any]]) -> None:
        """See :class:`BatchRunner`."""
        for place in places:
            # The storage may be the very reason for which the job has failed.
            with contextlib.suppress(Exception):
                if place["kind"] == "s3" and place["format"] != "delta":
                    Objects(place["connection"]).abort(place)
                elif place["kind"] == "file":
                    LocalFiles(job_id).abort(place)

    def close(self) -> None:
        """End all jobs."""
        with self._lock:
            jobs, self._jobs = list(self._jobs.values()), {}
            self._on_spark.clear()  # Spark itself is ended by the runner
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
