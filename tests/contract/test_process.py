"""The runner as a process: started, found, restarted, killed; what it leaves behind is what it should."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import saved_models
from runner_fakes import eventually

from wmlclient.runner.launch import LocalRunner, RunnerFailed

TIMEOUT = 60


def credentials(home: Path, process: subprocess.Popen[bytes]) -> dict[str, str]:
    path = home / "credentials.json"
    eventually(lambda: path.exists() or process.poll() is not None, TIMEOUT)
    assert process.poll() is None, process.stderr.read() if process.stderr else ""
    found: dict[str, str] = json.loads(path.read_text())
    return found


def token(found: dict[str, str]) -> str:
    login = (found["username"].encode(), found["password"].encode())
    return str(requests.get(f"{found['url']}/v3/identity/token", auth=login, timeout=10).json()["token"])


def get(found: dict[str, str], path: str, bearer: str) -> requests.Response:
    return requests.get(found["url"] + path, headers={"Authorization": f"Bearer {bearer}"}, timeout=10)


def end(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> tuple[int, str]:
    if process.poll() is None:
        process.send_signal(number)
    _, errors = process.communicate(timeout=TIMEOUT)
    return process.returncode, errors.decode()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


Serve = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(name="launch")
def launch_fixture() -> Iterator[Serve]:
    """Starts runners; those that still run at the end are killed."""
    started: list[subprocess.Popen[bytes]] = []

    def launch(home: Path, *options: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "wmlclient.runner", "--home", str(home), "--port", "0", *options]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, **(env or {})}))
        return started[-1]

    yield launch
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def no_java(tmp_path: Path) -> dict[str, str]:
    return {"JAVA_HOME": str(tmp_path / "nothing"), "PATH": str(tmp_path / "nothing")}


def test_what_a_start_leaves_and_a_second_start_finds(launch: Serve, home: Path) -> None:
    env = {"WMLCLIENT_USERNAME": "me", "WMLCLIENT_PASSWORD": "s3cr3t-word", "WMLCLIENT_INSTANCE_ID": "i-1"}
    first = launch(home, env=env)
    found = credentials(home, first)
    assert set(found) == {"url", "username", "password", "instance_id"}
    assert (found["username"], found["password"], found["instance_id"]) == ("me", "s3cr3t-word", "i-1")
    assert {
        path.name: stat.S_IMODE(path.stat().st_mode) & 0o077 for path in home.rglob("*") if path.is_file()
    } == {path.name: 0 for path in home.rglob("*") if path.is_file()}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    bearer = token(found)
    body = {"name": "p", "framework": {"name": "mllib", "version": "4.2"}}
    made = requests.post(
        f"{found['url']}/v3/ml_assets/models",
        json=saved_models.request(**body),
        headers={"Authorization": f"Bearer {bearer}"},
        timeout=10,
    )
    path = "/v3/ml_assets/models/" + made.json()["metadata"]["guid"]
    code, errors = end(first)
    assert code == 0
    assert "s3cr3t-word" not in errors
    assert bearer not in errors
    # Who waits for the next start must not find the file of the last.
    assert not (home / "credentials.json").exists()

    second = launch(home)
    again = credentials(home, second)
    assert {**again, "url": ""} == {**found, "url": ""}
    assert get(again, path, bearer).json()["metadata"]["guid"] == made.json()["metadata"]["guid"]
    assert end(second, signal.SIGINT)[0] == 0


def test_kill_9_loses_nothing_that_was_answered(launch: Serve, home: Path) -> None:
    first = launch(home)
    found = credentials(home, first)
    bearer = token(found)
    headers = {"Authorization": f"Bearer {bearer}"}
    guids = []
    for number in range(20):
        body = saved_models.request(name=str(number))
        answer = requests.post(f"{found['url']}/v3/ml_assets/models", json=body, headers=headers, timeout=10)
        guids.append(answer.json()["metadata"]["guid"])
    assert end(first, signal.SIGKILL)[0] == -signal.SIGKILL
    second = launch(home)
    eventually(
        lambda: json.loads(_read(home / "credentials.json") or "{}").get("url") not in (None, found["url"]),
        TIMEOUT,
    )
    again = credentials(home, second)
    assert [get(again, f"/v3/ml_assets/models/{guid}", bearer).status_code for guid in guids] == [200] * 20
    end(second)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def test_generated_credentials_are_new_for_each_home_and_kept(launch: Serve, tmp_path: Path) -> None:
    seen = []
    for name in ("a", "b", "a"):
        process = launch(tmp_path / name)
        found = credentials(tmp_path / name, process)
        end(process)
        seen.append((found["username"], found["password"], found["instance_id"]))
    assert seen[0] == seen[2]
    assert not set(seen[0]) & set(seen[1])
    assert len(seen[0][1]) >= 24


def test_a_port_in_use_is_one_clear_line_and_exit_code_2(launch: Serve, home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        process = launch(home, "--port", str(port))
        code, errors = end_by_itself(process)
    assert code == 2
    [line] = errors.strip().splitlines()
    assert f"Cannot listen on 127.0.0.1:{port}" in line
    assert "--port 0" in line
    assert not home.exists()


def end_by_itself(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=TIMEOUT)
    return process.returncode, errors.decode()


def test_a_home_in_use_is_one_clear_line_and_exit_code_2(launch: Serve, home: Path) -> None:
    first = launch(home)
    found = credentials(home, first)
    code, errors = end_by_itself(launch(home))
    assert code == 2
    assert f"in use by another runner (process {first.pid})" in errors
    assert "--home" in errors
    # The first goes on, its credentials are where they were.
    assert credentials(home, first) == found
    assert get(found, f"/v3/wml_instances/{found['instance_id']}", token(found)).status_code == 200
    end(first)


@pytest.mark.parametrize(
    ("options", "env", "message"),
    [
        (["--host", "203.0.113.1"], {}, "Cannot listen on 203.0.113.1"),
        ([], {"WMLCLIENT_INSTANCE_ID": "a/b"}, "instance id"),
        ([], {"WMLCLIENT_USERNAME": "a:b"}, "user name"),
    ],
)
def test_settings_that_cannot_be_are_exit_code_2(
    launch: Serve, home: Path, options: list[str], env: dict[str, str], message: str
) -> None:
    code, errors = end_by_itself(launch(home, *options, env=env))
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors


def test_a_home_that_is_a_file_is_exit_code_2(launch: Serve, home: Path) -> None:
    home.write_text("x")
    code, errors = end_by_itself(launch(home))
    assert (code, "Traceback" in errors) == (2, False)
    assert "cannot be used" in errors


# -- as a child


@pytest.fixture
def runner() -> Iterator[LocalRunner]:
    with LocalRunner() as started:
        yield started


def test_a_local_runner_answers_and_goes_without_a_trace(runner: LocalRunner) -> None:
    found = runner.credentials
    assert get(found, f"/v3/wml_instances/{found['instance_id']}", token(found)).status_code == 200
    assert found["password"] not in repr(runner)
    home, pid = runner.home, runner.pid
    assert home is not None
    assert pid is not None
    assert runner.log.is_file()
    runner.stop()
    runner.stop()
    assert not psutil.pid_exists(pid)
    assert not home.exists()
    with pytest.raises(RunnerFailed, match="not started"):
        runner.credentials  # noqa: B018
    assert runner.start().pid != pid


def test_a_local_runner_keeps_a_home_that_was_given(home: Path) -> None:
    with LocalRunner(home) as runner:
        found = runner.credentials
    assert (home / "runner.db").is_file()
    with LocalRunner(home) as runner:
        assert {**runner.credentials, "url": ""} == {**found, "url": ""}


def test_a_local_runner_takes_no_credentials_of_another_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WMLCLIENT_PASSWORD", "of-the-cloud")
    with LocalRunner() as runner:
        assert runner.credentials["password"] != "of-the-cloud"


def test_a_local_runner_that_cannot_start_says_why(home: Path) -> None:
    with LocalRunner(home), pytest.raises(RunnerFailed, match="in use by another runner") as caught:
        LocalRunner(home).start()
    assert caught.value.code == "home_in_use"


def test_a_local_runner_that_crashes_shows_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "uvicorn.py").write_text("raise RuntimeError('what went wrong')")
    with pytest.raises(RunnerFailed, match="what went wrong") as caught:
        LocalRunner(tmp_path / "home").start()
    assert caught.value.code == "runner_ended"


def test_a_file_in_the_users_folder_is_not_taken_for_a_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.version_info < (3, 11):
        pytest.skip("Python 3.10 always looks into the current folder")
    (tmp_path / "settings.py").write_text("raise RuntimeError")
    (tmp_path / "logging.py").write_text("raise RuntimeError")
    monkeypatch.chdir(tmp_path)
    with LocalRunner() as runner:
        assert runner.pid


def test_a_runner_that_died_is_told_and_can_be_started_again(runner: LocalRunner) -> None:
    assert runner.pid is not None
    os.kill(runner.pid, signal.SIGKILL)
    eventually(lambda: runner.pid is None)
    with pytest.raises(RunnerFailed, match="has ended"):
        runner.kafka_credentials()
    assert runner.start().pid is not None


@pytest.mark.parametrize("how", ["exit", "kill", "fork"])
def test_a_runner_ends_with_its_parent_however_that_ends(how: str) -> None:
    program = textwrap.dedent(
        f"""
        import os, signal, sys, time
        from wmlclient.runner.launch import LocalRunner
        runner = LocalRunner().start()
        if {how!r} == "fork" and os.fork() == 0:
            os.close(1)
            time.sleep(60)
        print(runner.pid, runner.home, flush=True)
        if {how!r} != "exit":
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    children: list[Any] = []
    try:
        assert parent.stdout is not None
        pid, home = parent.stdout.readline().decode().split()
        children = [
            child for child in psutil.process_iter(["cmdline"]) if program in (child.info["cmdline"] or [])
        ]
        parent.wait(TIMEOUT)
        eventually(lambda: not psutil.pid_exists(int(pid)), TIMEOUT)
        assert Path(home).exists() == (how != "exit")
    finally:
        for child in children:
            if child.pid != parent.pid:
                child.kill()
        parent.stdout.close()


