"""What a service is consumed by; the consuming call itself is taken before the router."""

from __future__ import annotations

from ...engine import service_document
from ..registry import Answer, Call, Services
from . import operation


@operation("GetWebServiceSwagger")
async def swagger(services: Services, call: Call) -> Answer:
    """The document of one service."""
    found = services.engine.web_services.get(call.path["name"], call.path["version"])
    return Answer(body=service_document.of(found))
