"""Compute nodes: this service is the one that it has."""

from __future__ import annotations

from ...engine.errors import Forbidden, Invalid
from ...users import OWNER
from ..registry import Answer, Call, Services
from . import operation


@operation("getComputeNodes")
async def get(services: Services, call: Call) -> Answer:
    """The address of the caller's own request."""
    return Answer(body={"computeNodes": [call.base]})


@operation("setComputeNodes", "addComputeNode", "removeComputeNode")
async def change(services: Services, call: Call) -> Answer:
    """Refused, unless what is asked for is how it is."""
    if call.caller.role != OWNER:
        raise Forbidden("owner_required", "Only Owners change the compute nodes.")
    entries = set(call.body.get("entries") or ())
    asked_for_more = entries - {call.base}
    left_out = (call.base not in entries) if call.operation.id == "setComputeNodes" else False
    removed = call.operation.id == "removeComputeNode" and call.base in entries
    if removed or left_out or (asked_for_more and call.operation.id != "removeComputeNode"):
        raise Invalid(
            "one_compute_node", f"This service has one compute node, itself ({call.base}); it stays as it is."
        )
    return Answer()
