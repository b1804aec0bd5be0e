"""Learning iterations: measure on feedback, train anew, deploy, as the model's configuration says."""

from __future__ import annotations

import logging
import re
import shutil
import tarfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import frozen

from ..store import Iteration, Learning, Model, Store, Version
from . import figures
from .clock import now_ms
from .connections import spark_master
from .contents import Contents
from .deployments import DeploymentService
from .errors import EngineError, Invalid, NotFound
from .feedback import Feedback, reference_place, training_schema
from .models import ModelService
from .places import Folders
from .ports import PortError, SparkPool, SparkRunner

logger = logging.getLogger("wmlclient.runner.engine")

#: Of the new feedback, every so many rows are kept out of a training: both models are measured on them.
HOLD_OUT = 5
_SAMPLE = 100
_DEFINITION = re.compile(
    r".*/(?:training_definitions|experiments)/([A-Za-z0-9-]{1,64})/versions/([A-Za-z0-9-]{1,64})/?"
)

Rows = list[dict[str, Any]]


@frozen
class _Parts:
    """What an iteration works with; see :class:`Iterations`."""

    store: Store
    contents: Contents
    models: ModelService
    deployments: DeploymentService
    feedback: Feedback
    spark: SparkPool
    folders: Folders
    scratch: Path
    clock: Callable[[], int]
    timeout: float


