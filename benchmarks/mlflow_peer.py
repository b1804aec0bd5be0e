"""`mlflow models serve` with a Spark model, in a virtual environment of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import platformdirs
from measure import HERE, child, free_port

CONSTRAINTS = Path(__file__).resolve().parents[1] / "requirements" / "constraints.txt"
MLFLOW = "mlflow>=3,<4"


def environment() -> Path:
    """The `bin` folder of an environment with MLflow and the pyspark that we use; made on the first call."""
    folder = Path(platformdirs.user_cache_dir("wmlclient")) / "benchmarks" / "mlflow"
    ready = folder / "ready"
    if not ready.exists():
        print(f"making an environment for MLflow in {folder} (once; about 1.3 GB)", flush=True)
        pyspark = next(line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("pyspark=="))
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, MLFLOW, pyspark, "pandas<3", "setuptools<81"], check=True)
        ready.touch()
    return folder / "bin"


@contextlib.contextmanager
def serve_mlflow(model: Path, scratch: Path) -> Iterator[str]:
    """Serve a saved PipelineModel with MLflow; yields the base URL when it answers."""
    tools = environment()
    target = scratch / "mlflow-model"
    settings = {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    subprocess.run(
        [str(tools / "python"), str(HERE / "mlflow_save.py"), str(model), str(target)],
        check=True,
        env=settings,
        cwd=scratch,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=300,
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(tools / "mlflow"), "models", "serve", "--model-uri", str(target), "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with child(command, scratch / "mlflow.log", f"{url}/ping", 300, settings):
        yield url
