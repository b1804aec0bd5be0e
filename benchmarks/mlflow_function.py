"""Save a trivial function as an MLflow pyfunc; runs in MLflow's environment: ``python mlflow_function.py TARGET``."""

from __future__ import annotations

import sys
from typing import Any

import mlflow.pyfunc


class Double(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Doubles a column."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input["x"] * 2


if __name__ == "__main__":
    mlflow.pyfunc.save_model(sys.argv[1], python_model=Double())
