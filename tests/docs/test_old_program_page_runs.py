"""The page that moves a program from the service of 2017 runs as it stands, against a runner without Java."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import saved_models
from doc_pages import runnable

from wmlclient.runner.launch import LocalRunner


def test_a_program_of_watson_ml_v3(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nothing"))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    folder = tmp_path / "work"
    folder.mkdir()
    content = saved_models.archive(saved_models.text_pipeline(tmp_path / "model"))
    (folder / "model.tar.gz").write_bytes(content)
    (folder / "tweets.csv").write_text("id,text\n1,what a day\n2,so sad\n", "utf-8")
    program = folder / "program.py"
    program.write_text(runnable(root / "docs" / "howto" / "watson-ml-v3.md", "python"), "utf-8")
    with LocalRunner(tmp_path / "home", allow_uncertified=True):
        shutil.copy(tmp_path / "home" / "credentials.json", folder)
        done = subprocess.run(
            [sys.executable, str(program)],
            cwd=folder,
            env={**os.environ},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == [
        "201",
        "201 DEPLOY_SUCCESS",
        "prediction 1.0",
        "201 200",
        "201",
        "COMPLETED",
        "204",
    ]
    assert len((folder / "scored.csv").read_text("utf-8").splitlines()) == 3
