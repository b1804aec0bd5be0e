"""Sessions and snapshots with kernels that are no processes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import define
from kernel_fakes import FakeKernels
from runner_fakes import Clock

from wmlclient.runner.engine import workfiles
from wmlclient.runner.engine.errors import Conflict, Gone, Invalid, NotFound, NotReady
from wmlclient.runner.engine.kernels import KernelEnded, NoKernels
from wmlclient.runner.engine.sessions import Session, SessionService, Settings
from wmlclient.runner.engine.snapshots import SnapshotService
from wmlclient.runner.store import ArchiveStore, Store


@define
class Room:
    home: Path
    store: Store
    kernels: FakeKernels
    clock: Clock
    sessions: SessionService
    snapshots: SnapshotService

    def start(self, owner: str = "anna") -> Session:
        return self.sessions.create(owner, None, "Python").result(20)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    store, kernels, clock = Store(tmp_path / "runner.db"), FakeKernels(), Clock()
    sessions = SessionService(kernels, tmp_path / "sessions", Settings(idle=60, most=2), clock)
    snapshots = SnapshotService(store, ArchiveStore(tmp_path, "snapshots", ".zip"), sessions, clock)
    yield Room(tmp_path, store, kernels, clock, sessions, snapshots)
    sessions.close()
    store.close()


def test_a_session_is_its_owners(room: Room) -> None:
    session = room.start()
    assert room.sessions.list("anna") == [session]
    assert room.sessions.list("otto") == []
    assert room.sessions.get("anna", session.id) is session
    with pytest.raises(NotFound):
        room.sessions.get("otto", session.id)


def test_execution(room: Room) -> None:
    session = room.start()
    done = room.sessions.execute(session, "write a.txt", [("x", 1)], ["x"]).result(20)
    assert (done.error, done.outputs, done.console, done.changed) == (None, [("x", 1)], "printed", ["a.txt"])
    refused = room.sessions.execute(session, "refuse why", [], []).result(20)
    assert (refused.error, refused.console) == ("why", "so far")
    assert list(session.history) == ["write a.txt", "refuse why"]


def test_a_session_that_dies_says_why_and_is_gone(room: Room) -> None:
    session = room.start()
    done = room.sessions.execute(session, "die it ate too much", [], []).result(20)
    assert done.error == "The session has ended: it ate too much."
    for _ in range(2):
        with pytest.raises(Gone, match="it ate too much"):
            room.sessions.get("anna", session.id)
    with pytest.raises(NotFound):
        room.sessions.get("otto", session.id)
    assert room.sessions.list("anna") == []
    assert not session.folder.exists()
    room.start()
    room.start()


def test_idle_sessions_are_closed_and_busy_ones_are_not(room: Room) -> None:
    idle, busy = room.start(), room.start()
    future = room.sessions.execute(busy, "wait", [], [])
    room.clock.forward(59)
    room.sessions.sweep()
    assert len(room.sessions.list("anna")) == 2
    room.clock.forward(1)
    room.sessions.sweep()
    assert room.sessions.list("anna") == [busy]
    with pytest.raises(Gone, match="idle for 60 s"):
        room.sessions.get("anna", idle.id)
    busy.kernel.interrupt()
    assert future.result(20).error is None
    room.sessions.sweep()
    assert room.sessions.list("anna") == [busy]


def test_a_call_begins_the_idle_time_again(room: Room) -> None:
    session = room.start()
    for _ in range(3):
        room.clock.forward(40)
        room.sessions.get("anna", session.id)
        room.sessions.sweep()
    assert room.sessions.list("anna") == [session]


def test_a_busy_session_is_closed_by_force_alone(room: Room) -> None:
    session = room.start()
    future = room.sessions.execute(session, "wait", [], [])
    with pytest.raises(Conflict, match="by force"):
        room.sessions.finish("anna", session.id, force=False)
    room.sessions.finish("anna", session.id, force=True)
    future.result(20)
    assert room.kernels.started[0].closed
    assert not session.folder.exists()
    with pytest.raises(NotFound):
        room.sessions.get("anna", session.id)


def test_no_more_than_so_many(room: Room) -> None:
    first = room.start()
    room.start("otto")
    with pytest.raises(NotReady, match="2 sessions already"):
        room.start()
    assert room.sessions.counts() == (2, 2)
    room.sessions.finish("anna", first.id, force=False)
    room.start()


def test_what_does_not_start_leaves_nothing(room: Room) -> None:
    with pytest.raises(Invalid, match="no R here"):
        room.sessions.create("anna", None, "R")
    room.kernels.fail = True
    with pytest.raises(Invalid, match="it does not start"):
        room.start()
    assert room.sessions.counts()[0] == 0
    assert [path.name for path in (room.home / "sessions").iterdir()] == ["passing"]


def test_failures_of_the_kernel_have_their_kind(room: Room, tmp_path: Path) -> None:
    session = room.start()
    with pytest.raises(NotFound, match="no object 'x'"):
        room.sessions.submit(session, lambda: session.kernel.get("x", tmp_path / "x")).result(20)
    room.kernels.started[0].ended = "bang"

    def gone() -> None:
        raise KernelEnded("bang")

    with pytest.raises(Gone, match="bang"):
        room.sessions.submit(session, gone).result(20)


def test_closing_ends_all_and_a_new_start_finds_an_empty_room(room: Room) -> None:
    session = room.start()
    room.sessions.close()
    assert room.kernels.closed
    assert not session.folder.exists()
    (room.home / "sessions" / "left").mkdir()
    again = SessionService(room.kernels, room.home / "sessions")
    assert [path.name for path in (room.home / "sessions").iterdir()] == ["passing"]
    again.close()


def test_without_the_packages_it_says_what_to_do(tmp_path: Path) -> None:
    sessions = SessionService(NoKernels("Run: pip install"), tmp_path / "sessions")
    with pytest.raises(Invalid, match="pip install"):
        sessions.create("anna", None, "Python")
    sessions.close()


def test_a_snapshot_is_kept_and_loaded(room: Room) -> None:
    session = room.start()
    room.sessions.execute(session, "write a.txt", [("x", 1)], []).result(20)
    made = room.snapshots.create(session, "first").result(20)
    assert room.snapshots.list("anna") == [made]
    assert made.size == room.snapshots.path(made).stat().st_size
    room.sessions.finish("anna", session.id, force=False)

    other = room.start()
    room.snapshots.load(other, made).result(20)
    assert other.kernel.names() == ["x"]
    assert (other.work / "a.txt").read_text() == "write a.txt"


def test_snapshots_survive_a_restart_and_crashes_leave_nothing(room: Room) -> None:
    made = room.snapshots.create(room.start(), None).result(20)
    left = room.home / "snapshots" / "sha256" / "ab" / f"{'ab' * 32}.zip"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"no row names it")
    again = SnapshotService(room.store, ArchiveStore(room.home, "snapshots", ".zip"), room.sessions)
    again.sweep()
    assert not left.exists()
    assert again.path(again.get("anna", made.id)).exists()


def test_the_same_content_twice_is_removed_with_the_last(room: Room) -> None:
    session = room.start()
    one, two = (room.snapshots.create(session, None).result(20) for _ in range(2))
    for snapshot in (one, two):
        path = room.snapshots.path(snapshot)
        assert path.exists()
        room.snapshots.delete("anna", snapshot.id)
    assert not path.exists()
    with pytest.raises(NotFound):
        room.snapshots.get("anna", one.id)


def test_a_snapshot_is_its_creators_and_of_one_language(room: Room) -> None:
    made = room.snapshots.create(room.start(), None).result(20)
    for call in (room.snapshots.get, room.snapshots.delete):
        with pytest.raises(NotFound):
            call("otto", made.id)
    with pytest.raises(Invalid, match="of Python, and the session of R"):
        room.snapshots.check(made, "R")


def test_a_folder_that_is_gone_has_no_files(tmp_path: Path) -> None:
    assert workfiles.names(tmp_path / "gone") == []


@pytest.mark.parametrize("relative", ["../a", "a/../../b", "/etc/x", "a//b", "./a"])
def test_no_file_leaves_the_folder(tmp_path: Path, relative: str) -> None:
    with pytest.raises(Invalid):
        workfiles.place(tmp_path, relative)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0b", "x" * 256])
def test_what_is_no_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid):
        workfiles.put(tmp_path, name, io.BytesIO(b""))
    assert list(tmp_path.iterdir()) == []
