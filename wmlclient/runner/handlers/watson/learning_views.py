"""Learning as the v3 API shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...engine import connections
from ...engine.clock import iso
from ...store import Iteration, Learning, Model, Version
from .views import Views, reference

_REFERENCES = ("feedback_data_reference", "training_data_reference")


class LearningViews:
    """Makes the JSON of one answer.

    Args:
        views: Knows the addresses.
        version: Finds a version by its id.
    """

    def __init__(self, views: Views, version: Callable[[str], Version | None]) -> None:
        self._views = views
        self._version = version

    def iterations_url(self, model_id: str) -> str:
        """The address of a model's iterations."""
        return f"{self._views.published_url}/{model_id}/learning_iterations"

    def configuration(self, learning: Learning) -> dict[str, Any]:
        """How a model learns. Secrets of its connections are masked."""
        shown = {key: value for key, value in learning.body.items() if key not in _REFERENCES}
        shown["evaluation_definition"] = shown["definition"]
        shown["last_training_record"] = learning.last_record
        for name in _REFERENCES:
            if name in learning.body:
                shown[name] = _masked(learning.body[name])
        if learning.spark_service is not None:
            shown["spark_service"] = connections.masked_spark_service(learning.spark_service)
        return shown

    def iteration(self, model: Model, iteration: Iteration) -> dict[str, Any]:
        """An iteration of a model."""
        url = f"{self.iterations_url(model.id)}/{iteration.id}"
        status: dict[str, Any] = {"state": iteration.state}
        if iteration.message is not None:
            status["message"] = iteration.message
        if iteration.failure:
            status["errors"] = iteration.failure
        entity: dict[str, Any] = {
            "status": status,
            "published_model": reference(model, f"{self._views.published_url}/{model.id}"),
            "evaluations": [self.evaluation(model.id, each) for each in iteration.evaluations],
        }
        if iteration.records is not None:
            entity["feedback_records"] = iteration.records
        if iteration.redeployed is not None:
            entity["redeployed"] = iteration.redeployed
        version = self._version(iteration.version_id) if iteration.version_id else None
        if version is not None:
            entity["new_version"] = self._views.version(model.id, version)
        metadata = {"guid": iteration.id, "url": url, "created_at": iso(iteration.created_at)}
        return {"metadata": {**metadata, "modified_at": iso(iteration.modified_at)}, "entity": entity}

    def evaluation(self, model_id: str, told: Mapping[str, Any]) -> dict[str, Any]:
        """What an iteration has measured."""
        return {
            "phase": told["phase"],
            "values": told["values"],
            "timestamp": iso(told["timestamp"]),
            "model_version_url": self._views.version_url(model_id, told["version_id"]),
        }


def _masked(reference: Mapping[str, Any]) -> dict[str, Any]:
    return {k: connections.masked(v) if k == "connection" else v for k, v in reference.items()}
