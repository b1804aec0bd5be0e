"""Timing, and the child processes that are timed."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import requests
from attrs import frozen

HERE = Path(__file__).resolve().parent


class Figures:
    """Milliseconds of many calls."""

    def __init__(self, samples: Sequence[float]) -> None:
        self.samples = sorted(samples)

    @property
    def p50(self) -> float:
        return statistics.median(self.samples)

    @property
    def p99(self) -> float:
        return self.samples[math.ceil(len(self.samples) * 0.99) - 1]

    def __str__(self) -> str:
        return f"p50 {self.p50:9.3f} ms   p99 {self.p99:9.3f} ms   ({len(self.samples)} calls)"


@frozen
class Group:
    """Calls that are timed in turn, one after the other.

    Attributes:
        calls: what to call, by name.
        rounds: timed rounds in each block.
        warm_up: untimed rounds before them.
    """

    calls: Mapping[str, Callable[[], object]]
    rounds: int
    warm_up: int


def in_blocks(groups: Sequence[Group], blocks: int) -> dict[str, Figures]:
    """Time groups of calls block by block, and in a group call by call.

    What disturbs the machine for a while so disturbs all of them, and none is timed while it is still cold from
    waiting for a slower one.
    """
    samples: dict[str, list[float]] = {name: [] for group in groups for name in group.calls}
    for _ in range(blocks):
        for group in groups:
            for number in range(-group.warm_up, group.rounds):
                for name, call in group.calls.items():
                    started = time.perf_counter()
                    call()
                    if number >= 0:
                        samples[name].append((time.perf_counter() - started) * 1000)
    return {name: Figures(found) for name, found in samples.items()}


def poster(session: requests.Session, url: str, body: bytes) -> Callable[[], requests.Response]:
    """A call that posts JSON and fails loudly on anything but 200."""

    def post() -> requests.Response:
        response = session.post(url, data=body, headers={"Content-Type": "application/json"}, timeout=60)
        if response.status_code != 200:
            raise RuntimeError(f"{url}: {response.status_code} {response.text[:500]}")
        return response

    return post


def fetch_token(credentials: Path) -> str:
    """A token for the runner whose ``credentials.json`` this is."""
    known = json.loads(credentials.read_text())
    url, user = f"{known['url']}/v3/identity/token", (known["username"], known["password"])
    return str(requests.get(url, auth=user, timeout=30).json()["token"])


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def child(
    command: list[str], log: Path, url: str, patience: float, env: dict[str, str] | None = None
) -> Iterator[None]:
    """Run a server until the block ends; the block begins when ``url`` answers, whatever it answers.

    Raises:
        RuntimeError: the server ended, or did not answer within ``patience`` seconds; with the end of its log.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=HERE, env=env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        deadline = time.monotonic() + patience
        while True:
            try:
                requests.get(url, timeout=5)
                break
            except requests.RequestException:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[:4]} did not start:\n{log.read_text()[-3000:]}") from None
                time.sleep(0.05)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def uvicorn(application: str, folder: Path, *options: str) -> Iterator[str]:
    """Serve an application of this folder; yields its base URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "uvicorn", application, "--host", "127.0.0.1", "--port", str(port)]
    command += [
        "--log-level",
        "warning",
        "--no-access-log",
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        *options,
    ]
    with child(command, folder / f"{application.replace(':', '-')}.log", url, patience=60):
        yield url


def import_seconds(module: str, times: int = 7) -> float:
    """Median seconds that a fresh interpreter takes to import a module whose bytecode is compiled."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    found = []
    for _ in range(times + 1):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_with_bytecode()
        )
        found.append(float(done.stdout))
    return statistics.median(found[1:])  # the first one compiles


def _with_bytecode() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
