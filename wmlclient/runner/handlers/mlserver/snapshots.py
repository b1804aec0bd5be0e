"""Snapshots."""

from __future__ import annotations

import anyio.to_thread

from ..registry import Answer, Call, Services
from . import operation
from .common import dotnet, outcome, session


@operation("CreateSnapshot")
async def create(services: Services, call: Call) -> Answer:
    """Keep what a session has now."""
    at = await session(services, call)
    made = await outcome(services.engine.snapshots.create(at, call.body.get("name")))
    return Answer(201, {"snapshotId": made.id})


@operation("LoadSnapshot")
async def load(services: Services, call: Call) -> Answer:
    """Add one to a session."""
    at = await session(services, call)
    snapshot = await anyio.to_thread.run_sync(
        services.engine.snapshots.get, call.caller.name, call.path["snapshotId"]
    )
    await outcome(services.engine.snapshots.load(at, snapshot))
    return Answer()


@operation("ListSnapshots")
def list_(services: Services, call: Call) -> Answer:
    """The caller's own."""
    return Answer(
        body=[
            {
                "id": each.id,
                "name": each.name,
                "owner": each.owner,
                "creationTime": dotnet(each.created_at),
                "contentSize": each.size,
            }
            for each in services.engine.snapshots.list(call.caller.name)
        ]
    )


@operation("GetSnapshotContent")
def get(services: Services, call: Call) -> Answer:
    """Give the zip."""
    snapshots = services.engine.snapshots
    return Answer(file=snapshots.path(snapshots.get(call.caller.name, call.path["id"])))


@operation("DeleteSnapshot")
def delete(services: Services, call: Call) -> Answer:
    """Remove one."""
    services.engine.snapshots.delete(call.caller.name, call.path["id"])
    return Answer(body="The snapshot is deleted.")
