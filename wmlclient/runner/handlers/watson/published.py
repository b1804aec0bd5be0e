"""Published models: those of the repository that have content."""

from __future__ import annotations

from ..registry import Answer, Call, Services
from . import operation
from .common import start_of, views
from .views import page


@operation("PublishedModels_List")
def list_(services: Services, call: Call) -> Answer:
    """All of them."""
    view, limit = views(services, call), call.given["limit"]
    found = services.engine.models.page(limit, start_of(call))
    counts = services.engine.deployments.counts()
    return Answer(
        body=page(
            found, view.published_url, limit, lambda pair: view.published(*pair, counts.get(pair[0].id, 0))
        )
    )


@operation("PublishedModels_Get")
def get(services: Services, call: Call) -> Answer:
    """One of them."""
    model, version = services.engine.models.published(call.path["model_id"])
    count = services.engine.deployments.counts().get(model.id, 0)
    body = views(services, call).published(model, version, count)
    materials = services.engine.models.materials(model, version)
    if materials is not None:
        body["entity"]["bill_of_materials"] = materials
    return Answer(body=body)


@operation("PublishedModels_Delete")
def delete(services: Services, call: Call) -> Answer:
    """Remove one with all its deployments."""
    services.engine.models.published(call.path["model_id"])
    services.engine.delete_model(call.path["model_id"], bool(call.given["ignore_spark_errors"]))
    return Answer(204)
