"""Requests that schemathesis makes up from a contract, partly about what is there, and what holds of each answer."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests
import schemathesis
from attrs import define, field
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from wmlclient import contract
from wmlclient.runner.dialects import ML_SERVER, WATSON

CASES = int(os.environ.get("WMLCLIENT_FUZZ_CASES", "400"))

_METHODS = ("get", "put", "post", "patch", "delete")
_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
#: Operations that lead from the identity of something new to what can be done with it.
_GUIDS = {
    "Models_Create": "model_id",
    "Deployments_Create": "deployment_id",
    "InstanceDeployments_Create": "deployment_id",
    "TrainingDefinitions_Create": "definition_id",
    "Experiments_Create": "definition_id",
}


def document(name: str) -> dict[str, Any]:
    """A contract in words that schemathesis knows, without logins, which are not made up, and with links."""
    found: dict[str, Any] = _plain(contract.load(name))
    for key in ("security", "securityDefinitions"):
        found.pop(key, None)
    operations = list(_operations(found))
    for _, _, operation in operations:
        operation.pop("security", None)
        made = _GUIDS.get(operation["operationId"])
        if made is not None:
            links = {
                other["operationId"]: {
                    "operationId": other["operationId"],
                    "parameters": {f"path.{made}": "$response.body#/metadata/guid"},
                }
                for path, _, other in operations
                if f"{{{made}}}" in path
            }
            for status in operation["responses"]:
                if status.startswith("2"):
                    operation["responses"][status]["x-links"] = links
    return found


def _operations(found: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in found["paths"].items():
        for method in _METHODS:
            if method in item:
                yield path, method, item[method]


def _plain(value: Any) -> Any:
    """Without the words of an ``x-open`` enum, as others pass too."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _plain(each) for key, each in value.items() if key != "enum" or value.get("x-open") is not True
    }


SCHEMAS = {
    dialect.name: schemathesis.openapi.from_dict(document(dialect.name)) for dialect in (WATSON, ML_SERVER)
}
LABELS = [
    (name, f"{method.upper()} {path}")
    for name in SCHEMAS
    for path, method, _ in _operations(contract.load(name))
]


def operation(name: str, label: str) -> Any:
    """One operation of a contract."""
    method, path = label.split(" ", 1)
    return SCHEMAS[name][path][method]


@define
class Target:
    """A service and what is in it.

    Attributes:
        url: Where it is.
        token: Gets a bearer token.
        known: Parameters of this path that name things that are there.
        restock: Makes again what an operation has removed.
        content: What may be uploaded to this path, where there is such a thing.
        counts: How many answers had which status.
    """

    url: str
    token: Callable[[], str]
    known: Callable[[str], Mapping[str, str]]
    restock: Callable[[], None]
    content: Callable[[str], bytes | None] = lambda path: None
    session: requests.Session = field(factory=requests.Session)
    counts: Counter[int] = field(factory=Counter)

    def call(self, case: Any, aim: int) -> Response:
        """Send a request; ``aim`` decides which of its parts are about what is there."""
        # What is removed takes its time to be made again.
        close = aim & 7 == 7 if case.method == "DELETE" else aim & 3
        known = self.known(case.operation.path) if close else {}
        for name in set(known) & set(case.path_parameters or {}):
            case.path_parameters[name] = known[name]
        content = self.content(case.operation.path) if aim & 12 == 12 else None
        if content is not None and case.method == "PUT":
            case.body = content
        return self.send(case)

    def send(self, case: Any) -> Response:
        """Send a request as it is, and check the answer."""
        response = case.call(**self.arguments())
        self.check(case, response)
        return response

    def arguments(self) -> dict[str, Any]:
        """What each request has besides."""
        return {
            "base_url": self.url,
            "session": self.session,
            "headers": {"Authorization": f"Bearer {self.token()}", "X-Global-Transaction-ID": "fuzz.1"},
            "timeout": 30,
        }

    def check(self, case: Any, response: Response) -> None:
        """Hold an answer to the contract."""
        self.counts[response.status_code] += 1
        checks = list(_CHECKS)
        if case.meta is not None and response.request.body and not isinstance(case.body, bytes):
            checks.append(negative_data_rejection)
        case.validate_response(response, checks=checks)
        check(case.operation, response)
        if case.method == "DELETE" and response.status_code < 300:
            self.restock()


def check(operation: Any, response: Response) -> None:
    """What the contract says of the form of answers, where schemathesis does not look."""
    status, content = response.status_code, response.content
    (trace,) = response.headers["x-global-transaction-id"]
    assert trace == "fuzz.1"
    raw = operation.definition.raw
    if status >= 400:
        error = operation.schema.raw_schema["responses"]["Error"]
        assert status in error["x-statuses"], (
            f"{operation.label}: {status} is not among those of the contract"
        )
        assert response.headers["content-type"] == ["application/json"]
        assert isinstance(strict(content), dict)
        return
    schema = raw["responses"][str(status)].get("schema")
    if schema is None:
        assert content == b"", f"{operation.label}: {status} has no body by the contract"
    elif schema == {"type": "file"}:
        assert response.headers["content-type"] == ["application/octet-stream"]
    else:
        assert response.headers["content-type"] == ["application/json"]
        strict(content)


def strict(content: bytes) -> Any:
    """JSON as its standard has it: no NaN, no infinity, no half of a character."""

    def refuse(word: str) -> Any:
        raise AssertionError(f"{word} is no JSON")

    text = content.decode("utf-8")
    assert not re.search(r"\\u[dD][89a-fA-F]", text) or json.loads(text, parse_constant=refuse) is not None
    return json.loads(text, parse_constant=refuse)


@st.composite
def aimed(draw: st.DrawFn, operation: Any, mode: Any) -> tuple[Any, int]:
    """A request, and what it is aimed at."""
    return draw(operation.as_strategy(generation_mode=mode)), draw(st.integers(0, 15))
