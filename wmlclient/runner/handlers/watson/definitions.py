"""Training definitions."""

from __future__ import annotations

import anyio.to_thread

from ...engine.errors import NotFound
from ..common import receive
from ..registry import Answer, Call, Services
from . import operation
from .common import start_of, views
from .views import page


@operation("TrainingDefinitions_Create")
def create(services: Services, call: Call) -> Answer:
    """Store one; its content follows."""
    shown = views(services, call).definition(services.engine.definitions.create(call.body))
    return Answer(201, shown, {"location": shown["metadata"]["url"]})


@operation("TrainingDefinitions_List")
def list_(services: Services, call: Call) -> Answer:
    """Those with content."""
    view, limit = views(services, call), call.given["limit"]
    found = services.engine.definitions.page(limit, start_of(call))
    return Answer(body=page(found, view.definitions_url, limit, view.definition))


@operation("TrainingDefinitions_Get")
def get(services: Services, call: Call) -> Answer:
    """One of them."""
    return Answer(
        body=views(services, call).definition(services.engine.definitions.get(call.path["definition_id"]))
    )


@operation("TrainingDefinitions_Delete")
def delete(services: Services, call: Call) -> Answer:
    """Remove one; models stay."""
    services.engine.definitions.delete(call.path["definition_id"])
    return Answer(204)


@operation("TrainingDefinitions_UploadContent")
async def upload(services: Services, call: Call) -> Answer:
    """Take its archive."""
    ids = call.path["definition_id"], call.path["version_id"]
    run = anyio.to_thread.run_sync
    await run(services.engine.definitions.version, *ids)
    pending = await receive(services, call)
    await run(services.engine.definitions.upload, *ids, pending)
    return Answer(200)


@operation("TrainingDefinitions_DownloadContent")
def download(services: Services, call: Call) -> Answer:
    """Give its archive."""
    found = services.engine.definitions.version(call.path["definition_id"], call.path["version_id"])
    if found.digest is None:
        raise NotFound()
    return Answer(file=services.engine.contents.path(found.digest))
