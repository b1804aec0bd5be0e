"""Talks to a runner that is a process of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import requests
from runner_fakes import eventually

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
