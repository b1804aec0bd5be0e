"""Starts a service, and has another Python run the program of an old client against it.

    .venv/bin/python tests/old_clients/run.py PROGRAM PYTHON

PROGRAM is a file beside this one, and PYTHON has what it imports. The service is ended whatever happens.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import wmlclient


def main(program: str, python: str) -> int:
    """The program's exit code."""
    path = Path(__file__).with_name(program)
    with tempfile.TemporaryDirectory() as home, wmlclient.Client.local(home=home):
        return subprocess.run([python, path, Path(home) / "credentials.json"], timeout=600).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
