"""The Swagger document of each web service."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from ml_service import MlUser
from openapi_spec_validator import OpenAPIV2SpecValidator

TYPES = {
    "logical": {"type": "boolean"},
    "numeric": {"type": "number"},
    "integer": {"type": "integer"},
    "character": {"type": "string"},
    "vector": {"type": "array", "items": {}},
    "matrix": {"type": "array", "items": {"type": "array", "items": {}}},
    "data.frame": {"type": "object"},
}
KEYS = [
    "swagger",
    "info",
    "schemes",
    "securityDefinitions",
    "tags",
    "consumes",
    "produces",
    "paths",
    "definitions",
]


@pytest.fixture
def document(user: MlUser) -> Iterator[Any]:
    request = {
        "code": "pass",
        "description": "adds",
        "operationId": "add",
        "runtimeType": "Python",
        "inputParameterDefinitions": [{"name": f"p{i}", "type": each} for i, each in enumerate(TYPES)],
        "outputParameterDefinitions": [{"name": "y", "type": "data.frame"}],
    }
    user.operation("publishWebServiceVersion", "Tx Service", "1.0", json=request)
    answer = user.operation("GetWebServiceSwagger", "Tx Service", "1.0")
    assert answer.status == 200
    yield answer.body
    user.operation("deleteWebServiceVersion", "Tx Service", "1.0")


def test_is_valid(document: Any) -> None:
    checked = copy.deepcopy(document)
    file = checked["paths"]["/api/Tx Service/1.0/batch/{executionId}/{index}/files/{fileName}"]["get"]
    # The validator knows no downloads.
    file["responses"]["200"]["schema"] = {"type": "string"}
    assert [error.message for error in OpenAPIV2SpecValidator(checked).iter_errors()] == []


def test_head(document: Any) -> None:
    assert list(document) == KEYS
    assert document["info"] == {"description": "adds", "title": "Tx Service", "version": "1.0"}
    assert document["schemes"] == ["http", "https"]
    assert document["securityDefinitions"] == {
        "Bearer": {"type": "apiKey", "name": "Authorization", "in": "header"}
    }


def test_operations(document: Any) -> None:
    top = "/api/Tx Service/1.0"
    found = {
        (verb, path): operation["operationId"]
        for path, item in document["paths"].items()
        for verb, operation in item.items()
    }
    assert found == {
        ("post", "/login"): "login",
        ("post", "/login/refreshToken"): "renewToken",
        ("delete", "/login/refreshToken"): "revokeRefreshToken",
        ("post", top): "add",
        ("post", f"{top}/batch"): "StartBatchExecution",
        ("get", f"{top}/batch"): "GetBatchExecutions",
        ("get", f"{top}/batch/{{executionId}}"): "GetBatchExecutionStatus",
        ("delete", f"{top}/batch/{{executionId}}"): "CancelAndDeleteBatchExecution",
        ("get", f"{top}/batch/{{executionId}}/{{index}}/files"): "GetBatchExecutionFiles",
        ("get", f"{top}/batch/{{executionId}}/{{index}}/files/{{fileName}}"): "GetBatchExecutionFile",
    }
    for path, item in document["paths"].items():
        for operation in item.values():
            own = path.startswith("/api/")
            assert operation.get("security") == ([{"Bearer": []}] if own else None)
            assert operation["tags"] == (["Tx Service"] if own else ["User"])
            assert "default" in operation["responses"]


def test_parameters(document: Any) -> None:
    definitions = document["definitions"]
    shown = {f"p{i}": {**schema, "description": each} for i, (each, schema) in enumerate(TYPES.items())}
    assert definitions["InputParameters"]["properties"] == shown
    assert definitions["OutputParameters"]["properties"] == {
        "y": {"type": "object", "description": "data.frame"}
    }
    result = ["success", "errorMessage", "consoleOutput", "changedFiles", "outputFiles", "outputParameters"]
    assert list(definitions["WebServiceResult"]["properties"]) == result


def test_of_nothing(user: MlUser) -> None:
    failure = user.operation("GetWebServiceSwagger", "nothing", "1.0").failure
    assert failure[:2] == (404, "ServiceNotFoundException")
