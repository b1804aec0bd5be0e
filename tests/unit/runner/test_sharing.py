"""Who gives way on a busy processor: what the system is told of processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from runner_fakes import eventually

from wmlclient.runner.kernels import sharing

_SHARED = Path("/proc/sys/kernel/sched_autogroup_enabled")

pytestmark = pytest.mark.skipif(
    not _SHARED.exists() or _SHARED.read_text().strip() != "1",
    reason="this system shares its time among processes, not among groups of them",
)


@pytest.fixture
def looping() -> Iterator[int]:
    """A process that calculates, in a group of its own."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
    yield process.pid
    process.kill()
    process.wait()


def group(pid: int) -> int:
    return int(Path(f"/proc/{pid}/autogroup").read_text().rpartition("nice ")[2])


def test_who_calculates_for_long_gives_way_and_so_does_its_group_for_a_while(
    looping: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    shared = sharing.Sharing(False, set(), lambda: now[0])
    shared.look([looping])
    assert (group(looping), psutil.Process(looping).nice()) == (0, 0)
    eventually(lambda: shared.look([looping]) or group(looping) == sharing.NICE)
    assert psutil.Process(looping).nice() == sharing.NICE
    monkeypatch.setattr(sharing, "LONG_SECONDS", 1000.0)
    shared.look([looping])
    assert group(looping) == sharing.NICE
    now[0] = sharing.HELD_SECONDS + 1
    shared.look([looping])
    eventually(lambda: group(looping) == 0)


def test_what_requests_are_copied_from_may_work_for_long(looping: int) -> None:
    shared = sharing.Sharing(False, {looping})
    eventually(lambda: psutil.Process(looping).cpu_times().user > sharing.LONG_SECONDS)
    shared.look([looping])
    assert (group(looping), psutil.Process(looping).nice()) == (0, 0)


def test_a_session_gives_way_from_the_start(looping: int) -> None:
    eventually(lambda: sharing.Sharing(True, set()).look([looping]) or group(looping) == sharing.NICE)
