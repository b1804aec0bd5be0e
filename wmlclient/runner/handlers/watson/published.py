"""Published models: those of the repository that have content."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio.to_thread

from ...engine.clock import iso
from ...store import Model, Version
from ..common import ended
from ..registry import Answer, Call, Services
from . import operation
from .common import start_of, views
from .deployments import shown
from .learning_views import LearningViews
from .views import page


@operation("PublishedModels_List")
def list_(services: Services, call: Call) -> Answer:
    """All of them."""
    view, limit = views(services, call), call.given["limit"]
    found = services.engine.models.page(limit, start_of(call))
    counts, deployed = (
        services.engine.store.deployments.counts(),
        services.engine.store.deployments.deployed(),
    )

    def show(pair: tuple[Model, Version]) -> dict[str, Any]:
        return view.published(*pair, counts.get(pair[0].id, 0), deployed.get(pair[0].id))

    return Answer(body=page(found, view.published_url, limit, show))


@operation("PublishedModels_Get")
def get(services: Services, call: Call) -> Answer:
    """One of them."""
    return Answer(body=_shown(services, call))


@operation("PublishedModels_Update")
async def update(services: Services, call: Call) -> Answer:
    """Move its online deployments to a version; answered when all of them are there or have failed."""
    run = anyio.to_thread.run_sync
    moved = await run(services.engine.deployments.move_all, call.path["model_id"], call.body)
    await asyncio.gather(*(ended(each, services.settings.sync_wait) for each in moved))
    return Answer(body=await run(_moved, services, call))


@operation("PublishedModels_ListEvaluationMetrics")
def evaluation_metrics(services: Services, call: Call) -> Answer:
    """What it was found to be worth."""
    view, model_id = views(services, call), call.path["model_id"]
    resources: list[dict[str, Any]] = [
        {
            "phase": "setup",
            "values": figures,
            "timestamp": iso(version.created_at),
            "model_version_url": view.version_url(model_id, version.id),
        }
        for version, figures in services.engine.models.evaluations(model_id)
    ]
    shown = LearningViews(view, services.engine.store.models.version)
    resources += [shown.evaluation(model_id, each) for each in services.engine.learning.evaluations(model_id)]
    resources.sort(key=lambda each: str(each["timestamp"]))
    return Answer(body={"count": len(resources), "resources": resources})


def _moved(services: Services, call: Call) -> dict[str, Any]:
    """The newest online deployment: clients of 2018 read on from it. The model, where it has none."""
    newest = services.engine.deployments.newest_online(call.path["model_id"])
    return _shown(services, call) if newest is None else shown(services, views(services, call), newest)


def _shown(services: Services, call: Call) -> dict[str, Any]:
    model, version = services.engine.models.published(call.path["model_id"])
    rows = services.engine.store.deployments
    body = views(services, call).published(
        model, version, rows.counts().get(model.id, 0), rows.deployed().get(model.id)
    )
    materials = services.engine.models.materials(model, version)
    if materials is not None:
        body["entity"]["bill_of_materials"] = materials
    return body


@operation("PublishedModels_Delete")
def delete(services: Services, call: Call) -> Answer:
    """Remove one with all its deployments."""
    services.engine.models.published(call.path["model_id"])
    services.engine.delete_model(call.path["model_id"], bool(call.given["ignore_spark_errors"]))
    return Answer(204)
