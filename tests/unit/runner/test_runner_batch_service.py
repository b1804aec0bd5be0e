"""Batch deployments in the engine, with a runner of jobs that does as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import saved_models
from runner_fakes import FakeSpark, FakeTopics, eventually

from wmlclient import wire
from wmlclient.runner.batch.storage import LocalFiles
from wmlclient.runner.engine.errors import Forbidden, Invalid
from wmlclient.runner.engine.places import Folders
from wmlclient.runner.engine.ports import BatchEvent, BatchSpec, SparkUnavailable
from wmlclient.runner.engine.service import Engine

COUNTS = {"rows_read": 3, "rows_written": 2, "rows_bad": 1}


class FakeJobs:
    """Jobs that run until a test ends them."""

    def __init__(self) -> None:
        self.specs: dict[str, BatchSpec] = {}
        self.started: list[BatchSpec] = []
        self.stopped: list[str] = []
        self.listeners: dict[str, Callable[[BatchEvent], None]] = {}

    def start(self, spec: BatchSpec, on_event: Callable[[BatchEvent], None]) -> None:
        self.started.append(spec)
        self.specs[spec.job_id] = spec
        self.listeners[spec.job_id] = on_event
        path = Path(spec.target["path"])
        path.with_name(f".{path.name}.{spec.job_id}.part").write_text("half", "utf-8")

    def stop(self, job_id: str) -> None:
        self.stopped.append(job_id)
        self.specs.pop(job_id, None)

    def sweep(self, job_id: str, places: Sequence[dict[str, Any]]) -> None:
        for place in places:
            LocalFiles(job_id).abort(place)

    def close(self) -> None:
        self.specs.clear()

    def tell(self, job_id: str, kind: str, **details: Any) -> None:
        self.listeners[job_id](BatchEvent(job_id, kind, details))


class Room:
    """An engine with such jobs, and a folder for their files."""

    def __init__(self, top: Path) -> None:
        self.home, self.data = top / "home", top / "data"
        self.home.mkdir()
        self.data.mkdir()
        self.start()

    def start(self) -> None:
        self.jobs, self.spark = FakeJobs(), FakeSpark()
        self.engine = Engine(
            self.home, self.spark, FakeTopics(), batches=self.jobs, folders=Folders((self.data,), self.home)
        )
        self.engine.start()

    def restart(self) -> None:
        self.engine.close()
        self.start()

    def publish(self, content: bytes) -> str:
        model, version = self.engine.models.create(saved_models.request())
        pending = self.engine.contents.receive()
        pending.write(content)
        self.engine.models.upload(model.id, version.id, pending)
        return model.id

    def deploy(self, model_id: str, header: str | None = None, target: str = "out.csv") -> str:
        body = {
            "name": "b",
            "type": "batch",
            "input": {"source": {"type": "file", "filename": str(self.data / "in.csv")}},
            "output": {"target": {"type": "file", "filename": str(self.data / target)}},
        }
        made = self.engine.deployments.create(model_id, body, header)
        assert (made.kind, made.status) == ("batch", "INITIALIZING")
        return made.id

    def running(self, content: bytes) -> str:
        id = self.deploy(self.publish(content))
        eventually(lambda: id in self.jobs.specs)
        return id

    def get(self, id: str) -> Any:
        return self.engine.deployments.get(id)

    def parts(self) -> list[str]:
        return [path.name for path in self.data.iterdir()]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path)
    yield room
    room.engine.close()


def status(value: str) -> list[dict[str, str]]:
    return [{"op": "replace", "path": "/status", "value": value}]


def test_a_job_from_its_start_to_its_end(room: Room, content: bytes) -> None:
    id = room.running(content)
    spec = room.jobs.specs[id]
    assert (spec.engine, spec.spark_master, spec.source["format"]) == ("native", None, "csv")
    assert (room.get(id).status, room.get(id).engine) == ("RUNNING", "native")
    room.jobs.tell(id, "progress", **COUNTS, rows_total=9)
    assert room.get(id).progress == {**COUNTS, "rows_total": 9}
    room.jobs.tell(id, "completed", **COUNTS)
    assert (room.get(id).status, room.get(id).progress) == ("COMPLETED", {**COUNTS, "rows_total": 3})
    room.engine.deployments.change(id, None, status("STOPPED"))
    assert room.get(id).status == "COMPLETED"
    room.engine.deployments.delete(id)
    assert room.engine.store.deployments.all() == []


def test_a_spark_service_that_the_request_names_scores(room: Room, content: bytes) -> None:
    service = {"credentials": {"cluster_master_url": "spark://host:7077"}, "version": "2.0"}
    id = room.deploy(room.publish(content), wire.encode_spark_service(service))
    eventually(lambda: id in room.jobs.specs)
    assert (room.jobs.specs[id].engine, room.jobs.specs[id].spark_master) == ("spark", "spark://host:7077")


def test_a_failure_is_kept_and_the_job_can_be_run_again(room: Room, content: bytes) -> None:
    id = room.running(content)
    room.jobs.tell(id, "failed", code="storage_full", message="The disk is full.")
    failed = room.get(id)
    assert (failed.status, failed.failure) == (
        "FAILED",
        [{"code": "storage_full", "message": "The disk is full."}],
    )
    assert room.parts() == []
    room.engine.deployments.change(id, None, status("RUNNING"))
    eventually(lambda: len(room.jobs.started) == 2)
    assert (room.get(id).status, room.get(id).failure) == ("RUNNING", None)


def test_a_cancelled_job_leaves_nothing_and_is_not_listened_to(room: Room, content: bytes) -> None:
    id = room.running(content)
    assert len(room.parts()) == 1
    room.engine.deployments.change(id, None, status("STOPPED"))
    assert (room.get(id).status, room.jobs.stopped, room.parts()) == ("CANCELED", [id], [])
    room.jobs.tell(id, "completed", **COUNTS)
    assert room.get(id).status == "CANCELED"


def test_what_ran_runs_again_after_a_restart_and_nothing_else(room: Room, content: bytes) -> None:
    model_id = room.publish(content)
    runs, done, stopped = (room.deploy(model_id, target=f"{name}.csv") for name in ("a", "b", "c"))
    eventually(lambda: len(room.jobs.specs) == 3)
    room.jobs.tell(done, "completed", **COUNTS)
    room.engine.deployments.change(stopped, None, status("STOPPED"))
    room.restart()
    eventually(lambda: room.jobs.specs)
    assert set(room.jobs.specs) == {runs}
    assert [room.get(id).status for id in (done, stopped)] == ["COMPLETED", "CANCELED"]


def test_a_model_that_cannot_be_checked_fails_the_job(room: Room, content: bytes) -> None:
    room.spark.down = SparkUnavailable("java_not_found", "No Java was found.")
    id = room.deploy(room.publish(content))
    eventually(lambda: room.get(id).status == "FAILED")
    assert room.get(id).failure[0]["code"] == "model_not_checked"
    assert room.jobs.started == []


def test_what_is_refused_is_not_kept(room: Room, content: bytes) -> None:
    model_id = room.publish(content)
    with pytest.raises(Forbidden, match="no folder that this service may use"):
        room.deploy(model_id, target="../home/runner.csv")
    with pytest.raises(Invalid, match="cannot be read"):
        room.deploy(model_id, header="no base64")
    assert room.engine.store.deployments.all() == []
