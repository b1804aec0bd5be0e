"""From a fitted pipeline, or a saved one, to the archive that the service takes."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from wmlclient.errors import ConfigError, NotAModelError, PayloadError
from wmlclient.hadoop import to_write

logger = logging.getLogger("wmlclient.archive")


@frozen
class Archive:
    """A saved pipeline, ready to upload.

    Attributes:
        path: a gzipped tar of the saved folder.
        spark_version: the Spark that saved it, such as ``"4.2.0"``.
        stages: the parameters of each stage, nested ones too, in order.
    """

    path: Path
    spark_version: str
    stages: tuple[dict[str, Any], ...]

    @property
    def framework_version(self) -> str:
        """The first two parts of Spark's version, as the service wants them."""
        return ".".join(self.spark_version.split(".")[:2])

    def label(self) -> str | None:
        """The column the model was trained to predict, in the training data.

        The label column of the last stage that has one, walked back through the stages that made it: for
        ``StringIndexer(sentiment -> label)`` before a classifier it is ``sentiment``.
        """
        last = next((i for i in reversed(range(len(self.stages))) if self.stages[i].get("labelCol")), None)
        if last is None:
            return None
        column = str(self.stages[last]["labelCol"])
        for stage in reversed(self.stages[:last]):
            inputs = stage.get("inputCols") or [stage.get("inputCol")]
            outputs = stage.get("outputCols") or [stage.get("outputCol")]
            if column in outputs and len(inputs) == len(outputs):
                column = str(inputs[outputs.index(column)])
        return column


@contextlib.contextmanager
def archived(model: Any, what: str = "PipelineModel") -> Iterator[Archive]:
    """The archive of a live or saved pipeline, in a temporary folder that is gone afterwards.

    Args:
        model: a fitted ``PipelineModel``, another fitted stage (it is wrapped in one), or the path of a saved model:
            its folder or its ``.tar.gz``. With what="Pipeline" an unfitted Pipeline.
        what: ``"PipelineModel"`` or ``"Pipeline"``.

    Raises:
        NotAModelError: it is none of these.
        PayloadError: it cannot be saved, or the saved model is not whole.
    """
    folder = Path(tempfile.mkdtemp(prefix="wmlclient-publish-"))
    try:
        if isinstance(model, str | os.PathLike):
            yield _from_path(Path(model).expanduser(), folder, what)
        else:
            saved = folder / "model"
            _save(_writable(model, what), saved, what)
            yield _pack(saved, folder, what)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _from_path(path: Path, folder: Path, what: str) -> Archive:
    if path.is_dir():
        return _pack(path, folder, what)
    if not path.is_file():
        raise PayloadError(f"{path}: there is no such folder or file.")
    scoring = _scoring()
    unpacked = folder / "model"
    try:
        scoring.archive.unpack(path, unpacked)
        root = scoring.metadata.find_root(unpacked)
    except scoring.ArchiveError as error:
        raise NotAModelError(f"{path}: {error}. Give the .tar.gz of a saved {what}.") from None
    return _inspected(root, path, what)


def _writable(model: Any, what: str) -> Any:
    """What is to be saved: the model itself, or a lone stage in a PipelineModel."""
    name = f"{type(model).__module__}.{type(model).__name__}"
    if not hasattr(model, "write"):
        raise NotAModelError(f"{name} is no Spark ML {what}. Give one, or the path of a saved one.")
    from pyspark.ml import Pipeline, PipelineModel, Transformer

    if what == "Pipeline":
        if not isinstance(model, Pipeline):
            raise NotAModelError(f"pipeline={name}: give the unfitted Pipeline.")
        return model
    if isinstance(model, PipelineModel):
        return model
    if isinstance(model, Transformer):
        return PipelineModel([model])  # as mlflow does: the service knows pipelines only
    if hasattr(model, "fit"):
        raise NotAModelError(f"{name} is not fitted. Publish what its fit(train) returns.")
    raise NotAModelError(f"{name} is no fitted Spark ML model. Publish what Pipeline.fit(train) returns.")


def _save(model: Any, target: Path, what: str) -> None:
    try:
        model.write().overwrite().save(to_write(target))
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("pyspark", "py4j", "builtins"):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise PayloadError(f"Spark cannot save this {what}: {reason}") from error


def _pack(saved: Path, folder: Path, what: str) -> Archive:
    target = folder / "model.tar.gz"
    archive = _inspected(saved, target, what)
    with tarfile.open(target, "w:gz", compresslevel=6) as tar:
        tar.add(saved, arcname=".", filter=_anonymous)
    logger.debug("packed %s, %d bytes", saved.name, target.stat().st_size)
    return archive


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _inspected(saved: Path, archive: Path, what: str) -> Archive:
    scoring = _scoring()
    try:
        info = scoring.metadata.inspect(saved)
    except scoring.ArchiveError as error:
        raise NotAModelError(
            f"{error}. If Spark runs on a cluster, its workers may have written elsewhere: save the {what} to a folder "
            "that all share, and give its path."
        ) from None
    if info.kind != what:
        hint = " Publish what its fit(train) returns." if info.kind == "Pipeline" else ""
        raise NotAModelError(f"This is a saved {info.kind}, not a {what}.{hint}")
    stages = tuple(_parameters(saved / stage.folder) for stage in info.stages)
    return Archive(archive, info.spark_version, stages)


def _scoring() -> Any:
    """What reads saved models; it stands beside the native scorer, which needs numpy."""
    try:
        import wmlclient.scoring.archive
        import wmlclient.scoring.metadata  # noqa: F401 - to be found by attribute
        from wmlclient import scoring
    except ImportError as error:
        raise ConfigError(
            f"Publishing needs {error.name or 'numpy'}. Run: pip install 'wmlclient[scoring]'"
        ) from None
    return scoring


def _parameters(stage: Path) -> dict[str, Any]:
    """The parameters in a saved stage's metadata, its defaults included."""
    for part in sorted((stage / "metadata").glob("part-*")):
        line = part.read_text("utf-8").strip()
        if line:
            metadata = json.loads(line)
            return {**metadata.get("defaultParamMap", {}), **metadata.get("paramMap", {})}
    return {}
