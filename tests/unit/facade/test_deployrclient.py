"""The client of 2017: how it is called, and what it sends."""

from __future__ import annotations

import http.server
import inspect
import json
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import define, field
from msrest.exceptions import ClientRequestError, HttpOperationError

from wmlclient import contract, deployrclient
from wmlclient.deployrclient import models

HEADERS = {"Authorization": "Bearer t"}


@define
class Stub:
    url: str = ""
    code: int = 200
    answer: Any = None
    sent: list[tuple[str, str, dict[str, str], bytes]] = field(factory=list)


@pytest.fixture
def stub() -> Iterator[Stub]:
    stub = Stub()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            stub.sent.append((self.command, self.path, dict(self.headers), body))
            raw = isinstance(stub.answer, bytes)
            data = stub.answer if raw else json.dumps(stub.answer).encode()
            self.send_response(stub.code)
            self.send_header("Content-Type", "application/octet-stream" if raw else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        stub.url = f"http://127.0.0.1:{server.server_port}"
        yield stub
        server.shutdown()
        thread.join()


@pytest.fixture
def client(stub: Stub) -> Iterator[deployrclient.DeployRClient]:
    with deployrclient.DeployRClient(stub.url) as client:
        yield client


def arguments(name: str) -> list[str]:
    return list(inspect.signature(getattr(deployrclient.DeployRClient, name)).parameters)[1:]


# The names and the order that the generator of 2017 gave.
@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("login", ["login_request"]),
        ("revoke_refresh_token", ["refresh_token"]),
        ("get_all_web_service_versions_by_name", ["name"]),
        ("publish_web_service_version", ["name", "version", "publish_request"]),
        ("patch_web_service_version", ["name", "version", "patch_request"]),
        ("publish_realtime_web_service_by_name", ["name", "model", "description", "operation_id"]),
        (
            "patch_realtime_web_service_by_name_version",
            ["name", "version", "description", "operation_id", "model"],
        ),
        ("get_web_service_swagger", ["name", "version"]),
        ("execute_code", ["id", "execute_request"]),
        ("upload_session_file", ["id", "file"]),
        ("get_session_file", ["id", "file_name", "callback"]),
        ("set_workspace_object", ["id", "object_name", "serialized_object"]),
        ("get_snapshot_content", ["id", "callback"]),
        ("load_snapshot", ["id", "snapshot_id"]),
        ("status", []),
    ],
)
def test_headers_come_after_the_arguments_of_the_operation(name: str, own: list[str]) -> None:
    assert arguments(name) == [*own, "custom_headers", "raw", "operation_config"]


def test_every_operation_and_model_is_there() -> None:
    document = contract.load("ml_server")
    count = sum(len(item) for item in document["paths"].values())
    methods = [name for name in vars(deployrclient.DeployRClient) if "custom_headers" in arguments_of(name)]
    assert len(methods) == count
    for name in document["definitions"]:
        if name != "SwaggerJsonResponse":
            assert issubclass(getattr(models, name), object)


def arguments_of(name: str) -> list[str]:
    member = getattr(deployrclient.DeployRClient, name)
    return list(inspect.signature(member).parameters) if inspect.isfunction(member) else []


def test_models_take_their_members_by_place() -> None:
    assert vars(models.LoginRequest("u", "p"))["password"] == "p"
    request = models.ExecuteRequest("1", [models.WorkspaceObject("x", [1])], ["y"])
    assert request.serialize() == {
        "code": "1",
        "inputParameters": [{"name": "x", "value": [1]}],
        "outputParameters": ["y"],
    }
    assert models.WebService("n", "1", code="c").name == "n"
    with pytest.raises(TypeError, match="takes 2 members"):
        models.LoginRequest("u", "p", "more")
    with pytest.raises(TypeError, match="username twice"):
        models.LoginRequest("u", username="u")


def test_sends_body_and_headers(stub: Stub, client: deployrclient.DeployRClient) -> None:
    stub.code, stub.answer = 201, {"sessionId": "s1"}
    made = client.create_session(models.CreateSessionRequest("n", runtime_type="Python"), HEADERS)
    assert isinstance(made, models.CreateSessionResponse)
    assert made.session_id == "s1"
    verb, path, headers, body = stub.sent[-1]
    assert (verb, path) == ("POST", "/sessions")
    assert headers["Authorization"] == "Bearer t"
    assert json.loads(body) == {"name": "n", "runtimeType": "Python"}


