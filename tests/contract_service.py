"""The runner over a real socket, with fake Spark and Kafka, and a caller that holds each answer to the contract."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import requests
import saved_models
from attrs import define, field
from runner_fakes import FakeSpark, FakeStreams, FakeTopics, ManualDelay, eventually

from wmlclient import contract, wire
from wmlclient.runner import compose
from wmlclient.runner.app import App
from wmlclient.runner.auth import Authenticator
from wmlclient.runner.batch.processes import BatchProcesses
from wmlclient.runner.dialects import WATSON
from wmlclient.runner.directory import Directory
from wmlclient.runner.engine.kernels import Kernels
from wmlclient.runner.engine.service import Engine
from wmlclient.runner.handlers import Services
from wmlclient.runner.issuer import Issuer
from wmlclient.runner.logins import Logins
from wmlclient.runner.routes import Operation, body_schema, operations
from wmlclient.runner.server import _bind, _uvicorn
from wmlclient.runner.settings import Settings
from wmlclient.runner.users import Users

DOCUMENT = contract.load(WATSON.name)
OPERATIONS = {operation.id: operation for operation in operations(DOCUMENT)}
INSTANCE = "360c510b-4917-4f2e-a4b1-ffd8b1bd9d64"
USER, PASSWORD = "curl", "pass word:ü"
UNKNOWN = "00000000-0000-4000-8000-000000000000"

KAFKA = {
    "kafka_brokers_sasl": ["127.0.0.1:9092"],
    "user": "u",
    "password": "kafka-s3cr3t",
    "api_key": "kafka-s3cr3t",
}
STREAM = {
    "name": "tweets",
    "type": "stream",
    "description": "Streaming Deployment",
    "input": {"connection": KAFKA, "source": {"topic": "sinput", "type": "kafka"}},
    "output": {"connection": KAFKA, "target": {"topic": "soutput", "type": "kafka"}},
}
ONLINE = {"name": "sentiment", "type": "online", "description": "My Cool Deployment"}
SPARK = {"credentials": {"tenant_id": "t", "tenant_secret": "spark-s3cr3t", "plan": "p"}, "version": "2.0"}
SPARK_HEADER = {"X-Spark-Service-Instance": wire.encode_spark_service(SPARK)}
ROWS = {"fields": ["id", "text"], "values": [[1, "what a day"], [2, "so sad"]]}


@define
class Answered:
    """A response that has passed the checks, and its JSON."""

    response: requests.Response
    body: Any

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def code(self) -> str:
        assert self.status >= 400, self.response.text
        return str(self.body["errors"][0]["code"])

    @property
    def message(self) -> str:
        return str(self.body["errors"][0]["message"])

    @property
    def url(self) -> str:
        return str(self.body["metadata"]["url"])

    @property
    def guid(self) -> str:
        return str(self.body["metadata"]["guid"])

    @property
    def entity(self) -> Any:
        return self.body["entity"]


@define
class Service:
    """A running service and how to call it."""

    url: str
    engine: Engine
    auth: Authenticator
    logins: Logins
    spark: FakeSpark
    native: FakeStreams
    topics: FakeTopics
    session: requests.Session = field(factory=requests.Session)

    def call(self, method: str, path: str, *, token: str | None = "", **more: Any) -> Answered:
        """Call, with a valid token unless another or None is given, and check the answer against the contract."""
        url = path if path.startswith("http") else self.url + path
        headers = {"X-Global-Transaction-ID": "test-request.1", **more.pop("headers", {})}
        if token is not None:
            headers["Authorization"] = f"Bearer  {token or self.auth.issue()}"
        response = self.session.request(method, url, headers=headers, timeout=30, **more)
        return Answered(response, self.checked(response))

    def operation(self, id: str, *, ids: dict[str, str] | None = None, **more: Any) -> Answered:
        """Call an operation of the contract; ids that are not given are unknown ones."""
        operation = OPERATIONS[id]
        known = {"instance_id": INSTANCE, **(ids or {})}
        path = re.sub(r"{(\w+)}", lambda found: known.get(found.group(1), UNKNOWN), operation.path)
        return self.call(operation.method, path, **more)

    def checked(self, response: requests.Response) -> Any:
        """The JSON of an answer that is as the contract says."""
        operation = _operation(response)
        assert (
            response.headers["X-Global-Transaction-ID"] == response.request.headers["X-Global-Transaction-ID"]
        )
        assert response.status_code < 500 or response.status_code in (501, 503, 507), response.text
        if response.status_code == 204 or not response.content:
            assert not response.content
            if operation is not None:
                assert str(response.status_code) in _answers(operation), (
                    f"{operation.id}: {response.status_code}"
                )
            return None
        if response.headers["Content-Type"] == "application/octet-stream":
            return response.content
        assert response.headers["Content-Type"] == "application/json"
        body = response.json()
        schema: Any = {"$ref": "#/definitions/ErrorBody"}
        if response.status_code < 400:
            assert operation is not None
            schema = _answers(operation)[str(response.status_code)]["schema"]
        jsonschema.Draft4Validator(body_schema(DOCUMENT, schema)).validate(body)
        if response.status_code >= 400:
            assert set(body) == {"trace", "errors"}
            assert body["trace"] == response.headers["X-Global-Transaction-ID"]
            assert len(body["errors"]) == 1
            assert set(body["errors"][0]) <= {"code", "message", "target", "more_info"}
            assert re.fullmatch(r"[a-z_]+", body["errors"][0]["code"])
        assert "s3cr3t" not in response.text
        return body

    # -- things to call with

    def model(self, **request: Any) -> Answered:
        """A model of the repository, without content."""
        return self.operation("Models_Create", json=saved_models.request(**request))

    def published(self, content: bytes, **request: Any) -> Answered:
        """A published model."""
        made = self.model(**request)
        self.call("PUT", made.entity["model_version"]["content_url"], data=content)
        return self.operation("PublishedModels_Get", ids={"model_id": made.guid})

    def online(self, content: bytes, **request: Any) -> Answered:
        """An online deployment that is ready."""
        url = self.published(content, **request).entity["deployments"]["url"]
        made = self.call("POST", url, json=ONLINE)
        assert (made.status, made.entity["status"]) == (201, "DEPLOY_SUCCESS"), made.body
        return made

    def stream(self, content: bytes) -> Answered:
        """A stream deployment that runs."""
        url = self.published(content).entity["deployments"]["url"]
        made = self.call("POST", url, json=STREAM, headers=SPARK_HEADER)
        return self.until(made.url, "RUNNING")

    def until(self, url: str, status: str) -> Answered:
        """A deployment, once it has this status."""

        def look() -> Answered | None:
            found = self.call("GET", url)
            return found if found.entity["status"] == status else None

        found: Answered = eventually(look)
        return found

    def clean(self) -> None:
        """As it was at the start."""
        self.spark.__init__()  # type: ignore[misc]
        self.topics.__init__()  # type: ignore[misc]
        for model in self.engine.models.page(1000, None).items:
            self.engine.delete_model(model[0].id, ignore_spark_errors=True)
        for definition in self.engine.definitions.page(1000, None).items:
            self.engine.definitions.delete(definition.id)


def _operation(response: requests.Response) -> Operation | None:
    path = re.sub(r"^https?://[^/]+|\?.*$", "", response.url)
    for operation in OPERATIONS.values():
        if operation.method == response.request.method:
            pattern = re.sub(r"\\{\w+\\}|{\w+}", "[^/]+", operation.path)
            if re.fullmatch(pattern + "/?", path):
                return operation
    return None


def _answers(operation: Operation) -> Any:
    return DOCUMENT["paths"][operation.path][operation.method.lower()]["responses"]


def start(
    home: Path, settings: Settings, kernels: Kernels | None = None
) -> tuple[Service, Callable[[], None]]:
    """A service on a free port, and what ends it; its sessions are processes where no other kernels are given."""
    spark, native, topics = FakeSpark(), FakeStreams(), FakeTopics()
    engine = Engine(
        home,
        spark,
        topics,
        delay=ManualDelay(),
        kernels=kernels if kernels is not None else compose.kernels(home, settings),
        session_settings=settings.sessions,
        workers=compose.workers(home, settings),
        service_settings=settings.services,
        allow_foreign_classes=settings.allow_foreign_classes,
        native_streams=native,
        batches=BatchProcesses(home, spark, processes=1),
        folders=compose.folders(home, settings),
    )
    engine.start()
    directory = None if settings.directory is None else Directory(settings.directory)
    key, users = b"k" * 48, Users(USER, PASSWORD, engine.store, directory=directory)
    issuer = None if settings.issuer is None else Issuer(settings.issuer, users)
    auth = Authenticator(key, users, INSTANCE, settings.token_lifetime, issuer=issuer)
    logins = Logins(key, users, engine.store, settings.token_lifetime, issuer=issuer)
    listener = _bind("127.0.0.1", 0)
    ready = threading.Event()
    server = _uvicorn(App(Services(engine, auth, logins, settings)), ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    assert ready.wait(30)
    service = Service(
        f"http://127.0.0.1:{listener.getsockname()[1]}", engine, auth, logins, spark, native, topics
    )

    def end() -> None:
        service.session.close()
        server.should_exit = True
        thread.join(30)
        engine.close()
        listener.close()

    return service, end
