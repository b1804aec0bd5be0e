"""Web services that are deployed as streams: made, shown, followed, refused. What runs them is played."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from contract_service import INSTANCE, PASSWORD, SPARK_HEADER, STREAM, USER, Service
from ml_service import MlUser
from runner_fakes import eventually

import wmlclient
from wmlclient import errors

ADD = {
    "code": "answer = x + y",
    "description": "adds two numbers",
    "inputParameterDefinitions": [{"name": "x", "type": "numeric"}, {"name": "y", "type": "numeric"}],
    "outputParameterDefinitions": [{"name": "answer", "type": "numeric"}],
    "runtimeType": "Python",
}


@pytest.fixture
def name(user: MlUser, shared: Service) -> Iterator[str]:
    """A web service with the version 1.0, whose name has to be quoted."""
    name = "sums of all"
    made = user.operation("publishWebServiceVersion", "sums%20of%20all", "1.0", json=ADD)
    assert made.status == 201, made.body
    yield name
    for each in shared.engine.web_services.all():
        if each.name == name:
            shared.engine.web_services.delete(each)
    eventually(
        lambda: shared.engine.deployments.page(10, None, model_id=None, status=None, kind=None).total == 0
    )


@pytest.fixture
def client(shared: Service) -> Iterator[wmlclient.Client]:
    with wmlclient.Client(shared.url, username=USER, password=PASSWORD, instance_id=INSTANCE) as client:
        yield client


def request(shared: Service, **changes: Any) -> dict[str, Any]:
    return {**STREAM, "deployable_asset_url": f"{shared.url}/services/sums%20of%20all/1.0", **changes}


def create(shared: Service, headers: Any = None, **changes: Any) -> Any:
    return shared.operation(
        "InstanceDeployments_Create", json=request(shared, **changes), headers=headers or {}
    )


def test_it_is_a_deployment_like_others(client: wmlclient.Client, shared: Service, name: str) -> None:
    kafka = wmlclient.KafkaConnection(brokers=["broker:9093"], user="u", password="s3cr3t")
    service = client.services.get(name, "1.0")
    before = shared.operation("PublishedModels_List").body["count"]
    stream = service.deploy(
        "sums", source=kafka.topic("in"), target=kafka.topic("out"), workers=2, receipts=True, description="d"
    )
    stream.wait(30)
    assert (stream.kind, stream.state, stream.engine, stream.delivery) == (
        "stream", "ready", "native", "exactly_once",
    )  # fmt: skip
    assert stream.engine_reason == "a web service runs in guarded processes of its own, without Spark"
    assert (stream.model_name, stream.version, stream.source, stream.target) == (name, None, "in", "out")
    asset = stream._entity.deployable_asset
    assert (asset.type, asset.url) == ("service", f"{shared.url}/services/sums%20of%20all/1.0")
    assert stream.id in [each.id for each in client.deployments.list(kind="stream")]
    assert shared.operation("PublishedModels_List").body["count"] == before

    spec = shared.native.streams[stream.id]
    assert spec.program is not None
    assert (spec.program.code, spec.program.copies, spec.workers, spec.receipts) == (ADD["code"], 4, 2, True)
    assert spec.model_digest.startswith("sha256:")

    stream.stop()
    assert (stream.state, stream.id in shared.native.streams) == ("stopped", False)
    stream.start()
    stream.wait(30)
    stream.delete()
    assert stream.id not in shared.native.streams
    with pytest.raises(errors.NotFoundError):
        stream.refresh()
    assert shared.engine.store.models.of_service({"name": name, "version": "1.0"}) == []


def test_what_stands_for_the_service_is_no_model(shared: Service, name: str) -> None:
    made = create(shared)
    assert made.status == 201
    ids = {"model_id": made.entity["deployable_asset"]["guid"], "deployment_id": made.guid}
    assert shared.operation("Deployments_Get", ids=ids).status == 200
    for operation in ("PublishedModels_Get", "Models_Get", "Deployments_List"):
        assert shared.operation(operation, ids=ids).status == 404
    moved = shared.operation(
        "Deployments_Update",
        ids=ids,
        json=[{"op": "replace", "path": "/deployed_version/url", "value": made.url}],
    )
    assert moved.status == 400
    assert shared.operation("Deployments_Delete", ids=ids).status == 204


def test_a_change_restarts_it_and_a_deletion_takes_it_along(
    user: MlUser, shared: Service, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create(shared)
    shared.until(made.url, "RUNNING")
    first = shared.native.streams[made.guid]
    go, stop = threading.Event(), shared.native.stop_stream
    monkeypatch.setattr(shared.native, "stop_stream", lambda id: go.wait(30) and stop(id))
    changed = user.operation(
        "patchWebServiceVersion",
        "sums%20of%20all",
        "1.0",
        json={"code": "answer = x - y", "runtimeType": "Python"},
    )
    assert changed.status == 200
    # Whoever waits for it to run waits for the new code.
    assert shared.call("GET", made.url).entity["status"] == "INITIALIZING"
    go.set()
    shared.until(made.url, "RUNNING")
    second = shared.native.streams[made.guid]
    assert second.model_digest != first.model_digest
    assert second.program.code == "answer = x - y"

    # One that is stopped stays so.
    shared.call("PATCH", made.url, json=[{"op": "replace", "path": "/status", "value": "STOPPED"}])
    user.operation(
        "patchWebServiceVersion",
        "sums%20of%20all",
        "1.0",
        json={"code": "answer = x", "runtimeType": "Python"},
    )
    assert shared.call("GET", made.url).entity["status"] == "STOPPED"

    assert user.operation("deleteWebServiceVersion", "sums%20of%20all", "1.0").status == 200
    eventually(lambda: shared.call("GET", made.url).status == 404)
    assert made.guid not in shared.native.streams


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"type": "online", "input": None, "output": None}, "not_supported_deployment_type", "type"),
        ({"engine": "spark"}, "engine_conflict", "engine"),
        ({"latency": "realtime"}, "engine_conflict", "engine"),
    ],
)
def test_what_is_refused(shared: Service, name: str, changes: dict[str, Any], code: str, field: str) -> None:
    changes = {key: value for key, value in changes.items() if value is not None}
    found = create(shared, **changes)
    assert (found.status, found.code, found.body["errors"][0]["target"]["name"]) == (400, code, field)


def test_spark_and_formats_are_refused(shared: Service, name: str) -> None:
    assert create(shared, headers=SPARK_HEADER).code == "engine_conflict"
    source = {**STREAM["input"], "source": {**STREAM["input"]["source"], "format": {"type": "csv"}}}
    found = create(shared, input=source)
    assert (found.status, found.code) == (400, "invalid_request_payload")
    assert "reads and writes JSON" in found.message


def test_what_is_not_there(shared: Service) -> None:
    found = create(shared)
    assert (found.status, found.code) == (404, "service_not_found")
    found = create(shared, deployable_asset_url=f"{shared.url}/services/only-a-name")
    assert (found.status, found.code) == (400, "invalid_request_payload")


def test_one_without_inputs(user: MlUser, shared: Service) -> None:
    made = user.operation(
        "publishWebServiceVersion",
        "nothing",
        "1",
        json={**ADD, "code": "answer = 1", "inputParameterDefinitions": []},
    )
    assert made.status == 201, made.body
    found = create(shared, deployable_asset_url="/services/nothing/1")
    assert (found.status, found.code) == (400, "no_inputs")
    user.operation("deleteWebServiceVersion", "nothing", "1")


def test_files_are_no_stream(client: wmlclient.Client, name: str) -> None:
    service: Any = client.services.get(name, "1.0")
    with pytest.raises(errors.PayloadError, match="runs files by .batch"):
        service.deploy("n", source="a.csv", target="b.csv")
