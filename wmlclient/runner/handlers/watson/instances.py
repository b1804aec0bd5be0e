"""The service instance."""

from __future__ import annotations

from ...engine.clock import iso, now_ms
from ..registry import Answer, Call, Services
from . import operation
from .common import views

_CREATED = "created_at"


@operation("Instances_Get")
def get(services: Services, call: Call) -> Answer:
    """The instance and what has been used of it. What is not kept or not limited is left out."""
    engine, view = services.engine, views(services, call)
    created = engine.store.setting(_CREATED)
    if created is None:
        created = str(now_ms())
        engine.store.keep_setting(_CREATED, created)
    models, deployments = engine.store.models.page(1).total, engine.store.deployments.page(1).total
    return Answer(
        body={
            "metadata": {
                "guid": services.auth.instance_id,
                "url": view.instance_url,
                "created_at": iso(int(created)),
                "modified_at": iso(int(created)),
            },
            "entity": {
                "source": "wmlclient",
                "published_models": {"url": view.published_url},
                "deployments": {"url": view.deployments_url},
                "usage": {
                    "model_count": _counter(models, services.settings.quotas.models),
                    "deployment_count": _counter(deployments, services.settings.quotas.deployments),
                    "prediction_count": {"current": engine.predictions()},
                },
                "plan": "local",
                "status": "Active",
                "region": "local",
            },
        }
    )


def _counter(current: int, limit: int | None) -> dict[str, int]:
    return {"current": current} if limit is None else {"limit": limit, "current": current}
