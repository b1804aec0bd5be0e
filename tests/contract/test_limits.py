"""Addresses, sizes and times: what is beyond them has a clear answer, and holds no connection."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import requests
from contract_service import INSTANCE, OPERATIONS, UNKNOWN, Service
from runner_fakes import eventually

from wmlclient.runner import protocol
from wmlclient.runner.settings import Limits

# -- addresses


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v3",
        "/v3/nope",
        "/v3/wml_instances",
        f"/v3/wml_instances/{INSTANCE}/published_models/..%2f..%2fetc",
        f"/v3/wml_instances/{INSTANCE}/published_models/%252e%252e",
        f"/v3/wml_instances/{INSTANCE}/published_models/a%00b",
        f"/v3/wml_instances/{INSTANCE}/published_models/{'x' * 65}",
        f"/v3/wml_instances/{INSTANCE}/published_models/é",
        "/v3/ml_assets/models/file:%2F%2F%2Fetc%2Fpasswd",
        "//proc/self/root",
        "/v3/experiments/x",
        "/v4/libraries/x",
        "/swagger.json",
    ],
)
def test_an_unknown_address_is_404(service: Service, path: str) -> None:
    answer = service.call("GET", path)
    assert (answer.status, answer.code) == (404, "not_found")


def test_a_wrong_method_is_405(service: Service) -> None:
    for method, path, allow in (
        ("DELETE", "/v3/identity/token", "GET, PUT"),
        ("PATCH", "/v3/ml_assets/models", "GET, POST"),
        ("GET", f"/v3/wml_instances/{INSTANCE}/deployments/{UNKNOWN}/online", "POST"),
        ("OPTIONS", "/v2/identity/token", "GET"),
    ):
        answer = service.call(method, path)
        assert (answer.status, answer.code) == (405, "method_not_allowed")
        assert answer.response.headers["Allow"] == allow


@pytest.mark.parametrize("id", ["PublishedModels_List", "Models_List", "InstanceDeployments_List"])
def test_a_trailing_slash_is_fine(service: Service, id: str) -> None:
    path = OPERATIONS[id].path.replace("{instance_id}", INSTANCE)
    answer = service.call("GET", path + "/", allow_redirects=False)
    assert answer.status == 200
    assert "//v3" not in answer.response.text


@pytest.mark.parametrize(
    "params",
    [{"limit": "1e3"}, {"limit": "-1"}, {"limit": ""}, {"start": "-1"}, {"start": "9" * 30}, {"start": "3"}],
)
def test_a_wrong_query_is_400(service: Service, params: Any) -> None:
    answer = service.operation("PublishedModels_List", params=params)
    assert (answer.status, answer.code) == (400, "invalid_query_parameter_value")
    assert answer.body["errors"][0]["target"]["name"] in params


def test_a_request_id_that_could_do_harm_is_replaced(service: Service) -> None:
    for wrong in ("x" * 200, "<script>", "a b"):
        headers = {"X-Global-Transaction-ID": wrong}
        response = requests.get(f"{service.url}/nope", headers=headers, timeout=10)
        trace = response.headers["X-Global-Transaction-ID"]
        assert trace != wrong
        assert response.json()["trace"] == trace
        assert len(trace) == 32


# -- size and time


def test_too_large_a_body_is_413_and_is_not_stored(service: Service) -> None:
    made = service.model()
    url = made.entity["model_version"]["content_url"]
    for body in (b"x" * (9 << 20), _pieces(9)):
        answer = service.call("PUT", url, data=body)
        assert (answer.status, answer.code) == (413, "payload_too_large")
    answer = service.operation("Models_Create", data=b" " * (5 << 20))
    assert (answer.status, answer.code) == (413, "payload_too_large")
    home = Path(service.engine.contents._archives._archives)
    assert [path for path in home.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_of_a_gigabyte_is_refused_while_it_is_read(service: Service, announced: bool) -> None:
    """The answer comes before the body has; what came was neither kept nor stored."""
    path = service.model().entity["model_version"]["content_url"].removeprefix(service.url)
    port = int(service.url.rpartition(":")[2])
    length = f"Content-Length: {1 << 30}" if announced else "Transfer-Encoding: chunked"
    head = f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{length}\r\n"
    head += f"Authorization: Bearer {service.auth.issue()}\r\n\r\n"
    piece = b"x" * (1 << 20)
    frame = piece if announced else b"%x\r\n%s\r\n" % (len(piece), piece)
    sent, answer = 0, b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head.encode())
        while sent < 1024 and not select.select([connection], [], [], 0)[0]:
            try:
                connection.sendall(frame)
            except ConnectionError:
                break
            sent += 1
        connection.settimeout(20)
        while b"payload_too_large" not in answer and (part := connection.recv(65536)):
            answer += part
    assert answer.startswith(b"HTTP/1.1 413 "), answer[:100]
    assert sent < 128, "megabytes were taken in"
    home = Path(service.engine.contents._archives._archives)
    assert [path for path in home.rglob("*") if path.is_file()] == []


def _pieces(megabytes: int) -> Any:
    for _ in range(megabytes):
        yield b"x" * (1 << 20)


def test_a_packed_body_is_refused(service: Service) -> None:
    answer = service.operation("Models_Create", data=b"x", headers={"Content-Encoding": "gzip"})
    assert (answer.status, answer.code) == (415, "unsupported_content_encoding")


def test_a_body_that_drips_is_cut_off_though_each_drop_is_in_time(serve: Callable[..., Service]) -> None:
    service = serve(limits=Limits(receive=0.5, receive_content=0.5))
    port = int(service.url.rpartition(":")[2])
    for path, method in (
        (f"/v3/wml_instances/{INSTANCE}/deployments/{_online(service)}/online", "POST"),
        ("/v3/ml_assets/models", "POST"),
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
            head += f"Authorization: Bearer {service.auth.issue()}\r\n\r\n"
            connection.sendall(head.encode())
            answer = b""
            connection.settimeout(0.05)
            deadline = time.monotonic() + 20
            while b"}" not in answer and time.monotonic() < deadline:
                try:
                    connection.sendall(b" ")
                    answer += connection.recv(4096)
                except TimeoutError:
                    continue
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"operation_timeout" in answer


def _online(service: Service) -> str:
    slot, _ = service.engine.scorers.open("d-1", "m-1")
    slot.ready = Future()
    return "d-1"


def test_a_client_that_goes_away_in_the_middle_leaves_nothing(service: Service, content: bytes) -> None:
    made = service.model()
    path = made.entity["model_version"]["content_url"].replace(service.url, "")
    port = int(service.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        head = f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(content)}\r\n"
        head += f"Authorization: Bearer {service.auth.issue()}\r\n\r\n"
        connection.sendall(head.encode() + content[:100])
        time.sleep(0.1)
    home = Path(service.engine.contents._archives._archives)
    eventually(lambda: not [path for path in home.rglob("*") if path.is_file()])
    assert service.call("PUT", made.entity["model_version"]["content_url"], data=content).status == 200


def test_headers_without_end_end_the_connection(service: Service) -> None:
    port = int(service.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        lines = b"".join(f"X-{number}: {'y' * 100}\r\n".encode() for number in range(5000))
        try:
            connection.sendall(lines)
            ended = connection.recv(100) == b""
        except OSError:  # reset or broken pipe: the server has closed while we were sending
            ended = True
        assert ended


def test_headers_that_drip_are_cut_off_and_a_connection_that_waits_is_not(
    serve: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.5)
    port = int(serve().url.rpartition(":")[2])
    whole = b"GET /nope HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as waiting,
        socket.create_connection(("127.0.0.1", port), timeout=20) as dripping,
    ):
        waiting.sendall(whole)
        assert waiting.recv(4096).startswith(b"HTTP/1.1 404 ")
        # The second request of a connection has the same time as the first.
        dripping.sendall(whole)
        assert dripping.recv(4096).startswith(b"HTTP/1.1 404 ")
        time.sleep(0.8)
        dripping.settimeout(0.05)
        ended, deadline = False, time.monotonic() + 20
        dripping.sendall(whole[:-2])
        while not ended and time.monotonic() < deadline:
            try:
                dripping.sendall(b"X: y\r\n")
                ended = dripping.recv(100) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
        assert ended
        waiting.sendall(whole)
        assert waiting.recv(4096).startswith(b"HTTP/1.1 404 ")


def test_what_is_not_http_gets_the_error_body(service: Service) -> None:
    port = int(service.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"BREW /v2/identity/token HTCPCP/1.0\r\n\r\n")
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    document = json.loads(body)
    assert document["errors"][0]["code"] == "parsing_error"
    assert f"x-global-transaction-id: {document['trace']}".encode() in head
