"""What a session may do, what it may not, and that nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from attrs import evolve
from contract_service import Service
from ml_service import MlUser, first_user
from process_service import credentials
from runner_fakes import eventually

from wmlclient.runner.engine.kernels import Limits
from wmlclient.runner.engine.sessions import Settings
from wmlclient.runner.kernels import guard
from wmlclient.runner.processes import alive

MIB = 1 << 20
LIMITS = Limits(
    cpu_seconds=5, memory=768 * MIB, processes=12, file_size=MIB, open_files=256, console=1000, disk=8 * MIB
)


@pytest.fixture(scope="module")
def user(serve: Callable[..., Service]) -> MlUser:
    return first_user(serve(session_limits=LIMITS))


@pytest.fixture
def own(user: MlUser) -> Iterator[str]:
    id = user.start()
    yield id
    user.operation("closeSessionByForce", id)


def gone(user: MlUser, id: str, done: Any, reason: str) -> None:
    """The execution says why the session died, and so do all calls after it."""
    text = f"The session has ended: {reason}."
    assert (done["success"], done["errorMessage"]) == (False, text)
    assert user.operation("listWorkspaceObjects", id).failure == (410, "SessionGoneException", text)
    assert user.operation("executeCode", id, json={"code": "1"}).failure == (
        410,
        "SessionGoneException",
        text,
    )
    assert id not in [each["id"] for each in user.operation("listSessions").body]


class TestLimits:
    def test_memory_of_one_process(self, user: MlUser, own: str) -> None:
        assert user.run(own, "much = bytearray(10 << 30)")["errorMessage"] == "MemoryError"
        assert user.value(own, "1") == 1

    def test_memory_of_all_processes(self, user: MlUser, own: str) -> None:
        code = (
            "import os, time\n"
            "for _ in range(4):\n"
            "    if os.fork() == 0:\n"
            "        much = bytearray(b'x') * (300 << 20)\n"
            "        time.sleep(600)\n"
            "time.sleep(600)"
        )
        gone(user, own, user.run(own, code), "it used more than 768 MiB of memory")

    def test_processes(self, user: MlUser, own: str) -> None:
        done = user.run(own, "import os\nwhile True:\n    os.fork()")
        gone(user, own, done, "it had more than 12 processes")

    def test_processor_time(self, user: MlUser, own: str) -> None:
        gone(user, own, user.run(own, "while True: pass"), "it used more than 5 s of CPU")

    def test_size_of_a_file(self, user: MlUser, own: str) -> None:
        done = user.run(own, "with open('big', 'wb') as file: file.write(bytes(2 << 20))")
        assert done["errorMessage"] == "OSError: [Errno 27] File too large"
        assert len(user.operation("getSessionFile", own, "big").body) == MIB

    def test_size_of_all_files(self, user: MlUser, own: str) -> None:
        code = (
            "import itertools, time\n"
            "for i in itertools.count():\n"
            "    with open(f'part{i}', 'wb') as file: file.write(bytes(1 << 20))\n"
            "    time.sleep(0.02)"
        )
        gone(user, own, user.run(own, code), "its files took more than 8 MiB")

    def test_open_files(self, user: MlUser, own: str) -> None:
        done = user.run(own, "found = [open('/dev/null') for _ in range(1000)]")
        assert done["errorMessage"].startswith("OSError: [Errno 24]")

    def test_what_is_printed(self, user: MlUser, own: str) -> None:
        done = user.run(own, "for _ in range(5000): print('x' * 99)")
        assert done["success"]
        assert len(done["consoleOutput"]) < 1100
        assert done["consoleOutput"].endswith("... (the rest is not kept)\n")

    def test_a_process_that_ends_itself(self, user: MlUser, own: str) -> None:
        gone(user, own, user.run(own, "import os; os._exit(7)"), "its process exited with 7")

    def test_a_process_that_is_killed(self, user: MlUser, own: str) -> None:
        done = user.run(own, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        gone(user, own, done, "its process was killed by SIGKILL")


def test_nothing_is_inherited(
    serve: Callable[..., Service], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WMLCLIENT_PASSWORD", "a-secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    descriptor = os.open(secret, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    try:
        user = first_user(serve())
        id = user.start()
        environment = user.value(id, "dict(__import__('os').environ)")
        code = "[os.path.realpath(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')]"
        user.run(id, "import os")
        opened = user.value(id, code)
        guards = Path(f"/proc/{user.kernel(id).guard_pid}/environ").read_text()
    finally:
        os.close(descriptor)
    assert "a-secret" not in environment.values()
    assert "a-secret" not in guards
    assert not {name for name in environment if name.startswith(("WMLCLIENT", "AWS"))}
    assert str(secret) not in opened
    assert not [path for path in opened if path.endswith((".db", "lock"))]
    user.operation("closeSession", id)


@pytest.mark.parametrize("way", ["closeSession", "closeSessionByForce"])
def test_everything_that_it_started_ends_with_it(user: MlUser, way: str) -> None:
    id = user.start()
    code = (
        "import os, subprocess\n"
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "subprocess.check_output(['sh', '-c', 'sleep 600 >/dev/null & echo $!'])"
    )
    before = user.processes(id)
    user.run(id, code)
    pids = user.processes(id)
    assert len(pids) == len(before) + 2
    assert all(alive(pid) for pid in pids)
    assert user.operation(way, id).status == 200
    eventually(lambda: not any(alive(pid) for pid in pids))


def test_nothing_outlives_its_guard(user: MlUser) -> None:
    id = user.start()
    user.run(id, "import subprocess; child = subprocess.Popen(['sleep', '600'], start_new_session=True)")
    pids = user.processes(id)
    if not user.kernel(id).apart:
        pytest.skip("only a world of its own ends as a whole")
    os.kill(pids[0], signal.SIGKILL)
    eventually(lambda: not any(alive(pid) for pid in pids))
    assert user.operation("listSessionFiles", id).failure == (
        410,
        "SessionGoneException",
        "The session has ended: its guard was killed.",
    )


class TestApart:
    """What a session sees of the machine, where namespaces can be had."""

    @pytest.fixture
    def apart(self, user: MlUser, own: str) -> str:
        if not user.kernel(own).apart:
            pytest.skip("this system gives no namespaces to a session")
        return own

    def test_the_runners_files_are_not_there(self, user: MlUser, apart: str) -> None:
        sessions = user.kernel(apart).folder.parent
        other = user.start()
        user.run(other, "open('mine.txt', 'w').write('mine')")
        assert (sessions.parent / "runner.db").exists()
        user.run(apart, "import os")
        assert user.value(apart, "os.listdir(top)", top=str(sessions.parent)) == ["sessions"]
        assert user.value(apart, "os.listdir(top)", top=str(sessions)) == [apart]
        for path in (sessions.parent / "runner.db", sessions / other / "work" / "mine.txt"):
            assert path.exists()
            done = user.run(apart, "open(path).read()", path=str(path))
            assert done["errorMessage"].startswith("FileNotFoundError")
        user.operation("closeSession", other)

    def test_other_processes_are_not_there(self, user: MlUser, apart: str) -> None:
        user.run(apart, "import os")
        assert user.value(apart, "[int(each) for each in os.listdir('/proc') if each.isdigit()]") == [1, 2]
        done = user.run(apart, "os.kill(pid, 0)", pid=os.getpid())
        assert done["errorMessage"].startswith("ProcessLookupError")

    def test_there_is_no_network(self, user: MlUser, apart: str) -> None:
        code = (
            "import socket\n"
            "names = [name for _, name in socket.if_nameindex()]\n"
            "own = socket.create_server(('127.0.0.1', 0))\n"
            "socket.create_connection(own.getsockname()).close()\n"
            "socket.create_connection(('127.0.0.1', port), 5)"
        )
        port = int(user.service.url.rpartition(":")[2])
        done = user.run(apart, code, port=port)
        assert done["errorMessage"].startswith("ConnectionRefusedError")
        assert user.value(apart, "names") == ["lo"]

    def test_network_where_it_is_wanted(self, serve: Callable[..., Service]) -> None:
        open_to_it = first_user(serve(session_limits=evolve(LIMITS, network=True)))
        id = open_to_it.start()
        port = int(open_to_it.service.url.rpartition(":")[2])
        code = "import socket\nsocket.create_connection(('127.0.0.1', port), 5).close()"
        assert open_to_it.run(id, code, port=port)["success"]
        open_to_it.operation("closeSessionByForce", id)

    def test_the_runners_environment_is_not_there(self, user: MlUser, apart: str) -> None:
        found = user.value(apart, "open(f'/proc/{pid}/environ').read()", pid="self")
        assert "WMLCLIENT" not in found
        done = user.run(apart, "open(f'/proc/{pid}/environ').read()", pid=os.getpid())
        assert done["errorMessage"].startswith("FileNotFoundError")

    def test_it_cannot_undo_that(self, user: MlUser, apart: str) -> None:
        code = (
            "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
            "got = [libc.umount2(home.encode(), 2), ctypes.get_errno()]"
        )
        home = str(user.kernel(apart).folder.parent.parent)
        done = user.run(apart, code, ["got"], home=home)
        assert done["outputParameters"][0]["value"] == [-1, 1]
        powers = "[line.split()[1] for line in open('/proc/self/status') if line.startswith('Cap')]"
        assert {int(each, 16) for each in user.value(apart, powers)} == {0}


def test_force_ends_what_does_not_listen(user: MlUser) -> None:
    id = user.start()
    code = (
        "import signal, threading\n"
        "print(1, flush=True)\n"
        "while True:\n    try:\n        threading.Event().wait(600)\n    except BaseException:\n        pass"
    )
    done: list[Any] = []
    other = MlUser(user.service, user.name, user.password)
    thread = threading.Thread(
        target=lambda: done.append(other.operation("executeCode", id, json={"code": code}))
    )
    thread.start()
    eventually(lambda: user.operation("getSessionConsoleOutput", id).body["consoleOutput"])
    assert user.operation("cancelSession", id).status == 200
    assert user.operation("closeSession", id).status == 409
    assert user.operation("closeSessionByForce", id).status == 200
    thread.join(60)
    assert done[0].body["errorMessage"] == "The session has ended: it was closed."


def test_sessions_of_two_users_work_at_once(user: MlUser, own: str) -> None:
    id = user.start()
    user.run(id, "here = 1")
    assert user.run(own, "here")["errorMessage"].startswith("NameError")
    user.operation("closeSession", id)


def test_a_session_that_is_left_alone_is_closed(serve: Callable[..., Service]) -> None:
    user = first_user(serve(sessions=Settings(idle=0.5)))
    id = user.start()
    pids = user.processes(id)
    eventually(lambda: not any(alive(pid) for pid in pids))
    eventually(lambda: not user.operation("listSessions").body)
    assert user.operation("listWorkspaceObjects", id).failure == (
        410,
        "SessionGoneException",
        "The session has ended: it was idle for 0 s.",
    )


def test_too_many_sessions(serve: Callable[..., Service]) -> None:
    user = first_user(serve(sessions=Settings(most=1)))
    id = user.start()
    answer = user.operation("createSession", json={"runtimeType": "Python"})
    assert answer.failure[:2] == (503, "ServiceBusyException")
    assert answer.response.headers["Retry-After"] == "1"
    assert user.operation("status").body["statusCode"] == "warn"
    user.operation("closeSession", id)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_sessions_end_with_the_runner_and_snapshots_do_not(tmp_path: Path, end: signal.Signals) -> None:
    home = tmp_path / "home"
    command = [sys.executable, "-m", "wmlclient.runner", "--home", str(home), "--port", "0"]

    def call(method: str, path: str, **more: Any) -> requests.Response:
        return requests.request(method, found["url"] + path, timeout=60, **more)

    def login() -> dict[str, str]:
        body = {"username": found["username"], "password": found["password"]}
        return {"Authorization": f"Bearer {call('POST', '/login', json=body).json()['access_token']}"}

    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        found = credentials(home, process)
        headers = login()
        body = {"runtimeType": "Python"}
        id = call("POST", "/sessions", json=body, headers=headers).json()["sessionId"]
        code = (
            "import os, subprocess\nkept = 42\n"
            "child = subprocess.Popen(['sleep', '600'], start_new_session=True).pid"
        )
        done = call("POST", f"/sessions/{id}/execute", json={"code": code}, headers=headers).json()
        assert done["success"], done
        pids = guard.descendants(process.pid)
        assert len(pids) >= 3
        made = call("POST", f"/sessions/{id}/snapshot", json={"name": "s"}, headers=headers)
        snapshot = made.json()["snapshotId"]
        assert all(alive(pid) for pid in pids)
    finally:
        process.send_signal(end)
        process.wait(60)
        assert process.stderr is not None
        process.stderr.close()
    eventually(lambda: not any(alive(pid) for pid in pids))

    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        (home / "credentials.json").unlink(missing_ok=True)
        found = credentials(home, process)
        # Tokens outlive the runner, sessions do not.
        assert call("GET", "/sessions", headers=headers).json() == []
        assert call("GET", f"/sessions/{id}/history", headers=headers).status_code == 404
        body = {"runtimeType": "Python", "snapshotId": snapshot}
        id = call("POST", "/sessions", json=body, headers=headers).json()["sessionId"]
        request = {"outputParameters": ["kept"]}
        done = call("POST", f"/sessions/{id}/execute", json=request, headers=headers).json()
        assert done["outputParameters"] == [{"name": "kept", "value": 42}]
    finally:
        process.terminate()
        process.wait(60)
        assert process.stderr is not None
        process.stderr.close()
    assert process.returncode == 0
