"""`mlflow models serve` with a Spark model, in a virtual environment of its own."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from environments import environment, settings
from measure import HERE, child, free_port

MLFLOW = "mlflow>=3,<4"


def mlflow_environment() -> Path:
    """The `bin` folder of an environment with MLflow and the pyspark that we use; made on the first call."""
    return environment("mlflow", MLFLOW)


@contextlib.contextmanager
def serve_mlflow(model: Path, scratch: Path) -> Iterator[str]:
    """Serve a saved PipelineModel with MLflow; yields the base URL when it answers."""
    tools = mlflow_environment()
    target = scratch / "mlflow-model"
    variables = settings(tools)
    subprocess.run(
        [str(tools / "python"), str(HERE / "mlflow_save.py"), str(model), str(target)],
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
