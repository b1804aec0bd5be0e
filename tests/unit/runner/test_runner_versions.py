"""Versions of a model, and online deployments that are moved from one to another."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
import saved_models
from runner_fakes import eventually

from wmlclient.runner.engine.errors import Invalid, NotFound
from wmlclient.runner.engine.ports import SparkUnavailable
from wmlclient.runner.store import Store

ONLINE = {"name": "sentiment", "type": "online", "description": "d"}
FIELDS, ROWS = ["id", "text"], [[1, "what a day"], [2, "so sad"]]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A model with other weights."""
    folder = saved_models.text_pipeline(tmp_path_factory.mktemp("model") / "other", weight=-2.0)
    return saved_models.archive(folder)


def further(world: Any, model_id: str, content: bytes, **request: Any) -> str:
    """A further version with content."""
    _, version = world.engine.models.create_version(model_id, saved_models.request(**request))
    world.put(model_id, version.id, content)
    return str(version.id)


def url(model_id: str, version_id: str) -> list[dict[str, Any]]:
    address = f"http://anywhere/v3/ml_assets/models/{model_id}/versions/{version_id}"
    return [{"op": "replace", "path": "/deployed_version/url", "value": address}]


def deployed(world: Any, content: bytes) -> Any:
    version = world.upload(content)
    made = world.engine.deployments.create(version.model_id, ONLINE, None)
    world.engine.deployments.ready(made.id).result(20)
    return world.engine.deployments.get(made.id)


def scored(world: Any, id: str) -> tuple[str, Any]:
    live = world.engine.scorers.find(id, None).live
    return live.version_id, live.scorer.score(FIELDS, ROWS).values


def test_a_version_counts_once_its_content_is_there(world: Any, content: bytes, other: bytes) -> None:
    first = world.upload(content)
    body = saved_models.request(name="second", evaluation={"metrics": [{"name": "auc", "value": 0.8}]})
    model, version = world.engine.models.create_version(first.model_id, {**body, "ml_asset_guid": "x"})
    assert (model.id, model.body["name"], "ml_asset_guid" in model.body) == (first.model_id, "second", False)
    assert world.engine.models.published(first.model_id)[1].id == first.id
    assert world.engine.models.evaluations(first.model_id) == []
    world.put(first.model_id, version.id, other)
    model, latest = world.engine.models.published(first.model_id)
    assert (latest.id, model.body["name"]) == (version.id, "second")
    assert world.engine.models.version(first.model_id, first.id)[0].body["name"] == "Sentiment"
    names = [each.body["name"] for each, _ in world.engine.models.versions(first.model_id, 10, None).items]
    assert names == ["Sentiment", "second"]
    ((told, figures),) = world.engine.models.evaluations(first.model_id)
    assert (told.id, figures) == (version.id, [{"name": "auc", "value": 0.8}])
    with pytest.raises(NotFound):
        world.engine.models.create_version("00000000-0000-4000-8000-000000000000", body)


def test_a_deployment_is_moved_and_moved_back(world: Any, content: bytes, other: bytes) -> None:
    made = deployed(world, content)
    first, before = scored(world, made.id)
    version = further(world, made.model_id, other)
    assert scored(world, made.id) == (first, before)
    world.engine.deployments.move(made.id, None, url(made.model_id, version)).result(20)
    moved = world.engine.deployments.get(made.id)
    assert (moved.status, moved.version_id, moved.previous_id) == ("DEPLOY_SUCCESS", version, first)
    now, values = scored(world, made.id)
    assert now == version
    assert values != before
    (back,) = world.engine.deployments.move_all(made.model_id, url(made.model_id, first))
    back.result(20)
    assert scored(world, made.id) == (first, before)
    assert world.engine.deployments.get(made.id).previous_id == version
    assert world.engine.store.deployments.deployed()[made.model_id].id == first


