"""Online scoring: one loaded scorer for each online deployment, found without a look at the database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from attrs import define, field, frozen

from . import native
from .errors import Conflict, EngineError, Invalid, NotFound, NotReady
from .ports import PortError, SparkPool, TransformFailed, TransformResult
from .scored import Scored

if TYPE_CHECKING:
    from wmlclient.scoring.labels import LabelFiller

EngineName = Literal["native", "spark"]


class Scorer(Protocol):
    """A loaded model."""

    @property
    def engine(self) -> EngineName:
        """What scores."""
        ...

    def score(self, fields: list[str], values: list[list[Any]]) -> Scored | Future[Scored]:
        """All columns of the scored rows, at once or later.

        Raises:
            Invalid: The table does not fit the model's input, or no row of it can be scored.
            NotReady: Spark is not there.
        """
        ...


class SparkScorer:
    """A model scored by Spark, for what the native scorer does not give exactly.

    Args:
        spark: Where Spark is; asked at each call, since a driver that died is replaced by another.
        model_dir: Folder with the saved model.
        schema: The schema of the model's input.
        label: What :func:`native.label_filler` gave: adds the label column where a stage needs it.
    """

    engine: EngineName = "spark"

    def __init__(
        self,
        spark: SparkPool,
        model_dir: Path,
        schema: dict[str, Any],
        label: LabelFiller | None = None,
    ) -> None:
        self._spark = spark
        self._dir = str(model_dir)
        self._schema = schema
        self._label = label

    def probe(self, timeout: float) -> None:
        """Return when Spark has loaded the model.

        Args:
            timeout: Seconds.

        Raises:
            PortError: Spark is not there, or cannot load the model.
            TimeoutError: It took too long.
        """
        runner = self._spark.get(None)
        runner.version()
        names = [column["name"] for column in self._schema["fields"]]
        runner.transform(self._dir, self._schema, names, []).result(timeout)

    def score(self, fields: list[str], values: list[list[Any]]) -> Future[Scored]:
        """Hand the rows to Spark. It fails for all of them where it fails for one."""
        # Which columns the stages need is Spark's to say.
        native.check_rows(self._schema, fields, values, (), self._label)
        schema = self._schema
        if self._label is not None:
            schema, fields, values = self._label.fill(schema, fields, values)
        answer: Future[Scored] = Future()
        try:
            asked = self._spark.get(None).transform(self._dir, schema, fields, values)
        except PortError as error:
            raise _scoring_error(error) from None
        asked.add_done_callback(lambda done: _pass_on(done, answer))
        return answer


def _pass_on(done: Future[TransformResult], answer: Future[Scored]) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    error = done.exception()
    if error is None:
        answer.set_result(Scored(done.result().fields, done.result().values))
    else:
        answer.set_exception(_scoring_error(error) if isinstance(error, PortError) else error)


def _scoring_error(error: PortError) -> EngineError:
    if isinstance(error, TransformFailed):
        return Invalid("invalid_input_data", f"Spark cannot score these rows: {error.message}")
    return NotReady("underlying_api_error", error.message)


@frozen(eq=False)
class Live:
    """A scorer and the version that it scores: read together, so that an answer names the version that made it."""

    scorer: Scorer
    version_id: str


@define(eq=False)
class Slot:
    """Where a deployment's scorer is, or will be.

    Attributes:
        model_id: The deployment's model.
        ready: Ends with the scorer, or with the error that a caller gets.
        live: The same scorer once it is there, for the path that has no time for a future.
        wanted: Counts what was asked for; only what was asked for last goes live.
    """

    model_id: str
    ready: Future[Live] = field(factory=Future)
    live: Live | None = None
    wanted: int = 0


class OnlineScorers:
    """Scorers by deployment. Safe to use from any thread."""

    def __init__(self) -> None:
        self._slots: dict[str, Slot] = {}
        self._lock = threading.Lock()

    def open(self, deployment_id: str, model_id: str) -> tuple[Slot, int]:
        """A slot that callers can wait for, and the number of this wish.

        A slot that has a scorer, or waits for one, is kept: what scores goes on scoring until the next one is there.
        """
        with self._lock:
            slot = self._slots.get(deployment_id)
            if slot is None or (slot.live is None and slot.ready.done()):
                slot = self._slots[deployment_id] = Slot(model_id)
            slot.wanted += 1
            return slot, slot.wanted

    def loaded(self, deployment_id: str, slot: Slot, wish: int, live: Live, keep: Callable[[], None]) -> bool:
        """A scorer is there: from now on it scores.

        Args:
            deployment_id: The deployment.
            slot: Its slot.
            wish: Number of the wish that this fulfils.
            live: The scorer.
            keep: Writes it down; where that fails, what scored before goes on.

        Returns:
            False where the deployment is gone, or something else has been asked for since.
        """
        with self._lock:
            if not self._current(deployment_id, slot, wish):
                return False
            before, slot.live = slot.live, live
            try:
                keep()
            except BaseException:
                slot.live = before
                raise
            if not slot.ready.done():
                slot.ready.set_result(live)
            return True

    def failed(
        self, deployment_id: str, slot: Slot, wish: int, reason: str, keep: Callable[[bool], None]
    ) -> None:
        """A scorer never will be there; what scored before goes on.

        Args:
            deployment_id: The deployment.
            slot: Its slot.
            wish: Number of the wish.
            reason: Why.
            keep: Writes it down; told whether something goes on scoring.
        """
        with self._lock:
            if not self._current(deployment_id, slot, wish):
                return
            keep(slot.live is not None)
            if not slot.ready.done():
                slot.ready.set_exception(Conflict("deployment_failed", f"The deployment failed: {reason}"))

    def _current(self, deployment_id: str, slot: Slot, wish: int) -> bool:
        return self._slots.get(deployment_id) is slot and slot.wanted == wish

    def drop(self, deployment_id: str) -> None:
        """Forget a deployment; who waits for it is told that it is gone."""
        with self._lock:
            slot = self._slots.pop(deployment_id, None)
            if slot is not None and not slot.ready.done():
                slot.ready.set_exception(NotFound())

    def find(self, deployment_id: str, model_id: str | None) -> Slot:
        """The slot of an online deployment.

        Args:
            deployment_id: Its id.
            model_id: The model in the request's path, or None on the flat path.

        Raises:
            NotFound: No such online deployment, or not of this model.
        """
        slot = self._slots.get(deployment_id)
        if slot is None or (model_id is not None and slot.model_id != model_id):
            raise NotFound(
                "not_found", "Unknown deployment identification: there is no such online deployment."
            )
        return slot
