"""The pages about web services are what happens: their blocks run as they stand. No Spark, no Kafka."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from doc_pages import runnable

pytestmark = pytest.mark.timeout(200)


def run_python(page: Path, folder: Path) -> list[str]:
    """What the Python of a page prints, in an interpreter of its own."""
    script = folder / "page.py"
    script.write_text(runnable(page, "python"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=folder, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout.splitlines()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    """A folder in which `wmlclient serve` runs as the page starts it, but for the port."""
    wmlclient = str(Path(sys.executable).with_name("wmlclient"))
    command = [wmlclient, "serve", "--home", "service", "--port", "0"]
    process = subprocess.Popen([*command, "--one-row-predict"], cwd=tmp_path, env=dict(os.environ))
    try:
        credentials = tmp_path / "service" / "credentials.json"
        until = time.monotonic() + 60
        while not credentials.exists():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        assert json.loads(credentials.read_text("utf-8"))["url"]
        yield tmp_path
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_program_of_2017(root: Path, served: Path) -> None:
    page = root / "docs" / "howto" / "machine-learning-server.md"
    assert "--one-row-predict" in runnable(page, "sh")

    assert run_python(page, served) == [
        "pass",
        "True",
        "result [1]",
        "other_result [0]",
        "['Iris Snapshot']",
        "True",
        "['flower_data']",
        "Iris V1.0 Identifies the species of a flower.",
        "Iris V2.0 None",
        "{'iris_species': ['I. versicolor']}",
        "{'iris_species': 'I. versicolor'}",
        "['V1.0']",
    ]


def test_iris(root: Path, tmp_path: Path) -> None:
    assert run_python(root / "docs" / "howto" / "iris.md", tmp_path) == [
        "True",
        "WebService('iris', '1.0', (flowers: data.frame) -> (result: vector))",
        "['versicolor' 'setosa']",
        "['Iris versicolor' 'Iris setosa']",
        "['Iris versicolor' 'Iris setosa']",
        "['Iris setosa']",
        "/api/iris/1.0 ['1.0']",
    ]
