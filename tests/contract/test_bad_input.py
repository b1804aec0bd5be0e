"""Whatever comes in: a clear error with its code, never a 5xx, and nothing lost or left behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import saved_models
from contract_service import INSTANCE, ONLINE, OPERATIONS, ROWS, SPARK_HEADER, STREAM, UNKNOWN, Service

from wmlclient import wire
from wmlclient.runner.engine import native
from wmlclient.runner.engine.ports import SparkUnavailable, StreamSetupError
from wmlclient.runner.engine.scorers import Live

DEEP = b"[" * 100_000 + b"]" * 100_000
BODIES = [id for id, operation in OPERATIONS.items() if operation.validator is not None]
SCORES = ["Deployments_Score", "InstanceDeployments_Score"]
ANY_OBJECT = ["Learning_PutConfiguration", "Learning_CreateIteration"]
"""What these take has no member that has to be there; whether the model is there is asked first."""


@pytest.fixture
def ids(service: Service, scorer: native.NativeScorer) -> Iterator[dict[str, str]]:
    """Of a deployment that scores, made without the long way round."""
    slot, wish = service.engine.scorers.open("d-2", "m-2")
    service.engine.scorers.loaded("d-2", slot, wish, Live(scorer, "v-2"), lambda: None)
    yield {"model_id": "m-2", "deployment_id": "d-2"}
    service.engine.scorers.drop("d-2")


# -- bodies


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"nul",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": 1e999}{',
        DEEP,
        b'{"a":' * 50_000,
        b'"\\ud800"',
    ],
    ids=["empty", "blank", "open", "word", "bytes", "nan", "two", "deep", "deep-open", "surrogate"],
)
@pytest.mark.parametrize("id", BODIES)
def test_what_is_no_json_is_400(service: Service, ids: dict[str, str], id: str, body: bytes) -> None:
    answer = service.operation(id, ids=ids, data=body)
    wanted = "invalid_payload" if id in SCORES else "deserialization_error"
    assert (answer.status, answer.code) == (400, wanted)


@pytest.mark.parametrize(
    ("id", "body"),
    [
        (id, body)
        for id in BODIES
        for body in (None, True, 7, "x", [[]], {}, {"x": 1}, [1, 2], {"fields": 1, "values": 2})
        if id not in ANY_OBJECT or not isinstance(body, dict)
    ],
)
def test_json_of_another_form_is_400(service: Service, ids: dict[str, str], id: str, body: Any) -> None:
    answer = service.operation(id, ids=ids, data=json.dumps(body).encode())
    assert answer.status == 400
    assert answer.code in (
        "invalid_request_payload",
        "invalid_payload",
        "patch_multiple_ops",
        "deserialization_error",
    )


@pytest.mark.parametrize("id", sorted(set(BODIES) - set(SCORES)))
def test_json_nested_deeper_than_anything_real_is_400(service: Service, ids: dict[str, str], id: str) -> None:
    body = b'{"name":' + b"[" * 200 + b"]" * 200 + b"}"
    answer = service.operation(id, ids=ids, data=body)
    assert (answer.status, answer.code) == (400, "deserialization_error")


@pytest.mark.parametrize(
    ("id", "body", "name"),
    [
        ("Models_Create", {"framework": {"name": "mllib", "version": "4"}}, "name"),
        ("Models_Create", {"name": "x"}, "framework"),
        ("Models_Create", {"name": "x", "framework": {"name": "mllib"}}, "framework.version"),
        ("Models_Create", {"name": "", "framework": {"name": "mllib", "version": "4"}}, "name"),
        ("Models_Create", {"name": 7, "framework": {"name": "mllib", "version": "4"}}, "name"),
        ("Models_Create", saved_models.request(training_data_schema="x"), "training_data_schema"),
        ("Models_Create", saved_models.request(sample={"fields": ["a"]}), "sample.values"),
        (
            "Models_Create",
            saved_models.request(sample={"fields": ["a"], "values": [[1]] * 1001}),
            "sample.values",
        ),
        ("Deployments_Create", {"type": "online"}, "name"),
        ("Deployments_Create", {"name": "x"}, "type"),
        ("Deployments_Create", {**STREAM, "output": "x"}, "output"),
        (
            "Deployments_Create",
            {**STREAM, "input": {"connection": {"security_protocol": "x"}}},
            "input.connection.security_protocol",
        ),
        ("Token_Refresh", {}, "token"),
        ("Deployments_Update", [{"op": "replace"}], "0.path"),
    ],
)
def test_the_missing_or_wrong_member_is_named(service: Service, id: str, body: Any, name: str) -> None:
    answer = service.operation(id, json=body)
    assert (answer.status, answer.code) == (400, "invalid_request_payload")
    assert answer.body["errors"][0]["target"] == {"type": "field", "name": name}
    assert name in answer.message


def test_the_form_is_not_asked_for_by_content_type(service: Service) -> None:
    body = json.dumps(saved_models.request()).encode()
    for kind in ("application/x-www-form-urlencoded", "text/plain", "application/octet-stream", None):
        headers = {"Content-Type": kind} if kind else {}
        assert service.operation("Models_Create", data=body, headers=headers).status == 201


def test_a_secret_in_a_malformed_request_is_not_repeated(service: Service, content: bytes) -> None:
    url = service.published(content).entity["deployments"]["url"]
    wrong = {**STREAM, "input": {"connection": {"password": ["s3cr3t"]}, "source": {"topic": "s"}}}
    assert (
        service.call("POST", url, json=wrong, headers=SPARK_HEADER).status == 400
    )  # the caller looks for it


# -- scoring


@pytest.mark.parametrize("id", SCORES)
@pytest.mark.parametrize(
    ("table", "code", "message"),
    [
        (
            {"fields": ["id", "text", "Business_Area"], "values": [[1, "a", "b"]]},
            "invalid_payload",
            "Input Json parsing failed with error: invalid field: Business_Area",
        ),
        (
            {"fields": ["text", "text"], "values": [["a", "b"]]},
            "invalid_payload",
            "Input Json parsing failed with error: struct already has field: text",
        ),
        ({"fields": ["id"], "values": [[1]]}, "invalid_payload", "the field 'text' is missing"),
        (
            {"fields": ["id", "text"], "values": [["1", "a"]]},
            "invalid_payload",
            "expected a whole number (int)",
        ),
        ({"fields": ["id", "text"], "values": [[1, {"a": 1}]]}, "invalid_payload", "row 0, field 'text'"),
        ({"fields": ["id", "text"], "values": [[2**31, "a"]]}, "invalid_payload", "row 0, field 'id'"),
        ({"fields": ["id", "text"], "values": [[1, "a"], [2]]}, "invalid_payload", "row 1 has 1 values"),
        ({"fields": ["id", "text"], "values": []}, "invalid_input_data", "no rows"),
        ({"fields": ["id", "text"]}, "invalid_payload", "`values`"),
        ({"values": [[1, "a"]]}, "invalid_payload", "`fields`"),
        ({"fields": ["id", 7], "values": [[1, "a"]]}, "invalid_payload", "`fields`"),
        ({"fields": ["id", "text"], "values": ["ab"]}, "invalid_payload", "`values`"),
        ([], "invalid_payload", "an object"),
    ],
)
def test_a_table_that_does_not_fit_is_400(
    service: Service, ids: dict[str, str], id: str, table: Any, code: str, message: str
) -> None:
    answer = service.operation(id, ids=ids, json=table)
    assert (answer.status, answer.code) == (400, code)
    assert message in answer.message


@pytest.mark.parametrize("path", [f"/v3/wml_instances/{INSTANCE}/deployments/{UNKNOWN}/online"])
def test_scoring_something_unknown_is_404(service: Service, path: str) -> None:
    answer = service.call("POST", path, json=ROWS)
    assert (answer.status, answer.code) == (404, "not_found")
    assert answer.message.startswith("Unknown deployment identification")


def test_a_score_waits_for_its_deployment_but_not_for_ever(service: Service, content: bytes) -> None:
    service.spark.hold.clear()
    url = service.published(content).entity["deployments"]["url"]
    made = service.call("POST", url, json=ONLINE, params={"sync": "false"})
    assert (made.status, made.entity["status"]) == (202, "INITIALIZING")
    assert service.call("GET", made.url).entity["status"] == "DEPLOY_IN_PROGRESS"
    late = service.call("POST", made.entity["scoring_url"], json=ROWS)
    assert (late.status, late.code) == (503, "operation_timeout")
    assert int(late.response.headers["Retry-After"]) >= 1
    service.spark.hold.set()
    service.until(made.url, "DEPLOY_SUCCESS")
    assert service.call("POST", made.entity["scoring_url"], json=ROWS).status == 200


def test_a_failed_deployment_says_why(service: Service, content: bytes) -> None:
    service.spark.down = SparkUnavailable("java_not_found", "No Java was found. Install a JDK 17.")
    url = service.published(content).entity["deployments"]["url"]
    made = service.call("POST", url, json=ONLINE)
    assert (made.status, made.entity["status"]) == (201, "DEPLOY_FAILURE")
    [error] = made.entity["status_details"]["failure"]["errors"]
    assert error["code"] == "model_not_checked"
    assert "Install a JDK 17" in error["message"]
    answer = service.call("POST", made.entity["scoring_url"], json=ROWS)
    assert (answer.status, answer.code) == (409, "deployment_failed")
    assert "Install a JDK 17" in answer.message


def test_a_dead_driver_is_503_and_worth_another_try(service: Service, content: bytes) -> None:
    service.spark.skew = 1.0
    made = service.online(content)
    assert made.entity["engine"] == "spark"
    service.spark.down = SparkUnavailable("spark_driver_died", "The driver died. Try again.", retriable=True)
    answer = service.call("POST", made.entity["scoring_url"], json=ROWS)
    assert (answer.status, answer.code) == (503, "underlying_api_error")
    assert "Retry-After" in answer.response.headers


# -- publishing


@pytest.mark.parametrize(
    ("upload", "message"),
    [
        (b"", "empty"),
        (b"PK\x03\x04 a zip", "not a gzip file"),
        (saved_models.hostile(), "'..'"),
        (saved_models.hostile("/abs"), "absolute"),
        (saved_models.hostile("a", link="/etc/passwd"), "link"),
    ],
    ids=["empty", "zip", "parent", "absolute", "link"],
)
def test_what_is_no_model_is_not_published(service: Service, upload: bytes, message: str) -> None:
    made = service.model()
    answer = service.call("PUT", made.entity["model_version"]["content_url"], data=upload)
    assert (answer.status, answer.code) == (400, "invalid_model_content")
    assert message in answer.message
    assert service.operation("PublishedModels_List").body["resources"] == []
    assert service.operation("PublishedModels_Get", ids={"model_id": made.guid}).status == 404


def test_a_foreign_class_is_refused_unless_the_server_allows_it(
    service: Service, serve: Callable[..., Service], tmp_path: Path
) -> None:
    folder = saved_models.text_pipeline(tmp_path / "m", last="com.example.Ours")
    upload = saved_models.archive(folder)
    made = service.model()
    answer = service.call("PUT", made.entity["model_version"]["content_url"], data=upload)
    assert (answer.status, answer.code) == (400, "invalid_model_content")
    for part in ("'LogisticRegression_3'", "'com.example.Ours'", "--allow-foreign-classes"):
        assert part in answer.message
    assert service.operation("PublishedModels_List").body["resources"] == []

    trusting = serve(allow_foreign_classes=True)
    made = trusting.model()
    assert trusting.call("PUT", made.entity["model_version"]["content_url"], data=upload).status == 200
    entity = trusting.operation("PublishedModels_Get", ids={"model_id": made.guid}).entity
    assert not entity["bill_of_materials"]["native"]


def test_a_truncated_archive_and_an_unfitted_pipeline_are_not_published(
    service: Service, content: bytes, pipeline_content: bytes
) -> None:
    made = service.model()
    for upload, message in ((content[:-20], "truncated"), (pipeline_content, "PipelineModel")):
        answer = service.call("PUT", made.entity["model_version"]["content_url"], data=upload)
        assert (answer.status, answer.code) == (400, "invalid_model_content")
        assert message in answer.message
    assert service.call("PUT", made.entity["model_version"]["content_url"], data=content).status == 200


def test_a_full_disk_is_507_and_leaves_nothing(
    service: Service, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = service.model()

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("wmlclient.runner.store.archives.os.fsync", full)
        answer = service.call("PUT", made.entity["model_version"]["content_url"], data=content)
    assert (answer.status, answer.code) == (507, "storage_full")
    assert "nothing was stored" in answer.message
    assert service.operation("PublishedModels_List").body["resources"] == []
    home = Path(service.engine.contents._archives._archives)
    assert [path for path in home.rglob("*") if path.is_file()] == []
    assert service.call("PUT", made.entity["model_version"]["content_url"], data=content).status == 200


# -- streams


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_prediction_spark_definition"),
        ({"X-Spark-Service-Instance": "e30-_w"}, "spark_header_deserialization_error"),
        ({"X-Spark-Service-Instance": "bm90IGpzb24="}, "spark_header_deserialization_error"),
        (
            {
                "X-Spark-Service-Instance": wire.encode_spark_service(
                    {"credentials": {"cluster_master_url": "ftp://x"}}
                )
            },
            "spark_header_deserialization_error",
        ),
    ],
)
def test_a_wrong_spark_header_is_400(
    service: Service, content: bytes, headers: Any, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.native, "reason", "stage ALS_1 is not scored natively")
    url = service.published(content).entity["deployments"]["url"]
    answer = service.call("POST", url, json=STREAM, headers=headers)
    assert (answer.status, answer.code) == (400, code)
    assert service.call("GET", url).body["resources"] == []


@pytest.mark.parametrize("code", ["broker_unavailable", "broker_authentication_failed", "topic_not_found"])
def test_a_broken_connection_fails_the_stream_with_its_reason(
    service: Service, content: bytes, code: str
) -> None:
    service.topics.error = StreamSetupError(code, "What is wrong and what to do.")
    url = service.published(content).entity["deployments"]["url"]
    made = service.call("POST", url, json=STREAM, headers=SPARK_HEADER)
    assert (made.status, made.entity["status"]) == (201, "INITIALIZING")
    failed = service.until(made.url, "FAILED")
    assert failed.entity["status_details"] == {
        "status": "FAILED",
        "failure": {"errors": [{"code": code, "message": "What is wrong and what to do."}]},
    }
