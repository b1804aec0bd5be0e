"""Training definitions, at the two addresses that clients have for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio.to_thread

from ...engine.errors import NotFound
from ...store import Definition
from ..common import receive
from ..registry import Answer, Call, Services
from . import operation
from .common import start_of, views
from .views import page


@operation("TrainingDefinitions_Create", "Experiments_Create")
def create(services: Services, call: Call) -> Answer:
    """Store one; its content follows."""
    show, _ = _shown(services, call)
    shown = show(services.engine.definitions.create(call.body))
    return Answer(201, shown, {"location": shown["metadata"]["url"]})


@operation("TrainingDefinitions_List", "Experiments_List")
def list_(services: Services, call: Call) -> Answer:
    """Those with content."""
    (show, url), limit = _shown(services, call), call.given["limit"]
    return Answer(body=page(services.engine.definitions.page(limit, start_of(call)), url, limit, show))


@operation("TrainingDefinitions_Get", "Experiments_Get")
def get(services: Services, call: Call) -> Answer:
    """One of them."""
    show, _ = _shown(services, call)
    return Answer(body=show(services.engine.definitions.get(call.path["definition_id"])))


@operation("TrainingDefinitions_Delete", "Experiments_Delete")
def delete(services: Services, call: Call) -> Answer:
    """Remove one; models stay."""
    services.engine.definitions.delete(call.path["definition_id"])
    return Answer(204)


@operation("TrainingDefinitions_UploadContent", "Experiments_UploadContent")
async def upload(services: Services, call: Call) -> Answer:
    """Take its archive."""
    ids = call.path["definition_id"], call.path["version_id"]
    run = anyio.to_thread.run_sync
    await run(services.engine.definitions.version, *ids)
    pending = await receive(services, call)
    await run(services.engine.definitions.upload, *ids, pending)
    return Answer(200)


@operation("TrainingDefinitions_DownloadContent", "Experiments_DownloadContent")
def download(services: Services, call: Call) -> Answer:
    """Give its archive."""
    found = services.engine.definitions.version(call.path["definition_id"], call.path["version_id"])
    if found.digest is None:
        raise NotFound()
    return Answer(file=services.engine.contents.path(found.digest))


def _shown(services: Services, call: Call) -> tuple[Callable[[Definition], dict[str, Any]], str]:
    """What shows a definition at the address that the caller has for them, and that address."""
    view = views(services, call)
    if call.operation.id.startswith("Experiments"):
        return view.experiment, view.experiments_url
    return view.definition, view.definitions_url
