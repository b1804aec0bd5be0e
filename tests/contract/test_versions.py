"""Versions over the wire: an old program's update, the facade's, and a change of versions while requests run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import saved_models
from contract_service import INSTANCE, PASSWORD, ROWS, USER, Service

import wmlclient
from wmlclient.errors import BadRequestError, ConfigError, DeploymentFailedError
from wmlclient.runner.engine.ports import SparkUnavailable

VERSION = "X-Model-Version"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Saved models with different weights."""
    top = tmp_path_factory.mktemp("models")
    return [saved_models.text_pipeline(top / str(n), weight=weight) for n, weight in enumerate((0.25, -2.0))]


@pytest.fixture
def client(service: Service) -> Iterator[wmlclient.Client]:
    with wmlclient.Client(service.url, username=USER, password=PASSWORD, instance_id=INSTANCE) as client:
        yield client


def replaced(url: str) -> list[dict[str, str]]:
    return [{"op": "replace", "path": "/deployed_version/url", "value": url}]


def test_an_old_program_updates_a_model_and_its_deployment(service: Service, folders: list[Path]) -> None:
    made = service.online(saved_models.archive(folders[0]))
    model_url = f"{service.url}/v3/ml_assets/models/{made.entity['published_model']['guid']}"
    before = service.call("POST", made.entity["scoring_url"], json=ROWS)
    read = service.call("GET", model_url)
    version = service.call("GET", read.entity["model_version"]["url"])
    assert [each["name"] for each in version.entity["input_data_schema"]["fields"]] == ["id", "text"]
    assert version.entity["parity"]["engine"] == "native"
    written = service.call("POST", model_url, json=read.entity)
    assert (written.status, written.response.headers["Location"]) == (201, model_url)
    assert written.entity["model_version"]["guid"] != read.entity["model_version"]["guid"]
    put = service.call(
        "PUT", written.entity["model_version"]["content_url"], data=saved_models.archive(folders[1])
    )
    assert put.status == 200
    published_url = made.entity["published_model"]["url"]
    published = service.call("GET", published_url)
    latest = published.entity["latest_version"]
    assert latest["guid"] == written.entity["model_version"]["guid"]
    assert published.entity["deployed_version"]["guid"] == read.entity["model_version"]["guid"]
    patched = service.call("PATCH", published_url, json=replaced(latest["url"]))
    assert (patched.status, patched.entity["deployed_version"]) == (200, latest)
    moved = service.call("GET", made.url)
    assert (moved.entity["status"], moved.entity["deployed_version"]) == ("DEPLOY_SUCCESS", latest)
    assert moved.entity["scoring_url"] == made.entity["scoring_url"]
    after = service.call("POST", made.entity["scoring_url"], json=ROWS)
    assert after.body["values"] != before.body["values"]
    assert [each.response.headers[VERSION] for each in (before, after)] == [
        read.entity["model_version"]["guid"],
        latest["guid"],
    ]


def test_versions_in_the_facade(
    service: Service, client: wmlclient.Client, folders: list[Path], tmp_path: Path
) -> None:
    schema = saved_models.TEXT_SCHEMA
    model = client.models.publish(
        folders[0], "m", training_schema=schema, label_col="label", metrics={"areaUnderROC": 0.75}
    )
    online = model.deploy("o")
    first = model.version
    with pytest.raises(ConfigError, match="never ran another version"):
        online.rollback()
    second = model.publish_version(folders[1], metrics={"areaUnderROC": 0.8}, description="better")
    assert list(model.versions) == [first, second]
    model.wait_parity()
    certificates = [each.parity for each in (first, second)]
    assert all(each is not None and each.engine == "native" for each in certificates)
    assert len({each.model_digest for each in certificates if each is not None}) == 2
    assert (model.version, model.description, model.name) == (second, "better", "m")
    assert [(each["version"], each["metrics"]) for each in model.evaluations] == [
        (first.id, [{"name": "areaUnderROC", "value": 0.75}]),
        (second.id, [{"name": "areaUnderROC", "value": 0.8}]),
    ]
    row = {"id": 1, "text": "what a day"}
    before = online.score(row)
    assert (online.version, before.version) == (first.id, first.id)
    assert online.update(second) is online
    after = online.score(row)
    assert (online.version, online.previous_version, after.version) == (second.id, first.id, second.id)
    assert after != before
    assert online.rollback().score(row) == before
    assert online.rollback().version == second.id
    first.download(tmp_path / "first.tar.gz")
    model.download(tmp_path / "again.tar.gz", version=first.id)
    model.download(tmp_path / "latest.tar.gz")
    files = [(tmp_path / f"{name}.tar.gz").read_bytes() for name in ("first", "again", "latest")]
    assert files[0] == files[1] != files[2]
    with pytest.raises(BadRequestError, match="no such version"):
        online.update("00000000-0000-4000-8000-000000000000")
    service.spark.down = SparkUnavailable("java_not_found", "No Java was found.")
    third = model.publish_version(saved_models.text_pipeline(tmp_path / "third", weight=9.0))
    with pytest.raises(DeploymentFailedError, match="No Java"):
        online.update(third)
    assert online.score(row) == after


def test_versions_change_while_requests_run(service: Service, folders: list[Path]) -> None:
    made = service.online(saved_models.archive(folders[0]))
    model_id, url = made.entity["published_model"]["guid"], made.entity["scoring_url"]
    written = service.operation(
        "Models_CreateVersion", ids={"model_id": model_id}, json=saved_models.request()
    )
    service.call("PUT", written.entity["model_version"]["content_url"], data=saved_models.archive(folders[1]))
    links = [made.entity["deployed_version"], written.entity["model_version"]]
    expected: dict[str, Any] = {}
    for link in links:
        service.call("PATCH", made.entity["published_model"]["url"], json=replaced(link["url"]))
        expected[link["guid"]] = service.call("POST", url, json=ROWS).body
    assert expected[links[0]["guid"]] != expected[links[1]["guid"]]
    headers, over = {"Authorization": f"Bearer {service.auth.issue()}"}, threading.Event()
    found: list[tuple[int, str | None, Any]] = []

    def client() -> None:
        with requests.Session() as session:
            while not over.is_set():
                answer = session.post(url, json=ROWS, headers=headers, timeout=30)
                found.append((answer.status_code, answer.headers.get(VERSION), answer.json()))

    clients = [threading.Thread(target=client) for _ in range(3)]
    for each in clients:
        each.start()
    try:
        for swap in range(10):
            answer = service.call(
                "PATCH", made.entity["published_model"]["url"], json=replaced(links[swap % 2]["url"])
            )
            assert answer.entity["deployed_version"]["guid"] == links[swap % 2]["guid"]
            scored = service.call("POST", url, json=ROWS)
            assert scored.response.headers[VERSION] == links[swap % 2]["guid"]
    finally:
        over.set()
        for each in clients:
            each.join()
    assert {status for status, _, _ in found} == {200}
    assert {version for _, version, _ in found} == set(expected)
    assert all(body == expected[str(version)] for _, version, body in found)
