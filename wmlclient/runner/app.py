"""The ASGI application: from a request to an operation of a contract, and from its outcome to an answer."""

from __future__ import annotations

import errno
import inspect
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import anyio
import anyio.to_thread
import orjson
from attrs import frozen
from starlette.responses import FileResponse
from starlette.routing import Match, Route

from . import consume_route, metrics_route, problems, scoring_route
from .dialects import DIALECTS, ML_SERVER, Dialect
from .engine.errors import EngineError, Invalid, NoRoom
from .handlers import Answer, Call, Handler, Services
from .incoming import Disconnected, Gate, Headers, Receive, Scope, Send, chunks, parse_json, whole
from .issuer import KeysWanted
from .problems import Problem
from .routes import Operation, Parameter
from .store import StorageFull

logger = logging.getLogger("wmlclient.runner.http")

#: For calls that wait for an issuer's keys: they must not hold the threads of all others.
_fetching = anyio.CapacityLimiter(1)

_JSON = (b"content-type", b"application/json")


@frozen
class _Address:
    """A path of a contract."""

    route: Route
    dialect: Dialect
    by_method: dict[str, tuple[Operation, Handler | None]]


class App:
    """Answers the contracts.

    Args:
        services: What handlers work with.

    Raises:
        ContractMismatch: An operation has no handler, or a handler no operation.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._gate = Gate(services.settings.host)
        self._addresses = [address for dialect in DIALECTS for address in _addresses(dialect)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            return await _lifespan(receive, send)
        if scope["type"] != "http":
            return None
        headers = Headers.of(scope)
        try:
            return await self._serve(scope, receive, send, headers)
        except KeysWanted as wanted:
            # Nothing of the body was read yet. The second time the keys are there, or are not to be had.
            await anyio.to_thread.run_sync(wanted.fetch, limiter=_fetching)
        return await self._serve(scope, receive, send, headers)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        dialect = DIALECTS[0]
        try:
            self._gate.check(headers)
            scoring = scoring_route.match(scope["method"], scope["path"])
            if scoring is not None:
                body, more = await scoring_route.score(self._services, scoring, headers, receive)
                return await _send(send, 200, body, headers, [_JSON, *more])
            consuming = consume_route.match(scope["method"], scope["path"])
            if consuming is not None:
                dialect = ML_SERVER
                body = await consume_route.consume(self._services, consuming, headers, receive)
                return await _send(send, 200, body, headers, [_JSON])
            if metrics_route.matches(scope["method"], scope["path"]):
                body = await anyio.to_thread.run_sync(metrics_route.answer, self._services, headers)
                return await _send(send, 200, body, headers, [(b"content-type", metrics_route.CONTENT_TYPE)])
            address, path = self._address(scope)
            dialect = address.dialect
            answer = await self._call(address, path, scope, receive, headers)
            if answer.file is not None:
                return await _send_file(answer, scope, receive, send, headers)
            content = b"" if answer.body is None else orjson.dumps(answer.body)
            more = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
            await _send(send, answer.status, content, headers, [_JSON, *more] if content else more)
        except Disconnected:
            logger.debug("%s %s: the client has gone", scope["method"], scope["path"])
        except KeysWanted:
            raise
        except Problem as problem:
            await _send_problem(send, dialect, problem, headers)
        except EngineError as error:
            await _send_problem(send, dialect, problems.from_engine(error), headers)
        except StorageFull:
            await _send_problem(send, dialect, problems.from_engine(NoRoom()), headers)
        except Exception as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                return await _send_problem(send, dialect, problems.from_engine(NoRoom()), headers)
            logger.exception("%s %s failed, trace %s", scope["method"], scope["path"], headers.request_id)
            await _send_problem(send, dialect, problems.unexpected(type(error).__name__), headers)
        return None

    async def _call(
        self, address: _Address, path: dict[str, str], scope: Scope, receive: Receive, headers: Headers
    ) -> Answer:
        operation, handler = _chosen(address, scope["method"])
        services, limits = self._services, self._services.settings.limits
        caller = address.dialect.enter(services, operation, headers, path)
        given = _parameters(operation, scope, path)
        body, upload = None, None
        if operation.upload or operation.form:

            def upload() -> Any:
                return chunks(receive, headers, limits.content, limits.receive_content)
        elif operation.validator is not None:
            body = await self._body(operation, receive, headers)
        call = Call(
            operation,
            path,
            given,
            body,
            _base(scope, headers),
            headers.authorization,
            upload,
            caller,
            headers.content_type.decode("latin-1"),
        )
        if inspect.iscoroutinefunction(handler):
            answer: Answer = await handler(services, call)
        else:
            answer = await anyio.to_thread.run_sync(handler, services, call)  # type: ignore[arg-type]
        return answer

    async def _body(self, operation: Operation, receive: Receive, headers: Headers) -> Any:
        limits = self._services.settings.limits
        raw = await whole(receive, headers, limits.json, limits.receive)

        def read() -> Any:
            body = parse_json(raw)
            operation.check_body(body)
            return body

        return read() if len(raw) < 1 << 16 else await anyio.to_thread.run_sync(read)

    def _address(self, scope: Scope) -> tuple[_Address, dict[str, str]]:
        path = scope["path"]
        if len(path) > 1 and path.endswith("/"):
            scope = {**scope, "path": path[:-1], "root_path": ""}
        for address in self._addresses:
            matches, child = address.route.matches(scope)
            if matches is Match.NONE:
                continue
            found: dict[str, str] = child["path_params"]
            if not all(address.dialect.segment.fullmatch(value) for value in found.values()):
                break
            return address, found
        raise Problem(404, "not_found", "Requested object could not be found.")


def _addresses(dialect: Dialect) -> list[_Address]:
    found, handlers = dialect.load()
    paths: dict[str, dict[str, tuple[Operation, Handler | None]]] = {}
    for operation in found:
        for path in operation.paths:
            paths.setdefault(path, {})[operation.method] = operation, handlers.get(operation.id)
    return [_Address(Route(path, _never), dialect, by_method) for path, by_method in paths.items()]


def _chosen(address: _Address, method: str) -> tuple[Operation, Handler]:
    operation, handler = address.by_method.get(method, (None, None))
    if operation is None:
        allow = ", ".join(sorted(address.by_method))
        raise Problem(405, "method_not_allowed", f"This address takes {allow}.", {"allow": allow})
    assert handler is not None, "direct operations are taken before"
    return operation, handler


async def _never() -> None:
    raise AssertionError("only the path of a Route is used")


def _parameters(operation: Operation, scope: Scope, path: Mapping[str, str]) -> dict[str, Any]:
    if not operation.parameters:
        return {}
    try:
        query = dict(
            parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True, max_num_fields=100)
        )
    except ValueError:
        raise Invalid("invalid_query_parameter_value", "The query is malformed.") from None
    sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}

    def text(parameter: Parameter) -> str | None:
        if parameter.place == "query":
            return query.get(parameter.name, path.get(parameter.name))
        return sent.get(parameter.name.lower())

    return {parameter.name: parameter.read(text(parameter)) for parameter in operation.parameters}


def _base(scope: Scope, headers: Headers) -> str:
    host = headers.host.decode("latin-1") if headers.host else "{}:{}".format(*scope["server"][:2])
    return f"{scope['scheme']}://{host}"


async def _send(
    send: Send, status: int, body: bytes, headers: Headers, more: list[tuple[bytes, bytes]]
) -> None:
    all_headers = [*more, (b"x-global-transaction-id", headers.request_id.encode())]
    if status != 204:
        all_headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": body})


async def _send_problem(send: Send, dialect: Dialect, problem: Problem, headers: Headers) -> None:
    body = dialect.body(headers.request_id, problem)
    more = [(name.encode(), value.encode()) for name, value in problem.headers.items()]
    await _send(send, problem.status, body, headers, [_JSON, *more])


async def _send_file(answer: Answer, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
    assert answer.file is not None
    response = FileResponse(
        answer.file,
        media_type="application/octet-stream",
        headers={"x-global-transaction-id": headers.request_id},
    )
    try:
        await response(scope, receive, send)
    finally:
        if answer.temporary:
            answer.file.unlink(missing_ok=True)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
