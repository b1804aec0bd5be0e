"""Programs in the style of the clients of 2017 and 2018, as their requests were recorded: exact codes and bodies.

Each test is one program. What a client compares or parses is asserted; what it ignores is not.
"""

from __future__ import annotations

import ast
import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import requests
import saved_models
from contract_service import INSTANCE, PASSWORD, ROWS, SPARK_HEADER, STREAM, USER, Service

from wmlclient.runner.problems import Problem
from wmlclient.runner.quotas import Meter, Quotas

GUID = re.compile(r"[a-z0-9\-]{36}")


class Program:
    """Calls with what the old clients sent, and holds each answer to one code."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.base = f"{service.url}/v3/wml_instances/{INSTANCE}"
        self.token = ""
        self.headers: Any = {}

    def log_in(self) -> None:
        """The constructor's three calls."""
        basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        for version in ("v3", "v2"):
            url = f"{self.service.url}/{version}/identity/token"
            answer = requests.get(url, headers={"Authorization": basic}, timeout=30)
            assert answer.status_code == 200
            assert list(answer.json()) == ["token"]
            self.token = answer.json()["token"]
            assert _expires(self.token) > 1_700_000_000
            if version == "v3":
                self.call("GET", self.base, 200)

    def call(self, method: str, url: str, status: int, body: Any = None, **headers: str) -> Any:
        """A call of the high-level half: JSON is announced whether or not there is any."""
        answer = requests.request(
            method,
            url if url.startswith("http") else self.service.url + url,
            json=body,
            headers={
                "Authorization": f"Bearer  {self.token}",
                "Content-Type": "application/json",
                "X-WML-User-Client": "PythonClient",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
            timeout=30,
        )
        assert answer.status_code == status, answer.text
        self.headers = answer.headers
        return answer.json() if answer.content else None

    def upload(self, url: str, content: bytes) -> None:
        """An upload of the repository half: no type at all."""
        headers = {"Authorization": f"Bearer {self.token}", "User-Agent": "Swagger-Codegen/1.0.0/python"}
        with requests.Session() as session:
            prepared = session.prepare_request(requests.Request("PUT", url, data=content, headers=headers))
            assert "Content-Type" not in prepared.headers
            assert session.send(prepared, timeout=60).status_code == 200

    def store(self, content: bytes, pipeline: bytes, named: str = "training_definition") -> Any:
        """``repository.store_model``; before January 2018 a training definition was an ``experiment``."""
        body: dict[str, Any] = {
            "name": "Sentiment",
            "framework": {"name": "mllib", "version": "4.2"},
            "author": {},
        }
        made = self.call("POST", f"/v3/ml_assets/{named}s", 201, body)
        location = self.headers["Location"]
        assert location.endswith(f"/v3/ml_assets/{named}s/{made['metadata']['guid']}")
        assert ast.literal_eval(json.dumps(made["entity"])) == made["entity"]
        version = made["entity"][f"{named}_version"]
        self.upload(version["content_url"], pipeline)
        metric = {"name": "areaUnderROC", "value": 0.7625, "threshold": 0.8}
        body = saved_models.request(evaluation={"method": "binary", "metrics": [metric]})
        body[f"{named}_url"] = version["url"]
        model = self.call("POST", "/v3/ml_assets/models", 201, body)
        guid = model["metadata"]["url"].split("/models/")[1]
        assert guid == model["metadata"]["guid"]
        assert re.match("^mllib", model["entity"]["framework"]["name"])
        self.upload(model["entity"]["model_version"]["content_url"], content)
        published = self.call("GET", f"{self.base}/published_models/{guid}", 200)
        assert re.search(r"/published_models/[^/]+$", published["metadata"]["url"])
        assert published["entity"]["label_col"] == "label"
        metrics = self.call("GET", published["entity"]["evaluation_metrics_url"], 200)
        assert metrics["resources"][0]["values"] == [metric]
        assert metrics["resources"][0]["phase"] == "setup"
        return published

    def kind_of(self, guid: str) -> str:
        """The probe before most calls: exactly one of these is there."""
        addresses = {
            "model": f"{self.base}/published_models/{guid}",
            "definition": f"{self.service.url}/v3/ml_assets/training_definitions/{guid}",
            "experiment": f"{self.service.url}/v3/experiments/{guid}",
            "function": f"{self.service.url}/v3/functions/{guid}",
            "runtime": f"{self.service.url}/v4/runtimes/{guid}",
            "library": f"{self.service.url}/v4/libraries/{guid}",
            "deployment": f"{self.base}/deployments/{guid}",
        }
        headers = {"Authorization": f"Bearer {self.token}"}
        answers = {
            kind: requests.get(url, headers=headers, timeout=30).status_code
            for kind, url in addresses.items()
        }
        (found,) = [kind for kind, status in answers.items() if status == 200]
        assert sorted(answers.values()) == [200] + [404] * 6
        return found

    def finished(self, url: str, *busy: str) -> Any:
        """Polls as the client does, without its pause of 5 s."""
        while (found := self.call("GET", url, 200))["entity"]["status"] in busy:
            pass
        return found


def _expires(token: str) -> int:
    # With the standard alphabet, as the clients decode it.
    middle = token.split(".")[1]
    assert not set("-_") & set(middle)
    return int(json.loads(base64.b64decode(middle + "=="))["exp"])


@pytest.fixture
def program(service: Service) -> Program:
    program = Program(service)
    program.log_in()
    return program


def test_the_high_level_half_of_2018(program: Program, content: bytes, pipeline_content: bytes) -> None:
    published = program.store(content, pipeline_content)
    guid, address = published["metadata"]["guid"], published["metadata"]["url"]
    assert program.kind_of(guid) == "model"

    listed = program.call("GET", f"{program.base}/published_models?limit=1000", 200)
    assert "next" not in listed
    (one,) = listed["resources"]
    assert {"created_at", "guid"} <= set(one["metadata"])
    assert {"name", "model_type"} <= set(one["entity"])

    read = program.call("GET", f"/v3/ml_assets/models/{guid}", 200)
    version = read["entity"]["model_version"]
    size = program.call("GET", f"{version['url']}?size=true", 200)
    assert size == {"contentSize": len(content)}
    for url in (f"{version['content_url']}?", f"{program.service.url}/v3/ml_assets/models/{guid}/content"):
        headers = {"Authorization": f"Bearer {program.token}", "Accept": "application/octet-stream"}
        loaded = requests.get(url, headers=headers, timeout=30)
        assert (loaded.status_code, loaded.content) == (200, content)

    body = {"name": "d", "description": "d", "type": "online", "deployable_asset_url": address}
    made = program.call("POST", f"{program.base}/deployments?sync=false", 202, body)
    assert made["entity"]["status"] == "INITIALIZING"
    id = made["metadata"]["guid"]
    assert GUID.fullmatch(id)
    flat = f"{program.base}/deployments/{id}"
    ready = program.finished(flat, "DEPLOY_IN_PROGRESS")
    assert ready["entity"]["status"] == "DEPLOY_SUCCESS"
    assert set(ready["entity"]["deployable_asset"]) >= {"type", "name", "url", "guid", "created_at"}
    scored = program.call("POST", ready["entity"]["scoring_url"], 200, ROWS)
    assert scored["fields"][:2] == ROWS["fields"]

    written = program.call("POST", f"/v3/ml_assets/models/{guid}", 201, read["entity"])
    program.upload(written["entity"]["model_version"]["content_url"], content)
    latest = program.call("GET", address, 200)["entity"]["latest_version"]
    assert program.kind_of(id) == "deployment"
    patch = [{"op": "replace", "path": "/deployed_version/url", "value": latest["url"]}]
    told = program.call("PATCH", address, 200, patch)
    assert re.search(rf"/published_models/{guid}/deployments/{id}$", told["metadata"]["url"])
    assert told["entity"]["status"] in ("DEPLOY_SUCCESS", "UPDATE_IN_PROGRESS")
    moved = program.finished(flat, "DEPLOY_IN_PROGRESS", "UPDATE_IN_PROGRESS")
    assert (moved["entity"]["status"], moved["entity"]["deployed_version"]) == ("DEPLOY_SUCCESS", latest)

    renames = [
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "replace", "path": "/description", "value": "e"},
    ]
    renamed = program.call("PATCH", flat, 200, renames)
    assert (renamed["entity"]["name"], renamed["entity"]["description"]) == ("new", "e")
    assert program.call("DELETE", flat, 204) is None
    program.call("DELETE", f"/v3/ml_assets/models/{guid}", 204)
    definition = read["entity"]["training_definition_url"].rsplit("/versions/", 1)[0]
    program.call("GET", definition, 200)
    program.call("DELETE", definition, 204)


