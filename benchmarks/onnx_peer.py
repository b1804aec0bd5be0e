"""onnxruntime, in a virtual environment of its own: what `onnxmltools` converts of a pipeline, or why it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from environments import environment, run_json

PACKAGES = ("onnxmltools>=1.16", "onnxruntime>=1.20", "onnx<2", "pyarrow>=15")


def time_onnx(jobs: list[dict[str, Any]], scratch: Path) -> dict[str, dict[str, Any]]:
    """By pipeline: ``{"reason": ...}``, or microseconds of a row, rows per second, and flipped labels.

    Args:
        jobs: Each a pipeline: ``name``, ``model`` (its folder), ``rows`` (Parquet with the input and Spark's own
            ``prediction``).
        scratch: A folder for what is left behind.
    """
    tools = environment("onnx", *PACKAGES)
    found: dict[str, dict[str, Any]] = run_json(tools, "onnx_run.py", {"jobs": jobs}, scratch, 200)
    return found
