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


def state_of(status: str, kind: str = "online") -> State:
    """The state that a service's word stands for; a word nobody knows may still turn into something.

    Args:
        status: the word.
        kind: kind of the deployment; a batch that runs is not done.
    """
    if kind == "batch" and status.upper() == "RUNNING":
        return State.PENDING
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


def rows_of(entity: Any) -> dict[str, int | None] | None:
    """The progress of a batch, from its entity."""
    found = entity.progress
    names = ("rows_read", "rows_written", "rows_bad", "rows_total")
    return None if found is None else {name: getattr(found, name) for name in names}


def progress_text(status: str, rows: Mapping[str, int | None] | None) -> str:
    """A status, and how far a batch has come.

    >>> progress_text("RUNNING", {"rows_read": 12000, "rows_total": 50000})
    'RUNNING, 12,000 of 50,000 rows'
    """
    if rows is None:
        return status
    total = f" of {rows['rows_total']:,}" if rows["rows_total"] else ""
    return f"{status}, {rows['rows_read'] or 0:,}{total} rows"