def test_a_forked_child_that_ends_does_not_end_the_runner(runner: LocalRunner) -> None:
    child = os.fork()
    if child == 0:
        try:
            runner.stop()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert runner.pid is not None
    found = runner.credentials
    assert get(found, f"/v3/wml_instances/{found['instance_id']}", token(found)).status_code == 200


def test_without_java_the_service_answers_and_a_deployment_says_what_is_missing(
    no_java: dict[str, str], content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in no_java.items():
        monkeypatch.setenv(name, value)
    with LocalRunner() as runner:
        found = runner.credentials
        headers = {"Authorization": f"Bearer {token(found)}"}
        made = requests.post(
            f"{found['url']}/v3/ml_assets/models", json=saved_models.request(), headers=headers, timeout=10
        ).json()
        upload = made["entity"]["model_version"]["content_url"]
        assert requests.put(upload, data=content, headers=headers, timeout=30).status_code == 200
        url = f"{found['url']}/v3/wml_instances/{found['instance_id']}/published_models/{made['metadata']['guid']}"
        body = {"name": "x", "type": "online"}
        answer = requests.post(f"{url}/deployments", json=body, headers=headers, timeout=60).json()
        assert answer["entity"]["status"] == "DEPLOY_FAILURE"
        [error] = answer["entity"]["status_details"]["failure"]["errors"]
        assert "No Java 17 or newer was found" in error["message"]
        assert "Install a JDK" in error["message"]
        # The embedded broker cannot start either, and the runner goes on.
        with pytest.raises(RunnerFailed, match="No Java") as caught:
            runner.kafka_credentials()
        assert caught.value.code == "java_not_found"
        assert requests.get(url, headers=headers, timeout=10).status_code == 200


def test_without_java_kafka_asked_for_at_the_start_is_exit_code_2(
    launch: Serve, home: Path, no_java: dict[str, str]
) -> None:
    process = launch(home, "--kafka", env=no_java)
    code, errors = end_by_itself(process)
    assert code == 2
    assert "No Java" in errors
    assert not (home / "credentials.json").exists()


def test_without_pyspark_the_service_answers_and_a_deployment_says_what_is_missing(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A finder that knows no pyspark, loaded before anything else in the child.
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent(
            """
            import importlib.util, sys
            class Nothing:
                def find_spec(self, name, path=None, target=None):
                    if name.partition(".")[0] == "pyspark":
                        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            sys.meta_path.insert(0, Nothing())
            found = importlib.util.find_spec
            importlib.util.find_spec = lambda name, package=None: (
                None if name.partition(".")[0] == "pyspark" else found(name, package)
            )
            """
        )
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with LocalRunner() as runner:
        found = runner.credentials
        headers = {"Authorization": f"Bearer {token(found)}"}
        made = requests.post(
            f"{found['url']}/v3/ml_assets/models", json=saved_models.request(), headers=headers, timeout=10
        ).json()
        requests.put(
            made["entity"]["model_version"]["content_url"], data=content, headers=headers, timeout=30
        )
        url = f"{found['url']}/v3/wml_instances/{found['instance_id']}/published_models/{made['metadata']['guid']}"
        answer = requests.post(
            f"{url}/deployments", json={"name": "x", "type": "online"}, headers=headers, timeout=60
        ).json()
        assert "pyspark is not installed" in answer["entity"]["status_message"]
