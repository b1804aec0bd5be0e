"""The generated operations with the arguments of 2017."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline.policies import ContentDecodePolicy, UserAgentPolicy
from azure.core.pipeline.transport import RequestsTransport
from msrest import Deserializer, Serializer
from msrest.exceptions import ClientRequestError
from msrest.pipeline import ClientRawResponse

from wmlclient._generated.ml_server import MlServer
from wmlclient._generated.ml_server.operations import MlServerOperationsMixin
from wmlclient._version import __version__

from . import models

_PLACES = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
# What msrest called the options of a call.
_OPTIONS = {
    "timeout": ("connection_timeout", "read_timeout"),
    "verify": ("connection_verify",),
    "cert": ("connection_cert",),
}


class _Decode(ContentDecodePolicy):
    """Leaves the body of a failure alone: a proxy's page is no JSON, and says why all the same."""

    def on_response(self, request: Any, response: Any) -> None:
        if response.http_response.status_code < 400:
            super().on_response(request, response)


class DeployRClient:
    """A client of Machine Learning Server.

    Each operation is a method: ``operation(required arguments, optional arguments, custom_headers=None, raw=False,
    **operation_config)``. A download takes ``callback``, called with each piece, before the headers. Nothing is sent
    twice. Calls that fail raise :class:`ErrorException`.

    Args:
        base_url: Address of the service.

    Attributes:
        config: Its settings.
    """

    def __init__(self, base_url: str | None = None) -> None:
        agent = UserAgentPolicy(
            user_agent=f"wmlclient/{__version__} deployrclient", user_agent_overwrite=True
        )
        self._client = MlServer(
            (base_url or "http://localhost").rstrip("/"),
            policies=[agent, _Decode()],
            transport=RequestsTransport(),
        )
        self._client._serialize = Serializer(models.CLASSES)  # type: ignore[no-untyped-call]
        self._client._deserialize = Deserializer(models.CLASSES)  # type: ignore[no-untyped-call]
        self.config = self._client._config

    def close(self) -> None:
        """Close the connections. Twice is fine."""
        self._client.close()

    def __enter__(self) -> DeployRClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # the operations


def _of_2017(operation: Callable[..., Any]) -> Callable[..., Any]:
    """A generated operation with the arguments of 2017."""
    signature = inspect.signature(operation)
    own = [parameter for parameter in signature.parameters.values() if parameter.kind in _PLACES]
    download = signature.return_annotation == Iterator[bytes] or "Iterator" in str(
        signature.return_annotation
    )
    last = ["callback"] if download else []
    last += ["custom_headers", "raw"]
    added = [
        inspect.Parameter(
            name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=False if name == "raw" else None
        )
        for name in last
    ]
    more = inspect.Parameter("operation_config", inspect.Parameter.VAR_KEYWORD)
    arguments = inspect.Signature([*own, *added, more])

    @functools.wraps(operation)
    def call(self: DeployRClient, *places: Any, **names: Any) -> Any:
        bound = arguments.bind(self, *places, **names)
        bound.apply_defaults()
        given = dict(list(bound.arguments.items())[1:])
        options = _options(given.pop("operation_config"))
        callback, headers, raw = (given.pop(name, None) for name in ("callback", "custom_headers", "raw"))
        try:
            response, answer = operation(
                self._client, **given, headers=dict(headers or {}), cls=_whole, **options
            )
        except HttpResponseError as error:
            raise _failure(error) from None
        except AzureError as error:
            raise ClientRequestError(f"The call could not be made: {error}", error) from None
        if callback is not None:
            answer = _told(answer, callback, response)
        return ClientRawResponse(answer, response) if raw else answer

    call.__signature__ = arguments  # type: ignore[attr-defined]
    return call


def _whole(response: Any, answer: Any, headers: Any) -> tuple[Any, Any]:
    return response.http_response._internal_response, answer


def _told(pieces: Iterator[bytes], callback: Callable[..., Any], response: Any) -> Iterator[bytes]:
    for piece in pieces:
        callback(piece, response=response)
        yield piece


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in config.items():
        for option in _OPTIONS.get(name, (name,)):
            found[option] = value
    return found


def _failure(failure: HttpResponseError) -> models.ErrorException:
    response: Any = failure.response
    if response is None:
        raise ClientRequestError(f"The answer could not be read: {failure}", failure) from None
    try:
        told = response.json()
        error = models.Error(told.get("message"), told.get("link"), told.get("exceptionType"))
    except (ValueError, AttributeError):
        error = models.Error(f"Operation returned an invalid status code {response.reason!r}")
    return models.ErrorException(error, response._internal_response)


for _name, _operation in vars(MlServerOperationsMixin).items():
    if inspect.isfunction(_operation) and not _name.startswith("_"):
        setattr(DeployRClient, _name, _of_2017(_operation))
