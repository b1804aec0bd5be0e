"""Failures as the contracts answer them: one body each, exact codes."""

from __future__ import annotations

from typing import Any

import orjson

from .engine import errors

_STATUS: dict[type[errors.EngineError], int] = {
    errors.Invalid: 400,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Gone: 410,
    errors.NotSupported: 501,
    errors.NotReady: 503,
    errors.NoRoom: 507,
}


class Problem(Exception):
    """A call that ends with an error of HTTP's own: not the engine's business.

    Attributes:
        status: HTTP status.
        code: Stable, machine-readable.
        message: For the user. Never a secret.
        headers: Further headers of the answer.
        target: ``{"type", "name"}`` of the part of the request at fault, or None.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: dict[str, str] | None = None,
        target: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.target = target


def from_engine(error: errors.EngineError) -> Problem:
    """The answer to what the engine refuses."""
    status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
    headers = {"retry-after": "1"} if status == 503 else None
    return Problem(status, error.code, error.message, headers, error.target)


def body(trace: str, code: str, message: str, target: dict[str, str] | None = None) -> bytes:
    """``{"trace", "errors": [{"code", "message"}]}``.

    Args:
        trace: The request's id, the same as in the answer's ``X-Global-Transaction-ID``.
        code: Stable, machine-readable.
        message: For the user.
        target: The part of the request at fault.
    """
    detail: dict[str, Any] = {"code": code, "message": message}
    if target is not None:
        detail["target"] = target
    return orjson.dumps({"trace": trace, "errors": [detail]})


def watson_body(trace: str, problem: Problem) -> bytes:
    """A problem as the v3 API tells it."""
    return body(trace, problem.code, problem.message, problem.target)


def ml_server_body(trace: str, problem: Problem) -> bytes:
    """A problem as Machine Learning Server tells it: ``{"message", "link", "exceptionType"}``."""
    kind = "".join(word.capitalize() for word in problem.code.split("_")) + "Exception"
    return orjson.dumps({"message": problem.message, "link": "", "exceptionType": kind})


def unexpected(name: str) -> Problem:
    """The answer to a bug of ours; the log has the rest under the same request id."""
    return Problem(
        500, "internal_error", f"Internal server error ({name}); the service's log has it under this trace."
    )
