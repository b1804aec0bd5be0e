"""A stream whose query fails: which query comes next, and when the stream has failed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from wmlclient.runner.engine.ports import KafkaEndpoint, StreamSpec
from wmlclient.runner.spark.progress import Counts
from wmlclient.runner.spark.streaming import SparkStream, Version

END = KafkaEndpoint(("b:1",), "in")


class Query:
    """Ends as it is told to: with an error, or by itself."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def id(self) -> str:
        return "1"

    def status(self) -> Query:
        return self

    def message(self) -> str:
        return "Processing new data"

    def awaitTermination(self, milliseconds: int) -> bool:
        # The first look is a short one.
        if milliseconds > 50 and self.error is not None:
            raise self.error
        return milliseconds > 50


class Fakes:
    """What a stream asks for queries, and what hears of it."""

    counts = Counts()
    error = None

    def __init__(self, *single: Exception | None) -> None:
        self.single = list(single)
        self.begun: list[str] = []

    def in_one_pass(self, plan: Any, realtime: bool) -> Query:
        self.begun.append("realtime" if realtime else "single")
        return Query(self.single.pop(0))

    def by_batches(self, writer: Any, once: bool = False) -> Query:
        self.begun.append("batches once" if once else "batches")
        return Query()

    def commit(self, offsets: Any) -> None:
        pass

    def forget(self, name: str) -> None:
        pass


def run(
    fakes: Any,
    folder: Path,
    latency: str = "default",
    before: Callable[[SparkStream], None] = lambda stream: None,
) -> list[tuple[str, dict[str, Any]]]:
    pinned = folder / "sources" / "0" / "0"
    pinned.parent.mkdir(parents=True)
    pinned.touch()
    schema: dict[str, Any] = {"type": "struct", "fields": []}
    spec = StreamSpec("s", "m", schema, END, END, END, str(folder), 1, "sha256:x", latency=latency)
    told: list[tuple[str, dict[str, Any]]] = []
    session: Any = None
    models: Any = None
    stream = SparkStream(session, models, fakes, spec, lambda kind, details: told.append((kind, details)))
    stream._queries = stream._shadow = fakes
    stream._use(Version(spec, fakes, fakes))
    stream._begin()
    before(stream)
    stream._watch()
    return told


def test_batches_follow_a_query_that_a_record_has_made_fail(tmp_path: Path) -> None:
    fakes = Fakes(RuntimeError("Unseen label"))
    told = run(fakes, tmp_path)
    assert fakes.begun == ["single", "batches"]
    assert [kind for kind, _ in told] == ["running", "stopped"]


def test_in_real_time_they_are_taken_once_and_records_again_as_they_come(tmp_path: Path) -> None:
    fakes = Fakes(RuntimeError("Unseen label"), RuntimeError("another"), None)
    told = run(fakes, tmp_path, "realtime")
    assert fakes.begun == ["realtime", "batches once", "realtime", "batches once", "realtime"]
    assert [kind for kind, _ in told] == ["running", "stopped"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError("gone"), "spark_driver_died"),
        (RuntimeError("KAFKA_DATA_LOSS"), "data_lost"),
        (RuntimeError("[STREAMING_REAL_TIME_MODE.X] no"), "realtime_not_supported"),
        (
            RuntimeError("maxOffsetsPerTrigger is not compatible with real time mode"),
            "realtime_not_supported",
        ),
    ],
)
def test_what_is_no_records_fault_fails_the_stream(tmp_path: Path, error: Exception, code: str) -> None:
    fakes = Fakes(error)
    told = run(fakes, tmp_path)
    assert fakes.begun == ["single"]
    assert told[-1][0] == "failed"
    assert told[-1][1]["code"] == code


@pytest.mark.parametrize("error", [None, RuntimeError("Unseen label")])
def test_another_version_follows_when_the_query_ends(tmp_path: Path, error: Exception | None) -> None:
    fakes, later = Fakes(error), Fakes(None)
    passes: list[Any] = []
    fakes.in_one_pass = lambda plan, realtime: passes.append(plan) or Query(error if plan is fakes else None)  # type: ignore[method-assign]

    def update(stream: SparkStream) -> None:
        spec = evolve(stream.spec, model_digest="sha256:y")
        stream._next = Version(spec, later, later)  # type: ignore[arg-type]
        stream._tell = lambda kind, details: told.append((kind, stream.spec.model_digest))

    told: list[tuple[str, str]] = []
    run(fakes, tmp_path, before=update)
    # A failure is looked into with the version that failed.
    assert passes == [fakes, later]
    assert fakes.begun == (["batches"] if error else [])
    assert told == [("running", "sha256:x"), ("stopped", "sha256:y")]
