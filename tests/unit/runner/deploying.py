"""An online deployment in a world of fakes, from upload to answer."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from runner_fakes import eventually

ONLINE = {"name": "sentiment", "type": "online", "description": "d"}
FIELDS, ROWS = ["id", "text"], [[1, "what a day"], [2, "so sad"]]


def status(world: Any, deployment_id: str, wanted: str) -> Any:
    found = eventually(lambda: _is(world.engine.deployments.get(deployment_id), wanted))
    return found


def _is(deployment: Any, wanted: str) -> Any:
    return deployment if deployment.status == wanted else None


def certificate(world: Any, version_id: str) -> Any:
    def look() -> Any:
        found = world.engine.store.models.version(version_id).certificate
        return found if found["state"] != "pending" else None

    return eventually(look)


def online(world: Any, content: bytes, **request: Any) -> Any:
    version = world.upload(content, **request)
    return world.engine.deployments.create(version.model_id, ONLINE, None)


def score(world: Any, deployment: Any, fields: list[str], rows: list[list[Any]]) -> Any:
    slot = world.engine.scorers.find(deployment.id, deployment.model_id)
    scored = slot.ready.result(20).scorer.score(fields, rows)
    return scored.result(20) if isinstance(scored, Future) else scored
