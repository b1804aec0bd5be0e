"""What the facade relies on in the generated client, over HTTP with a stub that answers as told.

These hold the generator's behaviour, not ours: a new version of it that changes them is seen here.
"""

from __future__ import annotations

import base64
import http.server
import io
import json
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from attrs import define, field
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from msrest.exceptions import ValidationError

from wmlclient import contract
from wmlclient._generated.watson_ml_v3 import WatsonMlV3
from wmlclient._generated.watson_ml_v3 import models as m

ERROR = {"trace": "t1", "errors": [{"code": "invalid_payload", "message": "no", "target": {"name": "x"}}]}
META = {"guid": "d1", "url": "http://h/d1", "created_at": "2017-06-28T12:39:01.474Z"}
STREAM = {"name": "n", "type": "stream", "status": "RUNNING", "model_type": "mllib-4.0"}


@define
class Stub:
    """Answers every request with ``answer`` and remembers it."""

    url: str = ""
    code: int = 200
    answer: Any = None
    headers: dict[str, str] = field(factory=dict)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(factory=list)

    @property
    def body(self) -> Any:
        return json.loads(self.requests[-1][3])


@pytest.fixture
def stub() -> Iterator[Stub]:
    stub = Stub()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            stub.requests.append((self.command, self.path, dict(self.headers), body))
            raw = isinstance(stub.answer, bytes)
            data = stub.answer if raw else b"" if stub.answer is None else json.dumps(stub.answer).encode()
            self.send_response(stub.code)
            if stub.code != 204:
                self.send_header("Content-Type", "application/octet-stream" if raw else "application/json")
                self.send_header("Content-Length", str(len(data)))
            for name, value in stub.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

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
def client(stub: Stub) -> Iterator[WatsonMlV3]:
    with WatsonMlV3(stub.url, retry_total=0) as client:
        yield client


def test_every_operation_has_its_method(client: WatsonMlV3) -> None:
    def snake(name: str) -> str:
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")

    document = contract.load("watson_ml_v3")
    for item in document["paths"].values():
        for operation in item.values():
            group, method = (snake(part) for part in operation["operationId"].split("_"))
            assert callable(getattr(getattr(client, group), method)), operation["operationId"]
    for name, definition in document["definitions"].items():
        # What has no members has no class: any object will do.
        if definition.keys() & {"properties", "allOf", "enum"}:
            assert issubclass(getattr(m, name), object)


def test_token_takes_its_own_authorization(stub: Stub, client: WatsonMlV3) -> None:
    stub.answer = {"token": "a.b.c"}
    basic = "Basic " + base64.b64encode(b"u:p").decode()
    assert client.token.get(authorization=basic).token == "a.b.c"
    assert client.token.get_v2(authorization=basic).token == "a.b.c"
    verb, path, headers, _ = stub.requests[-1]
    assert (verb, path, headers["Authorization"]) == ("GET", "/v2/identity/token", basic)
    client.token.refresh(m.TokenRefresh(token="old"))
    assert stub.body == {"token": "old"}
    assert "Authorization" not in stub.requests[-1][2]


def test_create_sends_the_stream_as_the_documents_print_it(stub: Stub, client: WatsonMlV3) -> None:
    stub.code, stub.answer = 201, {"metadata": META, "entity": {**STREAM, "engine": "native", "new": 1}}
    connection = m.DataConnection(
        kafka_brokers_sasl=["h:9093"], user="u", password="p", mqlight_lookup_url="https://m"
    )
    request = m.DeploymentRequest(
        name="n",
        type="stream",
        input=m.DataInput(connection=connection, source=m.DataSource(topic="in", type="kafka")),
        output=m.DataOutput(connection=connection, target=m.DataTarget(topic="out", type="kafka")),
    )
    deployment = client.deployments.create(
        "i/1 x", "m1", request, sync=False, x_spark_service_instance="QUJD"
    )
    verb, path, headers, _ = stub.requests[-1]
    assert verb == "POST"
    assert path == "/v3/wml_instances/i%2F1%20x/published_models/m1/deployments?sync=false"
    assert headers["X-Spark-Service-Instance"] == "QUJD"
    kafka = {
        "kafka_brokers_sasl": ["h:9093"],
        "user": "u",
        "password": "p",
        "mqlight_lookup_url": "https://m",
    }
    assert stub.body == {
        "name": "n",
        "type": "stream",
        "input": {"connection": kafka, "source": {"topic": "in", "type": "kafka"}},
        "output": {"connection": kafka, "target": {"topic": "out", "type": "kafka"}},
    }
    created = datetime(2017, 6, 28, 12, 39, 1, 474000, timezone.utc)
    assert deployment.metadata.created_at == created
    assert deployment.entity.type == m.DeploymentType.STREAM
    assert deployment.entity.engine == m.ScoringEngine.NATIVE


def test_word_newer_than_the_contract_passes(stub: Stub, client: WatsonMlV3) -> None:
    stub.answer = {"metadata": META, "entity": {**STREAM, "status": "SLEEPING"}}
    assert client.instance_deployments.get("i", "d").entity.status == "SLEEPING"