def test_answers_are_models_all_the_way_down(stub: Stub, client: deployrclient.DeployRClient) -> None:
    stub.answer = {"success": True, "outputParameters": [{"name": "r", "value": [1, None]}]}
    done = client.execute_code("s1", models.ExecuteRequest("r = 1"), HEADERS)
    assert isinstance(done.output_parameters[0], models.WorkspaceObject)
    assert done.output_parameters[0].value == [1, None]
    stub.answer = {"statusCode": "pass", "components": {"database": {"statusCode": "warn"}}}
    assert client.status(HEADERS).components["database"].status_code == "warn"


def test_raw_gives_the_response_too(stub: Stub, client: deployrclient.DeployRClient) -> None:
    stub.answer = ["a"]
    got = client.list_session_history("s1", custom_headers=HEADERS, raw=True)
    assert (got.output, got.response.status_code) == (["a"], 200)


def test_a_swagger_document_is_a_dict(stub: Stub, client: deployrclient.DeployRClient) -> None:
    stub.answer = {"swagger": "2.0", "paths": {"/a": {"get": {}}}}
    assert client.get_web_service_swagger("n", "1", HEADERS) == stub.answer


def test_files_and_objects_travel_as_bytes(
    stub: Stub, client: deployrclient.DeployRClient, tmp_path: Any
) -> None:
    stub.answer = b"\x80\x04 bytes"
    pieces: list[bytes] = []
    got = client.get_session_file("s1", "a b.bin", lambda piece, response: pieces.append(piece), HEADERS)
    assert b"".join(got) == b"".join(pieces) == stub.answer
    assert stub.sent[-1][1] == "/sessions/s1/files/a%20b.bin"
    stub.answer = None
    client.set_workspace_object("s1", "x", b"\x80\x04K\x05.", HEADERS)
    assert stub.sent[-1][3] == b"\x80\x04K\x05."
    assert stub.sent[-1][2]["Content-Type"] == "application/octet-stream"
    stub.code = 201
    path = tmp_path / "data.csv"
    path.write_bytes(b"1,2")
    with open(path, "rb") as file:
        client.upload_session_file("s1", file, HEADERS)
    assert b'name="file"; filename="data.csv"' in stub.sent[-1][3]
    assert stub.sent[-1][2]["Content-Type"].startswith("multipart/form-data; boundary=")


@pytest.mark.parametrize("status", [400, 401, 404, 409, 410, 500, 503])
@pytest.mark.parametrize("download", [False, True])
def test_failures_are_sent_once_and_hold_the_error(
    stub: Stub, client: deployrclient.DeployRClient, status: int, download: bool
) -> None:
    stub.code, stub.answer = status, {"message": "why", "link": "l", "exceptionType": "T"}
    with pytest.raises(models.ErrorException, match="why") as caught:
        client.get_snapshot_content("s1", None, HEADERS) if download else client.status(HEADERS)
    assert (caught.value.error.message, caught.value.error.exception_type) == ("why", "T")
    assert caught.value.response.status_code == status
    assert isinstance(caught.value, HttpOperationError)
    assert len(stub.sent) == 1


def test_a_failure_without_json_says_its_status(stub: Stub, client: deployrclient.DeployRClient) -> None:
    stub.code, stub.answer = 502, b"<html>"
    with pytest.raises(models.ErrorException, match="invalid status code") as caught:
        client.status(HEADERS)
    assert pickle.loads(pickle.dumps(caught.value)).error.message == caught.value.error.message


def test_an_unexpected_success_is_a_failure(stub: Stub, client: deployrclient.DeployRClient) -> None:
    stub.answer = "1.0"
    with pytest.raises(models.ErrorException):
        client.publish_web_service("n", models.PublishWebServiceRequest(code="1"), HEADERS)


def test_no_connection_is_a_request_error() -> None:
    client = deployrclient.DeployRClient("http://127.0.0.1:1")
    with pytest.raises(ClientRequestError, match="could not be made"):
        client.status(HEADERS, timeout=5)
    client.close()


def test_wrong_arguments_are_refused_before_anything_is_sent(
    stub: Stub, client: deployrclient.DeployRClient
) -> None:
    with pytest.raises(TypeError):
        client.execute_code("s1")
    assert stub.sent == []
