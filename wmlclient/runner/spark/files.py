"""Files scored by a job of Spark's own: it reads, transforms and writes. In the driver process only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wmlclient.hadoop import to_read, to_write
from wmlclient.runner.engine.ports import TransformFailed
from wmlclient.runner.spark import plain_files
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

    def run(
        self,
        job_id: str,
        model_dir: str,
        schema: dict[str, Any],
        source: dict[str, Any],
        target: dict[str, Any],
    ) -> dict[str, Any]:
        """Score one file, or a folder of Parquet files, into a folder.

        Args:
            job_id: For :meth:`cancel`.
            model_dir: The model.
            schema: Its input.
            source: ``path``, ``format`` and ``header`` of what is read; every executor has to see it, as the target.
            target: ``path`` and ``format`` of a folder that is not there yet.

        Returns:
            ``columns``: those that were written; and ``rows_read`` and ``rows_written``, of what is not Parquet.

        Raises:
            TransformFailed: With Spark's own reason; what is in the target then is of no use.
        """
        model = self._models.get(model_dir)
        context = self._session.spark.sparkContext()
        try:
            context.setJobGroup(job_id, "batch", True)
            told: dict[str, Any] = {}
            if source["format"] == "parquet":
                given = self._session.spark.read().parquet(to_read(Path(source["path"])))
            else:
                told["rows_read"], given = self._counted(plain_files.read(self._session, source, schema))
            scored = model.transform(self._fitting(given, schema))
            if target["format"] == "parquet":
                scored.write().parquet(to_write(Path(target["path"])))
            else:
                columns = plain_files.lines_of(scored, target["format"])
                told["rows_written"], out = self._counted(scored)
                plain_files.write(out, columns, self._session, Path(target["path"]), target["format"])
            return {"columns": list(scored.columns()), **{name: _count(each) for name, each in told.items()}}
        except TransformFailed:
            raise
        except Exception as error:
            raise TransformFailed(root_cause(error)) from error
        finally:
            context.clearJobGroup()

    def _counted(self, frame: Any) -> tuple[Any, Any]:
        observation = self._session.jvm.org.apache.spark.sql.Observation()
        count = self._session.functions.expr("count(1) AS n")
        return observation, frame.observe(observation, count, self._session.seq([]))

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


def _count(observation: Any) -> int:
    return int(dict(observation.getAsJava())["n"])


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
