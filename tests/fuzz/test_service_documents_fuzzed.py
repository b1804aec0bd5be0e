"""The document that a single web service hands out, under requests that schemathesis makes up from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from fuzzing import CASES, Target, strict
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from wmlclient.runner.engine.parameters import TYPES

SEED = int(os.environ["WMLCLIENT_FUZZ_SEED"])
#: Each consuming request is a process.
_EACH = max(4, min(40, CASES // 20))
_CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]

KINDS = sorted(set(TYPES.values()))
INPUTS = [{"name": f"p{number}", "type": kind} for number, kind in enumerate(KINDS)]
OUTPUTS = [{"name": f"q{number}", "type": kind} for number, kind in enumerate(KINDS)]
REQUEST = {
    "code": "\n".join(f"q{number} = p{number}" for number in range(len(KINDS))),
    "runtimeType": "Python",
    "inputParameterDefinitions": INPUTS,
    "outputParameterDefinitions": OUTPUTS,
}
_VALUES: dict[str, Any] = {
    "logical": True,
    "character": "a",
    "vector": [1],
    "matrix": [[1]],
    "data.frame": {"a": [1]},
}
#: A request that fits.
RECORD = {each["name"]: _VALUES.get(each["type"], 1) for each in INPUTS}
#: What the document cannot say: rows and columns of one length.
TABLES = {each["name"]: RECORD[each["name"]] for each in INPUTS if each["type"] in ("data.frame", "matrix")}
BATCH = "/batch/{executionId}"
OPERATIONS = [
    ("POST", ""),
    ("POST", "/batch"),
    ("GET", "/batch"),
    ("GET", BATCH),
    ("GET", BATCH + "/{index}/files"),
    ("GET", BATCH + "/{index}/files/{fileName}"),
    ("DELETE", BATCH),
]


@pytest.fixture(scope="module")
def single(targets: dict[str, Target]) -> Iterator[tuple[Target, str, dict[str, Any]]]:
    """A service of all types, where it is, and its document in words that schemathesis knows."""
    target = targets["ml_server"]
    headers = {"Authorization": f"Bearer {target.token()}"}
    address = f"{target.url}/services/Each type/1.0"
    made = requests.post(address, json=REQUEST, headers=headers, timeout=60)
    assert made.status_code == 201, made.text
    at = "/api/Each type/1.0"
    found = requests.get(f"{target.url}{at}/swagger.json", headers=headers, timeout=60).json()
    for key in ("securityDefinitions", "schemes"):
        found.pop(key)
    for item in found["paths"].values():
        for operation in item.values():
            operation.pop("security", None)
    yield target, at, found
    requests.delete(address, headers=headers, timeout=60)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_an_operation_of_a_service(
    single: tuple[Target, str, dict[str, Any]], record_property: Any, method: str, path: str
) -> None:
    target, at, document = single
    operation = schemathesis.openapi.from_dict(document)[at + path][method]
    counts: list[int] = []
    modes = [GenerationMode.POSITIVE] + [GenerationMode.NEGATIVE] * bool(operation.body)
    for mode in modes:
        try:
            _sent(target, operation, mode, _known(target, at), counts)
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE
    record_property("fuzz documents of services", len(counts))
    # A request of a batch has files once it was run, and this one writes none.
    assert "{index}" in path or any(status < 300 for status in counts)


def _sent(target: Target, operation: Any, mode: Any, known: Any, counts: list[int]) -> None:
    @hypothesis.seed(SEED)
    @settings(
        max_examples=_EACH,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(operation.as_strategy(generation_mode=mode), known)
    def send(case: Any, id: str | None) -> None:
        parameters = case.path_parameters or {}
        if id is not None and "executionId" in parameters:
            case.path_parameters |= {"executionId": id, **{name: 0 for name in parameters if name == "index"}}
        elif id is not None and isinstance(case.body, dict) and mode is GenerationMode.POSITIVE:
            # Whole and with nothing else: the document calls no input required and forbids no other member.
            case.body = {name: case.body.get(name, value) for name, value in RECORD.items()} | TABLES
        response = case.call(**target.arguments())
        counts.append(response.status_code)
        case.validate_response(response, checks=_CHECKS)
        if response.headers["content-type"] == ["application/json"]:
            strict(response.content)

    send()


def _known(target: Target, at: str) -> Any:
    """An execution that is there, or none."""
    headers = {"Authorization": f"Bearer {target.token()}"}
    made = requests.post(f"{target.url}{at}/batch", json=[RECORD], headers=headers, timeout=60)
    assert made.status_code == 202, made.text
    return hypothesis.strategies.sampled_from([None, made.json()["batchExecutionId"]])
