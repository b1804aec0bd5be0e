"""Deployments: the same ones under their model and under the instance."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import anyio.to_thread

from ...engine.errors import field_error, missing
from ...quotas import check_plan
from ...store import Deployment
from ..common import ended
from ..registry import Answer, Call, Services
from . import operation
from .common import start_of, views
from .views import Views, page

_ASSET = re.compile(r".*/published_models/([A-Za-z0-9-]{1,64})/?")
_SERVICE = re.compile(r".*/services/([^/?#]{1,765})/([^/?#]{1,765})/?")


@operation("Deployments_List", "InstanceDeployments_List")
def list_(services: Services, call: Call) -> Answer:
    """Those of a model, or all."""
    view, given = views(services, call), call.given
    model_id, limit = call.path.get("model_id"), given["limit"]
    found = services.engine.deployments.page(
        limit, start_of(call), model_id=model_id, status=given["status"], kind=given["type"]
    )
    url = f"{view.published_url}/{model_id}/deployments" if model_id else view.deployments_url
    query = {"status": given["status"], "type": given["type"]}
    return Answer(body=page(found, url, limit, lambda each: shown(services, view, each), query))


@operation("Deployments_Create", "InstanceDeployments_Create")
async def create(services: Services, call: Call) -> Answer:
    """Make one. 202 at once where ``sync`` is false; else 201, for an online one with the state it ends in."""
    engine, run = services.engine, anyio.to_thread.run_sync
    under = call.path.get("model_id")
    service = None if under else _service(call.body)
    present = (await run(engine.store.deployments.page, 1)).total
    check_plan("deployments", services.settings.quotas.deployments, present)
    header = call.given["X-Spark-Service-Instance"]
    if service is not None:
        made = await run(engine.deployments.create_of_service, *service, call.body, header)
    else:
        made = await run(engine.deployments.create, under or _asset(call.body), call.body, header)
    status = 202 if call.given["sync"] is False else 201
    wait = status == 201 and made.kind == "online"
    if wait and await ended(engine.deployments.ready(made.id), services.settings.sync_wait):
        made = await run(engine.deployments.get, made.id)
    return Answer(status, await run(shown, services, views(services, call), made))


@operation("Deployments_Get", "InstanceDeployments_Get")
def get(services: Services, call: Call) -> Answer:
    """One of them."""
    found = services.engine.deployments.get(call.path["deployment_id"], call.path.get("model_id"))
    return Answer(body=shown(services, views(services, call), found))


@operation("Deployments_Update", "InstanceDeployments_Update")
async def update(services: Services, call: Call) -> Answer:
    """Rename an online one, move one to another version (200), stop or start a stream (204)."""
    engine, run = services.engine, anyio.to_thread.run_sync
    id, model_id = call.path["deployment_id"], call.path.get("model_id")
    moved = await run(engine.deployments.move, id, model_id, call.body)
    if moved is not None:
        if await ended(moved, services.settings.sync_wait):
            moved.result()
    elif await run(engine.deployments.change, id, model_id, call.body) is None:
        return Answer(204)
    changed = await run(engine.deployments.get, id, model_id)
    return Answer(body=await run(shown, services, views(services, call), changed))


@operation("Deployments_Delete", "InstanceDeployments_Delete")
def delete(services: Services, call: Call) -> Answer:
    """Take one down."""
    services.engine.deployments.delete(
        call.path["deployment_id"], call.path.get("model_id"), bool(call.given["ignore_spark_errors"])
    )
    return Answer(204)


def shown(services: Services, view: Views, deployment: Deployment) -> dict[str, Any]:
    """A deployment as answers show it."""
    model, version = services.engine.models.behind(deployment.model_id, deployment.version_id)
    previous = deployment.previous_id and services.engine.store.models.version(deployment.previous_id)
    progress = services.engine.streams.progress(deployment.id)
    return view.deployment(deployment, model, version, previous or None, progress)


def _service(body: dict[str, Any]) -> tuple[str, str] | None:
    """Name and version of the web service that a request on the flat path names, or None."""
    match = _SERVICE.fullmatch(body.get("deployable_asset_url") or "")
    return (unquote(match[1]), unquote(match[2])) if match is not None else None


def _asset(body: dict[str, Any]) -> str:
    """The model that a request on the flat path names."""
    url = body.get("deployable_asset_url")
    if not url:
        raise missing("deployable_asset_url")
    match = _ASSET.fullmatch(url)
    if match is None:
        raise field_error(
            "deployable_asset_url",
            "`deployable_asset_url` is not the address of a published model, nor of a version of a web service.",
        )
    return match.group(1)
