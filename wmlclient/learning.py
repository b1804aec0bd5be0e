"""Continuous learning: feedback, figures measured on it, new trainings, new versions at work."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wmlclient import waiting
from wmlclient.errors import DeploymentFailedError, NotFoundError, PayloadError, WaitTimeoutError
from wmlclient.pages import Pages
from wmlclient.payload import json_body, to_table
from wmlclient.storage import StoredTable
from wmlclient.translate import translate, utc
from wmlclient.versions import ModelVersion, figures

if TYPE_CHECKING:
    from wmlclient.connections import SparkService
    from wmlclient.service import Service

__all__ = ["Learning", "LearningIteration"]

_DONE = ("COMPLETED", "FAILED")
_COLUMNS = (("created", "created_at"), ("state", "state"), ("message", "message"), ("id", "id"))


class Learning:
    """How one model learns: ``model.learning``."""

    def __init__(self, service: Service, model_id: str) -> None:
        self._service = service
        self._model_id = model_id

    def configure(
        self,
        method: str,
        metrics: Mapping[str, float | None] | Sequence[str],
        *,
        spark: SparkService | None = None,
        retrain: str = "never",
        redeploy: str = "never",
        min_feedback: int = 1,
        feedback: StoredTable | None = None,
        training: StoredTable | None = None,
    ) -> dict[str, Any]:
        """Says how the model learns, in the place of what was said before.

        Args:
            method: ``"binary"``, ``"multiclass"`` or ``"regression"``.
            metrics: the figures, such as ``{"areaUnderROC": 0.8}``: names and the values that should be reached, or
                names alone. The first one decides which of two models is better.
            spark: the Spark service that measures and trains; by default the client's own.
            retrain: when an iteration trains anew: ``"never"``, ``"always"``, or ``"conditionally"``: where a figure
                misses its threshold.
            redeploy: when online deployments get the new version: ``"never"``, ``"always"``, or ``"conditionally"``:
                where it is better than the version before, on feedback that neither was trained on.
            min_feedback: rows of new feedback that an iteration needs.
            feedback: a table with the feedback; by default the service keeps it.
            training: a table with the training data, to which a new training adds the feedback; by default it is
                trained on feedback alone.

        Returns:
            The configuration as the service answers it, secrets masked.

        Raises:
            BadRequestError: the service refuses it.
            PayloadError: there is no Spark service to name.
        """
        service = self._service
        chosen = spark if spark is not None else service.default_spark
        if chosen is None:
            raise PayloadError("Give spark=: the Spark service that measures and trains.")
        pairs = metrics.items() if isinstance(metrics, Mapping) else ((name, None) for name in metrics)
        named = [{"name": name, **({} if value is None else {"threshold": value})} for name, value in pairs]
        body: dict[str, Any] = {
            "definition": {"method": method, "metrics": named},
            "auto_retrain": retrain,
            "auto_redeploy": redeploy,
            "min_feedback_data_size": min_feedback,
        }
        for name, table in (("feedback_data_reference", feedback), ("training_data_reference", training)):
            if table is not None:
                body[name] = table._to_wire("source")
        with translate():
            found: Any = service.api.learning.put_configuration(
                service.instance_id,
                self._model_id,
                json_body(body),
                x_spark_service_instance=chosen._header(),
            )
        return dict(found.as_dict())

    @property
    def configuration(self) -> dict[str, Any] | None:
        """What was said last, secrets masked; None where nothing was."""
        service = self._service
        try:
            with translate():
                found: Any = service.api.learning.get_configuration(service.instance_id, self._model_id)
        except NotFoundError as error:
            if error.code != "missing_learning_configuration":
                raise
            return None
        return dict(found.as_dict())

    def add_feedback(self, data: Any, *, fields: Sequence[str] | None = None) -> int | None:
        """Sends rows with what the model should have predicted.

        Args:
            data: rows in any form that :meth:`Deployment.score` takes, with every column of the training data, the
                label too.
            fields: names of the columns where ``data`` has none.

        Returns:
            How many rows of feedback there are then; None where the service does not tell.

        Raises:
            BadRequestError: the rows do not fit; none was kept.
            NotFoundError: nothing was configured.
        """
        service, table = self._service, to_table(data, fields)
        with translate():
            kept = service.api.learning.store_feedback(
                service.instance_id,
                self._model_id,
                json_body({"fields": table.fields, "values": table.values}),
            )
        return None if kept is None else kept.count

    def run(self) -> LearningIteration:
        """Starts an iteration; ``.wait()`` waits until it is done.

        Raises:
            ConflictError: one is under way.
            NotFoundError: nothing was configured.
        """
        service = self._service
        with translate():
            started = service.api.learning.create_iteration(service.instance_id, self._model_id, {})
        return LearningIteration(service, self._model_id, started)

    @property
    def iterations(self) -> Pages[LearningIteration]:
        """The iterations, oldest first, fetched as they are walked."""
        service, model_id = self._service, self._model_id
        return Pages(
            lambda start: service.api.learning.list_iterations(service.instance_id, model_id, start=start),
            lambda resource: LearningIteration(service, model_id, resource),
            "learning iterations",
            _COLUMNS,
        )

    def __repr__(self) -> str:
        return "<learning: .configure(method, metrics), .add_feedback(rows), .run(), .iterations>"


class LearningIteration:
    """One measurement of a model on its feedback, and what followed. As of the last look at the service."""

    def __init__(self, service: Service, model_id: str, resource: Any) -> None:
        self._service = service
        self._model_id = model_id
        self._resource = resource

    @property
    def id(self) -> str:
        """Its id at the service."""
        return str(self._resource.metadata.guid)

    @property
    def created_at(self) -> dt.datetime:
        """When it was started, UTC."""
        return utc(self._resource.metadata.created_at)  # type: ignore[no-any-return]

    @property
    def state(self) -> str:
        """``INITIALIZED``, ``RUNNING``, ``COMPLETED`` or ``FAILED``."""
        return str(self._resource.entity.status.state)

    @property
    def message(self) -> str | None:
        """What came of it, in words."""
        return self._resource.entity.status.message  # type: ignore[no-any-return]

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """What it measured: as :attr:`Model.evaluations`, of phase ``"monitoring"`` and ``"training"``."""
        return figures(self._resource.entity.evaluations or ())

    @property
    def new_version(self) -> ModelVersion | None:
        """The version that it trained, or None."""
        link = self._resource.entity.new_version
        return None if link is None else ModelVersion(self._service, self._model_id, link)

    @property
    def redeployed(self) -> bool:
        """Whether online deployments were moved to that version."""
        return bool(self._resource.entity.redeployed)

    def refresh(self) -> LearningIteration:
        """Looks at the service again, and returns itself."""
        service = self._service
        with translate():
            self._resource = service.api.learning.get_iteration(service.instance_id, self._model_id, self.id)
        return self

    def wait(
        self,
        timeout: float | None = 600.0,
        *,
        progress: bool | None = None,
        clock: waiting.Clock | None = None,
    ) -> LearningIteration:
        """Returns itself once it is done.

        Args:
            timeout: seconds; None waits for ever.
            progress: as for :meth:`Deployment.wait`.
            clock: for tests.

        Raises:
            DeploymentFailedError: it failed; with the service's reasons.
            WaitTimeoutError: it takes longer.
        """
        waiting.poll(
            self.refresh,
            lambda found: found.state in _DONE,
            timeout=timeout,
            late=lambda found, seconds: WaitTimeoutError(
                f"The learning iteration is {found.state} after {seconds:g} s. Wait longer.",
                last_status=found.state,
            ),
            text=lambda found: found.state,
            label="learning",
            progress=progress,
            clock=clock,
        )
        if self.state == "FAILED":
            status = self._resource.entity.status
            errors = [{"code": each.code, "message": each.message} for each in status.errors or ()]
            raise DeploymentFailedError(
                f"The learning iteration failed: {self.message}",
                deployment_id=self.id,
                last_status=self.state,
                errors=tuple(errors),
                code=errors[0]["code"] if errors else None,
            )
        return self

    def __repr__(self) -> str:
        return f"<LearningIteration {self.state}: {self.message or 'no word yet'}, id {self.id}>"
