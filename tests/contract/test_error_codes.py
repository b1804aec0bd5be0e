"""The error codes that the v3 API documents, each with its status and its text.

``parsing_error``, ``operation_timeout`` and ``sql_error`` are in the tests of what leads to them. Nothing here leads to
``not_beta_user``, ``invalid_token_type``, ``stream_tcp_error`` and ``http_client_error``: they tell of beta users and
of the service's own inner connections.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import saved_models
from contract_service import (
    INSTANCE,
    ONLINE,
    PASSWORD,
    SPARK_HEADER,
    STREAM,
    UNKNOWN,
    USER,
    Answered,
    Service,
)
from runner_fakes import Clock

from wmlclient.runner.auth import Authenticator
from wmlclient.runner.engine.ports import StreamSetupError
from wmlclient.runner.quotas import Quotas
from wmlclient.runner.users import Users

NAME = [{"op": "replace", "path": "/name", "value": "x"}]
STATUS = [{"op": "replace", "path": "/status", "value": "STOPPED"}]
ROC = {"method": "binary", "metrics": [{"name": "areaUnderROC"}]}


class Calls:
    """What the cases call."""

    def __init__(self, service: Service, content: bytes) -> None:
        self.service = service
        self.content = content

    def instance(self, **more: Any) -> Answered:
        return self.service.operation("Instances_Get", **more)

    def expired(self) -> str:
        return Authenticator(b"k" * 48, Users(USER, PASSWORD), INSTANCE, 60, Clock().seconds).issue()

    def model(self) -> dict[str, str]:
        return {"model_id": self.service.published(self.content).guid}

    def deploy(self, body: Any = ONLINE, **more: Any) -> Answered:
        return self.service.operation("Deployments_Create", ids=self.model(), json=body, **more)

    def patch(self, kind: str, operations: Any) -> Answered:
        made = self.service.stream(self.content) if kind == "stream" else self.service.online(self.content)
        return self.service.call("PATCH", made.url, json=operations)

    def score(self, body: Any) -> Answered:
        return self.service.call("POST", self.service.online(self.content).entity["scoring_url"], json=body)

    def learn(self, body: Any, **more: Any) -> Answered:
        return self.service.operation("Learning_PutConfiguration", ids=self.model(), json=body, **more)

    def learning(self, id: str, **more: Any) -> Answered:
        return self.service.operation(f"Learning_{id}", ids=self.model(), **more)

    def raw(self, data: bytes) -> Answered:
        return self.service.operation(
            "Models_Create", data=data, headers={"Content-Type": "application/json"}
        )

    def busy(self) -> Answered:
        ids = self.model()
        self.service.operation(
            "Learning_PutConfiguration", ids=ids, json={"definition": ROC}, headers=SPARK_HEADER
        )
        rows = {"fields": ["id", "text", "label"], "values": [[1, "a", 1]]}
        self.service.operation("Learning_StoreFeedback", ids=ids, json=rows)
        self.service.spark.hold.clear()
        self.service.operation("Learning_CreateIteration", ids=ids, json={})
        try:
            return self.service.operation("Learning_CreateIteration", ids=ids, json={})
        finally:
            self.service.spark.hold.set()

    def stuck(self) -> Answered:
        made = self.service.stream(self.content)
        self.service.spark.stop_error = StreamSetupError("spark_failed", "it does not stop")
        try:
            return self.service.call("DELETE", made.url)
        finally:
            self.service.spark.stop_error = None


Case = tuple[int, str, Callable[[Calls], Answered]]
CASES: dict[str, Case] = {
    "missing_authorization_token": (
        401, "Authorization token has not been provided.", lambda c: c.instance(token=None),
    ),
    "invalid_authorization_token": (401, "The authorization token is not valid.", lambda c: c.instance(token="a.b.c")),
    "expired_authorization_token": (
        401, "The authorization token has expired", lambda c: c.instance(token=c.expired()),
    ),
    "invalid_token_format": (
        401, "Bearer token format should be used.",
        lambda c: c.instance(token=None, headers={"Authorization": "Basic dXNlcjp3cm9uZw=="}),
    ),
    "not_matching_authorization_token": (
        403, "Authorization token and instance_id which was used in the request are not the same.",
        lambda c: c.instance(ids={"instance_id": UNKNOWN}),
    ),
    "not_found": (404, "Requested object could not be found.", lambda c: c.service.operation("Models_Get")),
    "not_supported_deployment_type": (
        400, "The deployment type virtual is not supported.", lambda c: c.deploy({"name": "x", "type": "virtual"}),
    ),
    "deserialization_error": (400, "Incorrect input: (", lambda c: c.raw(b"{")),
    "invalid_request_payload": (
        400, "The given payload is missing required fields: name or the values of the fields are corrupted.",
        lambda c: c.deploy({"type": "online"}),
    ),
    "invalid_query_parameter_value": (
        400, "", lambda c: c.service.operation("Models_List", params={"limit": "many"}),
    ),
    "missing_prediction_spark_definition": (
        400, "For type learning spark instance must be provided in `X-Spark-Service-Instance` header",
        lambda c: c.learn({"definition": ROC}),
    ),
    "spark_header_deserialization_error": (
        400, "The header `X-Spark-Service-Instance` cannot be read",
        lambda c: c.deploy(STREAM, headers={"X-Spark-Service-Instance": "no base64!"}),
    ),
    "wrong_stream_patch_path": (
        400, "Path `/name` is not allowed. Only allowed path for patch stream is `/status`",
        lambda c: c.patch("stream", NAME),
    ),
    "patch_not_supported": (
        400, "Patch operation is not allowed for instance of type `online`", lambda c: c.patch("online", STATUS),
    ),
    "patch_multiple_ops": (
        400, "Patch operation expects exactly one replace operation.", lambda c: c.patch("stream", STATUS * 2),
    ),
    "patch_model_path_not_allowed": (
        400, "Path `/name` is not allowed.",
        lambda c: c.service.operation("PublishedModels_Update", ids=c.model(), json=NAME),
    ),
    "missing_latest_model_version": (
        400, "Model does not contain any version.",
        lambda c: c.service.operation("Models_DownloadLatestContent", ids={"model_id": c.service.model().guid}),
    ),
    "runtime_env_not_supported": (
        400, "The framework 'tensorflow' is not supported",
        lambda c: c.service.operation(
            "Models_Create", json=saved_models.request(framework={"name": "tensorflow", "version": "1.5"})
        ),
    ),
    "underlying_api_error": (409, "", lambda c: c.stuck()),
    "active_evaluation_conflict": (409, "A learning iteration of this model is under way.", lambda c: c.busy()),
    "missing_learning_configuration": (
        404, "The model has no learning configuration.", lambda c: c.learning("GetConfiguration"),
    ),
    "evaluation_method_not_supported": (
        400, "The evaluation method 'x' is not supported",
        lambda c: c.learn({"definition": {**ROC, "method": "x"}}, headers=SPARK_HEADER),
    ),
    "missing_metric": (
        400, "The definition names no metric",
        lambda c: c.learn({"definition": {**ROC, "metrics": []}}, headers=SPARK_HEADER),
    ),
    "invalid_feedback_data_connection": (
        400, "",
        lambda c: c.learn({"definition": ROC, "feedback_data_reference": {"name": "f"}}, headers=SPARK_HEADER),
    ),
    "invalid_payload": (
        400, "Input Json parsing failed with error: invalid field: Business_Area",
        lambda c: c.score({"fields": ["id", "text", "Business_Area"], "values": [[1, "a", "b"]]}),
    ),
    "invalid_input_data": (400, "", lambda c: c.score({"fields": ["id", "text"], "values": []})),
}  # fmt: skip


@pytest.fixture
def calls(service: Service, content: bytes) -> Calls:
    return Calls(service, content)


@pytest.mark.parametrize("code", CASES)
def test_a_code_its_status_and_its_text(calls: Calls, code: str) -> None:
    status, text, case = CASES[code]
    answer = case(calls)
    assert (answer.status, answer.code) == (status, code), answer.body
    assert answer.message.startswith(text)


def test_limits_have_their_codes(serve: Callable[..., Service], content: bytes) -> None:
    service = serve(quotas=Quotas(deployments=0, other_calls=4))
    full = Calls(service, content).deploy()
    assert (full.status, full.code) == (403, "deployments_plan_limit_reached")
    assert full.message == "Current plan 'local' only allows 0 deployments"
    while (answer := service.operation("Instances_Get")).status == 200:
        pass
    assert (answer.status, answer.code) == (429, "rate_limit_exceeded")
    assert 0 < int(answer.response.headers["Retry-After"]) <= 60
