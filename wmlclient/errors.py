"""Every error that crosses the facade.

::

    WmlError
      ConfigError (ValueError)              what is missing, and every place that was tried
      LocalModeError (RuntimeError)         the embedded runner cannot start; the text says what mends it
      PayloadError (ValueError)             names the column, the row and what was expected
        NotAModelError (TypeError)          what was given to publish() is no fitted Spark ML pipeline
      TransportError (ConnectionError)      no answer
        RequestTimeoutError (TimeoutError)  no answer in time
      ResponseError                         an answer that the contract does not allow
      BrokerError (ConnectionError)         Kafka refused, or did not answer
      CodeError (RuntimeError)              code in a session or a web service has failed
      DeploymentFailedError (RuntimeError)  the service could not make the deployment ready
      WaitTimeoutError (TimeoutError)       a wait passed its deadline
      ApiError                              the service answered with an error
        BadRequestError (ValueError)        400, and every 4xx without a class of its own
        AuthenticationError                 401
        PermissionDeniedError (PermissionError)    403
        NotFoundError (LookupError)         404
        ConflictError                       409
        RateLimitError                      429, with .retry_after
        ServerError                         5xx
          NotSupportedError (NotImplementedError)  501

Each has ``status``, ``code``, ``request_id``, ``method``, ``url`` and ``retriable`` (None or False where they
say nothing), and survives pickling, so an error raised in a worker process reaches its parent whole.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

__all__ = [
    "ApiError",
    "AuthenticationError",
    "BadRequestError",
    "BrokerError",
    "CodeError",
    "ConfigError",
    "ConflictError",
    "DeploymentFailedError",
    "LocalModeError",
    "NotAModelError",
    "NotFoundError",
    "NotSupportedError",
    "PayloadError",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestTimeoutError",
    "ResponseError",
    "ServerError",
    "TransportError",
    "WaitTimeoutError",
    "WmlError",
]


class WmlError(Exception):
    """Base of all errors of this package.

    Attributes:
        status: HTTP status, or None if there was no answer.
        code: the service's own error code, for example ``"not_found"``.
        request_id: what the service's log knows the request by.
        method: HTTP method of the request.
        url: URL of the request, without its query.
        retriable: True if the same call may succeed later, unchanged.
    """

    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    method: str | None = None
    url: str | None = None
    retriable: bool = False

    def __init__(self, message: str = "", **attributes: Any) -> None:
        super().__init__(message)
        for name, value in attributes.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        # OSError, a base of some subclasses, has its own idea of a text.
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, dict(self.__dict__))


def _restore(cls: type[WmlError], args: tuple[Any, ...], attributes: dict[str, Any]) -> WmlError:
    error = cls(*args)
    error.__dict__.update(attributes)
    return error


class ConfigError(WmlError, ValueError):
    """A setting is missing or wrong. ``tried`` lists the places that were looked at, in order."""

    tried: tuple[str, ...] = ()


class LocalModeError(WmlError, RuntimeError):
    """The embedded runner, its broker or its Spark cannot start."""


class PayloadError(WmlError, ValueError):
    """What was given cannot be sent.

    Attributes:
        column: name of the offending column, if there is one.
        row: its row, counted from 0, if there is one.
    """

    column: str | None = None
    row: int | None = None


class CodeError(WmlError, RuntimeError):
    """Code in a session or a web service has failed, or was ended.

    Attributes:
        console: what it had printed.
    """

    console: str = ""


class NotAModelError(PayloadError, TypeError):
    """What was given to ``publish`` is no fitted Spark ML pipeline."""


class TransportError(WmlError, ConnectionError):
    """The service did not answer: nothing listens, the connection broke, TLS failed."""

    retriable = True


class RequestTimeoutError(TransportError, TimeoutError):
    """The service did not answer in time. A POST may have been carried out all the same."""


class ResponseError(WmlError):
    """The service answered something that its contract does not allow."""


class BrokerError(WmlError, ConnectionError):
    """Kafka refused an operation, or did not answer."""


class DeploymentFailedError(WmlError, RuntimeError):
    """A deployment did not become ready.

    Attributes:
        deployment_id: its id.
        last_status: the service's own word for its status.
        errors: the service's reasons, each a dict with ``code`` and ``message``.
    """

    deployment_id: str | None = None
    last_status: str | None = None
    errors: tuple[dict[str, Any], ...] = ()


class WaitTimeoutError(WmlError, TimeoutError):
    """A wait passed its deadline; what was waited for goes on, and may be waited for again."""

    retriable = True
    last_status: str | None = None


class ApiError(WmlError):
    """The service answered with an error.

    Attributes:
        errors: all errors of the body, each a dict with ``code`` and ``message``.
        body: the body as text, at most 2,000 characters.
    """

    errors: tuple[dict[str, Any], ...] = ()
    body: str = ""


class BadRequestError(ApiError, ValueError):
    """400: the service cannot read the request, or finds it wrong."""


class AuthenticationError(ApiError):
    """401: wrong user or password, or a token that is not taken."""


class PermissionDeniedError(ApiError, PermissionError):
    """403: these credentials are for something else, for example another instance."""


class NotFoundError(ApiError, LookupError):
    """404: the service knows no such thing."""


class ConflictError(ApiError):
    """409: not possible in the present state."""


class RateLimitError(ApiError):
    """429: too many requests. ``retry_after``: seconds to wait, if the service said so."""

    retriable = True
    retry_after: float | None = None


class ServerError(ApiError):
    """5xx: the service failed."""

    retriable = True


class NotSupportedError(ServerError, NotImplementedError):
    """501: this service does not offer that."""

    retriable = False


BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    429: RateLimitError,
    501: NotSupportedError,
}

# One thing to do next, where the status alone says it.
_NEXT_STEP: dict[int, str] = {
    401: "Check username and password.",
    403: "Check that instance_id belongs to these credentials.",
}


def public_url(url: str | None) -> str | None:
    """The URL without user, password, query and fragment."""
    if not url:
        return None
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def class_for(status: int) -> type[ApiError]:
    """The error class of an HTTP status."""
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status >= 500:
        return ServerError
    return BadRequestError if status >= 400 else ApiError


def api_error(
    status: int, body: bytes, *, method: str | None, url: str | None, headers: Any = None
) -> WmlError:
    """The error of an answer: reads the service's error body, whatever it holds.

    Args:
        status: HTTP status of the answer.
        body: its content.
        method: HTTP method of the request.
        url: URL of the request.
        headers: headers of the answer (any case-insensitive mapping).
    """
    import json

    headers = headers or {}
    text = body[:20000].decode("utf-8", "replace")
    trace, errors = None, []
    try:
        parsed = json.loads(text)
        trace = parsed.get("trace")
        errors = [dict(e) for e in parsed.get("errors") or () if isinstance(e, dict)]
        if not errors and parsed.get("exceptionType"):  # as Machine Learning Server says it
            errors = [{"code": str(parsed["exceptionType"]), "message": parsed.get("message")}]
    except (ValueError, AttributeError, TypeError):
        pass  # a proxy's HTML page, or nothing at all: the status has to do

    where = public_url(url)
    request_id = headers.get("X-Global-Transaction-ID") or trace
    said = "; ".join(str(e.get("message") or e.get("code")) for e in errors)
    code = str(errors[0]["code"]) if errors and errors[0].get("code") else None
    if not said:
        said = f"no reason given ({text.strip()[:200]})" if text.strip() else "no reason given"
    if status in _NEXT_STEP:
        said = f"{said.rstrip('.')}. {_NEXT_STEP[status]}"
    # The reason first: addresses are long.
    about = [f"{status} {code}" if code else str(status), f"{method} {where}"]
    if request_id:
        about.append(f"request {request_id}")
    message = f"{said} [{', '.join(about)}]"
    attributes: dict[str, Any] = {
        "status": status,
        "code": code,
        "request_id": request_id,
        "method": method,
        "url": where,
        "errors": tuple(errors),
        "body": text[:2000],
    }
    cls = class_for(status)
    if cls is RateLimitError:
        attributes["retry_after"] = _seconds(headers.get("Retry-After"))
    if status < 400:
        return ResponseError(
            f"{method} {where}: unexpected answer {status}. Check that the url is the service's own.",
            **{k: attributes[k] for k in ("status", "request_id", "method", "url")},
        )
    return cls(message, **attributes)


def _seconds(value: str | None) -> float | None:
    try:
        return float(value) if value is not None else None
    except ValueError:
        return None  # an HTTP date: the retries obey it, a caller rarely needs it