def test_what_was_moved_is_found_again_after_a_restart(world: Any, content: bytes, other: bytes) -> None:
    made = deployed(world, content)
    version = further(world, made.model_id, other)
    world.engine.deployments.move(made.id, None, url(made.model_id, version)).result(20)
    expected = scored(world, made.id)
    world.restart()
    world.engine.deployments.ready(made.id).result(20)
    assert scored(world, made.id) == expected


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_at_work(
    world: Any, content: bytes, other: bytes
) -> None:
    made = deployed(world, content)
    expected = scored(world, made.id)
    world.spark.down = SparkUnavailable("java_not_found", "No Java was found.")
    version = further(world, made.model_id, other)
    world.engine.deployments.move(made.id, None, url(made.model_id, version)).result(20)
    failed = world.engine.deployments.get(made.id)
    assert (failed.status, failed.version_id) == ("UPDATE_FAILURE", made.version_id)
    assert failed.failure[0]["code"] == "model_not_checked"
    assert scored(world, made.id) == expected
    world.spark.down = None
    world.engine.deployments.move(made.id, None, url(made.model_id, version)).result(20)
    assert scored(world, made.id)[0] == version
    assert world.engine.deployments.get(made.id).failure is None


def test_a_failed_deployment_is_saved_by_a_version_that_works(
    world: Any, content: bytes, other: bytes
) -> None:
    world.spark.down = SparkUnavailable("java_not_found", "No Java was found.")
    first = world.upload(content)
    made = world.engine.deployments.create(first.model_id, ONLINE, None)
    eventually(lambda: world.engine.deployments.get(made.id).status == "DEPLOY_FAILURE")
    world.spark.down = None
    version = further(world, first.model_id, other)
    world.engine.deployments.move(made.id, None, url(first.model_id, version)).result(20)
    assert world.engine.deployments.get(made.id).status == "DEPLOY_SUCCESS"
    assert scored(world, made.id)[0] == version


def test_of_two_moves_the_later_one_counts(
    world: Any, content: bytes, other: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = deployed(world, content)
    version = further(world, made.model_id, other)
    world.engine.certificates.submit(version).result(20)
    checked, hold = world.engine.certificates.checked, threading.Event()

    def slow(asked: Any) -> Any:
        if asked.id == version:
            hold.wait(20)
        return checked(asked)

    monkeypatch.setattr(world.engine.certificates, "checked", slow)
    late = world.engine.deployments.move(made.id, None, url(made.model_id, version))
    world.engine.deployments.move(made.id, None, url(made.model_id, made.version_id)).result(20)
    hold.set()
    late.result(20)
    assert scored(world, made.id)[0] == made.version_id
    found = world.engine.deployments.get(made.id)
    assert (found.status, found.version_id) == ("DEPLOY_SUCCESS", made.version_id)


def test_a_deployment_that_was_deleted_meanwhile_does_not_come_back(
    world: Any, content: bytes, other: bytes
) -> None:
    made = deployed(world, content)
    version = further(world, made.model_id, other)
    world.engine.deployments.delete(made.id)
    world.engine.deployments._online.move(made, version).result(20)
    with pytest.raises(NotFound):
        world.engine.scorers.find(made.id, None)


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ([], "patch_multiple_ops"),
        ([{"op": "remove", "path": "/deployed_version/url"}], "patch_multiple_ops"),
        ([{"op": "replace", "path": "/name", "value": "x"}], "patch_model_path_not_allowed"),
        ([{"op": "replace", "path": "/deployed_version/url", "value": 7}], "invalid_request_payload"),
        ([{"op": "replace", "path": "/deployed_version/url"}], "invalid_request_payload"),
        (url("another", "v"), "invalid_request_payload"),
    ],
)
def test_patches_that_are_refused(world: Any, content: bytes, patch: Any, code: str) -> None:
    version = world.upload(content)
    with pytest.raises(Invalid) as refused:
        world.engine.deployments.move_all(version.model_id, patch)
    assert refused.value.code == code


def test_a_version_without_content_is_no_place_to_move_to(world: Any, content: bytes) -> None:
    made = deployed(world, content)
    _, empty = world.engine.models.create_version(made.model_id, saved_models.request())
    with pytest.raises(Invalid, match="no such version with content"):
        world.engine.deployments.move(made.id, None, url(made.model_id, empty.id))
    with pytest.raises(NotFound):
        world.engine.deployments.move_all("00000000-0000-4000-8000-000000000000", [])


def test_a_home_of_an_older_release_gets_the_columns_that_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "runner.db"
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE versions DROP COLUMN body")
        connection.execute("ALTER TABLE deployments DROP COLUMN previous_id")
    connection.close()
    store = Store(path)
    assert store.models.versions("none").items == []
    assert store.deployments.all() == []
    store.close()
