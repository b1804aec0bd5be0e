"""Worker processes kept alive: replaced when they die or stand still, given up when nothing moves. They are played."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from runner_fakes import eventually

from wmlclient.runner.engine.ports import (
    KafkaEndpoint,
    NativeStreamEngine,
    StreamEvent,
    StreamSetupError,
    StreamSpec,
)
from wmlclient.runner.streams import engine as module
from wmlclient.runner.streams.engine import NativeStreams

END = KafkaEndpoint(("127.0.0.1:1",), "t", "SASL_PLAINTEXT", "u", "s3cr3t")
SPEC = StreamSpec("s1", "/model", {"type": "struct", "fields": []}, END, END, END, "", 1, "sha256:feed")
TELL = """
import json, os, sys, time
task = json.loads(sys.stdin.readline())
def tell(kind, **details):
    print(json.dumps({"event": {"kind": kind, "details": details}}), flush=True)
def last():
    for line in sys.stdin:
        if json.loads(line).get("op") == "exit":
            tell("stopped"); sys.exit(0)
"""
WORKS = """
assert task["spec"]["source"]["password"] == "s3cr3t" and task["lasting"]
tell("running")
tell("progress", records_in=10, records_out=9, dead_letters=1, lag={task["name"]: 3}, last_batch_at=5,
     latency_ms={"p50": int(task["name"]) + 1, "p99": 9}, records_per_second=2.5, last_error=None,
     records_out_per_second=2.0, dead_letters_per_second=0.5)
last()
"""


class World:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.events: list[StreamEvent] = []
        self.streams: NativeStreams | None = None

    def start(self, program: str, workers: int = 1) -> NativeStreams:
        self.streams = NativeStreams(self.home, [sys.executable, "-S", "-c", TELL + program])
        self.streams.start_stream(evolve(SPEC, workers=workers), self.events.append)
        return self.streams

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [event.details for event in self.events if event.kind == kind]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    if made.streams is not None:
        made.streams.close()


def at_once(monkeypatch: pytest.MonkeyPatch, tries: int = 3) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.0,) * tries)


def test_what_the_workers_tell_is_put_together(world: World) -> None:
    streams = world.start(WORKS, workers=2)
    assert isinstance(streams, NativeStreamEngine)
    found = eventually(lambda: [told for told in world.told("progress") if len(told["lag"]) == 2])[0]
    assert len(world.told("running")) == 1
    assert (found["records_in"], found["records_out"], found["dead_letters"]) == (20, 18, 2)
    assert (found["lag"], found["records_per_second"]) == ({"0": 3, "1": 3}, 5.0)
    assert (found["records_out_per_second"], found["dead_letters_per_second"]) == (4.0, 1.0)
    assert found["latency_ms"] == {"p50": 2, "p99": 9}
    pids = streams.pids("s1")
    assert len(pids) == 2
    streams.stop_stream("s1")
    assert streams.pids("s1") == []
    streams.stop_stream("s1")
    assert world.told("failed") == []


def test_a_worker_that_dies_is_replaced_and_nothing_is_counted_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(monkeypatch)
    streams = world.start(WORKS)
    for deaths in range(1, 6):  # more than it has tries: between them, something moved
        eventually(lambda least=deaths: len(world.told("progress")) >= least)
        [pid] = eventually(lambda: streams.pids("s1"))
        os.kill(pid, signal.SIGKILL)
    found = eventually(lambda: [told for told in world.told("progress") if told["restarts"] == 5])[0]
    assert found["records_in"] == 60
    assert world.told("failed") == []


def test_a_worker_that_dies_again_and_again_fails_its_stream_by_name(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(monkeypatch)
    streams = world.start("sys.exit(7)")
    [failure] = eventually(lambda: world.told("failed"))
    assert (failure["code"], failure["retriable"]) == ("worker_died", True)
    assert "code 7" in failure["message"]
    assert str(world.home / "logs") in failure["message"]
    assert streams.pids("s1") == []
    # And may be started again.
    streams.start_stream(SPEC, world.events.append)


def test_a_named_end_of_one_worker_ends_the_stream(world: World) -> None:
    streams = world.start(
        'tell("failed", code="data_lost", message="Gone.", retriable=False) if task["name"] == "1" else last()',
        workers=2,
    )
    assert eventually(lambda: world.told("failed")) == [
        {"code": "data_lost", "message": "Gone.", "retriable": False}
    ]
    assert streams.pids("s1") == []


def test_a_worker_that_tells_nothing_is_replaced(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.05)
    at_once(monkeypatch, 1)
    world.start("time.sleep(600)")
    [failure] = eventually(lambda: world.told("failed"))
    assert failure["code"] == "worker_died"


def test_a_worker_ends_with_its_parent(tmp_path: Path) -> None:
    """The real one: at the end of its stdin it is gone, whatever it was doing."""
    import subprocess

    argv = [sys.executable, "-m", "wmlclient.runner.streams.worker"]
    worker = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert worker.stdin is not None
    worker.stdin.close()
    assert worker.wait(30) == 0
    assert worker.stdout is not None
    worker.stdout.close()


def test_nothing_is_started_while_the_service_ends(world: World, tmp_path: Path) -> None:
    streams = NativeStreams(tmp_path, ["false"])
    streams.close()
    with pytest.raises(StreamSetupError, match="ending"):
        streams.start_stream(SPEC, world.events.append)
