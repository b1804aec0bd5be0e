"""The call that consumes a web service. As the scoring call, it is taken before the router and asks no database."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import Future

import anyio.to_thread
import orjson

from .engine import exchange, parameters
from .engine.errors import NotReady
from .engine.workers import Worker, WorkersBusy, WorkersEnded
from .handlers import Services
from .incoming import Headers, Receive, parse_json, whole
from .store import WebService

_PATH = re.compile(r"/api/(?P<name>[^/\x00-\x1f\x7f]{1,255})/(?P<version>[^/\x00-\x1f\x7f]{1,255})/?")
#: A body up to this many bytes is read on the event loop.
_SMALL = 64 * 1024


def match(method: str, path: str) -> re.Match[str] | None:
    """The consuming call that this request is, or None."""
    return _PATH.fullmatch(path) if method == "POST" else None


async def consume(services: Services, call: re.Match[str], headers: Headers, receive: Receive) -> bytes:
    """Run a service for one request.

    Returns:
        The body of the answer.

    Raises:
        Problem, EngineError: What is refused. Code that fails is none of it.
    """
    services.logins.check(headers.authorization)
    service = services.engine.web_services.get(call["name"], call["version"])
    limits = services.settings.limits
    body = await whole(receive, headers, limits.json, limits.receive)
    if len(body) <= _SMALL:
        _check(service, body)
    else:
        await anyio.to_thread.run_sync(_check, service, body)
    if service.runtime == "Realtime":
        # The first request loads the model.
        return await anyio.to_thread.run_sync(services.engine.realtime.run, service, body)
    return await _run(services, service, body)


def _check(service: WebService, body: bytes) -> None:
    """Return where a request fits a service.

    Raises:
        Invalid: It does not.
    """
    inputs = service.body["inputParameterDefinitions"]
    if not inputs and not body.strip():
        return
    parameters.check(inputs, parse_json(body))


async def _run(services: Services, service: WebService, body: bytes) -> bytes:
    settings = services.engine.consumption.settings
    files = service.body["outputFileNames"]
    leased = services.engine.consumption.lease(service)
    try:
        worker = await _awaited(leased, settings.wait) if isinstance(leased, Future) else leased
    except WorkersBusy as error:
        raise NotReady("service_busy", f"Try again later: {error}.") from None
    except WorkersEnded as error:
        return orjson.dumps(exchange.failed(f"The service's process has ended: {error}.", files))
    return await _exchange(worker, body or b"{}", settings.seconds, files)


async def _awaited(leased: Future[Worker], seconds: float) -> Worker:
    waiting = asyncio.wrap_future(leased)
    try:
        return await asyncio.wait_for(waiting, seconds)
    except asyncio.TimeoutError:
        leased.add_done_callback(_give_back)
        raise NotReady("service_busy", "All processes of the service are at work; try again later.") from None
    except asyncio.CancelledError:
        leased.add_done_callback(_give_back)
        raise


def _give_back(leased: Future[Worker]) -> None:
    if not leased.cancelled() and leased.exception() is None:
        leased.result().release()


async def _exchange(worker: Worker, body: bytes, seconds: float, files: list[str]) -> bytes:
    loop, connection = asyncio.get_running_loop(), worker.connection
    late = False

    def too_late() -> None:
        nonlocal late
        late = True
        worker.kill()

    timer = loop.call_later(seconds, too_late)
    answer, again = exchange.Answer(), False
    try:
        await loop.sock_sendall(connection, exchange.framed(body))
        while True:
            part = await loop.sock_recv(connection, 1 << 18)
            if not part:
                break
            if answer.add(part):
                found, again = answer.body(), answer.again and not late
                return found
    except exchange.BadAnswer as error:
        worker.kill()
        return orjson.dumps(exchange.failed(f"The request has failed: {error}.", files))
    except OSError:
        pass
    finally:
        timer.cancel()
        worker.release(again)
    reason = exchange.too_long(seconds) if late else await anyio.to_thread.run_sync(worker.why)
    return orjson.dumps(exchange.failed(reason, files))
