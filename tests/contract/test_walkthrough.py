"""The calls of the Watson ML documents, in their order, with their bodies and codes."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import saved_models
from contract_service import INSTANCE, ONLINE, PASSWORD, ROWS, SPARK, SPARK_HEADER, STREAM, USER, Service

STOP = [{"op": "replace", "path": "/status", "value": "STOPPED"}]
START = [{"op": "replace", "path": "/status", "value": "RUNNING"}]
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_publish_a_model_with_its_definition(
    service: Service, content: bytes, pipeline_content: bytes
) -> None:
    definition = {
        "name": "Sentiment Prediction",
        "framework": {"name": "mllib", "version": "4.0"},
        "author": {},
    }
    stored = service.call("POST", "/v3/ml_assets/training_definitions", json=definition)
    assert stored.status == 201
    assert stored.response.headers["Location"] == stored.url
    assert re.search(r"/v3/ml_assets/training_definitions/[^/]+$", stored.url)
    version = stored.entity["training_definition_version"]
    assert version["url"] == f"{stored.url}/versions/{version['guid']}"
    assert version["content_url"] == f"{version['url']}/content"
    # The repository half of the genuine client sends no Content-Type with an upload, and evaluates this as Python.
    assert not re.search(r"\b(null|true|false)\b", stored.response.text)
    assert service.call("PUT", version["content_url"], data=pipeline_content).status == 200

    made = service.call(
        "POST", "/v3/ml_assets/models", json=saved_models.request(training_definition_url=version["url"])
    )
    assert made.status == 201
    assert re.search(r"/models/[^/]+$", made.url)
    assert UUID.fullmatch(made.guid)
    entity = made.entity
    assert entity["framework"]["name"] == "mllib"
    assert entity["label_column"] == "label"
    assert entity["ml_asset_guid"] == made.guid
    assert entity["ml_asset_url"] == made.url
    assert entity["versions_url"] == f"{made.url}/versions"
    published = f"/v3/wml_instances/{INSTANCE}/published_models/{made.guid}"
    assert service.call("GET", published).status == 404
    assert service.call("GET", made.url).status == 200
    assert service.call("PUT", entity["model_version"]["content_url"], data=content).status == 200

    found = service.call("GET", published)
    assert found.status == 200
    assert found.guid == made.guid
    entity = found.entity
    assert entity["model_type"] == "mllib-4.2"
    assert entity["runtime_environment"] == "spark-4.2"
    assert entity["label_col"] == "label"
    assert [column["name"] for column in entity["training_data_schema"]["fields"]] == ["id", "text", "label"]
    assert [column["name"] for column in entity["input_data_schema"]["fields"]] == ["id", "text"]
    assert entity["deployments"] == {"count": 0, "url": f"{found.url}/deployments"}
    assert entity["latest_version"]["url"] == made.entity["model_version"]["url"]
    assert TIME.fullmatch(found.body["metadata"]["created_at"])
    listed = service.call("GET", f"/v3/wml_instances/{INSTANCE}/published_models/").body
    assert [model["metadata"]["guid"] for model in listed["resources"]] == [made.guid]
    assert listed["count"] == 1
    assert "bill_of_materials" not in listed["resources"][0]["entity"]
    materials = entity["bill_of_materials"]
    assert [stage["java_class"].rpartition(".")[2] for stage in materials["stages"]] == [
        "Tokenizer",
        "HashingTF",
        "LogisticRegressionModel",
    ]
    assert materials["archive_size"] == len(content)
    assert {"name": "text", "type": "string"} in materials["input"]
    assert "next" not in listed

    # Loading it again, as the client does.
    size = service.call("GET", entity["latest_version"]["url"], params={"size": "true"}).body
    assert size == {"contentSize": len(content)}
    for url in (f"{made.entity['model_version']['content_url']}?", f"{made.url}/content"):
        assert service.call("GET", url, headers={"Accept": "application/octet-stream"}).body == content


def test_foreign_assets_are_not_there(service: Service, content: bytes) -> None:
    """Before each call the genuine client asks seven places; exactly one may say yes."""
    guid = service.published(content).guid
    probes = [
        f"/v3/wml_instances/{INSTANCE}/published_models/{guid}",
        f"/v3/ml_assets/training_definitions/{guid}",
        f"/v3/experiments/{guid}",
        f"/v3/functions/{guid}",
        f"/v4/runtimes/{guid}",
        f"/v4/libraries/{guid}",
        f"/v3/wml_instances/{INSTANCE}/deployments/{guid}",
    ]
    assert [service.call("GET", path).status for path in probes] == [200] + [404] * 6


def test_deploy_online_and_score(service: Service, content: bytes) -> None:
    model = service.published(content)
    made = service.call("POST", model.entity["deployments"]["url"], json=ONLINE)
    assert made.status == 201
    entity = made.entity
    assert made.url == f"{model.url}/deployments/{made.guid}"
    assert entity["scoring_url"] == f"{made.url}/online"
    assert (entity["name"], entity["description"], entity["type"]) == (
        "sentiment",
        "My Cool Deployment",
        "online",
    )
    assert entity["status"] == "DEPLOY_SUCCESS"
    assert entity["engine"] == "native"
    for reference in (entity["published_model"], entity["deployable_asset"]):
        assert (reference["guid"], reference["url"]) == (model.guid, model.url)
    assert entity["deployable_asset"]["type"] == "model"
    assert entity["deployed_version"]["guid"] == model.entity["latest_version"]["guid"]

    flat = f"{service.url}/v3/wml_instances/{INSTANCE}/deployments/{made.guid}"
    assert service.call("GET", flat).body == service.call("GET", made.url).body
    answers = [service.call("POST", url, json=ROWS) for url in (entity["scoring_url"], f"{flat}/online")]
    assert answers[0].body == answers[1].body
    assert answers[0].response.headers["X-Scoring-Engine"] == "native"
    body = answers[0].body
    assert body["fields"] == ["id", "text", "words", "features", "rawPrediction", "probability", "prediction"]
    assert [row[0] for row in body["values"]] == [1, 2]
    first = dict(zip(body["fields"], body["values"][0], strict=True))
    assert first["words"] == ["what", "a", "day"]
    assert first["features"][0] == saved_models.FEATURES
    assert len(first["probability"]) == 2
    assert first["prediction"] in (0.0, 1.0)

    usage = service.operation("Instances_Get").entity["usage"]
    assert usage["model_count"] == {"current": 1}
    assert usage["deployment_count"] == {"current": 1}
    assert usage["prediction_count"]["current"] >= 4
    assert service.call("GET", model.url).entity["deployments"]["count"] == 1
    assert service.call("GET", model.url).entity["parity"]["engine"] == "native"
    assert service.call("DELETE", made.url).status == 204
    assert service.call("GET", flat).status == 404
    assert service.call("POST", entity["scoring_url"], json=ROWS).status == 404


def test_deploy_on_the_flat_path_without_waiting(service: Service, content: bytes) -> None:
    model = service.published(content)
    request = {**ONLINE, "deployable_asset_url": model.url}
    made = service.call("POST", f"/v3/wml_instances/{INSTANCE}/deployments?sync=false", json=request)
    assert (made.status, made.entity["status"]) == (202, "INITIALIZING")
    assert made.url.startswith(model.url)
    # The genuine client takes everything but these two for a failure.
    polled = service.call("GET", f"/v3/wml_instances/{INSTANCE}/deployments/{made.guid}").entity["status"]
    assert polled in ("DEPLOY_IN_PROGRESS", "DEPLOY_SUCCESS")
    service.until(made.url, "DEPLOY_SUCCESS")


def test_a_stream_as_the_documents_print_it(service: Service, content: bytes) -> None:
    model = service.published(content)
    made = service.call("POST", model.entity["deployments"]["url"], json=STREAM, headers=SPARK_HEADER)
    assert made.status == 201
    entity = made.entity
    assert (entity["type"], entity["status"]) == ("stream", "INITIALIZING")
    assert "scoring_url" not in entity
    assert entity["input"]["source"] == STREAM["input"]["source"]
    assert set(entity["input"]["connection"]) == set(STREAM["input"]["connection"])
    assert entity["input"]["connection"]["kafka_brokers_sasl"] == ["127.0.0.1:9092"]
    assert entity["input"]["connection"]["password"] == "********"
    assert set(entity["spark_service"]["credentials"]) == set(SPARK["credentials"])
    assert entity["spark_service"]["credentials"]["tenant_secret"] == "********"
    assert entity["engine"] == "spark"
    running = service.until(made.url, "RUNNING")
    assert service.spark.streams[made.guid].source.password == "kafka-s3cr3t"

    stopped = service.call("PATCH", made.url, json=STOP)
    assert (stopped.status, stopped.response.content) == (204, b"")
    assert service.spark.streams == {}
    assert service.call("GET", made.url).entity["status"] == "STOPPED"
    flat = f"/v3/wml_instances/{INSTANCE}/deployments/{made.guid}"
    assert service.call("PATCH", flat, json=START).status == 204
    service.until(made.url, "RUNNING")
    assert running.body["metadata"]["created_at"] == made.body["metadata"]["created_at"]
    assert service.call("DELETE", made.url).status == 204
    assert service.call("GET", made.url).status == 404


def test_lists_can_be_filtered_and_paged(service: Service, content: bytes) -> None:
    model = service.published(content)
    url = model.entity["deployments"]["url"]
    made = [service.call("POST", url, json={**ONLINE, "name": str(number)}).guid for number in range(5)]
    stream = service.call("POST", url, json=STREAM, headers=SPARK_HEADER)
    service.until(stream.url, "RUNNING")
    for address in (url, f"{service.url}/v3/wml_instances/{INSTANCE}/deployments"):
        seen: list[str] = []
        following: str | None = f"{address}?limit=2&type=online"
        while following is not None:
            page = service.call("GET", following).body
            assert page["count"] == 5
            assert page["limit"] == 2
            seen += [found["metadata"]["guid"] for found in page["resources"]]
            following = page["next"]["url"] if "next" in page else None
        assert seen == made
        one = service.call("GET", address, params={"status": "RUNNING"}).body["resources"]
        assert [found["metadata"]["guid"] for found in one] == [stream.guid]
        assert len(service.call("GET", address).body["resources"]) == 6


def test_tokens_under_both_addresses(service: Service) -> None:
    for path in ("/v3/identity/token", "/v2/identity/token"):
        response = requests.get(service.url + path, auth=(USER.encode(), PASSWORD.encode()), timeout=10)
        assert response.status_code == 200
        assert list(response.json()) == ["token"]


def test_numbers_that_json_lacks_are_words(service: Service, content: bytes) -> None:
    from wmlclient.runner.engine.scored import Scored
    from wmlclient.runner.engine.scorers import Live
    from wmlclient.runner.scoring_route import _json

    made = service.online(content)
    slot = service.engine.scorers.find(made.guid, None)

    class Odd:
        engine = "native"

        def score(self, fields: Any, values: Any) -> Any:
            return Scored(["text", "x", "y"], [["null", float("nan"), [float("-inf"), None]]])

    slot.live = Live(Odd(), "v")
    answer = service.call("POST", made.entity["scoring_url"], json=ROWS)
    assert answer.body["values"] == [["null", "NaN", ["-Infinity", None]]]
    assert _json(Scored(["a"], [[None]])) == b'{"fields":["a"],"values":[[null]]}'


@pytest.mark.parametrize("engine", ["native", "spark"])
def test_large_and_small_scores_at_once_get_their_own_rows(
    service: Service, content: bytes, engine: str
) -> None:
    service.spark.skew = 1.0 if engine == "spark" else 0.0
    made = service.online(content)
    assert made.entity["engine"] == engine
    token = service.auth.issue()
    local = threading.local()

    def score(size: int) -> bool:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        rows = [[number, f"tweet {number} of {size}"] for number in range(size)]
        response = local.session.post(
            made.entity["scoring_url"],
            json={"fields": ["id", "text"], "values": rows},
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )
        assert response.headers["X-Scoring-Engine"] == engine
        return [row[:2] for row in response.json()["values"]] == rows

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(score, [1, 3000, 2, 1, 3, 2000, 1, 1] * 3))
        list(pool.map(lambda _: local.__dict__.pop("session", requests.Session()).close(), range(16)))
