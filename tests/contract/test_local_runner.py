"""The runner as a child of the client's process: it answers, and goes with its parent without a trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import saved_models
from process_service import TIMEOUT, get, token
from runner_fakes import eventually

from wmlclient.runner.launch import LocalRunner, RunnerFailed


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


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
