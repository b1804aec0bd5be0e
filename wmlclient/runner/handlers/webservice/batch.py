"""Batch executions."""

from __future__ import annotations

import base64
from typing import Any

import orjson

from ...engine.errors import Invalid, NotFound
from ...engine.executions import FINISHED
from ...store import Execution, WebService
from ..registry import Answer, Call, Services
from . import operation


@operation("StartBatchExecution")
def start(services: Services, call: Call) -> Answer:
    """Begin one; clients of the time read its id by the one or the other name."""
    service = _service(services, call)
    id = services.engine.executions.begin(service, call.caller.name, call.body, call.given["parallelCount"])
    return Answer(202, {"batchExecutionId": id, "BatchExecutionId": id})


@operation("GetBatchExecutions")
def list_(services: Services, call: Call) -> Answer:
    """Ids of the caller's own."""
    return Answer(body=services.engine.executions.list(_service(services, call), call.caller.name))


@operation("GetBatchExecutionStatus")
def status(services: Services, call: Call) -> Answer:
    """State, counts and results. Each is at the place of its record, and null where that has none yet."""
    found = _execution(services, call)
    results = services.engine.executions.results(found)
    asked = [call.given[name] for name in ("showPartialResults", "showPartialResult")]
    shown = results if found.state in FINISHED or False not in asked else {}
    length = max(shown, default=-1) + 1
    return Answer(
        body={
            "state": found.state,
            "completedItemCount": len(results),
            "totalItemCount": found.total,
            "batchExecutionResults": [_fragment(shown.get(number)) for number in range(length)],
        }
    )


@operation("CancelAndDeleteBatchExecution")
def delete(services: Services, call: Call) -> Answer:
    """Cancel and forget one."""
    found = _execution(services, call)
    services.engine.executions.delete(found)
    return Answer(body=[found.id])


@operation("GetBatchExecutionFiles")
def files(services: Services, call: Call) -> Answer:
    """Names of the files that one request has written."""
    return Answer(body=[name for name, content in _files(services, call).items() if content is not None])


@operation("GetBatchExecutionFile")
def file(services: Services, call: Call) -> Answer:
    """One of these files."""
    name = call.path["fileName"]
    content = _files(services, call).get(name)
    if content is None:
        raise NotFound("file_not_found", f"The request has no file {name[:80]!r}.")
    target = services.engine.sessions.passing()
    target.write_bytes(base64.b64decode(content))
    return Answer(file=target, temporary=True)


def _service(services: Services, call: Call) -> WebService:
    return services.engine.web_services.get(call.path["name"], call.path["version"])


def _execution(services: Services, call: Call) -> Execution:
    service = _service(services, call)
    return services.engine.executions.get(service, call.caller.name, call.path["executionId"])


def _files(services: Services, call: Call) -> dict[str, str | None]:
    found, index = _execution(services, call), call.path["index"]
    if not (index.isascii() and index.isdecimal() and len(index) <= 9):
        raise Invalid("invalid_index", "The number of a record is a whole number from 0 on.")
    result = services.engine.executions.result(found, int(index))
    files: dict[str, str | None] = result["outputFiles"] if result is not None else {}
    return files


def _fragment(result: bytes | None) -> Any:
    return None if result is None else orjson.Fragment(result)
