"""Realtime services and pools."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from contract_service import Service, start
from ml_service import MlUser, first_user, other_user
from runner_fakes import eventually

from wmlclient.runner.engine import consuming
from wmlclient.runner.settings import Settings

GUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
INPUT = [{"name": "inputData", "type": "data.frame"}]
OUTPUT = [{"name": "outputData", "type": "data.frame"}]
PUBLISH, PATCH = "publishRealtimeWebServiceByNameVersion", "patchRealtimeWebServiceByNameVersion"
WORDS = {"inputData": {"text": ["what a day", "so sad"]}}


@pytest.fixture(scope="module")
def owner(serve: Callable[..., Service]) -> MlUser:
    return first_user(serve(services=consuming.Settings(workers=2)))


@pytest.fixture
def name(owner: MlUser, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"of {request.node.name}"
    yield name
    for each in owner.operation("getAllWebServices").body:
        if each["name"] == name:
            owner.operation("deleteWebServiceVersion", name, each["version"])


def consume(user: MlUser, name: str, body: Any) -> requests.Response:
    headers = {"Authorization": user.headers["Authorization"]}
    return user.session.post(f"{user.service.url}/api/{name}/1.0", json=body, headers=headers, timeout=30)


def model(content: bytes) -> Any:
    return {"model": ("model", content)}


class TestRealtime:
    def test_publish_list_and_consume(self, owner: MlUser, name: str, content: bytes) -> None:
        made = owner.operation(PUBLISH, name, "1.0", files=model(content), data={"description": "of tweets"})
        assert (made.status, made.body) == (201, "1.0")
        (found,) = owner.operation("getWebServiceVersion", name, "1.0").body
        assert (found["runtimeType"], found["description"]) == ("Realtime", "of tweets")
        assert (found["inputParameterDefinitions"], found["outputParameterDefinitions"]) == (INPUT, OUTPUT)
        assert (found["outputFileNames"], found["operationId"]) == ([], None)
        answer = consume(owner, name, WORDS)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["success"], body
        columns = body["outputParameters"]["outputData"]
        assert "prediction" in columns
        assert "text" not in columns
        assert {len(column) for column in columns.values()} == {2}

    def test_gives_the_numbers_of_the_scorer(
        self, owner: MlUser, name: str, content: bytes, tmp_path: Path
    ) -> None:
        from wmlclient import scoring

        owner.operation(PUBLISH, name, "1.0", files=model(content))
        path = tmp_path / "model.tar.gz"
        path.write_bytes(content)
        expected = [
            row["prediction"]
            for row in scoring.load(path).score([{"text": t} for t in WORDS["inputData"]["text"]])
        ]
        columns = consume(owner, name, WORDS).json()["outputParameters"]["outputData"]
        assert columns["prediction"] == expected

    def test_a_version_is_made_up(self, owner: MlUser, name: str, content: bytes) -> None:
        made = owner.operation("publishRealtimeWebServiceByName", name, files=model(content))
        assert (made.status, bool(re.fullmatch(GUID, made.body))) == (201, True)

    def test_patch(self, owner: MlUser, name: str, content: bytes) -> None:
        owner.operation(PUBLISH, name, "1.0", files=model(content), data={"operationId": "rate"})
        changed = owner.operation(PATCH, name, "1.0", files=model(content), data={"description": "new"})
        assert (changed.status, changed.body) == (200, "1.0")
        (found,) = owner.operation("getWebServiceVersion", name, "1.0").body
        assert (found["description"], found["operationId"]) == ("new", "rate")
        assert consume(owner, name, WORDS).json()["success"]
        only_words = owner.operation(PATCH, name, "1.0", files={"description": (None, "words")})
        assert only_words.status == 200
        assert consume(owner, name, WORDS).json()["success"]

    def test_the_archive_goes_with_its_last_service(self, owner: MlUser, name: str, content: bytes) -> None:
        engine = owner.service.engine
        owner.operation(PUBLISH, name, "1.0", files=model(content))
        owner.operation(PUBLISH, name, "2.0", files=model(content))
        path = engine.contents.path(engine.web_services.get(name, "1.0").digest or "")
        owner.operation("deleteWebServiceVersion", name, "1.0")
        engine.contents.sweep()
        assert path.is_file()
        owner.operation("deleteWebServiceVersion", name, "2.0")
        assert not path.exists()

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            ({}, "InvalidInputException"),
            ({"inputData": [1]}, "InvalidInputException"),
            ({"inputData": {"text": ["a"], "id": [1, 2]}}, "InvalidInputException"),
            ({"inputData": {"text": []}}, "InvalidInputDataException"),
            ({"inputData": {"other": ["a"]}}, "InvalidPayloadException"),
            ({"inputData": {"text": [7]}}, "InvalidPayloadException"),
            ({"inputData": None}, "InvalidPayloadException"),
        ],
    )
    def test_tables_that_do_not_fit(
        self, owner: MlUser, name: str, content: bytes, body: Any, kind: str
    ) -> None:
        owner.operation(PUBLISH, name, "1.0", files=model(content))
        answer = consume(owner, name, body)
        assert (answer.status_code, answer.json()["exceptionType"]) == (400, kind)

    def test_models_that_are_none(
        self, owner: MlUser, name: str, content: bytes, pipeline_content: bytes
    ) -> None:
        def failure(id: str, content: bytes) -> tuple[int, str, str]:
            return owner.operation(id, name, "1.0", files=model(content)).failure

        refused = (400, "InvalidModelContentException")
        for wrong in (b"", b"nothing", pipeline_content):
            assert failure(PUBLISH, wrong)[:2] == refused
        assert failure(PUBLISH, b"blob\x00\x01")[:2] == refused
        assert "RevoScale" in failure(PUBLISH, b"blob\x00\x01")[2]
        no_model = (400, "InvalidFormException", "The form needs a part `model` with the model's file.")
        assert owner.operation(PUBLISH, name, "1.0", files={"x": (None, "y")}).failure == no_model
        assert owner.operation(PUBLISH, name, "1.0", data=b"x").failure[1] == "InvalidFormException"
        assert owner.operation("getAllWebServiceVersionsByName", name).status == 404
        owner.operation(PUBLISH, name, "1.0", files=model(content))
        assert failure(PATCH, b"nothing")[:2] == refused
        assert consume(owner, name, WORDS).json()["success"]

    def test_names_and_users(self, owner: MlUser, name: str, content: bytes) -> None:
        owner.operation(PUBLISH, name, "1.0", files=model(content))
        again = owner.operation(PUBLISH, name, "1.0", files=model(content))
        assert again.failure[:2] == (409, "ServiceExistsException")
        other = other_user(owner.service, "realtime other")
        assert other.operation(PATCH, name, "1.0", files=model(content)).failure[:2] == (
            403,
            "NotYourServiceException",
        )
        reader = other_user(owner.service, "realtime reader", "reader")
        assert reader.operation(PUBLISH, name, "2.0", files=model(content)).status == 403
        assert consume(reader, name, WORDS).json()["success"]
        assert owner.operation(PATCH, "nothing", "1.0", files=model(content)).status == 404

    def test_each_is_changed_its_own_way(self, owner: MlUser, name: str, content: bytes) -> None:
        owner.operation(PUBLISH, name, "1.0", files=model(content))
        refused = owner.operation("patchWebServiceVersion", name, "1.0", json={"code": "pass"})
        assert refused.failure[:2] == (400, "OtherRuntimeException")
        code = {"code": "pass", "runtimeType": "Python"}
        owner.operation("publishWebServiceVersion", name, "2.0", json=code)
        refused = owner.operation(PATCH, name, "2.0", files=model(content))
        assert refused.failure[:2] == (400, "OtherRuntimeException")

    def test_in_a_batch(self, owner: MlUser, name: str, content: bytes) -> None:
        owner.operation(PUBLISH, name, "1.0", files=model(content))
        url = f"{owner.service.url}/api/{name}/1.0/batch"
        headers = {"Authorization": owner.headers["Authorization"]}
        records = [WORDS, {"inputData": {"text": [7]}}]
        id = owner.session.post(url, json=records, headers=headers, timeout=30).json()["batchExecutionId"]

        def look() -> Any:
            found = owner.session.get(f"{url}/{id}", headers=headers, timeout=30).json()
            return found if found["state"] == "Complete" else None

        results = eventually(look)["batchExecutionResults"]
        assert [each["success"] for each in results] == [True, False]


class TestPools:
    @pytest.fixture
    def service(self, owner: MlUser, name: str) -> str:
        request = {
            "code": "import time; time.sleep(0.2)",
            "runtimeType": "Python",
        }
        owner.operation("publishWebServiceVersion", name, "1.0", json=request)
        return name

    def status(self, owner: MlUser, name: str) -> str:
        (node,) = owner.operation("getServicePoolStatus", name, "1.0").body
        assert node["ComputeNodeEndpoint"] == owner.service.url
        return str(node["Status"])

    def test_made_changed_and_deleted(self, owner: MlUser, service: str) -> None:
        assert self.status(owner, service) == "NotFound"
        for sizes in ({"InitialPoolSize": 1, "MaxPoolSize": 3}, {"InitialPoolSize": 0, "MaxPoolSize": 1}):
            made = owner.operation("createOrUpdateServicePool", service, "1.0", json=sizes)
            assert (made.status, made.body) == (200, "The pool is being made.")
            eventually(lambda: self.status(owner, service) == "Success")
            assert consume(owner, service, {}).json()["success"]
        gone = owner.operation("deleteServicePool", service, "1.0")
        assert (gone.status, gone.body) == (200, "The pool is deleted.")
        assert self.status(owner, service) == "NotFound"
        assert consume(owner, service, {}).json()["success"]

    def test_grows_to_its_most(self, owner: MlUser, service: str) -> None:
        sizes = {"InitialPoolSize": 1, "MaxPoolSize": 2}
        owner.operation("createOrUpdateServicePool", service, "1.0", json=sizes)
        eventually(lambda: self.status(owner, service) == "Success")
        engine = owner.service.engine
        found = engine.web_services.get(service, "1.0")
        workers = engine.consumption.workers(found)
        assert workers is not None
        assert workers.count == 1
        leased = [engine.consumption.lease(found) for _ in range(3)]
        assert workers.count == 2
        for each in leased:
            worker: Any = each
            (worker.result(30) if hasattr(worker, "result") else worker).release()

    def test_is_there_after_a_restart(self, tmp_path: Path) -> None:
        settings = Settings(tmp_path / "home", port=0)
        settings.home.mkdir()
        for run in range(2):
            running, end = start(settings.home, settings)
            try:
                owner = first_user(running)
                if run == 0:
                    request = {"code": "pass", "runtimeType": "Python"}
                    owner.operation("publishWebServiceVersion", "kept", "1.0", json=request)
                    sizes = {"InitialPoolSize": 1, "MaxPoolSize": 1}
                    owner.operation("createOrUpdateServicePool", "kept", "1.0", json=sizes)
                found = running.engine.web_services.get("kept", "1.0")
                assert running.engine.consumption.state(found) != "none"
                eventually(lambda owner=owner: self.status(owner, "kept") == "Success")
            finally:
                end()

    @pytest.mark.parametrize(
        "sizes",
        [
            {},
            {"InitialPoolSize": 1},
            {"InitialPoolSize": 2, "MaxPoolSize": 1},
            {"InitialPoolSize": -1, "MaxPoolSize": 1},
            {"InitialPoolSize": 1, "MaxPoolSize": 10**9},
            {"InitialPoolSize": "1", "MaxPoolSize": 1},
        ],
    )
    def test_sizes_that_are_none(self, owner: MlUser, service: str, sizes: Any) -> None:
        refused = owner.operation("createOrUpdateServicePool", service, "1.0", json=sizes)
        assert refused.failure[:2] == (400, "InvalidRequestPayloadException")

    @pytest.mark.parametrize("id", ["createOrUpdateServicePool", "deleteServicePool"])
    def test_are_for_the_publisher(self, owner: MlUser, service: str, id: str) -> None:
        more = {"json": {"InitialPoolSize": 1, "MaxPoolSize": 1}} if id.startswith("create") else {}
        other = other_user(owner.service, "pool other")
        assert other.operation(id, service, "1.0", **more).failure[:2] == (403, "NotYourServiceException")
        assert owner.operation(id, "nothing", "1.0", **more).failure[:2] == (404, "ServiceNotFoundException")

    def test_of_nothing(self, owner: MlUser) -> None:
        failure = owner.operation("getServicePoolStatus", "nothing", "1.0").failure
        assert failure[:2] == (404, "ServiceNotFoundException")
