"""Requests that meet share a job, and each gets its own rows."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from typing import Any

import pytest

from wmlclient.runner.engine.ports import SparkUnavailable, TransformFailed, TransformResult
from wmlclient.runner.spark.coalesce import Coalescer


class Job:
    """Plays Spark: answers each row with itself, notes the sizes of jobs, and can be held."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.keys: list[Any] = []
        self.started, self.go = threading.Event(), threading.Event()
        self.go.set()

    def __call__(self, key: Any, values: list[list[Any]]) -> TransformResult:
        self.sizes.append(len(values))
        self.keys.append(key)
        self.started.set()
        assert self.go.wait(20)
        if any(row == ["bad"] for row in values):
            raise TransformFailed("a bad row")
        if any(row == ["death"] for row in values):
            raise SparkUnavailable("spark_driver_died", "gone", retriable=True)
        return TransformResult(["a", "b"], [[row[0], key] for row in values], {"a": "int", "b": "string"})


@pytest.fixture
def job() -> Job:
    return Job()


@pytest.fixture
def coalescer(job: Job) -> Any:
    made = Coalescer(job)
    yield made
    job.go.set()
    made.close()


def hold(job: Job, coalescer: Coalescer, key: str = "m") -> Future[TransformResult]:
    job.go.clear()
    first = coalescer.submit(key, [[-1]])
    assert job.started.wait(20)
    return first


def test_what_waits_goes_into_one_job(job: Job, coalescer: Coalescer) -> None:
    first = hold(job, coalescer)
    futures = [coalescer.submit("m", [[i], [i + 1000]]) for i in range(50)]
    job.go.set()
    assert not wait([first, *futures], 20).not_done
    assert job.sizes == [1, 100]
    for i, future in enumerate(futures):
        assert future.result().values == [[i, "m"], [i + 1000, "m"]]


def test_only_the_guilty_request_fails(job: Job, coalescer: Coalescer) -> None:
    hold(job, coalescer)
    good = [coalescer.submit("m", [[i]]) for i in range(3)]
    bad = coalescer.submit("m", [[7], ["bad"]])
    later = coalescer.submit("m", [[9]])
    job.go.set()
    with pytest.raises(TransformFailed, match="a bad row"):
        bad.result(20)
    assert [future.result(20).values for future in [*good, later]] == [
        [[0, "m"]],
        [[1, "m"]],
        [[2, "m"]],
        [[9, "m"]],
    ]
    assert job.sizes == [1, 6, 1, 1, 1, 2, 1]


def test_a_dead_driver_fails_all_of_its_job_and_is_not_asked_again(job: Job, coalescer: Coalescer) -> None:
    hold(job, coalescer)
    futures = [coalescer.submit("m", [["death"]]), coalescer.submit("m", [[1]])]
    job.go.set()
    for future in futures:
        with pytest.raises(SparkUnavailable, match="gone"):
            future.result(20)
    assert job.sizes == [1, 2]
    assert coalescer.submit("m", [[5]]).result(20).values == [[5, "m"]]


def test_models_do_not_mix(job: Job, coalescer: Coalescer) -> None:
    hold(job, coalescer, "m")
    futures = {key: coalescer.submit(key, [[1]]) for key in ("m", "n")}
    job.go.set()
    assert {key: future.result(20).values for key, future in futures.items()} == {
        "m": [[1, "m"]],
        "n": [[1, "n"]],
    }


def test_a_job_is_not_bigger_than_allowed_unless_one_request_is(job: Job) -> None:
    coalescer = Coalescer(job, max_rows=10)
    hold(job, coalescer)
    sizes = [4, 4, 4, 30, 1]
    futures = [coalescer.submit("m", [[0]] * size) for size in sizes]
    job.go.set()
    assert [len(future.result(20).values) for future in futures] == sizes
    assert job.sizes == [1, 8, 4, 30, 1]
    coalescer.close()


def test_no_rows(coalescer: Coalescer) -> None:
    assert coalescer.submit("m", []).result(20).values == []


def test_a_cancelled_request_is_left_out(job: Job, coalescer: Coalescer) -> None:
    hold(job, coalescer)
    cancelled, kept = coalescer.submit("m", [["bad"]]), coalescer.submit("m", [[2]])
    assert cancelled.cancel()
    job.go.set()
    assert kept.result(20).values == [[2, "m"]]


def test_a_wrong_count_of_rows_is_never_passed_on() -> None:
    coalescer = Coalescer(lambda key, values: TransformResult(["a"], values[1:], {"a": "int"}))
    with pytest.raises(TransformFailed, match="0 rows for 1"):
        coalescer.submit("m", [[1]]).result(20)
    coalescer.close()


def test_closing_fails_what_waits(job: Job, coalescer: Coalescer) -> None:
    hold(job, coalescer)
    waiting = coalescer.submit("m", [[1]])
    coalescer.close()
    with pytest.raises(SparkUnavailable, match="closed"):
        waiting.result(20)
    with pytest.raises(SparkUnavailable, match="closed"):
        coalescer.submit("m", [[1]]).result(20)
