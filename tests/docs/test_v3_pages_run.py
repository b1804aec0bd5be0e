"""The pages about models at a service of the v3 API do what they say: their blocks run as they stand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from doc_pages import runnable
from test_pages_run import run_python

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]


def test_versions_and_rollback(root: Path, tmp_path: Path) -> None:
    printed = run_python(runnable(root / "docs" / "howto" / "versions.md", "python"), "versions", tmp_path)

    assert printed.splitlines() == ["[True, False]", "[0.76, 0.81]", "True", "False True"]
    assert (tmp_path / "better.tar.gz").read_bytes() == (tmp_path / "latest.tar.gz").read_bytes()


def test_learning_from_feedback(root: Path, tmp_path: Path) -> None:
    printed = run_python(runnable(root / "docs" / "howto" / "learning.md", "python"), "learning", tmp_path)

    phases = "['monitoring', 'training']"
    assert printed.splitlines() == ["30", f"COMPLETED {phases}", "True True", phases]


def test_batches(root: Path, tmp_path: Path) -> None:
    printed = run_python(runnable(root / "docs" / "howto" / "batch.md", "python"), "batch", tmp_path)

    counts, bad, scored = [line for line in printed.splitlines() if line]
    assert counts == "{'rows_read': 3, 'rows_written': 2, 'rows_bad': 1, 'rows_total': 3}"
    assert json.loads(bad)["record"] == {"id": "six", "text": "so sad"}
    assert scored.count("prediction=1.0") == 2
