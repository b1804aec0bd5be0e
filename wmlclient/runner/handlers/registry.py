"""What a handler gets, gives, and how it is found."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from attrs import field, frozen

from ..auth import Authenticator
from ..engine.service import Engine
from ..logins import Logins
from ..quotas import Meter
from ..routes import Operation
from ..settings import Settings
from ..users import ANYBODY, Caller


@frozen
class Services:
    """What handlers work with.

    Attributes:
        engine: What the service does.
        auth: Who may call.
        logins: Who may call Machine Learning Server.
        settings: How the server was started.
        meter: Counts calls.
    """

    engine: Engine
    auth: Authenticator
    logins: Logins
    settings: Settings
    meter: Meter = field(init=False)

    @meter.default
    def _meter(self) -> Meter:
        return Meter(self.settings.quotas)


@frozen
class Call:
    """A request, checked against the contract.

    Attributes:
        operation: The operation that is called.
        path: Parameters of the path.
        given: Parameters of query and header, by the contract's names, defaults filled in.
        body: The JSON body, or None.
        base: Scheme and host of the request, e.g. ``http://127.0.0.1:12800``: the start of every URL in an answer.
        authorization: The ``Authorization`` header, or None.
        chunks: The body of an upload or of a form, as it comes.
        caller: Who calls.
        content_type: The ``Content-Type`` header.
    """

    operation: Operation
    path: dict[str, str]
    given: dict[str, Any]
    body: Any
    base: str
    authorization: bytes | None = field(default=None, repr=False)
    chunks: Callable[[], AsyncIterator[bytes]] | None = None
    caller: Caller = ANYBODY
    content_type: str = ""


@frozen
class Answer:
    """What goes back.

    Attributes:
        status: HTTP status.
        body: JSON-ready, or None for an empty body.
        headers: Further headers.
        file: A file that is the body.
        temporary: Whether that file is removed once it is sent.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(factory=dict)
    file: Path | None = None
    temporary: bool = False


Handler = Callable[[Services, Call], "Answer | Awaitable[Answer]"]


class Handlers:
    """The handlers of one contract, each registered by the decorator :meth:`operation`.

    Args:
        package: Where they are.
        modules: The modules in it that hold some.
    """

    def __init__(self, package: str, modules: tuple[str, ...]) -> None:
        self._package = package
        self._modules = modules
        self._by_id: dict[str, Handler] = {}

    def operation(self, *ids: str) -> Callable[[Handler], Handler]:
        """Name the operations that a function handles."""

        def register(handler: Handler) -> Handler:
            for id in ids:
                if id in self._by_id:
                    raise RuntimeError(f"{id} has two handlers")
                self._by_id[id] = handler
            return handler

        return register

    def all(self) -> dict[str, Handler]:
        """All of them by ``operationId``."""
        for name in self._modules:
            importlib.import_module(f"{self._package}.{name}")
        return dict(self._by_id)
