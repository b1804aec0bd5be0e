"""What `kill -9` leaves of web services: all that was answered; and of what was under way, that it has failed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from runner_fakes import eventually

import wmlclient
from wmlclient.batches import Batch

TIMEOUT = 60


class Runner:
    """A runner that is a process of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> wmlclient.Client:
        file = self.home / "credentials.json"
        old = file.read_bytes() if file.exists() else b""
        command = [sys.executable, "-m", "wmlclient.runner", "--home", str(self.home), "--port", "0"]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        eventually(lambda: file.exists() and file.read_bytes() not in (b"", old), TIMEOUT)
        return wmlclient.Client.from_profile(path=file)

    def end(self, number: int) -> list[psutil.Process]:
        """Ends it; the processes that it had."""
        assert self.process is not None
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        self.process.wait(TIMEOUT)
        return family


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(tmp_path / "home")
    yield runner
    if runner.process is not None and runner.process.poll() is None:
        runner.end(signal.SIGKILL)


def again(client: wmlclient.Client, service: Any, batch: Batch) -> Batch:
    return Batch(client._ml_service(), (*service.path, "batch"), batch.id, service.decoded)


def test_services_and_batches_after_kill_9(runner: Runner, tmp_path: Path) -> None:
    gate = str(tmp_path / "gate")

    def waits(x: int, wait: bool) -> int:
        import os
        import time

        while wait and not os.path.exists(gate):
            time.sleep(0.02)
        return 2 * x

    with runner.start() as client:
        service = client.services.publish(waits, name="waits", version="1.0")
        whole = service.batch([{"x": x, "wait": False} for x in range(3)]).wait(TIMEOUT)
        half = service.batch([{"x": 1, "wait": False}, *({"x": x, "wait": True} for x in range(4))])
        eventually(lambda: half.progress[0] == 1, TIMEOUT)
        with client.sessions.create() as session:
            session.put("kept", [1])
            snapshot = session.snapshot("kept")
        family = runner.end(signal.SIGKILL)
    # Nothing goes on without the runner.
    eventually(lambda: not [each for each in family if _runs(each)], TIMEOUT)
    with runner.start() as client:
        service = client.services.get("waits", "1.0")
        assert again(client, service, whole).results() == [0, 2, 4]
        failed = again(client, service, half)
        assert (failed.state, failed.progress) == ("Failed", (1, 5))
        assert failed.results() == [2]
        with pytest.raises(wmlclient.errors.CodeError, match="1 of 5 records"):
            failed.wait()
        assert service(4, False) == 8
        with client.sessions.create(snapshot=snapshot) as session:
            assert session.get("kept") == [1]
        runner.end(signal.SIGTERM)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
