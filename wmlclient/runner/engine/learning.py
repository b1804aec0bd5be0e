"""Continuous learning: how a model learns, its feedback, and its iterations as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jsonpatch
from attrs import evolve

from ..store import Iteration, Learning, Model, Page, Referenced, Store
from . import figures, patches
from .clock import new_id, now_ms
from .connections import spark_service
from .errors import Conflict, Invalid, NotFound, field_error, missing
from .feedback import Feedback, reference_place, training_schema
from .iterations import Iterations
from .models import ModelService
from .places import Folders

_RULES = ("never", "always", "conditionally")
_MEMBERS = ("feedback_data_reference", "training_data_reference")


class LearningService:
    """How models learn.

    Args:
        store: Rows.
        models: Models.
        feedback: What they learn from.
        iterations: Runs their iterations.
        folders: The files that a SQLite database may be.
        clock: Milliseconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        models: ModelService,
        feedback: Feedback,
        iterations: Iterations,
        folders: Folders,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._rows = store.learning
        self._models = models
        self._feedback = feedback
        self._iterations = iterations
        self._folders = folders
        self._clock = clock

    def start(self) -> None:
        """After a restart: say of iterations that were under way that they failed."""
        message = "The service was ended while the iteration was under way. Start another."
        self._rows.fail_active([{"code": "operation_timeout", "message": message}], self._clock())

    def close(self) -> None:
        """Begin no more iterations."""
        self._iterations.close()

    def configure(self, model_id: str, body: Mapping[str, Any], spark_header: str | None) -> Learning:
        """Say how a model learns.

        Args:
            model_id: The published model.
            body: The request.
            spark_header: ``X-Spark-Service-Instance``, or None.

        Raises:
            NotFound: No such published model.
            Invalid: ``missing_prediction_spark_definition``, ``evaluation_method_not_supported``, ``missing_metric``,
                ``invalid_feedback_data_connection``, ``invalid_request_payload``.
            Forbidden: ``path_not_allowed``.
        """
        self._model(model_id)
        service = spark_service(spark_header, "learning")
        kept, last = self._checked(body)
        now, before = self._clock(), self._rows.get(model_id)
        created = before.created_at if before else now
        learning = Learning(model_id, kept, service, last, created, now)
        return self._put(learning)

    def configuration(self, model_id: str) -> Learning:
        """How a model learns.

        Raises:
            NotFound: No such published model, or ``missing_learning_configuration``.
        """
        self._model(model_id)
        found = self._rows.get(model_id)
        if found is None:
            raise NotFound(
                "missing_learning_configuration",
                "The model has no learning configuration. PUT one to its `learning_configuration_url`.",
            )
        return found

    def change(self, model_id: str, operations: Any, spark_header: str | None) -> Learning:
        """Change how a model learns.

        Raises:
            NotFound: No such model, or it has no configuration.
            Invalid: As for :meth:`configure`, and ``deserialization_error``, ``patch_multiple_ops``.
        """
        before = self.configuration(model_id)
        parsed = patches.parse(operations)
        if not parsed or any(operation["op"] != "replace" for operation in parsed):
            raise Invalid("patch_multiple_ops", "Patch operation expects exactly one replace operation.")
        whole = {**before.body, "last_training_record": before.last_record}
        whole["evaluation_definition"] = whole["definition"]
        # What was never said can be replaced, too.
        base = {**dict.fromkeys(_MEMBERS), **whole}
        try:
            changed = jsonpatch.apply_patch(base, parsed)
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException):
            raise field_error("path", "The patch names no member of a learning configuration.") from None
        evaluation = changed.pop("evaluation_definition")
        if evaluation != whole["evaluation_definition"]:
            changed["definition"] = evaluation
        kept, last = self._checked(changed)
        service = spark_service(spark_header, "learning") if spark_header else before.spark_service
        return self._put(
            evolve(before, body=kept, last_record=last, spark_service=service, modified_at=self._clock())
        )

    def store_feedback(self, model_id: str, body: Mapping[str, Any]) -> int:
        """Keep feedback; how many rows there are then.

        Raises:
            NotFound: No such published model, or ``missing_learning_configuration``.
            Invalid: The rows do not fit the training data, or the table cannot take them.
        """
        model = self._model(model_id)
        return self._feedback.add(model, self.configuration(model_id), body)

    def iterate(self, model_id: str) -> Iteration:
        """Start an iteration.

        Raises:
            NotFound: No such published model, or ``missing_learning_configuration``.
            Conflict: ``active_evaluation_conflict``: one is under way.
        """
        model, learning = self._model(model_id), self.configuration(model_id)
        training_schema(model)
        now = self._clock()
        iteration = Iteration(new_id(), model_id, "INITIALIZED", now, now)
        try:
            started = self._rows.start(iteration)
        except Referenced:  # the model was deleted meanwhile
            raise NotFound() from None
        if not started:
            raise Conflict(
                "active_evaluation_conflict",
                "A learning iteration of this model is under way. Wait until it is done.",
            )
        self._iterations.submit(iteration.id, learning)
        return iteration

    def iteration(self, model_id: str, id: str) -> tuple[Model, Iteration]:
        """One iteration, and its model.

        Raises:
            NotFound: There is none.
        """
        model, found = self._model(model_id), self._rows.iteration(id)
        if found is None or found.model_id != model_id:
            raise NotFound()
        return model, found

    def page(
        self, model_id: str, limit: int, start: int | None, state: str | None
    ) -> tuple[Model, Page[Iteration]]:
        """The iterations of a model, oldest first.

        Raises:
            NotFound: No such published model.
        """
        return self._model(model_id), self._rows.iterations(model_id, limit, start, state)

    def evaluations(self, model_id: str) -> list[dict[str, Any]]:
        """What the iterations of a model have measured, oldest first."""
        found = self._rows.iterations(model_id, 1_000_000).items
        return [evaluation for iteration in found for evaluation in iteration.evaluations]

    def _model(self, id: str) -> Model:
        return self._models.published(id)[0]

    def _put(self, learning: Learning) -> Learning:
        try:
            self._rows.put(learning)
        except Referenced:  # the model was deleted meanwhile
            raise NotFound() from None
        return learning

    def _checked(self, body: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
        """What is kept of a configuration, and how much feedback a training has seen."""
        given = body.get("definition") or body.get("evaluation_definition")
        if not isinstance(given, Mapping):
            raise missing("definition")
        try:
            defined = figures.definition(given)
        except (KeyError, TypeError, AttributeError):
            raise missing("definition") from None
        kept: dict[str, Any] = {"definition": defined}
        for name in ("auto_retrain", "auto_redeploy"):
            rule = kept[name] = body.get(name) or "never"
            if rule not in _RULES:
                raise field_error(name, f"`{name}` is one of {', '.join(_RULES)}.")
        counts = {"min_feedback_data_size": 1, "last_training_record": 0}
        for name, least in counts.items():
            count = body.get(name, least)
            if isinstance(count, bool) or not isinstance(count, int) or count < least:
                raise field_error(name, f"`{name}` is a whole number, {least} or more.")
            kept[name] = count
        for name in _MEMBERS:
            if body.get(name):
                reference_place(body[name], name, self._folders)
                kept[name] = body[name]
        return kept, kept.pop("last_training_record")
