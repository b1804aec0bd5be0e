"""Turns what azure-core, msrest, requests and urllib3 raise into this package's errors.

``with translate():`` stands around every call of the generated client, so nothing else crosses the facade.
The original is left out of the traceback on purpose (``from None``): it holds the request with its headers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from wmlclient import errors


class translate:
    """Context manager that lets only errors of this package out."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, errors.WmlError) or not isinstance(error, Exception):
            return
        ours = from_foreign(error)
        if ours is not None:
            raise ours from None


def utc(moment: dt.datetime | None) -> Any:
    """A time of the generated client, with Python's own UTC for its zone."""
    return moment.astimezone(dt.timezone.utc) if moment is not None else None


def from_foreign(error: Exception) -> errors.WmlError | None:
    """The error of this package that stands for a foreign one, or None if it is none of the known kinds."""
    package = type(error).__module__.partition(".")[0]
    if package == "azure":
        return _from_azure(error)
    if package == "msrest":
        return _from_msrest(error)
    if package in ("requests", "urllib3"):
        return transport_error(error)
    return None


def _from_azure(error: Exception) -> errors.WmlError:
    from azure.core import exceptions as azure

    response = getattr(error, "response", None)
    if isinstance(error, azure.IncompleteReadError):
        return transport_error(error)
    if isinstance(error, azure.HttpResponseError) and response is not None:
        status = int(response.status_code)
        request = response.request
        if isinstance(error, azure.DecodeError) and status < 400:
            where = errors.public_url(request.url)
            return errors.ResponseError(
                f"{request.method} {where}: the answer is not the JSON it should be. "
                "Check that the url is the service's own.",
                status=status,
                method=request.method,
                url=where,
            )
        try:
            body = response.read()
        except Exception:
            body = b""  # the connection broke while the error was read: the status has to do
        return errors.api_error(
            status, body, method=request.method, url=request.url, headers=response.headers
        )
    if isinstance(error, azure.DeserializationError):
        return errors.ResponseError(f"The service's answer does not fit its contract: {error}")
    if isinstance(error, azure.SerializationError | ValueError):
        return errors.PayloadError(str(error))
    return transport_error(error)


def _from_msrest(error: Exception) -> errors.WmlError:
    from msrest.exceptions import DeserializationError  # type: ignore[attr-defined]

    if isinstance(error, DeserializationError):
        return errors.ResponseError(f"The service's answer does not fit its contract: {error}")
    return errors.PayloadError(f"The request does not fit the service's contract: {error}")


def transport_error(error: Exception) -> errors.TransportError:
    """The error for "no answer", with the innermost reason in its text."""
    from requests.exceptions import Timeout
    from urllib3.exceptions import NewConnectionError
    from urllib3.exceptions import TimeoutError as PoolTimeout

    request = None
    timed_out = False
    reason: BaseException = error
    for reason in _chain(error):
        request = request or getattr(reason, "request", None)
        # NewConnectionError is a kind of timeout to urllib3, but says "refused" or "unknown host".
        timed_out |= isinstance(reason, Timeout | PoolTimeout) and not isinstance(reason, NewConnectionError)
    method = getattr(request, "method", None)
    where = errors.public_url(getattr(request, "url", None))
    call = f"{method} {where}: " if method else ""
    if timed_out:
        return errors.RequestTimeoutError(
            f"{call}no answer in time. Give more with client.with_options(timeout=...).",
            method=method,
            url=where,
        )
    text = str(reason).rpartition("): ")[2] or type(reason).__name__
    return errors.TransportError(
        f"{call}no answer: {text.rstrip('.')}. Check that the service runs and can be reached.",
        method=method,
        url=where,
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it wraps, from the outside to the innermost."""
    seen: set[int] = set()
    current: object = error
    while isinstance(current, BaseException) and id(current) not in seen:
        seen.add(id(current))
        yield current
        inner = getattr(current, "inner_exception", None) or getattr(current, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((a for a in current.args if isinstance(a, BaseException)), None)
        current = inner or current.__cause__
