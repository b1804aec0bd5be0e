"""The Swagger document of one web service, by which generators of the time make a client for it."""

from __future__ import annotations

from typing import Any

from ..store import WebService
from . import parameters

Document = dict[str, Any]

_SCHEMAS: dict[str, Document] = {
    "logical": {"type": "boolean"},
    "numeric": {"type": "number"},
    "integer": {"type": "integer"},
    "character": {"type": "string"},
    "vector": {"type": "array", "items": {}},
    "matrix": {"type": "array", "items": {"type": "array", "items": {}}},
    "data.frame": {"type": "object"},
}
_STRINGS: Document = {"type": "array", "items": {"type": "string"}}
_JSON, _BYTES = "application/json", "application/octet-stream"


def document(
    name: str,
    version: str,
    description: str | None = None,
    operation_id: str | None = None,
    inputs: list[parameters.Definition] | None = None,
    outputs: list[parameters.Definition] | None = None,
) -> Document:
    """A document of one version.

    Args:
        name: The service's name; ``{name}`` for the document of no service in particular.
        version: Its version.
        description: What it does.
        operation_id: Name of the consuming operation.
        inputs: Its inputs.
        outputs: Its outputs.

    >>> document("Double", "V1.0")["paths"]["/api/Double/V1.0"]["post"]["operationId"]
    'ConsumeWebService'
    """
    top = f"/api/{name}/{version}"
    return {
        "swagger": "2.0",
        "info": {"description": description or "", "title": name, "version": version},
        "schemes": ["http", "https"],
        "securityDefinitions": {"Bearer": {"type": "apiKey", "name": "Authorization", "in": "header"}},
        "tags": [{"name": name, "description": description or ""}],
        "consumes": [_JSON],
        "produces": [_JSON],
        "paths": {
            **_LOGIN,
            top: {"post": _consume(name, operation_id or "ConsumeWebService")},
            f"{top}/batch": {"post": _start(name), "get": _executions(name)},
            f"{top}/batch/{{executionId}}": {"get": _status(name), "delete": _cancel(name)},
            f"{top}/batch/{{executionId}}/{{index}}/files": {"get": _files(name)},
            f"{top}/batch/{{executionId}}/{{index}}/files/{{fileName}}": {"get": _file(name)},
        },
        "definitions": _definitions(inputs or [], outputs or []),
    }


def of(service: WebService) -> Document:
    """The document of a service."""
    body = service.body
    return document(
        service.name,
        service.version,
        body["description"],
        body["operationId"],
        body["inputParameterDefinitions"],
        body["outputParameterDefinitions"],
    )


def of_all() -> Document:
    """The document of no service in particular, by which the server routes; with what old clients send besides."""
    found = document("{name}", "{version}")
    found["paths"] = {path: item for path, item in found["paths"].items() if path not in _LOGIN}
    status = found["paths"]["/api/{name}/{version}/batch/{executionId}"]["get"]
    status["parameters"].append(_query("showPartialResult", "boolean", "As showPartialResults."))
    return found


def _operation(
    tag: str, id: str, summary: str, parameters: list[Document], responses: Document, **more: Any
) -> Document:
    return {
        "tags": [tag],
        "summary": summary,
        "operationId": id,
        "parameters": parameters,
        "responses": {**responses, "default": _answer("Unexpected error.", _ref("Error"))},
        "security": [{"Bearer": []}],
        **more,
    }


def _consume(tag: str, id: str) -> Document:
    return _operation(
        tag,
        id,
        "Run the web service.",
        [_body("WebServiceParameters", "Inputs of the web service.", _ref("InputParameters"))],
        {
            "200": _answer("The result.", _ref("WebServiceResult")),
            "400": _answer("Wrong input.", _ref("Error")),
            "500": _answer("The service failed.", _ref("Error")),
        },
    )


def _start(tag: str) -> Document:
    inputs = {"type": "array", "items": _ref("InputParameters")}
    count = _query("parallelCount", "integer", "How many requests run at once.")
    return _operation(
        tag,
        "StartBatchExecution",
        "Run the web service for many inputs.",
        [
            _body("BatchWebServiceParameters", "Inputs of each request.", inputs),
            {**count, "format": "int32", "minimum": 1, "maximum": 2**31 - 1, "default": 10},
        ],
        {"202": _answer("It has begun.", _ref("StartBatchExecutionResponse"))},
    )


def _executions(tag: str) -> Document:
    return _operation(
        tag, "GetBatchExecutions", "List the batch executions.", [], {"200": _answer("Their ids.", _STRINGS)}
    )


