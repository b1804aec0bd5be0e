"""A fence without namespaces, in a process of its own: what it refuses cannot be had back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wmlclient.runner.kernels import world

PROGRAM = """
import importlib.util, os, sys
file, own, other = sys.argv[1:]
spec = importlib.util.spec_from_file_location("world", file)
world = importlib.util.module_from_spec(spec)
spec.loader.exec_module(world)
world.fence([own])
world.fence([own, other])  # a second fence opens nothing
open(f"{own}/a", "w").write("x")
try:
    open(f"{other}/a", "w")
except PermissionError:
    print("refused")
"""


def test_a_fence_stays(tmp_path: Path) -> None:
    if not world.fences():
        pytest.skip("this system has no Landlock that refuses to truncate")
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    command = [sys.executable, "-S", "-E", "-c", PROGRAM, str(world.__file__), str(own), str(other)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr
    assert [path.name for path in own.iterdir()] == ["a"]
    assert list(other.iterdir()) == []
