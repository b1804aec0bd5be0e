"""The scoring call: the one that must be fast. No router, no thread, no database on its way.

A row of text takes 10 µs to score and all of this call 20 µs of CPU; finding its route among all the others and
handing it to a thread, as other operations are, would take more than that.
"""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import Future
from typing import Any

import anyio.to_thread
import orjson

from wmlclient.wire import words_for_non_finite

from .engine.errors import Invalid, NotReady
from .engine.scored import Scored
from .engine.scorers import Live, Scorer, Slot
from .handlers import Services
from .handlers.common import ended
from .incoming import Headers, Receive, whole

_ID = "[A-Za-z0-9-]{1,64}"
_PATH = re.compile(
    rf"/v3/wml_instances/(?P<instance>{_ID})(?:/published_models/(?P<model>{_ID}))?"
    rf"/deployments/(?P<deployment>{_ID})/online/?"
)
#: A body up to this many bytes is scored on the event loop: handing it to a thread would take longer.
_SMALL = 32 * 1024


def match(method: str, path: str) -> re.Match[str] | None:
    """The scoring call that this request is, or None."""
    return _PATH.fullmatch(path) if method == "POST" else None


async def score(
    services: Services, call: re.Match[str], headers: Headers, receive: Receive
) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Score a table.

    Returns:
        The body of the answer, and headers that say which engine scored which version.

    Raises:
        Problem, EngineError: What is refused.
    """
    services.auth.check(headers.authorization)
    services.meter.count("prediction")
    instance, model, deployment = call.groups()
    services.auth.require_instance(instance)
    slot = services.engine.scorers.find(deployment, model)
    limits = services.settings.limits
    body = await whole(receive, headers, limits.json, limits.receive)
    live = slot.live or await _live(services, slot)
    scorer = live.scorer
    if len(body) <= _SMALL:
        fields, values = _table(body)
        scored = scorer.score(fields, values)
        if isinstance(scored, Future):
            scored = await asyncio.wrap_future(scored)
        answer = _json(scored)
    else:
        answer, scored = await _score_large(scorer, body)
    services.engine.count_predictions(len(scored.values) - len(scored.errors))
    return answer, [
        (b"x-scoring-engine", scorer.engine.encode()),
        (b"x-model-version", live.version_id.encode()),
    ]


async def _live(services: Services, slot: Slot) -> Live:
    """The scorer of a deployment that is on its way."""
    if not await ended(slot.ready, services.settings.score_wait):
        raise NotReady("operation_timeout", "The deployment is still being made; try again in a moment.")
    return slot.ready.result()


async def _score_large(scorer: Scorer, body: bytes) -> tuple[bytes, Scored]:
    """On threads, so that other calls do not wait behind it."""
    run = anyio.to_thread.run_sync
    scored = await run(lambda: scorer.score(*_table(body)))
    if isinstance(scored, Future):
        scored = await asyncio.wrap_future(scored)
    return await run(_json, scored), scored


def _table(body: bytes) -> tuple[list[str], list[list[Any]]]:
    """``fields`` and ``values`` of a scoring payload; their content is the scorer's to check.

    Raises:
        Invalid: ``invalid_payload``.
    """
    try:
        table = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        reason = (
            f"not JSON, line {error.lineno}, column {error.colno}" if body.strip() else "the body is empty"
        )
        raise Invalid("invalid_payload", f"Input Json parsing failed with error: {reason}") from None
    if not isinstance(table, dict):
        raise _wrong_form("an object with `fields` and `values` is expected")
    fields, values = table.get("fields"), table.get("values")
    if not isinstance(fields, list) or not all(type(name) is str for name in fields):
        raise _wrong_form("`fields` is not an array of names", "fields")
    if not isinstance(values, list) or not all(type(row) is list for row in values):
        raise _wrong_form("`values` is not an array of rows, each an array", "values")
    return fields, values


def _wrong_form(what: str, field: str | None = None) -> Invalid:
    target = {"type": "field", "name": field} if field else None
    return Invalid("invalid_payload", f"Input Json parsing failed with error: {what}", target)


def _json(scored: Scored) -> bytes:
    answer: dict[str, Any] = {"fields": scored.fields, "values": scored.values}
    if scored.errors:
        answer["errors"] = [problem.as_json() for problem in scored.errors]
    text = orjson.dumps(answer)
    # orjson writes null for what is not finite: rare, and cheaper to notice here than to look for beforehand.
    if b"null" in text:
        text = orjson.dumps(words_for_non_finite(answer))
    return text
