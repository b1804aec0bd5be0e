"""Children end with their parent, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from wmlclient.runner.processes import (
    ProcessFailed,
    Supervised,
    alive,
    command_line,
    end_leftover,
    remember_pid,
    tail,
    wait_gone,
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(120)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(120)",
]


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_stop_ends_it_and_keeps_its_log(tmp_path: Path) -> None:
    child = Supervised(SLEEP, log=tmp_path / "log")
    eventually(lambda: "up" in child.tail())
    assert child.poll() is None
    assert alive(child.pid)
    child.stop()
    child.stop()
    assert not alive(child.pid)


def test_the_exit_code_is_the_childs(tmp_path: Path) -> None:
    child = Supervised([sys.executable, "-c", "print('bye'); raise SystemExit(7)"], log=tmp_path / "log")
    eventually(lambda: child.poll() is not None)
    assert child.poll() == 7
    assert child.tail() == "bye"


def test_one_that_ignores_term_is_killed(tmp_path: Path) -> None:
    child = Supervised(STUBBORN, log=tmp_path / "log", grace=0.3)
    eventually(lambda: "up" in child.tail())
    assert child.stop() == 128 + signal.SIGKILL
    assert not alive(child.pid)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailed, match="no-such-program"):
        Supervised([str(tmp_path / "no-such-program")], log=tmp_path / "log")


PARENT = """
import sys, time
from pathlib import Path
from wmlclient.runner.processes import Supervised
child = Supervised([sys.executable, "-c", "import time; time.sleep(120)"], log=Path(sys.argv[1]))
print(child.pid, child.supervisor_pid, flush=True)
time.sleep(120)
"""


@pytest.mark.parametrize("victim", ["parent", "supervisor"])
def test_kill_9_leaves_nothing(tmp_path: Path, victim: str, root: Path) -> None:
    if victim == "supervisor" and sys.platform != "linux":
        pytest.skip("needs PR_SET_PDEATHSIG")
    argv = [sys.executable, "-c", textwrap.dedent(PARENT), str(tmp_path / "log")]
    env = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) as parent:
        assert parent.stdout is not None
        child, supervisor = (int(part) for part in parent.stdout.readline().split())
        assert alive(child)
        os.kill(parent.pid if victim == "parent" else supervisor, signal.SIGKILL)
        assert wait_gone(child, 30)
        parent.kill()
    assert wait_gone(supervisor, 30)


def test_a_leftover_is_ended_only_if_it_is_ours(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with subprocess.Popen([*SLEEP, "my-mark"], stdout=subprocess.DEVNULL) as process:
        eventually(lambda: "my-mark" in command_line(process.pid))
        remember_pid(note, process.pid)
        end_leftover(note, "another-mark")
        assert process.poll() is None
        assert not note.exists()
        remember_pid(note, process.pid)
        end_leftover(note, "my-mark")
        assert process.wait(20) == -signal.SIGKILL
    end_leftover(note, "my-mark")


def test_a_note_that_cannot_be_read_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("nonsense")
    end_leftover(tmp_path / "pid", "x")


def test_tail_of_nothing(tmp_path: Path) -> None:
    assert tail(tmp_path / "none") == ""