def test_the_paths_of_2017(program: Program, content: bytes, pipeline_content: bytes) -> None:
    published = program.store(content, pipeline_content, "experiment")
    (definition,) = program.call("GET", "/v3/ml_assets/experiments?limit=1000", 200)["resources"]
    address = definition["metadata"]["url"]
    stored = program.call("GET", f"/v3/ml_assets/models/{published['metadata']['guid']}", 200)
    assert stored["entity"]["experiment_url"] == definition["entity"]["experiment_version"]["url"]
    assert stored["entity"]["experiment_url"].startswith(f"{address}/versions/")
    assert program.call("GET", address, 200) == definition
    collection = published["entity"]["deployments"]["url"]
    listed = program.call("GET", f"{program.base}/published_models/", 200)
    assert listed["count"] == 1

    body = {"name": "d", "description": "d", "type": "online"}
    made = program.call("POST", collection, 201, body)
    assert made["entity"]["status"] == "DEPLOY_SUCCESS"
    assert made["metadata"]["url"].startswith(f"{collection}/")
    assert made["entity"]["scoring_url"] == f"{made['metadata']['url']}/online"
    later = program.call("POST", f"{collection}?sync=false", 202, body)
    everything = program.call("GET", f"{program.base}/deployments", 200)
    (url,) = [
        each["metadata"]["url"]
        for each in everything["resources"]
        if each["metadata"]["guid"] == later["metadata"]["guid"]
    ]
    assert program.finished(url, "DEPLOY_IN_PROGRESS")["entity"]["status"] == "DEPLOY_SUCCESS"
    assert program.call("POST", made["entity"]["scoring_url"], 200, ROWS)["values"]
    program.call("DELETE", made["metadata"]["url"], 204)
    program.call("GET", made["metadata"]["url"], 404)
    program.call("DELETE", published["metadata"]["url"], 204)
    program.call("GET", url, 404)
    program.call("DELETE", address, 204)
    program.call("GET", address, 404)


