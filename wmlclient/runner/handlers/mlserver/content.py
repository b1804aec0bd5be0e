"""What is in a session: the files of its working directory and the objects of its workspace."""

from __future__ import annotations

import anyio.to_thread
from starlette.datastructures import UploadFile

from ...engine import workfiles
from ...engine.errors import field_error
from ..common import receive_to
from ..registry import Answer, Call, Services
from . import operation
from .common import clean, form, object_name, outcome, session

_run = anyio.to_thread.run_sync


@operation("uploadSessionFile")
async def upload_file(services: Services, call: Call) -> Answer:
    """Take a file under the name of its part."""
    at = await session(services, call)
    async with form(call) as parts:
        file = parts.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise field_error("file", "The form needs a part `file` with a filename.", "invalid_form")
        await _run(services.engine.sessions.write_file, at, file.filename, file.file)
    return Answer(201)


@operation("listSessionFiles")
async def list_files(services: Services, call: Call) -> Answer:
    """Names of the files."""
    at = await session(services, call)
    return Answer(body=[clean(name) for name in await _run(workfiles.names, at.work)])


@operation("getSessionFile")
async def get_file(services: Services, call: Call) -> Answer:
    """Give a file: a copy, so that code that changes it meanwhile does not change what is sent."""
    at = await session(services, call)
    copy = await _run(services.engine.sessions.copy_file, at, call.path["fileName"])
    return Answer(file=copy, temporary=True)


@operation("deleteSessionFile")
async def delete_file(services: Services, call: Call) -> Answer:
    """Remove a file."""
    at = await session(services, call)
    await _run(workfiles.delete, at.work, call.path["fileName"])
    return Answer()


@operation("listWorkspaceObjects")
async def list_objects(services: Services, call: Call) -> Answer:
    """Names of the objects."""
    at = await session(services, call)
    return Answer(body=await outcome(services.engine.sessions.submit(at, at.kernel.names)))


@operation("setWorkspaceObject")
async def set_object(services: Services, call: Call) -> Answer:
    """Take an object. It is unpickled in the session's own process, and never here."""
    name = object_name(call)
    at = await session(services, call)
    part = services.engine.sessions.passing()
    try:
        await receive_to(call, part)
        await outcome(services.engine.sessions.submit(at, lambda: at.kernel.put(name, part)))
    finally:
        part.unlink(missing_ok=True)
    return Answer()


@operation("getWorkspaceObject")
async def get_object(services: Services, call: Call) -> Answer:
    """Give an object."""
    name = object_name(call)
    at = await session(services, call)
    part = services.engine.sessions.passing()
    try:
        await outcome(services.engine.sessions.submit(at, lambda: at.kernel.get(name, part)))
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return Answer(file=part, temporary=True)


@operation("deleteWorkspaceObject")
async def delete_object(services: Services, call: Call) -> Answer:
    """Remove an object."""
    name = object_name(call)
    at = await session(services, call)
    await outcome(services.engine.sessions.submit(at, lambda: at.kernel.delete(name)))
    return Answer()
