"""The generator itself: what is committed is what it writes, whatever the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.gen, pytest.mark.timeout(900)]


def check(root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``regenerate.py --check``; the first run installs the pinned generator."""
    return subprocess.run(
        [sys.executable, str(root / "swagger" / "regenerate.py"), "--check"],
        env=os.environ | environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_committed_code_is_what_the_generator_writes(root: Path) -> None:
    done = check(root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == ""


def test_output_does_not_depend_on_the_environment(root: Path) -> None:
    # PYTHONUNBUFFERED breaks the generator where it is let through.
    done = check(root, PYTHONUNBUFFERED="1", PYTHONHASHSEED="7", LANG="C", LC_ALL="C", TZ="Asia/Tokyo")
    assert done.returncode == 0, done.stdout + done.stderr
