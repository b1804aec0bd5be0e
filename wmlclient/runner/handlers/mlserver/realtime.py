"""Realtime services: published and changed by a form with the model's file."""

from __future__ import annotations

import anyio.to_thread
from starlette.datastructures import FormData, UploadFile

from ...engine.errors import field_error
from ...store import PendingArchive
from ...users import OWNER
from ..registry import Answer, Call, Services
from . import operation
from .common import form
from .services import may_publish, own_service

_PIECE = 1 << 20


@operation("publishRealtimeWebServiceByName", "publishRealtimeWebServiceByNameVersion")
async def publish(services: Services, call: Call) -> Answer:
    """Publish a model."""
    may_publish(call)
    async with form(call) as parts:
        file = parts.get("model")
        if not isinstance(file, UploadFile):
            raise field_error("model", "The form needs a part `model` with the model's file.", "invalid_form")
        model = await anyio.to_thread.run_sync(_received, services, file)
        made = await anyio.to_thread.run_sync(
            lambda: services.engine.realtime.publish(
                call.caller.name,
                call.path["name"],
                call.path.get("version"),
                model,
                _about(parts),
                any_name=call.caller.role == OWNER,
            )
        )
    return Answer(201, made.version)


@operation("patchRealtimeWebServiceByNameVersion")
async def patch(services: Services, call: Call) -> Answer:
    """Change what is given."""
    service = own_service(services, call)
    async with form(call) as parts:
        file = parts.get("model")
        model = None
        if isinstance(file, UploadFile):
            model = await anyio.to_thread.run_sync(_received, services, file)
        new = await anyio.to_thread.run_sync(services.engine.realtime.patch, service, model, _about(parts))
    return Answer(body=new.version)


def _received(services: Services, file: UploadFile) -> PendingArchive:
    pending = services.engine.contents.receive()
    try:
        while piece := file.file.read(_PIECE):
            pending.write(piece)
    except BaseException:
        pending.discard()
        raise
    return pending


def _about(parts: FormData) -> dict[str, str | None]:
    given = {name: parts.get(name) for name in ("description", "operationId")}
    return {name: value if isinstance(value, str) else None for name, value in given.items()}
