"""Each operation of the contract once as it should go, and once as it should fail, with the exact codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from contract_service import (
    INSTANCE,
    ONLINE,
    OPERATIONS,
    PASSWORD,
    ROWS,
    SPARK_HEADER,
    STREAM,
    UNKNOWN,
    USER,
    Answered,
    Service,
)

from wmlclient.runner.dialects import WATSON, ContractMismatch, matched

STOP = [{"op": "replace", "path": "/status", "value": "STOPPED"}]
MISPLACED = [{"op": "replace", "path": "/name", "value": "x"}]
RENAME = [
    {"op": "replace", "path": "/name", "value": "new"},
    {"op": "replace", "path": "/description", "value": "d"},
]


class Things:
    """What the cases need, made on demand."""

    def __init__(self, service: Service, content: bytes, pipeline_content: bytes) -> None:
        self.service = service
        self.content = content
        self.pipeline_content = pipeline_content

    def definition(self, upload: bool = True) -> dict[str, str]:
        body = {"name": "p", "framework": {"name": "mllib", "version": "4.2"}, "author": {}}
        made = self.service.operation("TrainingDefinitions_Create", json=body)
        version = made.entity["training_definition_version"]
        if upload:
            self.service.call("PUT", version["content_url"], data=self.pipeline_content)
        return {"definition_id": made.guid, "version_id": version["guid"]}

    def model(self, upload: bool = True) -> dict[str, str]:
        made = self.service.model()
        version = made.entity["model_version"]
        if upload:
            assert self.service.call("PUT", version["content_url"], data=self.content).status == 200
        return {"model_id": made.guid, "version_id": version["guid"]}

    def online(self) -> dict[str, str]:
        made = self.service.online(self.content)
        return {"model_id": made.entity["published_model"]["guid"], "deployment_id": made.guid}

    def stream(self) -> dict[str, str]:
        made = self.service.stream(self.content)
        return {"model_id": made.entity["published_model"]["guid"], "deployment_id": made.guid}

    def learning(self) -> dict[str, str]:
        ids = self.model()
        made = self.service.operation(
            "Learning_PutConfiguration", ids=ids, json=LEARNING, headers=SPARK_HEADER
        )
        assert made.status == 200, made.body
        return ids

    def iteration(self) -> dict[str, str]:
        ids = self.learning()
        made = self.service.operation("Learning_CreateIteration", ids=ids, json={})
        assert made.response.headers["Location"] == made.url
        return {**ids, "iteration_id": made.guid}

    def asset(self) -> dict[str, str]:
        url = f"{self.service.url}/v3/wml_instances/{INSTANCE}/published_models/{self.model()['model_id']}"
        return {**ONLINE, "deployable_asset_url": url}


@pytest.fixture
def things(service: Service, content: bytes, pipeline_content: bytes) -> Things:
    return Things(service, content, pipeline_content)


Case = Callable[[Things], Answered]


def run(id: str, status: int, **more: Any) -> tuple[int, Case]:
    """A call of an operation; values of ``more`` that are functions are called with the things first."""

    def call(things: Things) -> Answered:
        given = {key: value(things) if callable(value) else value for key, value in more.items()}
        given |= given.pop("all", {})
        return things.service.operation(id, **given)

    return status, call


BASIC = requests.auth._basic_auth_str(USER.encode(), PASSWORD.encode())
DEFINITION = {"name": "p", "framework": {"name": "mllib", "version": "4.2"}, "author": {}}
REFRESH: Callable[[Things], dict[str, str]] = lambda things: {"token": things.service.auth.issue()}  # noqa: E731


def to_version(things: Things) -> dict[str, Any]:
    """A model, and the patch that moves its deployments to its version."""
    ids = things.online()
    published = things.service.operation("PublishedModels_Get", ids=ids)
    patch = {
        "op": "replace",
        "path": "/deployed_version/url",
        "value": published.entity["latest_version"]["url"],
    }
    return {"ids": ids, "json": [patch]}


def request(things: Things) -> dict[str, Any]:
    import saved_models

    return saved_models.request(sample={"fields": ["id", "text"], "values": [[1, "a"]]})


LEARNING = {"definition": {"method": "binary", "metrics": [{"name": "areaUnderROC", "threshold": 0.8}]}}
FEEDBACK = {"fields": ["id", "text", "label"], "values": [[1, "so good", 1], [2, "so bad", 0]]}
RETRAIN = [{"op": "replace", "path": "/auto_retrain", "value": "always"}]


def _definitions(tag: str) -> dict[str, tuple[int, Case]]:
    """Those of training definitions, which have two addresses."""
    return {
        f"{tag}_Create": run(f"{tag}_Create", 201, json=DEFINITION),
        f"{tag}_List": run(f"{tag}_List", 200, params={"limit": 1}),
        f"{tag}_Get": run(f"{tag}_Get", 200, ids=Things.definition),
        f"{tag}_Delete": run(f"{tag}_Delete", 204, ids=Things.definition),
        f"{tag}_UploadContent": run(
            f"{tag}_UploadContent",
            200,
            ids=lambda things: things.definition(upload=False),
            data=lambda things: things.pipeline_content,
        ),
        f"{tag}_DownloadContent": run(f"{tag}_DownloadContent", 200, ids=Things.definition),
    }


GOES: dict[str, tuple[int, Case]] = {
    "Token_Get": run("Token_Get", 200, token=None, headers={"Authorization": BASIC}),
    "Token_GetV2": run("Token_GetV2", 200, token=None, headers={"Authorization": BASIC}),
    "Token_Refresh": run("Token_Refresh", 200, token=None, json=REFRESH),
    "Instances_Get": run("Instances_Get", 200),
    **_definitions("TrainingDefinitions"),
    **_definitions("Experiments"),
    "Models_Create": run("Models_Create", 201, json=request),
    "Models_List": run("Models_List", 200),
    "Models_Get": run("Models_Get", 200, ids=lambda things: things.model(upload=False)),
    "Models_CreateVersion": run("Models_CreateVersion", 201, ids=Things.model, json=request),
    "Models_Delete": run("Models_Delete", 204, ids=Things.model),
    "Models_DownloadLatestContent": run("Models_DownloadLatestContent", 200, ids=Things.model),
    "Models_ListVersions": run("Models_ListVersions", 200, ids=Things.model),
    "Models_GetVersion": run("Models_GetVersion", 200, ids=Things.model),
    "Models_UploadContent": run(
        "Models_UploadContent",
        200,
        ids=lambda things: things.model(upload=False),
        data=lambda things: things.content,
    ),
    "Models_DownloadContent": run("Models_DownloadContent", 200, ids=Things.model),
    "PublishedModels_List": run("PublishedModels_List", 200),
    "PublishedModels_Get": run("PublishedModels_Get", 200, ids=Things.model),
    "PublishedModels_Update": run("PublishedModels_Update", 200, all=to_version),
    "PublishedModels_ListEvaluationMetrics": run(
        "PublishedModels_ListEvaluationMetrics", 200, ids=Things.model
    ),
    "PublishedModels_Delete": run(
        "PublishedModels_Delete", 204, ids=Things.online, params={"ignore_spark_errors": "true"}
    ),
    "Learning_PutConfiguration": run(
        "Learning_PutConfiguration", 200, ids=Things.model, json=LEARNING, headers=SPARK_HEADER
    ),
    "Learning_GetConfiguration": run("Learning_GetConfiguration", 200, ids=Things.learning),
    "Learning_UpdateConfiguration": run(
        "Learning_UpdateConfiguration", 200, ids=Things.learning, json=RETRAIN
    ),
    "Learning_CreateIteration": run("Learning_CreateIteration", 201, ids=Things.learning, json={}),
    "Learning_ListIterations": run("Learning_ListIterations", 200, ids=Things.iteration),
    "Learning_GetIteration": run("Learning_GetIteration", 200, ids=Things.iteration),
    "Learning_StoreFeedback": run("Learning_StoreFeedback", 200, ids=Things.learning, json=FEEDBACK),
    "Deployments_List": run("Deployments_List", 200, ids=Things.online),
    "Deployments_Create": run("Deployments_Create", 201, ids=Things.model, json=STREAM, headers=SPARK_HEADER),
    "Deployments_Get": run("Deployments_Get", 200, ids=Things.stream),
    "Deployments_Update": run("Deployments_Update", 204, ids=Things.stream, json=STOP),
    "Deployments_Delete": run("Deployments_Delete", 204, ids=Things.stream),
    "Deployments_Score": run("Deployments_Score", 200, ids=Things.online, json=ROWS),
    "InstanceDeployments_List": run("InstanceDeployments_List", 200, params={"type": "online"}),
    "InstanceDeployments_Create": run(
        "InstanceDeployments_Create", 202, json=Things.asset, params={"sync": "false"}
    ),
    "InstanceDeployments_Get": run("InstanceDeployments_Get", 200, ids=Things.online),
    "InstanceDeployments_Update": run("InstanceDeployments_Update", 200, ids=Things.online, json=RENAME),
    "InstanceDeployments_Delete": run("InstanceDeployments_Delete", 204, ids=Things.online),
    "InstanceDeployments_Score": run("InstanceDeployments_Score", 200, ids=Things.online, json=ROWS),
}

NOT_FOUND = (404, "not_found")
NO_LEARNING = (404, "missing_learning_configuration")
CORRUPTED = (400, "invalid_request_payload")


def _bad_definitions(tag: str) -> dict[str, tuple[tuple[int, str], tuple[int, Case]]]:
    """Their failures."""
    return {
        f"{tag}_Create": (CORRUPTED, run(f"{tag}_Create", 400, json={"name": "p"})),
        f"{tag}_List": (
            (400, "invalid_query_parameter_value"),
            run(f"{tag}_List", 400, params={"limit": 0}),
        ),
        f"{tag}_Get": (NOT_FOUND, run(f"{tag}_Get", 404)),
        f"{tag}_Delete": (NOT_FOUND, run(f"{tag}_Delete", 404)),
        f"{tag}_UploadContent": (
            (400, "invalid_model_content"),
            run(
                f"{tag}_UploadContent",
                400,
                ids=lambda things: things.definition(upload=False),
                data=lambda things: things.content,
            ),
        ),
        f"{tag}_DownloadContent": (
            NOT_FOUND,
            run(f"{tag}_DownloadContent", 404, ids=lambda things: things.definition(upload=False)),
        ),
    }


FAILS: dict[str, tuple[tuple[int, str], tuple[int, Case]]] = {
    "Token_Get": (
        (401, "invalid_credentials"),
        run("Token_Get", 401, token=None, headers={"Authorization": "Basic dXNlcjp3cm9uZw=="}),
    ),
    "Token_GetV2": ((401, "missing_authorization_token"), run("Token_GetV2", 401, token=None)),
    "Token_Refresh": (
        (401, "invalid_authorization_token"),
        run("Token_Refresh", 401, json={"token": "a.b.c"}),
    ),
    "Instances_Get": (
        (403, "not_matching_authorization_token"),
        run("Instances_Get", 403, ids={"instance_id": UNKNOWN}),
    ),
    **_bad_definitions("TrainingDefinitions"),
    **_bad_definitions("Experiments"),
    "Models_Create": (
        CORRUPTED,
        run("Models_Create", 400, json={"framework": {"name": "mllib", "version": "4"}}),
    ),
    "Models_List": ((400, "invalid_query_parameter_value"), run("Models_List", 400, params={"start": "x"})),
    "Models_Get": (NOT_FOUND, run("Models_Get", 404)),
    "Models_CreateVersion": (NOT_FOUND, run("Models_CreateVersion", 404, json=request)),
    "Models_Delete": (NOT_FOUND, run("Models_Delete", 404)),
    "Models_DownloadLatestContent": (
        (400, "missing_latest_model_version"),
        run("Models_DownloadLatestContent", 400, ids=lambda things: things.model(upload=False)),
    ),
    "Models_ListVersions": (NOT_FOUND, run("Models_ListVersions", 404)),
    "Models_GetVersion": (
        NOT_FOUND,
        run("Models_GetVersion", 404, ids=lambda things: {**things.model(), "version_id": UNKNOWN}),
    ),
    "Models_UploadContent": (
        (409, "content_already_uploaded"),
        run("Models_UploadContent", 409, ids=Things.model, data=b"something else"),
    ),
    "Models_DownloadContent": (
        NOT_FOUND,
        run("Models_DownloadContent", 404, ids=lambda things: things.model(upload=False)),
    ),
    "PublishedModels_List": (
        (400, "invalid_query_parameter_value"),
        run("PublishedModels_List", 400, params={"limit": 1001}),
    ),
    "PublishedModels_Get": (
        NOT_FOUND,
        run("PublishedModels_Get", 404, ids=lambda things: things.model(upload=False)),
    ),
    "PublishedModels_Update": (
        (400, "patch_model_path_not_allowed"),
        run("PublishedModels_Update", 400, ids=Things.model, json=MISPLACED),
    ),
    "PublishedModels_ListEvaluationMetrics": (
        NOT_FOUND,
        run("PublishedModels_ListEvaluationMetrics", 404, ids=lambda things: things.model(upload=False)),
    ),
    "PublishedModels_Delete": (NOT_FOUND, run("PublishedModels_Delete", 404)),
    "Learning_PutConfiguration": (
        (400, "missing_prediction_spark_definition"),
        run("Learning_PutConfiguration", 400, ids=Things.model, json=LEARNING),
    ),
    "Learning_GetConfiguration": (
        NO_LEARNING,
        run("Learning_GetConfiguration", 404, ids=Things.model),
    ),
    "Learning_UpdateConfiguration": (
        (400, "patch_multiple_ops"),
        run("Learning_UpdateConfiguration", 400, ids=Things.learning, json=[]),
    ),
    "Learning_CreateIteration": (
        NO_LEARNING,
        run("Learning_CreateIteration", 404, ids=Things.model, json={}),
    ),
    "Learning_ListIterations": (NOT_FOUND, run("Learning_ListIterations", 404)),
    "Learning_GetIteration": (
        NOT_FOUND,
        run("Learning_GetIteration", 404, ids=lambda things: {**things.iteration(), "iteration_id": UNKNOWN}),
    ),
    "Learning_StoreFeedback": (
        (400, "invalid_payload"),
        run(
            "Learning_StoreFeedback",
            400,
            ids=Things.learning,
            json={"fields": ["id", "text"], "values": [[1, "a"]]},
        ),
    ),
    "Deployments_List": (NOT_FOUND, run("Deployments_List", 404)),
    "Deployments_Create": (
        (400, "not_supported_deployment_type"),
        run("Deployments_Create", 400, ids=Things.model, json={"name": "x", "type": "virtual"}),
    ),
    "Deployments_Get": (
        NOT_FOUND,
        run("Deployments_Get", 404, ids=lambda things: {**things.online(), "model_id": UNKNOWN}),
    ),
    "Deployments_Update": (
        (400, "wrong_stream_patch_path"),
        run("Deployments_Update", 400, ids=Things.stream, json=RENAME[:1]),
    ),
    "Deployments_Delete": (NOT_FOUND, run("Deployments_Delete", 404)),
    "Deployments_Score": (NOT_FOUND, run("Deployments_Score", 404, ids=Things.stream, json=ROWS)),
    "InstanceDeployments_List": (
        (400, "invalid_query_parameter_value"),
        run("InstanceDeployments_List", 400, params={"limit": "all"}),
    ),
    "InstanceDeployments_Create": (CORRUPTED, run("InstanceDeployments_Create", 400, json=ONLINE)),
    "InstanceDeployments_Get": (NOT_FOUND, run("InstanceDeployments_Get", 404)),
    "InstanceDeployments_Update": (
        (400, "patch_not_supported"),
        run("InstanceDeployments_Update", 400, ids=Things.online, json=STOP),
    ),
    "InstanceDeployments_Delete": (NOT_FOUND, run("InstanceDeployments_Delete", 404)),
    "InstanceDeployments_Score": (
        (400, "invalid_payload"),
        run("InstanceDeployments_Score", 400, ids=Things.online, json={"fields": ["X"], "values": [[1]]}),
    ),
}


@pytest.mark.parametrize("id", OPERATIONS)
def test_it_goes(things: Things, id: str) -> None:
    status, case = GOES[id]
    answer = case(things)
    assert answer.status == status, answer.body


@pytest.mark.parametrize("id", OPERATIONS)
def test_it_fails(things: Things, id: str) -> None:
    (status, code), (_, case) = FAILS[id]
    answer = case(things)
    assert (answer.status, answer.code) == (status, code), answer.body


def test_operations_and_handlers_are_the_same_set() -> None:
    found, handlers = WATSON.load()
    assert set(handlers) | WATSON.direct == set(OPERATIONS)
    handled = [each for each in found if each.id not in WATSON.direct]
    with pytest.raises(ContractMismatch, match="without a handler.*Models_Get'"):
        matched(handled, {id: handler for id, handler in handlers.items() if id != "Models_Get"})
    with pytest.raises(ContractMismatch, match="without an operation: .'Models_Explode'"):
        matched(handled, {**handlers, "Models_Explode": handlers["Models_Get"]})
