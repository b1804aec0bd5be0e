"""What the official Python SDK puts on the wire, call by call: deploy, consume, batch, redeploy, delete.

The package itself needs a Python that is gone (3.7 or older; `tests/old_clients` runs it), so its requests are made by
hand, in its order and with its headers, and its way of reading answers is repeated: members by name, the last of a
list, the batch id's spelling.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import dill
import pytest
import requests
from contract_service import PASSWORD, USER, Service

AGENT = "azureml-model-management-sdk/1.0.1b6.post1/python"
BYTES = {"Content-Type": "application/octet-stream"}
CODE = """def manualTransmission(hp, wt):
    import pandas as pd
    p = pd.DataFrame({"hp": [hp], "wt": [wt]})
    return p.assign(am_Pred=p.hp * factor + p.wt)

answer = manualTransmission(hp, wt)"""
INIT = "def init():\n    import math\n\ninit()"


class Sdk:
    """The calls of its DeployClient."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()
        self.http.headers["User-Agent"] = AGENT
        login = self.call("POST", "/login", 200, json={"username": USER, "password": PASSWORD})
        self.http.headers["Authorization"] = f"Bearer {login['access_token']}"

    def call(self, method: str, path: str, status: int, **more: Any) -> Any:
        answer = self.http.request(method, self.url + path, timeout=60, **more)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def put(self, method: str, path: str, status: int, body: dict[str, Any], **objects: Any) -> Any:
        """Publishes as it does: a session, its objects, a snapshot, the service; then all but the service goes."""
        session = self.call("POST", "/sessions", 201, json={"runtimeType": "Python"})["sessionId"]
        for name, value in objects.items():
            self.call(
                "POST", f"/sessions/{session}/workspace/{name}", 200, data=dill.dumps(value), headers=BYTES
            )
        made = self.call("POST", f"/sessions/{session}/snapshot", 201, json={"name": "of the SDK"})
        snapshot = made["snapshotId"]
        answer = self.call(
            method, path, status, json={"snapshotId": snapshot, "runtimeType": "Python", **body}
        )
        self.call("DELETE", f"/sessions/{session}", 200)
        self.call("DELETE", f"/snapshots/{snapshot}", 200)
        return answer


@pytest.fixture
def sdk(shared: Service) -> Iterator[Sdk]:
    made = Sdk(shared.url)
    yield made
    made.http.close()


def body(**more: Any) -> dict[str, Any]:
    return {
        "code": CODE,
        "description": "My first python model",
        "operationId": "manualTransmission",
        "inputParameterDefinitions": [{"name": name, "type": "numeric"} for name in ("hp", "wt")],
        "outputParameterDefinitions": [{"name": "answer", "type": "data.frame"}],
        "initCode": INIT,
        **more,
    }


def finished(sdk: Sdk, path: str) -> dict[str, Any]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found: dict[str, Any] = sdk.call("GET", f"{path}?showPartialResult=true", 200)
        if found["state"] in ("Complete", "Failed"):
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def test_a_service_from_deploy_to_delete(sdk: Sdk) -> None:
    assert sdk.put("POST", "/services/TxService/1.0", 201, body(), factor=2.0) == "1.0"
    (listed,) = sdk.call("GET", "/services/TxService/1.0", 200)
    assert {name: listed[name] for name in ("name", "version", "description", "operationId")} == {
        "name": "TxService",
        "version": "1.0",
        "description": "My first python model",
        "operationId": "manualTransmission",
    }
    assert listed["outputFileNames"] == []

    answer = sdk.call("POST", "/api/TxService/1.0", 200, json={"hp": 120.0, "wt": 2.8})
    assert answer["outputParameters"] == {"answer": {"hp": [120.0], "wt": [2.8], "am_Pred": [242.8]}}
    assert (answer["success"], answer["errorMessage"], answer["outputFiles"]) == (True, "", {})
    assert {"consoleOutput", "changedFiles"} <= answer.keys()

    records = [{"hp": float(hp), "wt": 1.0} for hp in range(12)]
    started = sdk.call("POST", "/api/TxService/1.0/batch?parallelCount=10", 202, json=records)
    batch = f"/api/TxService/1.0/batch/{started['BatchExecutionId']}"
    assert sdk.call("GET", "/api/TxService/1.0/batch", 200) == [started["BatchExecutionId"]]
    done = finished(sdk, batch)
    assert (done["state"], done["completedItemCount"], done["totalItemCount"]) == ("Complete", 12, 12)
    found = [each["outputParameters"]["answer"]["am_Pred"] for each in done["batchExecutionResults"]]
    assert found == [[2.0 * hp + 1.0] for hp in range(12)]
    assert sdk.call("DELETE", batch, 200) == [started["BatchExecutionId"]]

    sdk.call("DELETE", "/services/TxService/1.0", 200)
    assert sdk.http.get(f"{sdk.url}/services/TxService/1.0", timeout=60).status_code == 404


