"""The contract documents: valid, complete, and the same in swagger/ and in the package."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV2SpecValidator

from wmlclient import contract

NAMES = ["ml_server", "watson_ml_v3"]
VERBS = {"get", "put", "post", "patch", "delete", "head", "options"}

Document = dict[str, Any]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def document(name: str) -> Document:
    return contract.load(name)


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Every operation with its verb and path."""
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            if verb in VERBS:
                yield verb, path, operation


def nodes(value: Any) -> Iterator[Any]:
    """A value and everything inside it."""
    yield value
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inside:
        yield from nodes(item)


def resolve(document: Document, value: Document) -> Document:
    """What a reference points at, or the value itself."""
    while "$ref" in value:
        target: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        value = target
    return value


def without_files(document: Document) -> Document:
    """The document with downloads as strings: the validator knows no ``type: file`` in an answer."""
    document = copy.deepcopy(document)
    for node in nodes(document):
        if isinstance(node, dict) and node.get("type") == "file":
            node["type"] = "string"
    return document


def problems(document: Document) -> list[str]:
    return [error.message for error in OpenAPIV2SpecValidator(without_files(document)).iter_errors()]


def test_every_document_is_tested(root: Path) -> None:
    assert sorted(path.stem for path in (root / "swagger").glob("*.json")) == NAMES


def test_is_valid_swagger(document: Document) -> None:
    assert problems(document) == []


def test_validator_sees_a_mistake(document: Document) -> None:
    """Guards the test above: a path parameter that no operation declares is found."""
    first = next(path for path in document["paths"] if "{" in path)
    document["paths"]["/other/{unknown}"] = document["paths"].pop(first)
    assert problems(document)


def test_package_holds_the_same_bytes(root: Path, name: str) -> None:
    ours = (root / "swagger" / f"{name}.json").read_bytes()
    assert (root / "wmlclient" / "contract" / f"{name}.json").read_bytes() == ours


def test_names_no_host(document: Document) -> None:
    assert "host" not in document
    assert "basePath" not in document


def test_text_is_json_as_committed(root: Path, name: str) -> None:
    """No name twice: a JSON reader would silently keep the last."""

    def once(pairs: list[tuple[str, Any]]) -> Document:
        names = [key for key, _ in pairs]
        assert len(names) == len(set(names)), names
        return dict(pairs)

    text = (root / "swagger" / f"{name}.json").read_text("utf-8")
    assert json.loads(text, object_pairs_hook=once) == contract.load(name)


def test_load_gives_a_new_copy(name: str) -> None:
    contract.load(name)["paths"].clear()
    assert contract.load(name)["paths"]


def test_load_refuses_an_unknown_name() -> None:
    with pytest.raises(FileNotFoundError):
        contract.load("no_such_document")


def test_operations_are_described(document: Document) -> None:
    for verb, path, operation in operations(document):
        for key in ("operationId", "summary", "description", "x-source"):
            text = operation.get(key)
            assert isinstance(text, str), (verb, path, key)
            assert text.strip(), (verb, path, key)
        (tag,) = operation["tags"]
        assert tag in {each["name"] for each in document["tags"]}


def test_operation_ids_are_unique(document: Document) -> None:
    counts = Counter(operation["operationId"] for _, _, operation in operations(document))
    assert counts
    assert {key for key, count in counts.items() if count > 1} == set()


def test_failures_answer_the_error_body(document: Document) -> None:
    (body,) = {"ErrorBody", "Error"} & set(document["definitions"])
    for verb, path, operation in operations(document):
        answer = resolve(document, operation["responses"]["default"])
        assert answer["schema"] == {"$ref": f"#/definitions/{body}"}, (verb, path)


def test_successes_are_exact_codes(document: Document) -> None:
    for verb, path, operation in operations(document):
        codes = set(operation["responses"]) - {"default"}
        assert codes, (verb, path)
        assert codes <= {"200", "201", "202", "204"}, (verb, path)


def test_parameters_are_described_and_of_the_call(document: Document) -> None:
    """Without a description the generator fails on some; a shared one without its location becomes the client's."""
    for _, _, operation in operations(document):
        for parameter in operation.get("parameters", []):
            assert resolve(document, parameter).get("description"), parameter
    for key, parameter in document["parameters"].items():
        assert parameter.get("x-ms-parameter-location") == "method", key


def test_members_are_described(document: Document) -> None:
    for key, definition in document["definitions"].items():
        assert definition.get("description"), key
        for node in nodes(definition):
            members = node.get("properties", {}) if isinstance(node, dict) else {}
            for member, schema in members.items():
                assert schema.get("description") or "$ref" in schema, (key, member)


def test_everything_shared_is_used(document: Document) -> None:
    used = {node["$ref"] for node in nodes(document) if isinstance(node, dict) and "$ref" in node}
    there = {
        f"#/{part}/{key}" for part in ("definitions", "parameters", "responses") for key in document[part]
    }
    assert there == used


def test_objects_of_operations_have_names(document: Document) -> None:
    """An object written in place would get a class name made up by the generator."""
    for verb, path, operation in operations(document):
        bodies = [
            resolve(document, parameter).get("schema", {}) for parameter in operation.get("parameters", [])
        ]
        answers = [resolve(document, answer).get("schema", {}) for answer in operation["responses"].values()]
        for schema in bodies + answers:
            assert schema.get("type") != "object", (verb, path)
    for key, definition in document["definitions"].items():
        for member, schema in definition.get("properties", {}).items():
            assert "properties" not in schema, (key, member)


