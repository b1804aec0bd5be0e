"""What differs from contract to contract on the way from a request to a handler and back."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from attrs import Factory, field, frozen

from wmlclient import contract

from . import problems
from .engine import service_document
from .handlers import Handler, Handlers, Services, mlserver, watson, webservice
from .incoming import Headers
from .problems import Problem
from .routes import Operation, operations
from .users import ANYBODY, Caller


class ContractMismatch(Exception):
    """The contract and the handlers do not name the same operations."""


@frozen
class Dialect:
    """One contract as the server speaks it.

    Attributes:
        name: Its document.
        handlers: What handles its operations.
        segment: What a parameter of a path may be; an address with another is not found.
        enter: Says who calls an operation with these parameters of its path, or raises :class:`Problem`.
        body: Makes the body of a failure, from the request's id and the problem.
        direct: Operations that are taken before the router is asked, and so have no handler.
        document: Gives its document.
    """

    name: str
    handlers: Handlers
    segment: re.Pattern[str]
    enter: Callable[[Services, Operation, Headers, Mapping[str, str]], Caller]
    body: Callable[[str, Problem], bytes]
    direct: frozenset[str] = frozenset()
    document: Callable[[], Mapping[str, Any]] = field(
        default=Factory(lambda self: functools.partial(contract.load, self.name), takes_self=True), repr=False
    )

    def load(self) -> tuple[list[Operation], dict[str, Handler]]:
        """Its operations and their handlers.

        Raises:
            ContractMismatch: They do not match.
        """
        found = operations(self.document())
        return found, matched([each for each in found if each.id not in self.direct], self.handlers.all())


def matched(found: list[Operation], by_id: Mapping[str, Handler]) -> dict[str, Handler]:
    """The handlers, where they and the operations are the same set.

    Raises:
        ContractMismatch: They are not.
    """
    ids = {operation.id for operation in found}
    if ids != set(by_id):
        missing, extra = sorted(ids - set(by_id)), sorted(set(by_id) - ids)
        raise ContractMismatch(
            f"operations without a handler: {missing}; handlers without an operation: {extra}"
        )
    return dict(by_id)


def _enter_watson(
    services: Services, operation: Operation, headers: Headers, path: Mapping[str, str]
) -> Caller:
    if operation.secured:
        services.auth.check(headers.authorization)
        changes = operation.method != "GET" and "Deployments" in operation.id
        services.meter.count("deployment" if changes else "other")
    if "instance_id" in path:
        services.auth.require_instance(path["instance_id"])
    return ANYBODY


def _enter_ml_server(
    services: Services, operation: Operation, headers: Headers, path: Mapping[str, str]
) -> Caller:
    return services.logins.check(headers.authorization) if operation.secured else ANYBODY


WATSON = Dialect(
    name="watson_ml_v3",
    handlers=watson.handlers,
    segment=re.compile(r"[A-Za-z0-9-]{1,64}"),
    enter=_enter_watson,
    body=problems.watson_body,
    # The scoring call.
    direct=frozenset(("Deployments_Score", "InstanceDeployments_Score")),
)

ML_SERVER = Dialect(
    name="ml_server",
    handlers=mlserver.handlers,
    # Names and versions of services are free.
    segment=re.compile(r"[^\x00-\x1f\x7f]{1,255}"),
    enter=_enter_ml_server,
    body=problems.ml_server_body,
)

WEB_SERVICE = Dialect(
    name="web_service",
    handlers=webservice.handlers,
    segment=ML_SERVER.segment,
    enter=_enter_ml_server,
    body=problems.ml_server_body,
    # The consuming call.
    direct=frozenset(("ConsumeWebService",)),
    document=service_document.of_all,
)

#: All of them. An address of no contract is answered in the words of the first.
DIALECTS = (WATSON, ML_SERVER, WEB_SERVICE)
