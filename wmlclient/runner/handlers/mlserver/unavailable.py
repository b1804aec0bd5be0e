"""Operations that this service does not do; it says so."""

from __future__ import annotations

from ...engine.errors import NotSupported
from ..registry import Answer, Call, Services
from . import operation


@operation(
    "publishRealtimeWebServiceByName",
    "publishRealtimeWebServiceByNameVersion",
    "patchRealtimeWebServiceByNameVersion",
    "createOrUpdateServicePool",
    "deleteServicePool",
    "getServicePoolStatus",
)
async def refuse(services: Services, call: Call) -> Answer:
    """501."""
    raise NotSupported("not_supported", "This service does not do that yet.")
