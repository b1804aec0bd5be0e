"""Online scoring: one loaded scorer for each online deployment, found without a look at the database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Literal, Protocol

from attrs import define, field, frozen

from .errors import Conflict, NotFound
from .scored import Scored

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
