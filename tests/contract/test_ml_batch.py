"""Batch executions of web services."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
from attrs import define
from contract_service import Service, start
from ml_service import UNKNOWN, MlUser, first_user, other_user
from runner_fakes import eventually

from wmlclient.runner.dialects import WEB_SERVICE
from wmlclient.runner.engine import consuming
from wmlclient.runner.routes import body_schema, operations
from wmlclient.runner.settings import Settings

DOCUMENT: Any = WEB_SERVICE.document()
OPERATIONS = {operation.id: operation for operation in operations(DOCUMENT)}
GUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
NO_EXECUTION = (404, "ExecutionNotFoundException", "There is no such batch execution.")
WAITS = "import os, time\nwhile wait and not os.path.exists(wait): time.sleep(0.02)\ny = x"


@define
class Batch:
    """Calls of one user to one service."""

    user: MlUser
    name: str

    def call(self, id: str, *ids: str, **more: Any) -> requests.Response:
        """An operation of the service; its answer is as its document says."""
        operation = OPERATIONS[id]
        given = iter([self.name, "1.0", *ids])
        path = re.sub(r"{\w+}", lambda _: urllib.parse.quote(next(given, UNKNOWN), safe=""), operation.path)
        headers = {"Authorization": self.user.headers["Authorization"]}
        response = self.user.session.request(
            operation.method, self.user.service.url + path, headers=headers, timeout=30, **more
        )
        answers = DOCUMENT["paths"][operation.path][operation.method.lower()]["responses"]
        if response.status_code >= 400:
            assert set(response.json()) == {"message", "link", "exceptionType"}
        elif answers[str(response.status_code)]["schema"] != {"type": "file"}:
            schema = body_schema(DOCUMENT, answers[str(response.status_code)]["schema"])
            jsonschema.Draft4Validator(schema).validate(
                {k: v for k, v in response.json().items() if k != "batchExecutionResults"}
                if isinstance(response.json(), dict)
                else response.json()
            )
        return response

    def failure(self, id: str, *ids: str, **more: Any) -> tuple[int, str, str]:
        response = self.call(id, *ids, **more)
        body = response.json()
        return response.status_code, body["exceptionType"], body["message"]

    def begin(self, records: list[Any], **query: Any) -> str:
        response = self.call("StartBatchExecution", json=records, params=query)
        assert response.status_code == 202, response.text
        return str(response.json()["batchExecutionId"])

    def status(self, id: str, **query: Any) -> Any:
        response = self.call("GetBatchExecutionStatus", id, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    def done(self, id: str) -> Any:
        def look() -> Any:
            found = self.status(id)
            return found if found["state"] in ("Complete", "Failed") else None

        return eventually(look)


def publish(user: MlUser, name: str, code: str, **more: Any) -> Batch:
    request = {
        "code": code,
        "runtimeType": "Python",
        "inputParameterDefinitions": [
            {"name": "x", "type": "integer"},
            {"name": "wait", "type": "character"},
        ],
        "outputParameterDefinitions": [{"name": "y", "type": "integer"}],
        **more,
    }
    made = user.operation("publishWebServiceVersion", name, "1.0", json=request)
    assert made.status == 201, made.body
    return Batch(user, name)


@pytest.fixture(scope="module")
def owner(serve: Callable[..., Service]) -> MlUser:
    return first_user(serve(services=consuming.Settings(workers=3, seconds=20.0)))


@pytest.fixture(scope="module")
def waits(owner: MlUser) -> Batch:
    """Gives back its number, once a file is there."""
    return publish(owner, "waits", WAITS)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """A file that requests wait for; there at the end."""
    yield tmp_path / "gate"
    (tmp_path / "gate").touch()


def records(count: int, wait: Any = "") -> list[Any]:
    return [{"x": number, "wait": str(wait)} for number in range(count)]


def test_from_start_to_end(waits: Batch) -> None:
    answer = waits.call("StartBatchExecution", json=records(32), params={"parallelCount": 4})
    body = answer.json()
    assert (answer.status_code, set(body)) == (202, {"batchExecutionId", "BatchExecutionId"})
    id = body["BatchExecutionId"]
    assert re.fullmatch(GUID, id)
    assert id == body["batchExecutionId"]
    found = waits.done(id)
    assert (found["state"], found["completedItemCount"], found["totalItemCount"]) == ("Complete", 32, 32)
    assert [each["outputParameters"] for each in found["batchExecutionResults"]] == [
        {"y": number} for number in range(32)
    ]
    assert id in waits.call("GetBatchExecutions").json()


def test_partial_results(waits: Batch, gate: Path) -> None:
    id = waits.begin([*records(2), *records(3, gate)], parallelCount=1)

    def look() -> Any:
        found = waits.status(id)
        return found if found["completedItemCount"] == 2 else None

    found = eventually(look)
    assert (found["state"], found["totalItemCount"]) == ("InProgress", 5)
    assert [each["outputParameters"]["y"] for each in found["batchExecutionResults"]] == [0, 1]
    for word in ("showPartialResult", "showPartialResults"):
        assert waits.status(id, **{word: "false"})["batchExecutionResults"] == []
        assert len(waits.status(id, **{word: "true"})["batchExecutionResults"]) == 2
    gate.touch()
    assert waits.done(id)["completedItemCount"] == 5
    assert len(waits.status(id, showPartialResult="false")["batchExecutionResults"]) == 5


def test_results_keep_their_place(waits: Batch, gate: Path) -> None:
    id = waits.begin([*records(1, gate), *records(2)], parallelCount=2)

    def look() -> Any:
        found = waits.status(id)
        return found if found["completedItemCount"] == 2 else None

    shown = eventually(look)["batchExecutionResults"]
    assert [each and each["outputParameters"]["y"] for each in shown] == [None, 0, 1]
    gate.touch()
    assert waits.done(id)["batchExecutionResults"][0]["outputParameters"] == {"y": 0}


def test_a_record_that_fails_is_a_result(owner: MlUser) -> None:
    batch = publish(owner, "divides", "y = 12 // x")
    found = batch.done(batch.begin(records(3)))
    assert (found["state"], found["completedItemCount"]) == ("Complete", 3)
    said = [(each["success"], each["errorMessage"]) for each in found["batchExecutionResults"]]
    assert said == [
        (False, "ZeroDivisionError: integer division or modulo by zero"),
        (True, ""),
        (True, ""),
    ]


def test_files(owner: MlUser) -> None:
    code = "if x: open('a b.bin', 'wb').write(bytes([x, 255]))\ny = x"
    batch = publish(owner, "writes", code, outputFileNames=["a b.bin", "never"])
    id = batch.begin(records(2))
    found = batch.done(id)
    content = base64.b64encode(b"\x01\xff").decode()
    assert found["batchExecutionResults"][1]["outputFiles"] == {"a b.bin": content, "never": None}
    assert batch.call("GetBatchExecutionFiles", id, "0").json() == []
    assert batch.call("GetBatchExecutionFiles", id, "1").json() == ["a b.bin"]
    file = batch.call("GetBatchExecutionFile", id, "1", "a b.bin")
    assert (file.status_code, file.content) == (200, b"\x01\xff")
    assert file.headers["Content-Type"] == "application/octet-stream"
    no_file = (404, "FileNotFoundException", "The request has no file 'never'.")
    assert batch.failure("GetBatchExecutionFile", id, "1", "never") == no_file
    no_record = (404, "RecordNotFoundException", "The batch execution has 2 records, counted from 0.")
    assert batch.failure("GetBatchExecutionFiles", id, "2") == no_record
    assert batch.failure("GetBatchExecutionFiles", id, "x")[:2] == (400, "InvalidIndexException")


def test_cancel_and_delete(waits: Batch, gate: Path) -> None:
    id = waits.begin(records(10, gate))
    eventually(lambda: waits.status(id)["state"] == "InProgress")
    answer = waits.call("CancelAndDeleteBatchExecution", id)
    assert (answer.status_code, answer.json()) == (200, [id])
    for operation in ("GetBatchExecutionStatus", "CancelAndDeleteBatchExecution"):
        assert waits.failure(operation, id) == NO_EXECUTION
    assert id not in waits.call("GetBatchExecutions").json()
    # Its processes are free again.
    assert waits.done(waits.begin(records(3)))["state"] == "Complete"


def test_nothing_to_do(waits: Batch) -> None:
    found = waits.done(waits.begin([]))
    assert found == {
        "state": "Complete",
        "completedItemCount": 0,
        "totalItemCount": 0,
        "batchExecutionResults": [],
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            [{"x": 1, "wait": ""}, {"x": 1}],
            "Record 1: The input `wait` is missing; it is of the type character.",
        ),
        ([{"x": "1", "wait": ""}], "Record 0: The input `x` is a string; expected: a whole number."),
    ],
)
def test_records_that_do_not_fit(waits: Batch, body: Any, message: str) -> None:
    failure = waits.failure("StartBatchExecution", json=body)
    assert failure == (400, "InvalidInputException", message)


@pytest.mark.parametrize("body", ["", "{}", "[1]", "null", "["])
def test_no_list_of_records(waits: Batch, body: str) -> None:
    assert waits.call("StartBatchExecution", data=body).status_code == 400


@pytest.mark.parametrize("count", ["0", "-1", "x"])
def test_no_count(waits: Batch, count: str) -> None:
    failure = waits.failure("StartBatchExecution", json=[], params={"parallelCount": count})
    assert failure[:2] == (400, "InvalidQueryParameterValueException")


def test_what_is_not_there(waits: Batch, owner: MlUser) -> None:
    nothing = Batch(owner, "nothing")
    for id in OPERATIONS:
        if id == "ConsumeWebService":
            continue
        more = {"json": []} if id == "StartBatchExecution" else {}
        assert nothing.failure(id, UNKNOWN, "0", "f", **more)[:2] == (404, "ServiceNotFoundException")
        if "{executionId}" in OPERATIONS[id].path:
            assert waits.failure(id, UNKNOWN, "0", "f") == NO_EXECUTION


def test_only_its_user_sees_an_execution(waits: Batch, owner: MlUser) -> None:
    reader = Batch(other_user(owner.service, "batch reader", "reader"), waits.name)
    id = reader.begin(records(1))
    assert reader.done(id)["state"] == "Complete"
    assert waits.failure("GetBatchExecutionStatus", id) == NO_EXECUTION
    assert id not in waits.call("GetBatchExecutions").json()


def test_ends_with_its_service(owner: MlUser, gate: Path) -> None:
    batch = publish(owner, "short", WAITS)
    id = batch.begin(records(3, gate))
    eventually(lambda: batch.status(id)["state"] == "InProgress")
    owner.operation("deleteWebServiceVersion", "short", "1.0")
    assert batch.failure("GetBatchExecutionStatus", id)[:2] == (404, "ServiceNotFoundException")
    publish(owner, "short", WAITS)
    assert batch.failure("GetBatchExecutionStatus", id) == NO_EXECUTION


def test_outlives_the_runner_and_what_was_under_way_has_failed(tmp_path: Path, gate: Path) -> None:
    settings = Settings(tmp_path / "home", port=0)
    (tmp_path / "home").mkdir()
    service, end = start(settings.home, settings)
    try:
        batch = publish(first_user(service), "kept", WAITS)
        whole, half = batch.begin(records(2)), batch.begin([*records(1), *records(3, gate)])
        before = batch.done(whole)
        eventually(lambda: batch.status(half)["completedItemCount"] == 1)
    finally:
        end()
    service, end = start(settings.home, settings)
    try:
        batch = Batch(first_user(service), "kept")
        assert batch.call("GetBatchExecutions").json() == [whole, half]
        assert json.dumps(batch.status(whole)) == json.dumps(before)
        assert batch.status(half)["state"] == "Failed"
        assert batch.done(batch.begin(records(1)))["state"] == "Complete"
    finally:
        end()
