"""Sessions."""

from __future__ import annotations

import functools

import anyio.to_thread

from ...engine.kernels import Runtime
from ..registry import Answer, Call, Services
from . import operation
from .common import clean, may_run_code, outcome, session, variable


@operation("createSession")
async def create(services: Services, call: Call) -> Answer:
    """Start one, perhaps with the content of a snapshot."""
    may_run_code(call)
    engine, owner, body = services.engine, call.caller.name, call.body
    runtime: Runtime = body.get("runtimeType") or "R"
    prepare = None
    if body.get("snapshotId"):
        snapshot = await anyio.to_thread.run_sync(engine.snapshots.get, owner, body["snapshotId"])
        engine.snapshots.check(snapshot, runtime)
        prepare = functools.partial(engine.snapshots.apply, snapshot)
    made = await outcome(engine.sessions.create(owner, body.get("name"), runtime, prepare))
    return Answer(201, {"sessionId": made.id})


@operation("listSessions")
async def list_(services: Services, call: Call) -> Answer:
    """The caller's own."""
    found = services.engine.sessions.list(call.caller.name)
    return Answer(
        body=[
            {"id": each.id, "name": each.name, "owner": each.owner, "runtimeType": each.runtime}
            for each in found
        ]
    )


@operation("executeCode")
async def execute(services: Services, call: Call) -> Answer:
    """Run code; one execution after the other."""
    at, body = await session(services, call), call.body
    inputs = [
        (variable(each.get("name"), "inputParameters"), each.get("value"))
        for each in body.get("inputParameters") or ()
    ]
    outputs = [variable(name, "outputParameters") for name in body.get("outputParameters") or ()]
    done = await outcome(services.engine.sessions.execute(at, body.get("code") or "", inputs, outputs))
    return Answer(
        body={
            "success": done.error is None,
            "errorMessage": clean(done.error or ""),
            "outputParameters": [{"name": name, "value": value} for name, value in done.outputs],
            "consoleOutput": clean(done.console),
            "changedFiles": [clean(name) for name in done.changed],
        }
    )


@operation("closeSession", "closeSessionByForce")
def close(services: Services, call: Call) -> Answer:
    """End one."""
    force = call.operation.id == "closeSessionByForce"
    services.engine.sessions.finish(call.caller.name, call.path["id"], force)
    return Answer(body="The session is closed.")


@operation("cancelSession")
async def cancel(services: Services, call: Call) -> Answer:
    """Interrupt what runs."""
    at = await session(services, call)
    at.kernel.interrupt()
    return Answer(body="The execution is interrupted." if at.running else "Nothing runs.")


@operation("getSessionConsoleOutput")
async def console_output(services: Services, call: Call) -> Answer:
    """What the current or last execution printed."""
    at = await session(services, call)
    return Answer(body={"consoleOutput": clean(at.kernel.console())})


@operation("listSessionHistory")
async def history(services: Services, call: Call) -> Answer:
    """The code that was executed."""
    return Answer(body=list((await session(services, call)).history))
