"""Pools: processes of a service that are kept warm."""

from __future__ import annotations

from attrs import evolve

from ...engine.errors import field_error
from ..registry import Answer, Call, Services
from . import operation
from .services import own_service

#: Processes that one service may have.
MOST = 64


@operation("createOrUpdateServicePool")
def create(services: Services, call: Call) -> Answer:
    """Keep processes warm."""
    service = own_service(services, call)
    initial, most = call.body.get("InitialPoolSize"), call.body.get("MaxPoolSize")
    if initial is None or not 0 <= initial <= MOST:
        raise field_error("InitialPoolSize", f"InitialPoolSize is a number from 0 to {MOST}.")
    if most is None or not max(1, initial) <= most <= MOST:
        raise field_error("MaxPoolSize", f"MaxPoolSize is a number from InitialPoolSize, or 1, to {MOST}.")
    services.engine.web_services.replace(service, evolve(service, pool={"initial": initial, "most": most}))
    return Answer(body="The pool is being made.")


@operation("deleteServicePool")
def delete(services: Services, call: Call) -> Answer:
    """Keep none any more."""
    service = own_service(services, call)
    if service.pool is not None:
        services.engine.web_services.replace(service, evolve(service, pool=None))
    return Answer(body="The pool is deleted.")


@operation("getServicePoolStatus")
def status(services: Services, call: Call) -> Answer:
    """How the pool is, on the one node that there is."""
    service = services.engine.web_services.get(call.path["name"], call.path["version"])
    found = "NotFound"
    if service.pool is not None:
        ready = service.runtime == "Realtime" or services.engine.consumption.state(service) == "warm"
        found = "Success" if ready else "Pending"
        if not ready:
            services.engine.consumption.warm(service)
    return Answer(body=[{"ComputeNodeEndpoint": call.base, "Status": found}])