def test_patch_keeps_a_null_only_as_bytes(stub: Stub, client: WatsonMlV3) -> None:
    stub.code = 204
    stop = [m.PatchOperation(op="replace", path="/status", value="STOPPED")]
    assert client.deployments.update("i", "m", "d", stop) is None
    assert stub.body == [{"op": "replace", "path": "/status", "value": "STOPPED"}]
    client.deployments.update("i", "m", "d", b'[{"op":"replace","path":"/description","value":null}]')
    assert stub.body == [{"op": "replace", "path": "/description", "value": None}]
    assert stub.requests[-1][2]["Content-Type"] == "application/json"


def test_score_keeps_values_as_they_are(stub: Stub, client: WatsonMlV3) -> None:
    row = [1, 0.1, "x", None, [3, [0], [1.5]], "NaN", True]
    stub.answer, stub.headers = {"fields": ["a"], "values": [row]}, {"X-Scoring-Engine": "native"}

    def both(response: Any, table: m.ScoringTable, headers: Any) -> tuple[Any, str]:
        return table.values, response.http_response.headers["X-Scoring-Engine"]

    table = m.ScoringTable(fields=["a"], values=[row])
    assert client.deployments.score("i", "m", "d", table, cls=both) == ([row], "native")
    assert stub.body == {"fields": ["a"], "values": [row]}


def test_model_carries_schema_and_sample_unchanged(stub: Stub, client: WatsonMlV3) -> None:
    schema = {"type": "struct", "fields": [{"name": "t", "type": "string", "nullable": True, "metadata": {}}]}
    stub.code = 201
    stub.answer = {
        "metadata": META,
        "entity": {
            "name": "n",
            "framework": {"name": "mllib", "version": "4.0"},
            "training_data_schema": schema,
            "model_version": {"guid": "v1", "url": "http://h/v1"},
        },
    }
    request = m.RepositoryModelRequest(
        name="n",
        framework=m.Framework(name="mllib", version="4.0", runtimes=[m.Runtime(name="spark", version="4.0")]),
        author=m.Author(),
        training_data_schema=schema,
        sample=m.SampleTable(fields=["t"], values=[["a"], [None]]),
    )
    answer = client.models.create(request)
    assert stub.body["training_data_schema"] == schema
    assert stub.body["author"] == {}
    assert stub.body["sample"] == {"fields": ["t"], "values": [["a"], [None]]}
    assert answer.entity.training_data_schema == schema
    assert answer.entity.model_version.guid == "v1"


def test_certificate_is_read_with_its_nulls(stub: Stub, client: WatsonMlV3) -> None:
    parity = {
        "state": "checked",
        "engine": None,
        "largest_difference": 1.1e-16,
        "columns": {"probability": 1.1e-16},
        "examples": [{"row": 3, "column": "c", "native": [1.0], "spark": None}],
        "checked_at": None,
    }
    entity = {
        "name": "n",
        "model_type": "mllib-4.0",
        "deployments": {"count": 0, "url": "u"},
        "parity": parity,
    }
    stub.answer = {"metadata": META, "entity": entity}
    certificate = client.published_models.get("i", "m").entity.parity
    assert (certificate.state, certificate.engine, certificate.checked_at) == ("checked", None, None)
    assert certificate.columns == {"probability": 1.1e-16}
    assert (certificate.examples[0].native, certificate.examples[0].spark) == ([1.0], None)


@pytest.mark.parametrize("wrap", [bytes, io.BytesIO])
def test_content_goes_up_and_down_unchanged(stub: Stub, client: WatsonMlV3, wrap: Any) -> None:
    archive = bytes(range(256)) * 800
    client.models.upload_content("m", "v", wrap(archive))
    _, path, headers, body = stub.requests[-1]
    assert path == "/v3/ml_assets/models/m/versions/v/content"
    assert headers["Content-Type"] == "application/octet-stream"
    assert body == archive
    stub.answer = archive
    assert b"".join(client.models.download_content("m", "v", decompress=False)) == archive


def test_page_and_size(stub: Stub, client: WatsonMlV3) -> None:
    stub.answer = {"limit": 2, "resources": [], "next": {"url": "http://h/x?start=abc"}}
    page = client.published_models.list("i", limit=2, start="s")
    assert stub.requests[-1][1] == "/v3/wml_instances/i/published_models?limit=2&start=s"
    assert page.next.url == "http://h/x?start=abc"
    stub.answer = {"contentSize": 3779}
    assert client.models.get_version("m", "v", size=True).content_size == 3779
    assert stub.requests[-1][1].endswith("/versions/v?size=true")


def test_errors(stub: Stub, client: WatsonMlV3) -> None:
    stub.code, stub.answer = 400, ERROR
    with pytest.raises(HttpResponseError) as bad:
        client.published_models.delete("i", "m")
    assert bad.value.model.errors[0].code == "invalid_payload"
    assert bad.value.response.json() == ERROR
    stub.code = 404
    with pytest.raises(ResourceNotFoundError) as missing:
        client.models.download_content("m", "v")
    assert missing.value.model is None
    assert missing.value.response.json() == ERROR


def test_limits_are_checked_before_sending(stub: Stub, client: WatsonMlV3) -> None:
    with pytest.raises(ValidationError):
        client.published_models.list("i", limit=0)
    with pytest.raises(ValidationError):
        client.deployments.create("i", "m", m.DeploymentRequest(name="", type="online"))
    assert stub.requests == []
