"""Parquet files scored by a job of Spark's own: it reads, transforms and writes. In the driver process only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wmlclient.runner.engine.ports import TransformFailed
from wmlclient.runner.spark.failures import root_cause
from wmlclient.runner.spark.models import ModelCache
from wmlclient.runner.spark.session import Session
from wmlclient.runner.spark.transform import quote

_NUMBERS = frozenset(("byte", "short", "integer", "long", "float", "double"))


class FileScorer:
    """Scores files.

    Args:
        session: Where.
        models: Loaded models.
    """

    def __init__(self, session: Session, models: ModelCache) -> None:
        self._session, self._models = session, models

    def run(self, job_id: str, model_dir: str, schema: dict[str, Any], source: str, target: str) -> None:
        """Score one file, or a folder of files, into a folder.

        Args:
            job_id: For :meth:`cancel`.
            model_dir: The model.
            schema: Its input.
            source: What is read; every executor has to see it, as the target.
            target: A folder that is not there yet.

        Raises:
            TransformFailed: With Spark's own reason; what is in the target then is of no use.
        """
        model = self._models.get(model_dir)
        context = self._session.spark.sparkContext()
        try:
            context.setJobGroup(job_id, "batch", True)
            frame = self._fitting(self._session.spark.read().parquet(Path(source).as_uri()), schema)
            model.transform(frame).write().parquet(Path(target).as_uri())
        except TransformFailed:
            raise
        except Exception as error:
            raise TransformFailed(root_cause(error)) from error
        finally:
            context.clearJobGroup()

    def cancel(self, job_id: str) -> None:
        """End a job; one that does not run is no error."""
        self._session.spark.sparkContext().cancelJobGroupAndFutureJobs(job_id)

    def _fitting(self, frame: Any, schema: dict[str, Any]) -> Any:
        """The columns that the model reads in the types in which it reads them; the others as they are."""
        given = {column["name"]: column["type"] for column in json.loads(frame.schema().json())["fields"]}
        for column in schema["fields"]:
            name, wanted = column["name"], column["type"]
            if name not in given or _same(given[name], wanted):
                continue
            if not (_number(given[name]) and _number(wanted)):
                raise TransformFailed(f"The column {name!r} is not of the type that the model reads.")
            cast = self._session.functions.col(quote(name)).cast(str(wanted))
            frame = frame.withColumn(name, cast)
        return frame


def _number(kind: Any) -> bool:
    return isinstance(kind, str) and kind in _NUMBERS


def _same(given: Any, wanted: Any) -> bool:
    if isinstance(given, dict) and isinstance(wanted, dict):
        if given.get("type") == wanted.get("type") == "udt":
            return bool(given.get("class") == wanted.get("class"))
        # What may be null in an array makes no difference to what is in it.
        return bool(
            given.get("type") == wanted.get("type") and given.get("elementType") == wanted.get("elementType")
        )
    return bool(given == wanted)