def test_enumerations_are_open_strings(document: Document) -> None:
    """A service may answer a word that is newer than the client."""
    # Machine Learning Server itself closes these two.
    closed = (
        {"RuntimeType", "WebServiceRuntimeType"}
        if "CreateSessionRequest" in document["definitions"]
        else set()
    )
    for node in nodes(document["definitions"]):
        if isinstance(node, dict) and "enum" in node:
            assert node["x-ms-enum"]["modelAsString"] is (node["x-ms-enum"]["name"] not in closed), node


def test_additional_members_pass(document: Document) -> None:
    """Clients of 2018 send members that nobody reads."""
    assert not [
        node
        for node in nodes(document)
        if isinstance(node, dict) and node.get("additionalProperties") is False
    ]


class TestWatson:
    """What is particular to the scoring service."""

    @pytest.fixture
    def watson(self) -> Document:
        return contract.load("watson_ml_v3")

    def test_security(self, watson: Document) -> None:
        assert watson["security"] == [{"bearer": []}]
        special = {
            operation["operationId"]: operation["security"]
            for _, _, operation in operations(watson)
            if "security" in operation
        }
        basic = [{"basic": []}]
        assert special == {"Token_Get": basic, "Token_GetV2": basic, "Token_Refresh": []}

    def test_both_paths_of_a_deployment_offer_the_same(self, watson: Document) -> None:
        flat = "/v3/wml_instances/{instance_id}/deployments"
        nested = "/v3/wml_instances/{instance_id}/published_models/{model_id}/deployments"
        for tail in ("", "/{deployment_id}", "/{deployment_id}/online"):
            assert watson["paths"][flat + tail].keys() == watson["paths"][nested + tail].keys()

    def test_tags_are_the_groups_of_the_client(self, watson: Document) -> None:
        for _, _, operation in operations(watson):
            group, underscore, _ = operation["operationId"].partition("_")
            assert underscore
            assert operation["tags"] == [group]

    def test_extensions_are_marked(self, watson: Document) -> None:
        definitions = watson["definitions"]
        whole = {key for key, definition in definitions.items() if definition.get("x-extension")}
        assert whole == {
            "SampleTable",
            "RecordFormat",
            "SchemaRegistry",
            "ParityCertificate",
            "ParityExample",
            "DeadLetter",
            "RowError",
            "BatchProgress",
            "BillOfMaterials",
            "StageMaterials",
            "ColumnMaterials",
            "StreamProgress",
            "StreamLatencies",
        }
        members = {
            (key, member)
            for key, definition in definitions.items()
            for member, schema in definition.get("properties", {}).items()
            if schema.get("x-extension")
        }
        assert members == {
            ("DataConnection", "security_protocol"),
            *(
                ("DataConnection", member)
                for member in ("sasl_mechanism", "token", "token_endpoint", "scope")
            ),
            *(("DataConnection", member) for member in ("ca", "certificate", "key", "key_password")),
            ("DataConnection", "port"),
            ("DeploymentEntity", "engine"),
            ("DeploymentEntity", "engine_reason"),
            ("DeploymentRequest", "engine"),
            *(
                (side, member)
                for side in ("DeploymentRequest", "DeploymentEntity")
                for member in ("delivery", "latency", "workers", "receipts")
            ),
            ("ScoredTable", "errors"),
            ("FeedbackStored", "count"),
            *(
                ("LearningIterationEntity", member)
                for member in ("feedback_records", "evaluations", "redeployed")
            ),
        }


class TestMachineLearningServer:
    """What is particular to sessions and web services."""

    @pytest.fixture
    def server(self) -> Document:
        return contract.load("ml_server")

    def test_has_every_operation(self, server: Document) -> None:
        tags = Counter(operation["tags"][0] for _, _, operation in operations(server))
        pools = sum("/pool" in path for _, path, _ in operations(server))
        nodes = tags.pop("Compute Nodes APIs")
        assert (sum(tags.values()) - pools, nodes, pools) == (36, 4, 3)

    def test_operations_are_methods_of_the_client_itself(self, server: Document) -> None:
        assert not [o["operationId"] for _, _, o in operations(server) if "_" in o["operationId"]]

    def test_all_but_tokens_need_a_token(self, server: Document) -> None:
        assert server["security"] == [{"bearer": []}]
        open_ = {o["operationId"]: o["security"] for _, _, o in operations(server) if "security" in o}
        assert open_ == {"login": [], "renewToken": [], "revokeRefreshToken": []}

    def test_creations_answer_201(self, server: Document) -> None:
        made = {o["operationId"] for _, _, o in operations(server) if "201" in o["responses"]}
        assert made == {
            "createSession",
            "CreateSnapshot",
            "uploadSessionFile",
            "publishWebService",
            "publishWebServiceVersion",
            "publishRealtimeWebServiceByName",
            "publishRealtimeWebServiceByNameVersion",
        }
        assert all(len(o["responses"]) == 2 for _, _, o in operations(server))
        assert {next(iter(o["responses"])) for _, _, o in operations(server)} == {"200", "201"}
