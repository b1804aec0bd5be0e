"""Machine Learning Server's contract over a real socket: users, and a caller that holds each answer to the contract."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import requests
from attrs import define, field
from contract_service import PASSWORD, USER, Service

from wmlclient import contract
from wmlclient.runner import users
from wmlclient.runner.dialects import ML_SERVER
from wmlclient.runner.kernels import guard
from wmlclient.runner.routes import Operation, body_schema, operations

DOCUMENT = contract.load(ML_SERVER.name)
OPERATIONS = {operation.id: operation for operation in operations(DOCUMENT)}
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@define
class Answered:
    """An answer that has passed the checks."""

    response: requests.Response
    body: Any

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def failure(self) -> tuple[int, str, str]:
        """Status, kind and message of a failure."""
        assert self.status >= 400, self.response.text
        return self.status, self.body["exceptionType"], self.body["message"]


@define
class MlUser:
    """One user's calls."""

    service: Service
    name: str
    password: str
    token: str = ""
    session: requests.Session = field(factory=requests.Session)

    @property
    def headers(self) -> dict[str, str]:
        if not self.token:
            self.token = self.login().body["access_token"]
        return {"Authorization": f"Bearer {self.token}"}

    def login(self) -> Answered:
        return self.operation("login", json={"username": self.name, "password": self.password}, token=None)

    def operation(self, id: str, *ids: str, token: str | None = "", **more: Any) -> Answered:
        """Call an operation with these parameters of its path; a path parameter that is not given is unknown."""
        operation = OPERATIONS[id]
        given = iter(ids)
        path = re.sub(r"{\w+}", lambda found: next(given, UNKNOWN), operation.path)
        headers = {**more.pop("headers", {})}
        if token is not None and operation.secured:
            headers |= {"Authorization": f"Bearer {token}"} if token else self.headers
        response = self.session.request(
            operation.method, self.service.url + path, headers=headers, timeout=60, **more
        )
        return Answered(response, checked(operation, response))

    # -- things to call with

    def start(self, **request: Any) -> str:
        """A Python session."""
        made = self.operation("createSession", json={"runtimeType": "Python", **request})
        assert made.status == 201, made.body
        return str(made.body["sessionId"])

    def kernel(self, id: str) -> Any:
        """The kernel of a session."""
        return self.service.engine.sessions.get(self.name, id).kernel

    def processes(self, id: str) -> list[int]:
        """All processes of a session, its guard first."""
        top = self.kernel(id).guard_pid
        return [top, *guard.descendants(top)]

    def run(self, id: str, code: str, outputs: list[str] | None = None, **inputs: Any) -> Any:
        """Execute code."""
        request = {
            "code": code,
            "inputParameters": [{"name": name, "value": value} for name, value in inputs.items()],
            "outputParameters": outputs or [],
        }
        done = self.operation("executeCode", id, json=request)
        assert done.status == 200, done.body
        return done.body

    def value(self, id: str, code: str, **inputs: Any) -> Any:
        """What an expression comes to."""
        done = self.run(id, f"_value = None\nvalue = {code}", ["value"], **inputs)
        assert done["success"], done
        return done["outputParameters"][0]["value"]


def checked(operation: Operation, response: requests.Response) -> Any:
    """The body of an answer that is as the contract says."""
    raw: Any = DOCUMENT["paths"][operation.path][operation.method.lower()]["responses"]
    assert response.status_code < 500 or response.status_code in (501, 503, 507), response.text
    if response.status_code >= 400:
        body = response.json()
        assert set(body) == {"message", "link", "exceptionType"}
        assert body["message"]
        assert re.fullmatch(r"([A-Z][a-z0-9]*)+Exception", body["exceptionType"])
        return body
    assert str(response.status_code) in raw, f"{operation.id}: {response.status_code}"
    schema = raw[str(response.status_code)].get("schema")
    if schema is None:
        assert response.content == b""
        return None
    if schema == {"type": "file"}:
        assert response.headers["Content-Type"] == "application/octet-stream"
        return response.content
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    jsonschema.Draft4Validator(body_schema(DOCUMENT, schema)).validate(body)
    return body


def first_user(service: Service) -> MlUser:
    """The user that the service was started for."""
    return MlUser(service, USER, PASSWORD)


def other_user(service: Service, name: str = "other", role: str = "contributor") -> MlUser:
    """A user that was added."""
    users.add(service.engine.store, name, "pass word", role, 1)
    # What another process does is seen within a second; this one need not wait.
    service.logins.users._looked = float("-inf")
    return MlUser(service, name, "pass word")