class Iterations:
    """Runs iterations, one after the other, in the background.

    Args:
        store: Rows.
        contents: Archives.
        models: Takes the versions that are trained.
        deployments: Moved to them.
        feedback: What is learned from.
        spark: Where Spark is.
        folders: The files that a SQLite database may be.
        scratch: Folder for the models on their way.
        clock: Milliseconds since 1970.
        timeout: Seconds that Spark may take for one job.
    """

    def __init__(
        self,
        store: Store,
        contents: Contents,
        models: ModelService,
        deployments: DeploymentService,
        feedback: Feedback,
        spark: SparkPool,
        folders: Folders,
        scratch: Path,
        clock: Callable[[], int] = now_ms,
        timeout: float = 3600.0,
    ) -> None:
        self._parts = _Parts(
            store, contents, models, deployments, feedback, spark, folders, scratch, clock, timeout
        )
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="learning")
        shutil.rmtree(scratch, ignore_errors=True)

    def submit(self, id: str, learning: Learning) -> None:
        """Run an iteration in the background."""
        with suppress(RuntimeError):  # closing
            self._pool.submit(self._run, id, learning)

    def close(self) -> None:
        """Begin no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, id: str, learning: Learning) -> None:
        rows = self._parts.store.learning
        try:
            rows.update(id, state="RUNNING", modified_at=self._parts.clock())
            message = _Run(self._parts, id, learning).go()
            rows.update(id, state="COMPLETED", message=message, modified_at=self._parts.clock())
            logger.info("learning iteration %s is complete: %s", id, message)
        except (EngineError, PortError) as error:
            self._failed(id, error.code, error.message)
        except TimeoutError:
            self._failed(
                id,
                "operation_timeout",
                f"Spark gave no answer within {self._parts.timeout:.0f} s. Start another.",
            )
        except Exception as error:
            logger.exception("learning iteration %s failed", id)
            self._failed(
                id, "underlying_api_error", f"Unexpected {type(error).__name__}; see the service's log."
            )

    def _failed(self, id: str, code: str, message: str) -> None:
        logger.error("learning iteration %s has failed: %s (%s)", id, message, code)
        failure = [{"code": code, "message": message}]
        with suppress(Exception):  # the store is closed where the service is being ended
            self._parts.store.learning.update(
                id, state="FAILED", failure=failure, message=message, modified_at=self._parts.clock()
            )


@frozen
class _Run:
    """One iteration."""

    of: _Parts
    id: str
    learning: Learning

    def go(self) -> str:
        """Do it; what came of it, in words."""
        model, version = self.of.models.published(self.learning.model_id)
        body, defined = self.learning.body, self.learning.body["definition"]
        rows = self.of.feedback.rows(model, self.learning)
        new = rows[self.learning.last_record :]
        self._update(records=len(new))
        least = body["min_feedback_data_size"]
        if len(new) < least:
            raise Invalid(
                "invalid_input_data",
                f"There are {len(new)} rows of new feedback, and an iteration needs {least}. Send more, or change "
                "`min_feedback_data_size`.",
            )
        spark = self.of.spark.get(spark_master(self.learning.spark_service))
        spark.version()
        common = {"schema": training_schema(model), "method": defined["method"]}
        common["metrics"] = figures.spark_names(defined)
        folder = str(self._folder(version))
        values = self._job(spark, "evaluate", model_dir=folder, **common, **_table(model, new))["values"]
        self._measured("monitoring", values, version.id)
        missed = figures.missed(defined, values)
        wish = body["auto_retrain"]
        if wish == "never" or (wish == "conditionally" and not missed):
            return f"measured; not trained anew: {_why_not(wish)}"
        return self._train(model, version, spark, rows, new, common)

    def _train(
        self,
        model: Model,
        version: Version,
        spark: SparkRunner,
        rows: Rows,
        new: Rows,
        common: dict[str, Any],
    ) -> str:
        held = new[HOLD_OUT - 1 :: HOLD_OUT]
        if not held:
            raise Invalid(
                "invalid_input_data",
                f"There are {len(new)} rows of new feedback, and a training needs {HOLD_OUT}. Send more.",
            )
        seen = [row for number, row in enumerate(new) if number % HOLD_OUT != HOLD_OUT - 1]
        known = self._training_data(model) + rows[: self.learning.last_record] + seen
        target = self.of.scratch / self.id
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            told = self._job(
                spark,
                "train",
                pipeline_dir=str(self._definition(model)),
                model_dir=str(self._folder(version)),
                target=str(target),
                held=_table(model, held),
                **common,
                **_table(model, known),
            )
            trained = self._published(model, target, known)
        finally:
            shutil.rmtree(target, ignore_errors=True)
        self._update(version_id=trained.id, redeployed=False)
        self._measured("training", told["values"], trained.id)
        self.of.store.learning.set_last_record(model.id, len(rows), self.of.clock())
        return self._deploy(model, trained, told)

    def _deploy(self, model: Model, trained: Version, told: dict[str, list[float]]) -> str:
        wish, defined = self.learning.body["auto_redeploy"], self.learning.body["definition"]
        better = figures.better(defined, told["values"], told["before"])
        if wish == "never" or (wish == "conditionally" and not better):
            why = "the rule says never" if wish == "never" else "it is not better than the version before"
            return f"trained anew; not deployed: {why}"
        url = f"/v3/ml_assets/models/{model.id}/versions/{trained.id}"
        patch = [{"op": "replace", "path": "/deployed_version/url", "value": url}]
        moved: Sequence[Future[None]] = self.of.deployments.move_all(model.id, patch)
        for each in moved:
            each.result(self.of.timeout)
        self._update(redeployed=True)
        return f"trained anew; {len(moved)} online deployments moved to the new version"

    def _published(self, model: Model, folder: Path, rows: Rows) -> Version:
        """A version of the model from what Spark has saved."""
        body = {key: value for key, value in model.body.items() if key not in ("certificate", "evaluation")}
        some = _table(model, rows[:_SAMPLE])
        body["sample"] = {"fields": some["fields"], "values": some["values"]}
        _, version = self.of.models.create_version(model.id, body)
        pending = self.of.contents.receive()
        try:
            with tarfile.open(fileobj=_Writer(pending.write), mode="w|gz") as archive:  # type: ignore[call-overload]
                archive.add(folder, arcname=".")
        except BaseException:
            pending.discard()
            raise
        self.of.models.upload(model.id, version.id, pending)
        found = self.of.store.models.version(version.id)
        if found is None:  # the model was deleted meanwhile
            raise NotFound()
        return found

    def _definition(self, model: Model) -> Path:
        # The second name is that of clients before January 2018.
        url = model.body.get("training_definition_url") or model.body.get("experiment_url")
        match = _DEFINITION.fullmatch(str(url or ""))
        found = self.of.store.definitions.get(match.group(1)) if match else None
        if found is None or found.digest is None:
            raise Invalid(
                "not_found",
                "The model's training definition is not stored here, so it cannot be trained anew. Publish the model "
                "with its pipeline.",
            )
        return self.of.contents.folder(found.digest)

    def _training_data(self, model: Model) -> Rows:
        reference = self.learning.body.get("training_data_reference")
        if not reference:
            return []
        place = reference_place(reference, "training_data_reference", self.of.folders)
        return self.of.feedback.table(model, place)

    def _folder(self, version: Version) -> Path:
        assert version.digest is not None
        return self.of.contents.folder(version.digest)

    def _job(self, spark: SparkRunner, op: str, **args: Any) -> dict[str, list[float]]:
        told: dict[str, list[float]] = spark.job(op, args).result(self.of.timeout)
        return told

    def _measured(self, phase: str, values: Sequence[float], version_id: str) -> None:
        metrics = self.learning.body["definition"]["metrics"]
        evaluation = {
            "phase": phase,
            "values": [{**metric, "value": value} for metric, value in zip(metrics, values, strict=True)],
            "timestamp": self.of.clock(),
            "version_id": version_id,
        }
        present: Iteration | None = self.of.store.learning.iteration(self.id)
        if present is not None:
            self._update(evaluations=[*present.evaluations, evaluation])

    def _update(self, **changes: Any) -> None:
        self.of.store.learning.update(self.id, **changes, modified_at=self.of.clock())


def _why_not(wish: str) -> str:
    return "the rule says never" if wish == "never" else "no figure misses its threshold"


def _table(model: Model, rows: Rows) -> dict[str, Any]:
    fields = [column["name"] for column in training_schema(model)["fields"]]
    return {"fields": fields, "values": [[row.get(name) for name in fields] for row in rows]}


@frozen
class _Writer:
    """A file that tarfile writes to."""

    write: Callable[[bytes], Any]
