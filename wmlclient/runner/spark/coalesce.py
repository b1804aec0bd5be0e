"""Puts transforms that meet into one Spark job, and takes the answer apart again.

A Spark job costs tens of milliseconds whatever it holds, so requests that wait while a job runs go together into
the next one. Each request gets exactly its own rows, in order; where a job of several fails, each of its requests
is run alone, so that only the guilty one fails.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from attrs import define, field

from wmlclient.runner.engine.ports import SparkUnavailable, TransformFailed, TransformResult

MAX_ROWS = 20_000
Run = Callable[[Any, list[list[Any]]], TransformResult]


@define(eq=False)
class _Request:
    values: list[list[Any]]
    future: Future[TransformResult] = field(factory=Future)


@define(eq=False)
class _Queue:
    waiting: deque[_Request] = field(factory=deque)
    running: bool = False


class Coalescer:
    """Runs requests, those of one key together.

    Args:
        run: Does one job: ``run(key, rows)``; as many rows out as in, in order.
        jobs: How many jobs of different keys run at once.
        max_rows: A job is closed when it has this many rows; a bigger request makes a job of its own.
    """

    def __init__(self, run: Run, jobs: int = 2, max_rows: int = MAX_ROWS) -> None:
        self._run = run
        self._max_rows = max_rows
        self._lock = threading.Lock()
        self._queues: dict[Hashable, _Queue] = {}
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="spark-transform")
        self._closed = False

    def submit(self, key: Hashable, values: list[list[Any]]) -> Future[TransformResult]:
        """Queue one request."""
        request = _Request(values)
        with self._lock:
            if self._closed:
                request.future.set_exception(SparkUnavailable("spark_closed", "Spark was closed."))
                return request.future
            queue = self._queues.setdefault(key, _Queue())
            queue.waiting.append(request)
            if not queue.running:
                queue.running = True
                self._pool.submit(self._drain, key)
        return request.future

    def close(self) -> None:
        """Take no more; what waits fails, what runs ends by itself."""
        with self._lock:
            self._closed = True
            left = [request for queue in self._queues.values() for request in queue.waiting]
            for queue in self._queues.values():
                queue.waiting.clear()
        for request in left:
            if request.future.set_running_or_notify_cancel():
                request.future.set_exception(SparkUnavailable("spark_closed", "Spark was closed."))
        self._pool.shutdown(wait=False)

    def _drain(self, key: Hashable) -> None:
        with self._lock:
            batch = self._take(self._queues[key])
        try:
            if batch:
                self._run_batch(key, batch)
        finally:
            with self._lock:
                queue = self._queues[key]
                if queue.waiting and not self._closed:
                    # To the end of the line, so that one busy model does not keep the others waiting.
                    self._pool.submit(self._drain, key)
                else:
                    queue.running = False
                    if not queue.waiting:
                        del self._queues[key]

    def _take(self, queue: _Queue) -> list[_Request]:
        batch: list[_Request] = []
        rows = 0
        while queue.waiting:
            size = len(queue.waiting[0].values)
            if batch and rows + size > self._max_rows:
                break
            request = queue.waiting.popleft()
            if request.future.set_running_or_notify_cancel():
                batch.append(request)
                rows += size
        return batch

    def _run_batch(self, key: Hashable, batch: list[_Request]) -> None:
        try:
            merged = [row for request in batch for row in request.values]
            result = self._run(key, merged)
            if len(result.values) != len(merged):
                raise TransformFailed(f"Spark answered {len(result.values)} rows for {len(merged)}.")
        except TransformFailed as error:
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            for request in batch:
                self._run_batch(key, [request])
        except BaseException as error:
            for request in batch:
                request.future.set_exception(error)
        else:
            start = 0
            for request in batch:
                end = start + len(request.values)
                part = TransformResult(list(result.fields), result.values[start:end], dict(result.dtypes))
                request.future.set_result(part)
                start = end
