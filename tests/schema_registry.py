"""A registry of schemas over HTTP, in a thread: the calls that streams make, answered as Confluent's answers them."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class SchemaRegistry:
    """Schemas by number; numbers begin at 1."""

    def __init__(self) -> None:
        self.schemas: list[tuple[str, str]] = []
        self.subjects: dict[str, list[int]] = {}
        self.asked = 0
        self.away = False
        self.login: str | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def add(self, subject: str, kind: str, schema: Any) -> int:
        """Register a schema."""
        entry = (kind, json.dumps(schema))
        if entry not in self.schemas:
            self.schemas.append(entry)
        number = self.schemas.index(entry) + 1
        versions = self.subjects.setdefault(subject, [])
        if number not in versions:
            versions.append(number)
        return number

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, method: str, path: str, body: Any, login: str | None) -> tuple[int, Any]:
        self.asked += 1
        if self.away:
            return 503, {"error_code": 50301, "message": "away"}
        if self.login is not None and login != "Basic " + base64.b64encode(self.login.encode()).decode():
            return 401, {"error_code": 401, "message": "Unauthorized"}
        if method == "GET" and (found := re.fullmatch(r"/schemas/ids/(\d+)", path)):
            number = int(found.group(1))
            if not 0 < number <= len(self.schemas):
                return 404, {"error_code": 40403, "message": "Schema not found"}
            kind, text = self.schemas[number - 1]
            return 200, {"schema": text} | ({} if kind == "AVRO" else {"schemaType": kind})
        if method == "POST" and (found := re.fullmatch(r"/subjects/([^/]+)/versions", path)):
            if found.group(1) == "closed":
                return 409, {"error_code": 409, "message": "incompatible with an earlier schema"}
            return 200, {"id": self.add(found.group(1), body["schemaType"], json.loads(body["schema"]))}
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._do("GET", None)

            def do_POST(self) -> None:
                self._do("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def _do(self, method: str, body: Any) -> None:
                code, found = registry._answer(method, self.path, body, self.headers["Authorization"])
                text = json.dumps(found).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@contextmanager
def schema_registry() -> Iterator[SchemaRegistry]:
    """A registry that runs."""
    registry = SchemaRegistry()
    try:
        yield registry
    finally:
        registry.close()