def test_a_stream_by_plain_requests(program: Program, content: bytes, pipeline_content: bytes) -> None:
    published = program.store(content, pipeline_content)
    spark = SPARK_HEADER["X-Spark-Service-Instance"]
    # `echo ... | base64` leaves a line end in the decoded text.
    wrapped = base64.b64encode(base64.b64decode(spark) + b"\n").decode()
    made = program.call(
        "POST", published["entity"]["deployments"]["url"], 201, STREAM, X_Spark_Service_Instance=wrapped
    )
    assert (made["entity"]["type"], made["entity"]["status"]) == ("stream", "INITIALIZING")
    assert "scoring_url" not in made["entity"]
    url = made["metadata"]["url"]
    assert program.finished(url, "INITIALIZING")["entity"]["status"] == "RUNNING"
    for status in ("STOPPED", "RUNNING"):
        program.call("PATCH", url, 204, [{"op": "replace", "path": "/status", "value": status}])
    program.call("DELETE", url, 204)


def test_calls_over_the_limit_are_429_and_say_when_to_come_back(
    serve: Callable[..., Service], content: bytes, pipeline_content: bytes
) -> None:
    quotas = Quotas(models=1, deployments=1, deployment_calls=3, prediction_calls=2)
    program = Program(serve(quotas=quotas))
    program.log_in()
    published = program.store(content, pipeline_content)
    refused = program.call("POST", "/v3/ml_assets/models", 403, saved_models.request())
    assert refused["errors"][0]["code"] == "models_plan_limit_reached"
    collection, body = published["entity"]["deployments"]["url"], {"name": "d", "type": "online"}
    made = program.call("POST", collection, 201, body)
    refused = program.call("POST", collection, 403, body)
    assert refused["errors"][0] == {
        "code": "deployments_plan_limit_reached",
        "message": "Current plan 'local' only allows 1 deployments",
    }
    for status in (200, 200, 429):
        answer = program.call("POST", made["entity"]["scoring_url"], status, ROWS)
    assert answer["errors"][0]["code"] == "rate_limit_exceeded"
    assert 1 <= int(program.headers["Retry-After"]) <= 60
    program.call("DELETE", made["metadata"]["url"], 204)
    refused = program.call("POST", collection, 429, body)
    assert refused["errors"][0]["code"] == "rate_limit_exceeded"
    usage = program.call("GET", program.base, 200)["entity"]["usage"]
    assert usage["model_count"] == {"limit": 1, "current": 1}
    assert usage["deployment_count"] == {"limit": 1, "current": 0}


def test_a_minute_later_calls_pass_again() -> None:
    now = [100.0]
    meter = Meter(Quotas(other_calls=1), lambda: now[0])
    meter.count("prediction")
    meter.count("other")
    now[0] += 59.5
    with pytest.raises(Problem) as refused:
        meter.count("other")
    assert (refused.value.status, refused.value.headers) == (429, {"retry-after": "1"})
    now[0] += 0.5
    meter.count("other")
