"""Loaded pipelines, the last few of them kept. In the driver process only."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from wmlclient.hadoop import to_read
from wmlclient.runner.engine.ports import TransformFailed
from wmlclient.runner.spark.failures import root_cause
from wmlclient.runner.spark.python_saved import for_java
from wmlclient.runner.spark.session import Session

logger = logging.getLogger("wmlclient.runner.spark.driver")

_KEPT = 8


class ModelCache:
    """Loads each pipeline once.

    Args:
        session: Where to.
        foreign: Whether stages that are not Spark's own are loaded.
    """

    def __init__(self, session: Session, foreign: bool = False) -> None:
        self._session = session
        self._foreign = foreign
        self._lock = threading.Lock()
        self._models: OrderedDict[str, Any] = OrderedDict()
        self._loading: dict[str, threading.Lock] = {}

    def get(self, model_dir: str) -> Any:
        """The JVM's ``PipelineModel``.

        Raises:
            TransformFailed: It cannot be loaded.
        """
        with self._lock:
            if model_dir in self._models:
                self._models.move_to_end(model_dir)
                return self._models[model_dir]
            loading = self._loading.setdefault(model_dir, threading.Lock())
        with loading:
            with self._lock:
                if model_dir in self._models:
                    return self._models[model_dir]
            model = load(self._session, model_dir, self._foreign)
            with self._lock:
                self._models[model_dir] = model
                self._loading.pop(model_dir, None)
                while len(self._models) > _KEPT:
                    self._models.popitem(last=False)
            return model


def load(session: Session, model_dir: str, foreign: bool = False) -> Any:
    """Load a ``PipelineModel`` anew.

    Raises:
        TransformFailed: It is none, or holds a class that is not Spark's own.
    """
    check_classes(Path(model_dir), foreign)
    try:
        return session.jvm.org.apache.spark.ml.PipelineModel.load(to_read(for_java(Path(model_dir))))
    except Exception as error:
        raise TransformFailed(
            f"Spark cannot load the model: {root_cause(error)}", "load_model_failure"
        ) from error


def check_classes(model_dir: Path, foreign: bool = False) -> None:
    """Look at the classes that all metadata below a saved model names: loading a stage runs its class.

    Args:
        model_dir: The model.
        foreign: Whether classes that are not Spark's own are fine.

    Raises:
        TransformFailed: One is not, or the model is none.
    """
    from wmlclient.scoring.errors import ArchiveError
    from wmlclient.scoring.metadata import foreign_sentence, inspect

    try:
        info = inspect(model_dir)
    except ArchiveError as error:
        raise TransformFailed(f"The model cannot be loaded: {error}.", "load_model_failure") from None
    if info.foreign and not foreign:
        raise TransformFailed(
            f"Not loaded: {foreign_sentence(info.foreign[0])}. Start the server with --allow-foreign-classes "
            "to have Spark run it.",
            "load_model_failure",
        )


def leaves(session: Session, model: Any) -> list[Any]:
    """All stages of a pipeline, those of nested pipelines instead of the pipelines."""
    found: list[Any] = []
    for stage in model.stages():
        if stage.getClass().getName() == "org.apache.spark.ml.PipelineModel":
            found += leaves(session, stage)
        else:
            found.append(stage)
    return found


def skip_invalid(session: Session, model: Any) -> list[str]:
    """Let the stages of a freshly loaded model drop the rows that they would fail on.

    ``handleInvalid="error"`` and ``"skip"`` give the same numbers for all other rows.

    Returns:
        The uids of stages that drop rows, from now on or by themselves.
    """
    dropping = []
    for stage in leaves(session, model):
        if not stage.hasParam("handleInvalid"):
            continue
        param = stage.getParam("handleInvalid")
        chosen = str(stage.getOrDefault(param))
        if chosen == "error":
            try:
                stage.set(param, "skip")
            except Exception as error:
                # OneHotEncoder knows "error" and "keep" alone.
                logger.debug("%s: %s", stage.uid(), root_cause(error))
                continue
            chosen = "skip"
        if chosen == "skip":
            dropping.append(str(stage.uid()))
    return dropping