def test_redeployed_it_is_the_new_one_and_the_last_of_the_list_is_the_latest(sdk: Sdk) -> None:
    first = sdk.put("POST", "/services/Versions", 201, body(), factor=1.0)  # without version: it gets one
    assert sdk.put("POST", "/services/Versions/2.0", 201, body(), factor=2.0) == "2.0"
    assert [each["version"] for each in sdk.call("GET", "/services/Versions", 200)] == [first, "2.0"]
    sdk.put("PATCH", "/services/Versions/2.0", 200, {"description": "better"}, factor=5.0)
    latest = sdk.call("GET", "/services/Versions", 200)[-1]
    assert (latest["version"], latest["description"]) == ("2.0", "better")
    # Its redeploy always brings a snapshot of its own.
    answer = sdk.call("POST", "/api/Versions/2.0", 200, json={"hp": 1.0, "wt": 0.0})
    assert answer["outputParameters"]["answer"]["am_Pred"] == [5.0]
    for version in (first, "2.0"):
        sdk.call("DELETE", f"/services/Versions/{version}", 200)


def test_arrays_matrices_and_frames_there_and_back(sdk: Sdk) -> None:
    kinds = {
        "a": "vector",
        "m": "matrix",
        "f": "data.frame",
        "s": "character",
        "l": "logical",
        "i": "integer",
    }
    definitions = [{"name": name, "type": kind} for name, kind in kinds.items()]
    outputs = [{"name": f"{name}2", "type": kind} for name, kind in kinds.items()]
    code = "a2 = a * 2\nm2 = m @ m\nf2 = f[f.x > 1]\ns2 = s.upper()\nl2 = not l\ni2 = i + 1"
    given = {
        "a": [1.0, 2.5],
        "m": [[1.0, 2.0], [3.0, 4.0]],
        "f": {"x": [1, 2, 3], "y": ["p", "q", None]},
        "s": "é",
        "l": True,
        "i": 3,
    }
    sdk.put(
        "POST",
        "/services/Kinds/1",
        201,
        {"code": code, "inputParameterDefinitions": definitions, "outputParameterDefinitions": outputs},
    )
    answer = sdk.call("POST", "/api/Kinds/1", 200, json=given)
    assert (answer["success"], answer["errorMessage"]) == (True, "")
    assert answer["outputParameters"] == {
        "a2": [2.0, 5.0],
        "m2": [[7.0, 10.0], [15.0, 22.0]],
        "f2": {"x": [2, 3], "y": ["q", None]},
        "s2": "É",
        "l2": False,
        "i2": 4,
    }
    failed = sdk.call("POST", "/api/Kinds/1", 200, json={**given, "s": None})
    # It looks at errorMessage alone, and reads outputs as a mapping even then.
    assert failed["errorMessage"]
    assert isinstance(failed["outputParameters"], dict)
    sdk.call("DELETE", "/services/Kinds/1", 200)
    unknown = sdk.http.delete(f"{sdk.url}/services/Kinds/1", timeout=60)
    assert (unknown.status_code, unknown.json()["exceptionType"]) == (404, "ServiceNotFoundException")
