"""A web service at work in a stream, with threads for processes: what each record becomes, and when none can tell."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field

from wmlclient.runner import lines
from wmlclient.runner.engine import exchange
from wmlclient.runner.engine.kernels import KernelError
from wmlclient.runner.engine.ports import KafkaEndpoint, StreamSetupError, StreamSpec
from wmlclient.runner.engine.workers import Program, StreamProgram, Worker, WorkersEnded
from wmlclient.runner.kernels import nursery
from wmlclient.runner.streams import service as module
from wmlclient.runner.streams.model import OneByOne, RecordModel
from wmlclient.runner.streams.service import ServiceModel, open_service

PROGRAM = StreamProgram(
    "answer = x + y",
    None,
    [{"name": "x", "type": "numeric"}, {"name": "y", "type": "numeric"}],
    [{"name": "answer", "type": "numeric"}],
    None,
    2,
    5.0,
)


@define(eq=False)
class FakeWorker:
    connection: socket.socket

    def kill(self) -> None:
        pass

    def why(self) -> str:
        return "The request was ended: its process was killed by SIGKILL."

    def release(self, again: bool = False) -> None:
        self.connection.close()


@define(eq=False)
class FakeWorkers:
    """Runs each request on a thread; one that returns None takes all down."""

    work: Callable[[dict[str, Any]], Any]
    ended: str | None = None
    count: int = 2

    def lease(self) -> Worker | Future[Worker]:
        if self.ended is not None:
            raise WorkersEnded(self.ended)
        here, there = socket.socketpair()
        threading.Thread(target=self._run, args=(there,), daemon=True).start()
        return FakeWorker(here)

    def _run(self, connection: socket.socket) -> None:
        with connection:
            try:
                request = json.loads(nursery.received(connection))
            except (EOFError, OSError):
                return
            found = self.work(request)
            if found is None:
                self.ended = "it used more than 1 MiB of memory"
                return
            answer = exchange.failed(str(found), ()) if isinstance(found, Exception) else _result(found)
            connection.sendall(exchange.framed(json.dumps(answer).encode()))

    def resize(self, count: int) -> None:
        pass

    def retire(self) -> None:
        pass

    def close(self) -> None:
        pass


def _result(outputs: dict[str, Any]) -> dict[str, Any]:
    return {**exchange.failed("", ()), "success": True, "outputParameters": outputs}


@define(eq=False)
class FakeFactory:
    work: Callable[[dict[str, Any]], Any]
    started: list[Program] = field(factory=list)
    fails: bool = False
    closed: bool = False

    def start(self, program: Program, folder: Path, count: int, seconds: float) -> FakeWorkers:
        if self.fails:
            raise KernelError("it does not start")
        assert (folder / "work").is_dir()
        self.started.append(program)
        return FakeWorkers(self.work)

    def close(self) -> None:
        self.closed = True


def add(request: dict[str, Any]) -> Any:
    if request["x"] is None:
        return None
    return {"answer": request["x"] + request["y"]} if request["x"] >= 0 else ValueError("x is negative")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., ServiceModel]]:
    made: list[ServiceModel] = []

    def make(
        work: Any = add, scores: bool = False, program: StreamProgram = PROGRAM, **more: Any
    ) -> ServiceModel:
        made.append(ServiceModel(program, scores, FakeFactory(work, **more), tmp_path / "own"))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_outputs_go_into_the_record_and_the_rest_stays_as_it_was_written(make: Any) -> None:
    model = make()
    assert isinstance(model.most, int)
    values = [
        b'{"x":1,"y":2}',
        b' {"big":123456789012345678901234567890, "y":2.50,"x":1,"answer":"old","e":1E5}',
    ]
    found = model.run(values)
    assert found.verdicts == {}
    assert found.scored[0] == b'{"x":1,"y":2,"answer":3}'
    assert found.scored[1] == b'{"big":123456789012345678901234567890,"y":2.50,"x":1,"answer":3.5,"e":1E5}'


def test_outputs_alone(make: Any) -> None:
    assert make(scores=True).run([b'{"x":1,"y":2,"z":3}']).scored == {0: b'{"answer":3}'}


@pytest.mark.parametrize(
    ("value", "stage", "reason"),
    [
        (None, "decode", "null value"),
        (b"{", "decode", "malformed JSON"),
        (b"[1]", "decode", "not a JSON object"),
        (b'{"x":1,"x":2,"y":1}', "decode", "a field is there twice"),
        (b'{"x":1}', "schema", "missing field: y"),
        (b'{"x":1,"y":"2"}', "schema", "The input `y` is a string; expected: a number."),
        (b'{"x":-1,"y":2}', "score", "x is negative"),
    ],
)
def test_what_cannot_be_run_goes_aside_alone(make: Any, value: bytes | None, stage: str, reason: str) -> None:
    found = make().run([b'{"x":1,"y":2}', value, b'{"x":3,"y":4}'])
    assert sorted(found.scored) == [0, 2]
    assert (found.verdicts[1].stage, found.verdicts[1].reason) == (stage, reason)


def test_one_that_ends_all_processes_is_found_by_taking_them_singly(make: Any) -> None:
    model, values = make(), [b'{"x":1,"y":2}', b'{"x":null,"y":2}', b'{"x":3,"y":4}']
    with pytest.raises(OneByOne, match="more than 1 MiB"):
        model.run(values)
    found = [model.run([value]) for value in values]
    assert [sorted(each.scored) for each in found] == [[0], [], [0]]
    assert found[1].verdicts[0].stage == "score"
    assert found[1].verdicts[0].reason == "The request was ended: its process was killed by SIGKILL."
    assert len(model._factory.started) == 3


def test_processes_that_always_end_are_the_services_fault(make: Any) -> None:
    model = make(lambda request: None)
    for _ in range(module.MOST_ENDS - 1):
        assert model.run([b'{"x":1,"y":2}']).verdicts[0].stage == "score"
    with pytest.raises(StreamSetupError, match="end again and again") as caught:
        model.run([b'{"x":1,"y":2}'])
    assert caught.value.retriable


def test_records_that_take_too_long_together_are_taken_singly(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make()
    monkeypatch.setattr(module, "LONG_SECONDS", -1.0)
    with pytest.raises(OneByOne, match="too long together"):
        model.run([b'{"x":1,"y":2}'] * 3)
    with pytest.raises(StreamSetupError, match="No process of the service is ready"):
        model.run([b'{"x":1,"y":2}'])


def test_batches_grow_while_they_are_short_and_shrink_when_they_are_long(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make()
    assert model.most == 2
    for size in (2, 4, 8):
        assert model.most == size
        model.run([b'{"x":1,"y":2}'] * size)
    monkeypatch.setattr(module, "SHORT_SECONDS", -1.0)
    model.run([b'{"x":1,"y":2}'])
    assert model.most == 8


def test_processes_that_do_not_start(make: Any) -> None:
    with pytest.raises(StreamSetupError, match="cannot be started: it does not start") as caught:
        make(fails=True)
    assert caught.value.retriable


def test_a_snapshot_that_is_gone_is_no_end(make: Any, tmp_path: Path) -> None:
    with pytest.raises(StreamSetupError) as caught:
        make(program=evolve(PROGRAM, snapshot=str(tmp_path / "none.zip")))
    assert caught.value.retriable


END = KafkaEndpoint(("127.0.0.1:1",), "t")
SPEC = StreamSpec(
    "s", "", {"type": "struct", "fields": []}, END, END, END, "", 1, "sha256:feed", program=PROGRAM
)


def test_it_travels_to_a_worker_whole() -> None:
    assert lines.spec_from_json(json.loads(lines.encode(lines.spec_to_json(SPEC)))) == SPEC


def test_without_guarded_processes_there_is_no_such_stream() -> None:
    with pytest.raises(StreamSetupError, match="need more packages"):
        open_service(SPEC, None)


def test_it_is_what_the_loop_works_with(make: Any) -> None:
    model: RecordModel = make()
    model.close()
    assert model._factory.closed  # type: ignore[attr-defined]
