"""A stand-in for the service: the shapes of real answers, and misbehaviour on order.

It keeps models and deployments in memory and notes every request. ``script`` puts an answer in front of its own.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from attrs import define, field

USER, PASSWORD, INSTANCE = "tester", "pass-w0rd-secret", "360c510b-012c-4793-ae3f-063410081c3e"
CREATED = "2018-03-29T10:37:16.143Z"


@define
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@define
class Answer:
    """What a scripted request gets: a status with a body, or a connection that breaks (``drop``)."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(factory=dict)
    delay: float = 0.0
    drop: bool = False


def jwt(seconds: float, *, serial: int = 0) -> str:
    """An unsigned token of the service's form."""
    now = int(time.time())
    parts = ({"alg": "none"}, {"iat": now, "exp": now + seconds, "jti": serial}, {"s": 1})
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts)


def error(code: str, message: str) -> dict[str, Any]:
    return {"trace": "1d2b26da3128fe8e81b5956956655b37", "errors": [{"code": code, "message": message}]}


class Stub:
    """The service, on a free port of loopback."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.models: dict[str, dict[str, Any]] = {}
        self.definitions: dict[str, dict[str, Any]] = {}
        self.deployments: dict[str, dict[str, Any]] = {}
        self.content: dict[str, bytes] = {}
        self.tokens: set[str] = set()
        self.token_seconds: float = 3600
        self.token_delay = 0.0
        self.page_size = 1000
        self.statuses: dict[str, list[str]] = {}
        self.scores: dict[str, Any] = {"fields": ["x", "prediction"], "values": [[1, 0.5]]}
        self.score_headers = {"X-Scoring-Engine": "native"}
        self.parity: list[dict[str, Any]] = []
        self.materials: dict[str, Any] | None = None  # only in the answer for one model
        self._scripts: list[tuple[str, re.Pattern[str], Answer]] = []
        self._lock = threading.Lock()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def script(self, method: str, path: str, *answers: Answer) -> None:
        """The next requests that match get these answers, one each."""
        with self._lock:
            self._scripts += [(method, re.compile(path), answer) for answer in answers]

    def calls(self, method: str, path: str = "") -> list[Request]:
        """The requests so far, of one method, whose path holds a pattern."""
        with self._lock:
            return [r for r in self.requests if r.method == method and re.search(path, r.path)]

    def answer(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            for at, (method, path, answer) in enumerate(self._scripts):
                if method == request.method and path.search(request.path):
                    del self._scripts[at]
                    return answer
        if request.path == "/v3/identity/token":
            return self._token(request)
        with self._lock:
            bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
            if bearer not in self.tokens:
                return Answer(401, error("invalid_authorization_token", "Token is not valid."))
            return self._route(request)

    def _token(self, request: Request) -> Answer:
        time.sleep(self.token_delay)
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if request.headers.get("authorization") != wanted:
            return Answer(401, error("invalid_credentials", "Authorization failed."))
        with self._lock:
            token = jwt(self.token_seconds, serial=len(self.tokens))
            self.tokens.add(token)
        return Answer(200, {"token": token})

    def _route(self, request: Request) -> Answer:
        method, path = request.method, request.path
        base = f"/v3/wml_instances/{INSTANCE}"
        if path == base:
            return Answer(200, self._instance())
        if match := re.fullmatch(r"/v3/ml_assets/(models|training_definitions)(?:/([^/]+))?(/.*)?", path):
            return self._asset(request, *match.groups())
        if match := re.fullmatch(base + r"/published_models(?:/([^/]+))?", path):
            return self._published(request, match[1])
        if match := re.fullmatch(
            base + r"(?:/published_models/([^/]+))?/deployments(?:/([^/]+))?(/online)?", path
        ):
            return self._deployment(request, *match.groups())
        return Answer(404, error("not_found", f"Requested object could not be found: {method} {path}"))

    def _instance(self) -> Any:
        me = f"{self.url}/v3/wml_instances/{INSTANCE}"
        return {
            "metadata": {"guid": INSTANCE, "url": me, "created_at": CREATED, "modified_at": CREATED},
            "entity": {
                "source": "Bluemix",
                "published_models": {"url": f"{me}/published_models"},
                "deployments": {"url": f"{me}/deployments"},
                "usage": {
                    "expiration_date": "2017-10-01T00:00:00.000Z",
                    "model_count": {"limit": 200, "current": 6},
                    "capacity_units": {"current": 0},
                },
                "plan_id": "0f2a3c2c",
                "plan": "lite",
                "status": "Active",
                "region": "us-south",
            },
        }

    def _asset(self, request: Request, kind: str, guid: str | None, rest: str | None) -> Answer:
        store = self.models if kind == "models" else self.definitions
        if request.method == "POST":
            guid, version = str(uuid.uuid4()), str(uuid.uuid4())
            url = f"{self.url}/v3/ml_assets/{kind}/{guid}"
            name = "model_version" if kind == "models" else "training_definition_version"
            versioned = {"guid": version, "url": f"{url}/versions/{version}"}
            store[guid] = {
                "metadata": {"guid": guid, "url": url, "created_at": CREATED, "modified_at": CREATED},
                "entity": {**request.json, name: versioned},
            }
            return Answer(201, store[guid], {"Location": url})
        if guid not in store:
            return Answer(404, error("not_found", "Requested object could not be found."))
        if request.method == "PUT":
            self.content[guid] = request.body
            return Answer(200)
        if request.method == "DELETE":
            del store[guid]
            return Answer(204)
        if rest == "/content":
            return Answer(200, self.content[guid], {"Content-Encoding": "gzip"})
        return Answer(200, store[guid])

    def add_model(self, name: str, created: str = CREATED) -> str:
        guid = str(uuid.uuid4())
        entity = {"name": name, "framework": {"name": "mllib", "version": "4.2"}}
        self.models[guid] = {"metadata": {"guid": guid, "created_at": created}, "entity": entity}
        self.content[guid] = b"archive"
        return guid

    def _published(self, request: Request, guid: str | None) -> Answer:
        single = guid is not None
        shown = {g: self._as_published(g, m, single) for g, m in self.models.items() if g in self.content}
        if guid is None:
            return Answer(200, self._page(request, list(shown.values())))
        if guid not in shown:
            return Answer(404, error("not_found", "Requested object could not be found."))
        if request.method == "DELETE":
            del self.models[guid]
            return Answer(204)
        return Answer(200, shown[guid])

    def _as_published(self, guid: str, model: dict[str, Any], single: bool = True) -> Any:
        url = f"{self.url}/v3/wml_instances/{INSTANCE}/published_models/{guid}"
        entity = model["entity"]
        schema = entity.get("training_data_schema", {"type": "struct", "fields": []})
        parity = {}
        if self.parity:
            parity = {"parity": self.parity[0]}
            self.parity = self.parity[1:] or self.parity
        return {
            "metadata": {**model["metadata"], "url": url},
            "entity": {
                "name": entity["name"],
                "author": entity.get("author", {}),
                "model_type": f"mllib-{entity['framework']['version']}",
                "label_col": entity.get("label_column"),
                "training_data_schema": schema,
                "input_data_schema": {
                    **schema,
                    "fields": [f for f in schema["fields"] if f["name"] != entity.get("label_column")],
                },
                "deployments": {"count": 0, "url": f"{url}/deployments"},
                **parity,
                **({"bill_of_materials": self.materials} if self.materials and single else {}),
            },
        }

    def _page(self, request: Request, items: list[Any]) -> Any:
        start = int(request.query.get("start", "0"))
        page: dict[str, Any] = {"resources": items[start : start + self.page_size]}
        if start + self.page_size < len(items):
            # As the real service did: an address that only the service itself can reach.
            page["next"] = {"url": f"https://deployment/v3/x?start={start + self.page_size}&limit=2"}
        return page

    def _deployment(
        self, request: Request, model: str | None, guid: str | None, online: str | None
    ) -> Answer:
        if online:
            known = guid in self.deployments
            return Answer(200, self.scores, self.score_headers) if known else self._lost()
        if guid is None and request.method == "POST":
            return self._deploy(request, str(model))
        if guid is None:
            shown = [
                d
                for d in self.deployments.values()
                if model in (None, d["entity"]["published_model"]["guid"])
                and request.query.get("type") in (None, d["entity"]["type"])
                and request.query.get("status") in (None, d["entity"]["status"])
            ]
            return Answer(200, self._page(request, shown))
        if guid not in self.deployments:
            return self._lost()
        found = self.deployments[guid]
        if request.method == "DELETE":
            del self.deployments[guid]
            return Answer(204)
        if request.method == "PATCH":
            for patch in request.json:
                if patch["path"] == "/deployed_version/url":
                    guid = patch["value"].rpartition("/")[2]
                    found["entity"]["deployed_version"] = {"url": patch["value"], "guid": guid}
                    continue
                found["entity"][patch["path"].lstrip("/")] = patch["value"]
            return Answer(204) if found["entity"]["type"] == "stream" else Answer(200, found)
        if self.statuses.get(guid):
            found["entity"]["status"] = self.statuses[guid].pop(0)
        return Answer(200, found)

    def _lost(self) -> Answer:
        return Answer(404, error("not_found", "Unknown deployment identification"))

    def _deploy(self, request: Request, model: str) -> Answer:
        if model not in self.models:
            return self._lost()
        guid, body = str(uuid.uuid4()), request.json
        if body["type"] == "batch":
            return Answer(
                501, error("not_supported_deployment_type", "The deployment type batch is not supported.")
            )
        url = f"{self.url}/v3/wml_instances/{INSTANCE}/published_models/{model}/deployments/{guid}"
        entity = {
            **body,
            "status": "INITIALIZING",
            "model_type": "mllib-4.2",
            "published_model": {"guid": model, "url": url.partition("/deployments/")[0], "name": "m"},
            "engine": "native",
        }
        if body["type"] == "online":
            entity["scoring_url"] = f"{url}/online"
        header = request.headers.get("x-spark-service-instance")
        if header:
            entity["spark_service"] = json.loads(base64.b64decode(header))
        self.deployments[guid] = {
            "metadata": {"guid": guid, "url": url, "created_at": CREATED, "modified_at": CREATED},
            "entity": entity,
        }
        self.statuses[guid] = (
            ["DEPLOY_IN_PROGRESS", "DEPLOY_SUCCESS"] if body["type"] == "online" else ["RUNNING"]
        )
        return Answer(202 if request.query.get("sync") == "false" else 201, self.deployments[guid])


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, stub: Stub) -> None:
        self.stub = stub
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that a test broke is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_args: Any) -> None: ...

    def _do(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(
            self.command,
            parts.path,
            {name: values[0] for name, values in parse_qs(parts.query).items()},
            {name.lower(): value for name, value in self.headers.items()},
            body,
        )
        answer = self.server.stub.answer(request)
        time.sleep(answer.delay)
        if answer.drop:
            self.close_connection = True
            self.connection.close()
            return
        plain = isinstance(answer.body, bytes)
        content = b"" if answer.body is None else answer.body if plain else json.dumps(answer.body).encode()
        headers = {
            "Content-Type": "application/octet-stream" if plain else "application/json",
            **answer.headers,
        }
        self.send_response(answer.status)
        for name, value in headers.items():
            if answer.body is not None or name != "Content-Type":
                self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Global-Transaction-ID", "req-4711")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _do
