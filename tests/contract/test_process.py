"""The runner as a process: started, found, restarted, killed; what it leaves behind is what it should."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import saved_models
from process_service import TIMEOUT, credentials, get, token
from runner_fakes import eventually


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


def test_without_java_kafka_asked_for_at_the_start_is_exit_code_2(
    launch: Serve, home: Path, no_java: dict[str, str]
) -> None:
    process = launch(home, "--kafka", env=no_java)
    code, errors = end_by_itself(process)
    assert code == 2
    assert "No Java" in errors
    assert not (home / "credentials.json").exists()
