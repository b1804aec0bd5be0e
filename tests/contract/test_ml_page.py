"""What the page on sessions shows is what happens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from process_service import credentials


def code(page: Path, language: str) -> list[str]:
    parts = page.read_text(encoding="utf-8").split(f"```{language}\n")[1:]
    return [part.partition("```\n")[0] for part in parts]


@pytest.fixture
def page(root: Path) -> Path:
    return root / "docs" / "howto" / "sessions.md"


def test_the_page_runs(root: Path, page: Path, tmp_path: Path) -> None:
    runner = [sys.executable, "-m", "wmlclient.runner", "--home", str(tmp_path / "service"), "--port", "0"]
    process = subprocess.Popen(runner, stderr=subprocess.DEVNULL)
    try:
        credentials(tmp_path / "service", process)
        (program,) = code(page, "python")
        done = run([sys.executable, "-c", program], root, tmp_path)
        assert done == "True 16.5 summed\n\n['rows', 'total']\n"

        _, commands = code(page, "sh")
        # The interpreter's own command, whatever is on PATH.
        (tmp_path / "wmlclient").write_text(
            f'#!/bin/sh\nexec {sys.executable} -c "from wmlclient.cli import main; main()" "$@"\n'
        )
        (tmp_path / "wmlclient").chmod(0o700)
        said = run(["sh", "-e", "-c", commands], root, tmp_path)
        assert "anna can log in as contributor." in said
        assert "anna is removed." in said
    finally:
        process.terminate()
        process.wait(60)
    assert process.returncode == 0


def run(command: list[str], root: Path, folder: Path) -> str:
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
