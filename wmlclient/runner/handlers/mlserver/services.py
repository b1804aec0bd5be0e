"""Web services: published, listed, changed and deleted."""

from __future__ import annotations

from typing import Any

from ...engine.errors import Forbidden
from ...store import WebService
from ...users import OWNER, READER, Caller
from ..registry import Answer, Call, Services
from . import operation
from .common import dotnet

_KEPT_FOR_PUBLISHERS = ("code", "initCode")


@operation("getAllWebServices")
async def list_all(services: Services, call: Call) -> Answer:
    """All versions of all services."""
    return Answer(body=[shown(each, call.caller) for each in services.engine.web_services.all()])


@operation("getAllWebServiceVersionsByName")
async def list_versions(services: Services, call: Call) -> Answer:
    """All versions of one, oldest first: clients take the last for the latest."""
    found = services.engine.web_services.versions(call.path["name"])
    return Answer(body=[shown(each, call.caller) for each in found])


@operation("getWebServiceVersion")
async def get(services: Services, call: Call) -> Answer:
    """One version, in an array."""
    return Answer(body=[shown(_service(services, call), call.caller)])


@operation("publishWebService", "publishWebServiceVersion")
def publish(services: Services, call: Call) -> Answer:
    """Publish code."""
    may_publish(call)
    made = services.engine.web_services.publish(
        call.caller.name,
        call.path["name"],
        call.path.get("version"),
        call.body,
        any_name=call.caller.role == OWNER,
    )
    return Answer(201, made.version)


@operation("patchWebServiceVersion")
def patch(services: Services, call: Call) -> Answer:
    """Change what is given."""
    new = services.engine.web_services.patch(own_service(services, call), call.caller.name, call.body)
    return Answer(body=new.version)


@operation("deleteWebServiceVersion")
def delete(services: Services, call: Call) -> Answer:
    """Remove one version."""
    services.engine.web_services.delete(own_service(services, call))
    return Answer()


def may_publish(call: Call) -> None:
    """Return where the caller may publish.

    Raises:
        Forbidden: Readers may not.
    """
    if call.caller.role == READER:
        raise Forbidden("role_required", "Readers use web services; Contributors and Owners publish them.")


def own_service(services: Services, call: Call) -> WebService:
    """The service that the path names, where the caller may change it.

    Raises:
        NotFound: There is none.
        Forbidden: It is another user's.
    """
    service = _service(services, call)
    if not _may_change(service, call.caller):
        raise Forbidden("not_your_service", "Only its publisher and Owners change a web service.")
    return service


def shown(service: WebService, caller: Caller) -> dict[str, Any]:
    """A service as a caller sees it: code is for its publisher and Owners."""
    own = _may_change(service, caller)
    body = {name: value for name, value in service.body.items() if own or name not in _KEPT_FOR_PUBLISHERS}
    return {
        **body,
        "creationTime": dotnet(service.created_at),
        "myPermissionOnService": "read/write" if own else "read only",
        "name": service.name,
        "runtimeType": service.runtime,
        "version": service.version,
        "versionPublishedBy": service.owner,
    }


def _may_change(service: WebService, caller: Caller) -> bool:
    return caller.role == OWNER or (caller.role != READER and caller.name == service.owner)


def _service(services: Services, call: Call) -> WebService:
    return services.engine.web_services.get(call.path["name"], call.path["version"])
