"""Data frames at hand, scored where they are: pandas in this process, Spark's in their own session."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wmlclient.errors import NotSupportedError, PayloadError
from wmlclient.hadoop import to_read

if TYPE_CHECKING:
    from wmlclient.model import Model


def score_frame(model: Model, frame: Any) -> Any:
    """See :meth:`wmlclient.model.Model.score_frame`."""
    package = type(frame).__module__.partition(".")[0]
    if package not in ("pandas", "pyspark") or not hasattr(frame, "columns"):
        raise PayloadError(f"frame={type(frame).__name__}: give a pandas or a Spark DataFrame.")
    if package == "pandas":
        _check_native(model)
    try:
        from wmlclient.scoring import load
        from wmlclient.scoring.archive import unpack
        from wmlclient.scoring.metadata import find_root
    except ImportError as error:
        raise NotSupportedError(f"{error.name} is missing. Run: pip install 'wmlclient[scoring]'") from None
    # Spark reads some of a model only when it is used, so the folder stays as long as this process.
    folder = tempfile.TemporaryDirectory(prefix="wmlclient-frame-")
    if package == "pyspark":
        _KEPT.append(folder)
    with tempfile.TemporaryDirectory(prefix="wmlclient-frame-") as taken:
        archive = Path(taken) / "model.tar.gz"
        model.download(archive)
        unpack(archive, folder.name)
    root = find_root(Path(folder.name))
    if package == "pandas":
        with folder:
            return load(root, model.input_schema).transform(frame)
    from pyspark.ml import PipelineModel

    return PipelineModel.load(to_read(root)).transform(frame)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def _check_native(model: Model) -> None:
    certificate = model.wait_parity()
    if certificate is None or certificate.engine != "native":
        reason = certificate.reason if certificate is not None else "the service makes no certificates"
        raise NotSupportedError(
            f"Model {model.name!r} is not scored natively ({reason}). Give a Spark DataFrame, or deploy it."
        )
