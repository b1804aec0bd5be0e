"""What the contract takes as a request: everything that older clients send, and no wrong type."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from wmlclient import contract

FRAMEWORK = {"name": "mllib", "version": "4.0", "runtimes": [{"name": "spark", "version": "4.0"}]}
SCHEMA = {
    "type": "struct",
    "fields": [
        {"name": "id", "type": "integer", "nullable": True, "metadata": {}},
        {"name": "label", "type": "integer", "nullable": True, "metadata": {"modeling_role": "target"}},
    ],
}
KAFKA = {
    "kafka_brokers_sasl": ["kafka01.example.com:9093", "kafka02.example.com:9093"],
    "user": "u",
    "password": "p",
    "api_key": "k",
    "kafka_admin_url": "https://admin.example.com:443",
    "kafka_rest_url": "https://rest.example.com:443",
    "mqlight_lookup_url": "https://mqlight.example.com/Lookup",
}
MODEL = {
    "name": "Sentiment Prediction",
    "description": "Tweets",
    "author": {"name": "IBM"},
    "framework": FRAMEWORK,
    "training_definition_url": "http://h/v3/ml_assets/training_definitions/t/versions/v",
    "label_column": "label",
    "training_data_reference": [],
    "hyper_parameters": [],
    "tags": [],
    "training_data_schema": SCHEMA,
    "evaluation": {
        "method": "binary",
        "metrics": [{"name": "areaUnderROC", "value": 0.7625, "threshold": 0.8}],
    },
}
STREAM = {
    "name": "Sentiment Prediction",
    "type": "stream",
    "description": "Streaming Deployment",
    "input": {"connection": KAFKA, "source": {"topic": "sinput", "type": "kafka"}},
    "output": {"connection": KAFKA, "target": {"topic": "soutput", "type": "kafka"}},
}
STORAGE = {
    "userid": "u",
    "projectid": "p",
    "password": "p",
    "region": "dallas",
    "authurl": "https://a.example.com",
}
BATCH = {
    "name": "Batch",
    "type": "batch",
    "input": {
        "connection": STORAGE,
        "source": {
            "container": "c",
            "filename": "in.csv",
            "fileformat": "csv",
            "inferschema": 1,
            "firstlineheader": "true",
            "type": "bluemixobjectstorage",
        },
    },
    "output": {
        "connection": {"access_key": "a", "secret_key": "s", "url": "https://s.example.com"},
        "target": {
            "bucket": "b",
            "filename": "out.csv",
            "fileformat": "csv",
            "firstlineheader": "true",
            "writemode": "write",
            "type": "cloudobjectstorage",
        },
    },
}
ONLINE = {"name": "Online", "type": "online"}


Faults = Callable[[str, Any], list[str]]


@pytest.fixture(scope="module")
def faults() -> Faults:
    """Where a request's body is not as the contract wants it, found by the validator of the runner."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # Connexion imports Starlette's test client, which complains of its httpx
        from connexion.json_schema import Draft4RequestValidator, resolve_refs
    document = resolve_refs(contract.load("watson_ml_v3"))

    def faults(operation_id: str, body: Any) -> list[str]:
        (operation,) = (
            operation
            for item in document["paths"].values()
            for operation in item.values()
            if operation["operationId"] == operation_id
        )
        (schema,) = (
            parameter["schema"] for parameter in operation["parameters"] if parameter["in"] == "body"
        )
        errors = Draft4RequestValidator(schema).iter_errors(body)
        return [".".join(map(str, error.absolute_path)) + ": " + str(error.validator) for error in errors]

    return faults


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of the body with one member changed."""
    body = json.loads(json.dumps(body))  # shares nothing, not even with itself
    *above, last = path.split(".")
    target: Any = body
    for part in above:
        target = target[part]
    target[last] = value
    return body


def without(body: dict[str, Any], member: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != member}


@pytest.mark.parametrize(
    ("operation_id", "body"),
    [
        ("Token_Refresh", {"token": "a.b.c"}),
        (
            "TrainingDefinitions_Create",
            {"name": "n", "framework": {"name": "mllib", "version": "4.0"}, "author": {}},
        ),
        ("Models_Create", MODEL),
        ("Models_Create", {"name": "n", "framework": {"name": "scikit-learn", "version": "0.19"}}),
        # a whole entity that was read before, with what only the service writes
        (
            "Models_Create",
            MODEL | {"ml_asset_guid": "g", "model_version": {"guid": "v"}, "description": None},
        ),
        ("Models_Create", MODEL | {"sample": {"fields": ["id"], "values": [[1], [None]]}}),
        ("Deployments_Create", ONLINE),
        ("Deployments_Create", ONLINE | {"description": None, "asset_properties": {"a": 1}}),
        ("Deployments_Create", STREAM),
        ("Deployments_Create", changed(STREAM, "input.connection.security_protocol", "PLAINTEXT")),
        ("Deployments_Create", changed(STREAM, "input.connection.instance_id", "i")),
        ("Deployments_Create", STREAM | {"dead_letter": {"topic": "bad"}}),
        ("Deployments_Create", BATCH),
        ("Deployments_Create", changed(BATCH, "input.source.inferschema", "1")),
        ("Deployments_Create", ONLINE | {"type": "virtual"}),  # the engine refuses it by its own code
        ("InstanceDeployments_Create", ONLINE | {"deployable_asset_url": "http://h/published_models/m"}),
        ("Deployments_Update", [{"op": "replace", "path": "/status", "value": "STOPPED"}]),
        (
            "Deployments_Update",
            [
                {"op": "replace", "path": "/name", "value": "n"},
                {"op": "replace", "path": "/description", "value": None},
            ],
        ),
        ("Deployments_Score", {"fields": ["a", "b"], "values": [["x", 1], [None, [3, [0], [1.5]]]]}),
    ],
)
def test_takes(faults: Faults, operation_id: str, body: Any) -> None:
    assert faults(operation_id, body) == []


@pytest.mark.parametrize(
    ("operation_id", "body", "fault"),
    [
        ("Token_Refresh", {}, ": required"),
        ("Token_Refresh", {"token": None}, "token: type"),
        ("TrainingDefinitions_Create", {"name": "n"}, ": required"),
        ("Models_Create", without(MODEL, "name"), ": required"),
        ("Models_Create", without(MODEL, "framework"), ": required"),
        ("Models_Create", changed(MODEL, "name", ""), "name: minLength"),
        ("Models_Create", changed(MODEL, "name", None), "name: type"),
        ("Models_Create", changed(MODEL, "framework.version", 4.0), "framework.version: type"),
        (
            "Models_Create",
            changed(MODEL, "framework.runtimes", {"name": "spark"}),
            "framework.runtimes: type",
        ),
        ("Models_Create", changed(MODEL, "label_column", 3), "label_column: type"),
        ("Models_Create", changed(MODEL, "training_data_schema", "id int"), "training_data_schema: type"),
        ("Models_Create", changed(MODEL, "sample", {"fields": ["a"]}), "sample: required"),
        (
            "Models_Create",
            changed(MODEL, "sample", {"fields": ["a"], "values": [1]}),
            "sample.values.0: type",
        ),
        (
            "Models_Create",
            changed(MODEL, "sample", {"fields": ["a"], "values": [[1]] * 1001}),
            "sample.values: maxItems",
        ),
        ("Models_Create", [MODEL], ": type"),
        ("Deployments_Create", without(ONLINE, "name"), ": required"),
        ("Deployments_Create", without(ONLINE, "type"), ": required"),
        ("Deployments_Create", changed(ONLINE, "name", 7), "name: type"),
        ("Deployments_Create", changed(STREAM, "input", "sinput"), "input: type"),
        (
            "Deployments_Create",
            changed(STREAM, "input.connection.kafka_brokers_sasl", "h:9093"),
            "input.connection.kafka_brokers_sasl: type",
        ),
        (
            "Deployments_Create",
            changed(STREAM, "output.connection.password", 1),
            "output.connection.password: type",
        ),
        ("Deployments_Create", changed(STREAM, "output.target.topic", None), "output.target.topic: type"),
        (
            "Deployments_Create",
            changed(STREAM, "input.connection.security_protocol", "TLS"),
            "input.connection.security_protocol: enum",
        ),
        ("Deployments_Create", STREAM | {"dead_letter": {}}, "dead_letter: required"),
        ("Deployments_Update", {"op": "replace", "path": "/status", "value": "STOPPED"}, ": type"),
        ("Deployments_Update", [{"path": "/status"}], "0: required"),
        ("Deployments_Update", [{"op": "swap", "path": "/status"}], "0.op: enum"),
        ("Deployments_Score", {"values": [[1]]}, ": required"),
        ("Deployments_Score", {"fields": ["a"]}, ": required"),
        ("Deployments_Score", {"fields": "a", "values": [[1]]}, "fields: type"),
        ("Deployments_Score", {"fields": [1], "values": [[1]]}, "fields.0: type"),
        ("Deployments_Score", {"fields": ["a"], "values": [1]}, "values.0: type"),
    ],
)
def test_refuses(faults: Faults, operation_id: str, body: Any, fault: str) -> None:
    assert set(faults(operation_id, body)) == {fault}
