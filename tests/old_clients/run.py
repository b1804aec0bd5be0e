"""Starts a service, and has another Python run the program of an old client against it.

    .venv/bin/python tests/old_clients/run.py PROGRAM PYTHON

PROGRAM is a file beside this one, and PYTHON has what it imports. The service is ended whatever happens.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS = 120.0


def main(program: str, python: str) -> int:
    """The program's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        home, log = Path(folder) / "home", Path(folder) / "serve.log"
        command = [sys.executable, "-m", "wmlclient.runner", "--home", str(home), "--port", "0"]
        with log.open("wb") as out:
            service = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + SECONDS
            while "ready" not in log.read_text("utf-8", "replace"):
                if service.poll() is not None or time.monotonic() > deadline:
                    print(log.read_text("utf-8", "replace"), file=sys.stderr)  # noqa: T201 - a script
                    return 1
                time.sleep(0.1)
            return subprocess.run(
                [python, Path(__file__).with_name(program), home / "credentials.json"], timeout=600
            ).returncode
        finally:
            service.terminate()
            service.wait(30)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
