"""The words that services have for a deployment's state, and the four that the facade has."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from typing import Any


class State(str, enum.Enum):
    """Where a deployment stands, whatever word the service has for it."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"
    STOPPED = "stopped"

    def __str__(self) -> str:
        return self.value


STATES = {
    **dict.fromkeys(
        ("ACTIVE", "DEPLOY_SUCCESS", "UPDATE_SUCCESS", "RUNNING", "COMPLETED", "SUCCESS"), State.READY
    ),
    **dict.fromkeys(
        ("DEPLOY_FAILURE", "UPDATE_FAILURE", "FAILED", "FAILURE", "ERROR", "KERNEL_DEAD"), State.FAILED
    ),
    **dict.fromkeys(("STOPPED", "CANCELED"), State.STOPPED),
}


def state_of(status: str) -> State:
    """The state that a service's word stands for; a word nobody knows may still turn into something."""
    return STATES.get(status.upper(), State.PENDING)


def failures(entity: Any) -> tuple[dict[str, Any], ...]:
    """Why a deployment failed, from its entity: dicts with ``code`` and ``message``."""
    details = entity.status_details
    failure = details.failure if details is not None else None
    found = []
    for error in (failure.errors or ()) if failure is not None else ():
        if isinstance(error, str):  # services up to 2018 write each error as a text that holds its JSON
            try:
                error = json.loads(error)
            except ValueError:
                error = {"message": error}
        found.append(dict(error) if isinstance(error, Mapping) else {"message": str(error)})
    if not found and entity.status_message and STATES.get(str(entity.status).upper()) is State.FAILED:
        found.append({"message": entity.status_message})
    return tuple(found)
