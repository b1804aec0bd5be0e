"""Virtual environments of the peers, in the user's cache folder: made on the first call, kept from then on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs
from measure import HERE

CONSTRAINTS = HERE.parent / "requirements" / "constraints.txt"


def environment(name: str, *packages: str) -> Path:
    """The `bin` folder of an environment with these packages and the pyspark that we use (about 1 GB)."""
    folder = Path(platformdirs.user_cache_dir("wmlclient")) / "benchmarks" / name
    ready = folder / "ready"
    if not ready.exists():
        print(f"making an environment for {name} in {folder} (once; about 1 GB)", flush=True)
        pyspark = next(line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("pyspark=="))
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *packages, pyspark, "pandas<3", "setuptools<81"], check=True)
        ready.touch()
    return folder / "bin"


def settings(tools: Path) -> dict[str, str]:
    """Environment variables under which Spark's workers, too, are those of the environment."""
    return {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYSPARK_PYTHON": str(tools / "python"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def run_json(tools: Path, script: str, job: Mapping[str, Any], scratch: Path, patience: float) -> Any:
    """What a script of this folder prints last, as JSON; its argument is a job, as JSON.

    Raises:
        RuntimeError: The script failed; with the end of what it said.
    """
    done = subprocess.run(
        [str(tools / "python"), str(HERE / script), json.dumps(job)],
        env=settings(tools),
        cwd=scratch,
        capture_output=True,
        text=True,
        timeout=patience,
    )
    if done.returncode:
        raise RuntimeError(f"{script} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])
