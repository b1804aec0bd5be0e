"""What code can write, and how long it may calculate: where the system has Landlock, and for each execution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from contract_service import Service
from ml_service import MlUser, first_user
from waiting import eventually

from wmlclient.runner.engine.kernels import Limits
from wmlclient.runner.kernels.sharing import NICE


@pytest.fixture(scope="module")
def user(serve: Callable[..., Service]) -> MlUser:
    return first_user(serve(session_limits=Limits(cpu_seconds=1)))


@pytest.fixture
def own(user: MlUser) -> Iterator[str]:
    id = user.start()
    yield id
    user.operation("closeSessionByForce", id)


@pytest.fixture(scope="module")
def fenced(user: MlUser) -> Iterator[str]:
    id = user.start()
    if not user.kernel(id).fenced:
        pytest.skip("this system has no Landlock that refuses to truncate")
    yield id
    user.operation("closeSessionByForce", id)


BURN = """
import time
def burn(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until: pass
"""


ESCAPE = """
import os, time
if os.fork() == 0:
    os.setsid()
    try:
        open('/proc/self/autogroup', 'w').write('0')
    finally:
        time.sleep(600)
"""


def test_a_session_gives_way_to_requests_and_cannot_change_that(user: MlUser, own: str) -> None:
    assert user.value(own, "__import__('os').nice(0)") == NICE
    shared = Path("/proc/sys/kernel/sched_autogroup_enabled")
    if not shared.exists() or shared.read_text().strip() != "1":
        pytest.skip("this system shares its time among processes, not among groups of them")
    user.run(own, ESCAPE)
    below = user.processes(own)[1:]
    assert len(below) > 1
    groups = [Path(f"/proc/{pid}/autogroup") for pid in below]
    eventually(lambda: all(group.read_text().endswith(f" nice {NICE}\n") for group in groups))


def test_each_execution_has_the_whole_of_its_time(user: MlUser, own: str) -> None:
    user.run(own, BURN)
    for _ in range(2):
        assert user.run(own, "burn(0.6)")["success"]
    done = user.run(own, "while True: pass")
    assert done["errorMessage"] == "The session has ended: it used more than 1 s of CPU."


def test_all_processes_of_an_execution_count_together(user: MlUser, own: str) -> None:
    user.run(own, BURN)
    code = "import os\nfor _ in range(3):\n    if os.fork() == 0:\n        burn(600)\nos.wait()"
    assert user.run(own, code)["errorMessage"] == "The session has ended: it used more than 1 s of CPU."


def test_time_of_processes_that_have_ended_counts(user: MlUser, own: str) -> None:
    user.run(own, BURN)
    code = "import os\nwhile True:\n    if os.fork() == 0:\n        burn(0.2)\n        os._exit(0)\n    os.wait()"
    assert user.run(own, code)["errorMessage"] == "The session has ended: it used more than 1 s of CPU."


REFUSED = ("PermissionError: [Errno 13]", "CalledProcessError", "OSError: [Errno 18]")
OUTSIDE = [
    "open(f'{there}/new', 'w')",
    "open(f'{there}/old', 'r+')",
    "open(f'{there}/old', 'a')",
    "os.truncate(f'{there}/old', 0)",
    "os.unlink(f'{there}/old')",
    "os.mkdir(f'{there}/folder')",
    "os.symlink('x', f'{there}/link')",
    "os.mkfifo(f'{there}/pipe')",
    "os.rename('mine', f'{there}/mine')",
    "os.link('mine', f'{there}/mine')",
    "os.rename(f'{there}/old', 'taken')",
    "subprocess.run(['sh', '-c', f'echo x > {there}/new'], check=True, capture_output=True)",
    "open('/tmp/wmlclient-of-a-test', 'w')",
]


def test_nothing_is_written_elsewhere(user: MlUser, fenced: str, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    user.run(fenced, "import os, subprocess\nopen('mine', 'w').close()")
    for code in OUTSIDE:
        done = user.run(fenced, code, there=str(tmp_path))
        assert done["errorMessage"].startswith(REFUSED), (code, done)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_text() == "old"
    # What can be read elsewhere can be read all the same.
    assert user.value(fenced, "open(path).read()", path=str(tmp_path / "old")) == "old"


INSIDE = """
import os, shutil, subprocess, tempfile, multiprocessing
from multiprocessing import shared_memory
with tempfile.TemporaryDirectory() as folder:
    open(os.path.join(folder, 'a'), 'w').write('x')
    shutil.move(os.path.join(folder, 'a'), 'moved')
os.makedirs('deep/er')
os.rename('moved', 'deep/er/moved')
os.truncate('deep/er/moved', 0)
open(os.path.expanduser('~/.kept'), 'w').close()
open('/dev/null', 'w').write('x')
subprocess.run('echo x > /dev/null', shell=True, check=True)
lock = multiprocessing.Lock()
memory = shared_memory.SharedMemory(create=True, size=1 << 20)
memory.buf[:] = bytes(1 << 20)
memory.close(); memory.unlink()
found = sorted(os.listdir('deep/er'))
"""


def test_what_is_its_own_is_as_it_was(user: MlUser, fenced: str) -> None:
    done = user.run(fenced, INSIDE, ["found"])
    assert done["success"], done
    assert done["outputParameters"][0]["value"] == ["moved"]


def test_shared_memory_is_its_own_and_small(user: MlUser, fenced: str) -> None:
    if not user.kernel(fenced).apart:
        pytest.skip("this system gives no namespaces to a session")
    user.run(fenced, "import os")
    assert user.value(fenced, "os.listdir('/dev/shm')") == []
    done = user.run(fenced, "with open('/dev/shm/much', 'wb') as file: file.write(bytes(65 << 20))")
    assert done["errorMessage"].startswith("OSError: [Errno 28] No space left on device")


def test_web_services_are_held_alike(user: MlUser, fenced: str, tmp_path: Path) -> None:
    request: dict[str, Any] = {
        "code": "open('mine', 'w').close()\nopen(path, 'w')",
        "runtimeType": "Python",
        "inputParameterDefinitions": [{"name": "path", "type": "character"}],
    }
    assert user.operation("publishWebServiceVersion", "writes", "1", json=request).status == 201
    found = user.session.post(
        f"{user.service.url}/api/writes/1",
        json={"path": str(tmp_path / "new")},
        headers=user.headers,
        timeout=60,
    ).json()
    assert found["errorMessage"].startswith("PermissionError: [Errno 13]")
    assert found["changedFiles"] == ["mine"]
    assert list(tmp_path.iterdir()) == []
    user.operation("deleteWebServiceVersion", "writes", "1")