def _status(tag: str) -> Document:
    partial = _query("showPartialResults", "boolean", "Whether results are given before it is complete.")
    return _operation(
        tag,
        "GetBatchExecutionStatus",
        "Get the state and the results of a batch execution.",
        [_EXECUTION, partial],
        {"200": _answer("State and results.", _ref("BatchWebServiceResult"))},
    )


def _cancel(tag: str) -> Document:
    return _operation(
        tag,
        "CancelAndDeleteBatchExecution",
        "Cancel and delete a batch execution.",
        [_EXECUTION],
        {"200": _answer("Its id.", _STRINGS)},
    )


def _files(tag: str) -> Document:
    return _operation(
        tag,
        "GetBatchExecutionFiles",
        "List the files of one request.",
        [_EXECUTION, _INDEX],
        {"200": _answer("Their names.", _STRINGS)},
    )


def _file(tag: str) -> Document:
    file = _path("fileName", "string", "Name of the file.")
    return _operation(
        tag,
        "GetBatchExecutionFile",
        "Get a file of one request.",
        [_EXECUTION, _INDEX, file],
        {"200": _answer("The file.", {"type": "file"})},
        produces=[_BYTES],
    )


def _definitions(
    inputs: list[parameters.Definition], outputs: list[parameters.Definition]
) -> dict[str, Document]:
    text, flag = {"type": "string"}, {"type": "boolean"}
    return {
        "InputParameters": _parameters(inputs),
        "OutputParameters": _parameters(outputs),
        "WebServiceResult": _object(
            success=flag,
            errorMessage=text,
            consoleOutput=text,
            changedFiles=_STRINGS,
            outputFiles={"type": "object", "additionalProperties": {"type": "string", "format": "byte"}},
            outputParameters=_ref("OutputParameters"),
        ),
        "StartBatchExecutionResponse": _object(batchExecutionId=text),
        "BatchWebServiceResult": _object(
            state={"type": "string", "enum": ["Pending", "InProgress", "Ready", "Complete", "Failed"]},
            completedItemCount={"type": "integer", "format": "int32"},
            totalItemCount={"type": "integer", "format": "int32"},
            batchExecutionResults={"type": "array", "items": _ref("WebServiceResult")},
        ),
        "Error": _object(code={"type": "integer", "format": "int32"}, message=text, fields=text),
        "LoginRequest": _object(username=text, password=text),
        "RenewTokenRequest": _object(refreshToken=text),
        "AccessTokenResponse": _object(
            token_type=text, access_token=text, expires_on=text, refresh_token=text
        ),
    }


def _parameters(given: list[parameters.Definition]) -> Document:
    shown = {each["name"]: {**_SCHEMAS[each["type"]], "description": each["type"]} for each in given}
    return {"type": "object", "properties": shown}


def _object(**properties: Document) -> Document:
    return {"type": "object", "properties": properties}


def _ref(name: str) -> Document:
    return {"$ref": f"#/definitions/{name}"}


def _answer(description: str, schema: Document) -> Document:
    return {"description": description, "schema": schema}


def _body(name: str, description: str, schema: Document) -> Document:
    return {"name": name, "in": "body", "required": True, "description": description, "schema": schema}


def _path(name: str, type: str, description: str) -> Document:
    return {"name": name, "in": "path", "required": True, "type": type, "description": description}


def _query(name: str, type: str, description: str) -> Document:
    return {"name": name, "in": "query", "required": False, "type": type, "description": description}


_EXECUTION = _path("executionId", "string", "Id of the batch execution.")
_INDEX = _path("index", "integer", "Number of the request, from 0.")


def _login(id: str, parameter: Document) -> Document:
    return {
        "tags": ["User"],
        "summary": id,
        "operationId": id,
        "parameters": [parameter],
        "responses": {
            "200": _answer("Tokens.", _ref("AccessTokenResponse")),
            "default": _answer("Unexpected error.", _ref("Error")),
        },
    }


_LOGIN: Document = {
    "/login": {"post": _login("login", _body("loginRequest", "Who logs in.", _ref("LoginRequest")))},
    "/login/refreshToken": {
        "post": _login(
            "renewToken", _body("renewTokenRequest", "The refresh token.", _ref("RenewTokenRequest"))
        ),
        "delete": _login(
            "revokeRefreshToken",
            {**_query("refreshToken", "string", "The refresh token."), "required": True},
        ),
    },
}
