"""MLflow's Spark flavor, in a virtual environment of its own: `mlflow models serve`, and in process."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from environments import environment, run_json, settings
from measure import HERE, child, free_port

MLFLOW = "mlflow>=3,<4"


def mlflow_environment() -> Path:
    """The `bin` folder of an environment with MLflow and the pyspark that we use; made on the first call."""
    return environment("mlflow", MLFLOW)


def time_mlflow(jobs: list[dict[str, Any]], scratch: Path) -> dict[str, dict[str, float]]:
    """By pipeline: microseconds of a row and rows per second of ``pyfunc.predict`` on pandas, on Spark local[2].

    Args:
        jobs: Each a pipeline: ``name``, ``model`` (its folder), ``rows`` (Parquet with the input and a column
            ``prediction``), ``calls`` (how often one row is scored).
        scratch: A folder for what is left behind.
    """
    found: dict[str, dict[str, float]] = run_json(
        mlflow_environment(), "mlflow_run.py", {"jobs": jobs}, scratch, 230
    )
    return found


@contextlib.contextmanager
def serve_mlflow(saver: str, *sources: Path, scratch: Path) -> Iterator[str]:
    """Serve a model with MLflow; yields the base URL when it answers.

    Args:
        saver: The script beside this one that saves the model: its arguments are the sources and where to.
        sources: What it saves.
        scratch: A folder for what is left behind.
    """
    tools = mlflow_environment()
    target = scratch / "mlflow-model"
    variables = settings(tools)
    subprocess.run(
        [str(tools / "python"), str(HERE / saver), *map(str, sources), str(target)],
        check=True,
        env=variables,
        cwd=scratch,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=300,
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(tools / "mlflow"), "models", "serve", "--model-uri", str(target), "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with child(command, scratch / "mlflow.log", f"{url}/ping", 300, variables):
        yield url
