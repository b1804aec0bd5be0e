"""Deployments: made, waited for, scored, stopped, changed, deleted."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from facade_stub import Answer, Stub, error

from wmlclient import KafkaConnection, SparkService, State, errors
from wmlclient.client import Client
from wmlclient.models import Model
from wmlclient.schema import to_schema
from wmlclient.states import state_of

KAFKA = KafkaConnection(brokers=["k:9093"], user="ku", password="kafka-secret", api_key="key-secret")


@pytest.fixture
def model(client: Client, stub: Stub) -> Model:
    return client.models.get(stub.add_model("sentiment"))


def test_online_is_the_default_and_is_waited_for(model: Model, stub: Stub) -> None:
    online = model.deploy("d", description="for a test")

    (created,) = stub.calls("POST", "deployments")
    assert created.json == {"name": "d", "type": "online", "description": "for a test"}
    assert created.query == {"sync": "false"}
    assert "x-spark-service-instance" not in created.headers
    assert (online.kind, online.status, online.state) == ("online", "DEPLOY_SUCCESS", State.READY)
    assert (online.model_id, online.engine) == (model.id, "native")
    assert [d.id for d in model.deployments] == [online.id]


def test_without_wait_it_is_pending(model: Model, clock: Any) -> None:
    online = model.deploy("d", wait=False)

    assert online.state is State.PENDING
    assert online.wait(clock=clock) is online
    assert online.state == "ready"


def test_a_failure_tells_the_services_reasons(model: Model, stub: Stub, clock: Any) -> None:
    online = model.deploy("d", wait=False)
    entity = stub.deployments[online.id]["entity"]
    entity["status_details"] = {
        "failure": {
            "errors": [
                {"code": "load_model_failure", "message": "No such stage."},
                '{"code": "other", "message": "As text."}',
                "not json",
            ]
        }
    }
    stub.statuses[online.id] = ["DEPLOY_IN_PROGRESS", "DEPLOY_FAILURE"]

    with pytest.raises(errors.DeploymentFailedError, match="No such stage.; As text.; not json") as caught:
        online.wait(clock=clock)
    assert caught.value.code == "load_model_failure"
    assert caught.value.deployment_id == online.id
    assert len(caught.value.errors) == 3


def test_a_failure_may_come_as_a_message(model: Model, stub: Stub) -> None:
    online = model.deploy("d", wait=False)
    stub.deployments[online.id]["entity"]["status_message"] = "Out of memory."
    stub.statuses[online.id] = ["FAILED"]

    with pytest.raises(errors.DeploymentFailedError, match="Out of memory"):
        online.wait()


def test_a_wait_has_a_deadline(model: Model, stub: Stub, clock: Any) -> None:
    online = model.deploy("d", wait=False)
    stub.statuses[online.id] = []

    with pytest.raises(
        errors.WaitTimeoutError, match="not ready after 30 s; its status is INITIALIZING"
    ) as caught:
        online.wait(30, clock=clock)
    assert caught.value.last_status == "INITIALIZING"
    assert clock.time == pytest.approx(30)
    assert clock.pauses == sorted(clock.pauses[:-1]) + clock.pauses[-1:]
    assert max(clock.pauses) <= 2


def test_a_stream_is_what_the_documents_print(model: Model, stub: Stub) -> None:
    stream = model.deploy(
        "tweets",
        source=KAFKA.topic("sinput"),
        target=KAFKA.topic("soutput"),
        spark=SparkService(cluster_master_url="spark://h:7077", tenant_secret="spark-secret"),
        dead_letter="broken",
    )

    (created,) = stub.calls("POST", "deployments")
    connection = {
        "kafka_brokers_sasl": ["k:9093"],
        "user": "ku",
        "password": "kafka-secret",
        "api_key": "key-secret",
        "security_protocol": "SASL_SSL",
    }
    assert created.json == {
        "name": "tweets",
        "type": "stream",
        "input": {"connection": connection, "source": {"topic": "sinput", "type": "kafka"}},
        "output": {"connection": connection, "target": {"topic": "soutput", "type": "kafka"}},
        "dead_letter": {"topic": "broken"},
    }
    assert created.query == {}
    header = created.headers["x-spark-service-instance"]
    assert json.loads(base64.b64decode(header)) == {
        "credentials": {"cluster_master_url": "spark://h:7077", "tenant_secret": "spark-secret"},
        "version": "2.0",
    }
    assert stream.state is State.PENDING  # not waited for
    assert (stream.kind, stream.source, stream.target, stream.dead_letter) == (
        "stream",
        "sinput",
        "soutput",
        "broken",
    )
    assert stream.wait().status == "RUNNING"
    for secret in ("kafka-secret", "spark-secret", "key-secret"):
        assert secret not in repr(stream) + stream._repr_html_() + repr(stream.__dict__.get("_service"))


def test_a_spark_service_is_named_only_where_it_is_needed(client: Client, stub: Stub) -> None:
    model = client.models.get(stub.add_model("m"))
    ends = {"source": KAFKA.topic("a"), "target": KAFKA.topic("b")}
    refusal = Answer(
        400, error("missing_prediction_spark_definition", "nothing else can run it: stage ALS_1")
    )

    stub.script("POST", "deployments", refusal)
    with pytest.raises(errors.BadRequestError, match="ALS_1"):
        model.deploy("remote decides", **ends)
    client._service.default_spark = SparkService(cluster_master_url="local[2]")
    model.deploy("native", **ends)
    stub.script("POST", "deployments", refusal)
    model.deploy("needs Spark", **ends)
    model.deploy("asks for Spark", engine="spark", **ends)

    headers = [r.headers.get("x-spark-service-instance") for r in stub.calls("POST", "deployments")]
    assert headers[:3] == [None] * 3
    assert [b"local[2]" in base64.b64decode(header or "") for header in headers[3:]] == [True, True]


@pytest.mark.parametrize("ends", [(KAFKA.topic("a"), KAFKA.topic("b")), ("in.parquet", "out.parquet")])
@pytest.mark.parametrize("spark", ["local[2]", {"tenant_secret": "s3cr3t"}])
def test_what_is_no_spark_service_is_refused_and_not_shown(model: Model, ends: Any, spark: Any) -> None:
    with pytest.raises(errors.PayloadError, match="SparkService") as caught:
        model.deploy("tweets", source=ends[0], target=ends[1], spark=spark)
    assert "s3cr3t" not in str(caught.value)


def test_wishes_for_a_stream_are_sent_as_they_are(model: Model, stub: Stub) -> None:
    ends = {"source": KAFKA.topic("a"), "target": KAFKA.topic("b")}
    wishes: dict[str, Any] = {"engine": "native", "delivery": "at_least_once", "workers": 2, "receipts": True}
    model.deploy("tweets", **ends, **wishes)

    (created,) = stub.calls("POST", "deployments")
    assert {name: created.json[name] for name in wishes} == wishes
    with pytest.raises(errors.PayloadError, match="workers= is for streams"):
        model.deploy("online", workers=2)


@pytest.mark.parametrize(
    "ends",
    [
        {"source": KAFKA.topic("a")},
        {"target": KAFKA.topic("a")},
        {"source": KAFKA.topic("a"), "target": "file"},
        {"source": "file"},
        {"source": 7, "target": 8},
        {"spark": SparkService()},
        {"dead_letter": "x"},
        {"source": "a", "target": "b", "dead_letter": "x"},
        {
            "source": KAFKA.topic("a"),
            "target": KAFKA.topic("b"),
            "dead_letter": KafkaConnection(brokers="o:1").topic("x"),
        },
    ],
)
def test_ends_that_do_not_go_together(model: Model, stub: Stub, ends: Any) -> None:
    with pytest.raises(errors.PayloadError):
        model.deploy("d", **ends)
    assert stub.calls("POST", "deployments") == []


def test_batch_is_asked_for_and_the_answer_told(model: Model) -> None:
    with pytest.raises(errors.NotSupportedError, match="batch") as caught:
        model.deploy("nightly", source="in.parquet", target="out.parquet")
    assert caught.value.code == "not_supported_deployment_type"


def test_stop_start_update_delete(model: Model, client: Client, stub: Stub) -> None:
    stream = model.deploy("s", source=KAFKA.topic("a"), target=KAFKA.topic("b")).wait()

    assert stream.stop().state is State.STOPPED
    with pytest.raises(errors.DeploymentFailedError, match="Start it with .start()"):
        stream.wait()
    assert stream.start().wait().state is State.READY
    stream.update(name="renamed", description="why")
    assert (stream.name, stream.description) == ("renamed", "why")
    stream.delete()

    patches = [r.json for r in stub.calls("PATCH")]
    assert patches == [
        [{"op": "replace", "path": "/status", "value": "STOPPED"}],
        [{"op": "replace", "path": "/status", "value": "RUNNING"}],
        [{"op": "replace", "path": "/name", "value": "renamed"}],
        [{"op": "replace", "path": "/description", "value": "why"}],
    ]
    for again in (stream.refresh, stream.delete, lambda: client.deployments.get(stream.id)):
        with pytest.raises(errors.NotFoundError):
            again()
    with pytest.raises(errors.ConfigError):
        stream.update()


def test_a_stream_takes_another_version(model: Model, stub: Stub) -> None:
    stream = model.deploy("s", source=KAFKA.topic("a"), target=KAFKA.topic("b")).wait()
    assert stream.update("some-version").version == "some-version"
    (patch,) = (r.json[0] for r in stub.calls("PATCH"))
    assert patch["path"] == "/deployed_version/url"
    assert patch["value"].endswith(f"/models/{model.id}/versions/some-version")


def test_listing_filters_at_the_service_or_by_state(model: Model, client: Client, stub: Stub) -> None:
    online = model.deploy("o")
    stream = model.deploy("s", source=KAFKA.topic("a"), target=KAFKA.topic("b"))

    def ids(**filters: Any) -> list[str]:
        return [d.id for d in client.deployments.list(**filters)]

    assert ids() == [online.id, stream.id]
    assert ids(kind="stream") == [stream.id]
    assert ids(status="DEPLOY_SUCCESS") == [online.id]
    assert ids(status="pending") == [stream.id]
    assert ids(status=State.READY) == [online.id]
    assert [r.query.get("status") for r in stub.calls("GET", "instances/[^/]+/deployments$")] == [
        None, None, "DEPLOY_SUCCESS", None, None,
    ]  # fmt: skip


def test_score(model: Model, stub: Stub) -> None:
    online = model.deploy("d")

    scores = online.score(pd.DataFrame({"x": [1], "t": ["a"]}))

    (sent,) = stub.calls("POST", "/online$")
    assert sent.json == {"fields": ["x", "t"], "values": [[1, "a"]]}
    assert sent.headers["content-type"] == "application/json"
    assert scores.engine == "native"
    assert scores[0] == {"x": 1, "prediction": 0.5}


def test_whole_numbers_that_pandas_and_numpy_made_floats(client: Client, stub: Stub) -> None:
    guid = stub.add_model("m")
    stub.models[guid]["entity"]["training_data_schema"] = to_schema("age int, height double, id long")
    online = client.models.get(guid).deploy("d")
    looks = len(stub.calls("GET", "published_models/[^/]+$"))

    online.score(np.array([[1, 2.0, 3], [4, 5, 6]]), fields=["age", "height", "id"])
    online.score(pd.DataFrame({"age": [1.0, None], "id": [1.5, 2.0]}))
    online.score({"age": 1.0})

    sent = [r.json["values"] for r in stub.calls("POST", "/online$")]
    assert sent == [[[1, 2.0, 3], [4, 5.0, 6]], [[1, 1.5], [None, 2.0]], [[1.0]]]
    assert [[type(v) for v in row] for row in sent[0]] == [[int, float, int]] * 2
    assert len(stub.calls("GET", "published_models/[^/]+$")) == looks + 1


def test_a_scoring_url_of_another_host_is_reached_where_the_user_said(model: Model, stub: Stub) -> None:
    """A token never travels to a host that an answer names."""
    online = model.deploy("d")
    entity = stub.deployments[online.id]["entity"]
    entity["scoring_url"] = entity["scoring_url"].replace(stub.url, "https://elsewhere:31843")
    stub.statuses[online.id] = []
    online.refresh()

    assert online.score({"x": 1})[0]["prediction"] == 0.5
    assert online.scoring_url is not None
    assert online.scoring_url.startswith("https://elsewhere")


def test_a_refused_score_is_an_error(model: Model, stub: Stub) -> None:
    online = model.deploy("d")
    stub.script(
        "POST",
        "/online$",
        Answer(400, error("invalid_payload", "Input Json parsing failed with error: invalid field: x")),
    )

    with pytest.raises(errors.BadRequestError, match="invalid field: x") as caught:
        online.score({"x": 1})
    assert (caught.value.code, caught.value.method, caught.value.request_id) == (
        "invalid_payload",
        "POST",
        "req-4711",
    )


def test_a_score_renews_a_refused_token(model: Model, stub: Stub) -> None:
    online = model.deploy("d")
    stub.tokens.clear()

    assert len(online.score({"x": 1})) == 1
    assert len(stub.calls("GET", "identity/token")) == 2


def test_a_score_outlives_a_dropped_connection_but_no_more(model: Model, stub: Stub) -> None:
    online = model.deploy("d")
    stub.script("POST", "/online$", Answer(drop=True))
    assert len(online.score({"x": 1})) == 1

    stub.script("POST", "/online$", Answer(drop=True), Answer(drop=True))
    with pytest.raises(errors.TransportError):
        online.score({"x": 1})
    stub.script("POST", "/online$", Answer(503), Answer(503))
    with pytest.raises(errors.ServerError):
        online.score({"x": 1})
    assert len(stub.calls("POST", "/online$")) == 5


def test_a_score_has_a_timeout_of_its_own(model: Model, stub: Stub) -> None:
    online = model.deploy("d")
    stub.script("POST", "/online$", Answer(200, stub.scores, delay=1.0))

    with pytest.raises(errors.RequestTimeoutError):
        online.score({"x": 1}, timeout=0.1)


def test_bad_rows_never_leave(model: Model, stub: Stub) -> None:
    online = model.deploy("d")
    stream = model.deploy("s", source=KAFKA.topic("a"), target=KAFKA.topic("b"))

    for call in (lambda: online.score([]), lambda: online.score({"x": 1j}), lambda: stream.score({"x": 1})):
        with pytest.raises(errors.PayloadError):
            call()
    assert stub.calls("POST", "/online$") == []


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("INITIALIZING", State.PENDING),
        ("DEPLOY_IN_PROGRESS", State.PENDING),
        ("something_new", State.PENDING),
        ("ACTIVE", State.READY),
        ("deploy_success", State.READY),
        ("RUNNING", State.READY),
        ("COMPLETED", State.READY),
        ("DEPLOY_FAILURE", State.FAILED),
        ("ERROR", State.FAILED),
        ("STOPPED", State.STOPPED),
    ],
)
def test_the_words_of_every_year(status: str, state: State) -> None:
    assert state_of(status) is state


def test_html_escapes(model: Model, connect: Callable[..., Client], stub: Stub) -> None:
    online = model.deploy("<script>")

    assert "<script>" not in online._repr_html_()
    assert "&lt;script&gt;" in online._repr_html_()
    listing = connect().deployments.list()
    assert "&lt;script&gt;" in listing._repr_html_()
    assert repr(listing) == "<lazy list of deployments: loop over it, or take .first()>"
