"""The error tree: what each holds, that each pickles, and that nothing foreign gets through."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import requests
from azure.core import exceptions as azure
from msrest import exceptions as msrest
from urllib3.exceptions import MaxRetryError, NewConnectionError, ReadTimeoutError

from wmlclient import errors
from wmlclient.translate import translate

ALL = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("cls", ALL)
def test_every_error_survives_pickling_and_copying(cls: type[errors.WmlError]) -> None:
    given: dict[str, Any] = {"status": 418, "code": "c", "request_id": "r", "url": "http://h/p", "row": 3}
    error = cls("what is wrong", **given)

    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is cls
        assert str(twin) == "what is wrong"
        assert twin.args == error.args
        assert {name: getattr(twin, name) for name in given} == given


@pytest.mark.parametrize("cls", ALL)
def test_every_error_is_a_wml_error(cls: type[Exception]) -> None:
    assert issubclass(cls, errors.WmlError)


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (errors.ConfigError, ValueError),
        (errors.PayloadError, ValueError),
        (errors.NotAModelError, TypeError),
        (errors.NotFoundError, LookupError),
        (errors.PermissionDeniedError, PermissionError),
        (errors.TransportError, ConnectionError),
        (errors.RequestTimeoutError, TimeoutError),
        (errors.WaitTimeoutError, TimeoutError),
        (errors.NotSupportedError, NotImplementedError),
        (errors.LocalModeError, RuntimeError),
    ],
)
def test_errors_join_the_builtins(cls: type[Exception], builtin: type[Exception]) -> None:
    with pytest.raises(builtin, match="here"):
        raise cls("here")


@pytest.mark.parametrize(
    ("status", "cls", "retriable"),
    [
        (400, errors.BadRequestError, False),
        (401, errors.AuthenticationError, False),
        (403, errors.PermissionDeniedError, False),
        (404, errors.NotFoundError, False),
        (409, errors.ConflictError, False),
        (422, errors.BadRequestError, False),
        (429, errors.RateLimitError, True),
        (500, errors.ServerError, True),
        (501, errors.NotSupportedError, False),
        (503, errors.ServerError, True),
    ],
)
def test_each_status_has_its_class(status: int, cls: type[errors.ApiError], retriable: bool) -> None:
    body = b'{"trace":"t-1","errors":[{"code":"some_code","message":"It is so."}]}'

    error = errors.api_error(status, body, method="GET", url="http://u:pw@h/p?secret=1")

    assert type(error) is cls
    assert (error.status, error.code, error.request_id) == (status, "some_code", "t-1")
    assert (error.method, error.url) == ("GET", "http://h/p")
    assert error.retriable is retriable
    assert "It is so" in str(error)
    assert "t-1" in str(error)
    assert "secret" not in str(error)
    assert "pw" not in str(error)


@pytest.mark.parametrize(
    "body", [b"", b"<html>Bad gateway</html>", b"[1]", b'{"errors":"x"}', b"\xff\xfe", b"null"]
)
def test_any_body_of_an_error_will_do(body: bytes) -> None:
    error = errors.api_error(502, body, method="GET", url="http://h/p")

    assert isinstance(error, errors.ServerError)
    assert error.code is None


def test_a_rate_limit_tells_how_long_to_wait() -> None:
    error = errors.api_error(429, b"{}", method="GET", url="http://h/p", headers={"Retry-After": "7"})

    assert isinstance(error, errors.RateLimitError)
    assert error.retry_after == 7.0


def _max_retries(reason: Exception) -> requests.ConnectionError:
    return requests.ConnectionError(MaxRetryError(None, "/p", reason))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        (azure.ServiceRequestError("x"), errors.TransportError),
        (azure.ServiceResponseTimeoutError("x", error=requests.ReadTimeout("t")), errors.RequestTimeoutError),
        (azure.ServiceResponseError("x"), errors.TransportError),
        (azure.HttpResponseError("no response"), errors.TransportError),
        (azure.DeserializationError("bad"), errors.ResponseError),
        (msrest.ValidationError("max", "limit", 7), errors.PayloadError),
        (msrest.DeserializationError("bad"), errors.ResponseError),
        (requests.ConnectTimeout("t"), errors.RequestTimeoutError),
        (_max_retries(ReadTimeoutError(None, "/p", "timed out")), errors.RequestTimeoutError),  # type: ignore[arg-type]
        (_max_retries(NewConnectionError(None, "[Errno 111] Connection refused")), errors.TransportError),  # type: ignore[arg-type]
    ],
)
def test_nothing_foreign_gets_through(foreign: Exception, ours: type[Exception]) -> None:
    with pytest.raises(errors.WmlError) as caught, translate():
        raise foreign

    assert type(caught.value) is ours
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("kept", [KeyboardInterrupt(), ValueError("mine"), errors.ConfigError("ours")])
def test_what_is_not_foreign_stays_as_it_is(kept: BaseException) -> None:
    with pytest.raises(type(kept)) as caught, translate():
        raise kept

    assert caught.value is kept
