"""Models of the repository."""

from __future__ import annotations

import anyio.to_thread

from ...engine.errors import Invalid, NotFound
from ...quotas import check_plan
from ...store import Version
from ..common import receive
from ..registry import Answer, Call, Services
from . import operation
from .common import start_of, views
from .views import page


@operation("Models_Create")
def create(services: Services, call: Call) -> Answer:
    """Store one; its content follows."""
    check_plan("models", services.settings.quotas.models, services.engine.store.models.page(1).total)
    shown = views(services, call).model(*services.engine.models.create(call.body))
    return Answer(201, shown, {"location": shown["metadata"]["url"]})


@operation("Models_List")
def list_(services: Services, call: Call) -> Answer:
    """Those with content."""
    view, limit = views(services, call), call.given["limit"]
    found = services.engine.models.page(limit, start_of(call))
    return Answer(body=page(found, view.models_url, limit, lambda pair: view.model(*pair)))


@operation("Models_Get")
def get(services: Services, call: Call) -> Answer:
    """One of them, with its newest version."""
    return Answer(body=views(services, call).model(*services.engine.models.get(call.path["model_id"])))


@operation("Models_CreateVersion")
def create_version(services: Services, call: Call) -> Answer:
    """Store a further version; its content follows."""
    made = services.engine.models.create_version(call.path["model_id"], call.body)
    shown = views(services, call).model(*made)
    return Answer(201, shown, {"location": shown["metadata"]["url"]})


@operation("Models_Delete")
def delete(services: Services, call: Call) -> Answer:
    """Remove one with all its deployments."""
    services.engine.delete_model(call.path["model_id"])
    return Answer(204)


@operation("Models_ListVersions")
def list_versions(services: Services, call: Call) -> Answer:
    """Its versions."""
    view, limit = views(services, call), call.given["limit"]
    found = services.engine.models.versions(call.path["model_id"], limit, start_of(call))
    url = f"{view.models_url}/{call.path['model_id']}/versions"
    return Answer(body=page(found, url, limit, lambda pair: view.model(*pair)))


@operation("Models_GetVersion")
def get_version(services: Services, call: Call) -> Answer:
    """One of its versions; with ``size=true`` only how large the content is."""
    model, version = services.engine.models.version(call.path["model_id"], call.path["version_id"])
    if call.given["size"]:
        _content(version)
        return Answer(body={"contentSize": version.size})
    return Answer(body=views(services, call).whole_version(model, version))


@operation("Models_UploadContent")
async def upload(services: Services, call: Call) -> Answer:
    """Take the archive of a version; the model is published from then on."""
    ids = call.path["model_id"], call.path["version_id"]
    run = anyio.to_thread.run_sync
    await run(services.engine.models.version, *ids)
    pending = await receive(services, call)
    await run(services.engine.models.upload, *ids, pending)
    return Answer(200)


@operation("Models_DownloadContent")
def download(services: Services, call: Call) -> Answer:
    """Give the archive of a version."""
    _, version = services.engine.models.version(call.path["model_id"], call.path["version_id"])
    return Answer(file=services.engine.contents.path(_content(version)))


@operation("Models_DownloadLatestContent")
def download_latest(services: Services, call: Call) -> Answer:
    """Give the archive of the newest version."""
    model_id = call.path["model_id"]
    try:
        _, version = services.engine.models.published(model_id)
    except NotFound:
        services.engine.models.get(model_id)
        raise Invalid("missing_latest_model_version", "Model does not contain any version.") from None
    return Answer(file=services.engine.contents.path(_content(version)))


def _content(version: Version) -> str:
    if version.digest is None:
        raise NotFound("not_found", "This version has no content yet: upload it first.")
    return version.digest
