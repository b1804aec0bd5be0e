from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import saved_models
from deploying import FIELDS, ONLINE, ROWS, certificate, online, score, status

from wmlclient import scoring
from wmlclient.runner.engine.errors import Conflict, Invalid, NotFound, NotSupported
from wmlclient.runner.engine.ports import SparkUnavailable

NO_JAVA = SparkUnavailable("java_not_found", "No Java was found. Install a JDK 17 and set JAVA_HOME.")


# -- certificates


def test_a_content_is_checked_and_scored_natively_where_the_numbers_agree(world: Any, content: bytes) -> None:
    version = world.upload(content)
    found = certificate(world, version.id)
    assert found["state"] == "checked"
    assert found["engine"] == "native"
    assert found["mismatches"] == 0
    assert found["rows"] == found["generated_rows"] >= 900
    assert found["sample_rows"] == 0
    assert found["spark_version"] == "4.2.0"
    folder = world.engine.contents.folder(world.engine.store.models.version(version.id).digest)
    assert found["model_digest"] == scoring.model_digest(folder)
    assert found["scorer_digest"] == scoring.scorer_digest()
    assert found["largest_difference"] == 0.0
    assert set(found["columns"]) >= {"probability", "prediction"}
    assert found["checked_at"].endswith("Z")


def test_sample_and_generated_rows_are_compared_as_one_table(world: Any, content: bytes) -> None:
    sample = {"fields": ["label", "text", "id"], "values": [[1, "what a day", 7], [0, "so sad", None]]}
    version = world.upload(content, sample=sample)
    found = certificate(world, version.id)
    assert (found["sample_rows"], found["engine"]) == (2, "native")
    assert found["generated_rows"] > 900
    fields, values = world.spark.asked[-1]
    assert fields == ["text", "id"]
    assert values[:2] == [["what a day", 7], ["so sad", None]]
    assert len(values) == found["rows"]


def test_numbers_that_differ_choose_spark_and_say_where(world: Any, content: bytes) -> None:
    world.spark.skew = 1.0
    version = world.upload(content)
    found = certificate(world, version.id)
    assert (found["state"], found["engine"], found["mismatches"]) == ("checked", "spark", found["rows"])
    assert "prediction" in found["reason"]
    assert len(found["examples"]) == 5
    assert found["examples"][0]["column"] == "prediction"


def test_an_unknown_stage_chooses_spark_and_is_named(world: Any, tmp_path: Path) -> None:
    folder = saved_models.text_pipeline(
        tmp_path / "m", last="org.apache.spark.ml.clustering.PowerIterationClustering"
    )
    version = world.upload(saved_models.archive(folder))
    found = certificate(world, version.id)
    assert (found["state"], found["engine"]) == ("checked", "spark")
    assert "LogisticRegression_3" in found["reason"]
    assert "PowerIterationClustering" in found["reason"]


def test_without_spark_a_deployment_fails_with_the_reason_and_the_next_one_checks_again(
    world: Any, content: bytes
) -> None:
    world.spark.down = NO_JAVA
    version = world.upload(content)
    assert certificate(world, version.id)["state"] == "unavailable"
    first = world.engine.deployments.create(version.model_id, ONLINE, None)
    failed = status(world, first.id, "DEPLOY_FAILURE")
    (failure,) = failed.failure
    assert failure["code"] == "model_not_checked"
    assert NO_JAVA.message in failure["message"]
    with pytest.raises(Conflict, match="No Java"):
        world.engine.scorers.find(first.id, None).ready.result(20)
    world.spark.down = None
    second = world.engine.deployments.create(version.model_id, ONLINE, None)
    assert status(world, second.id, "DEPLOY_SUCCESS").engine == "native"
    assert world.engine.store.models.version(version.id).certificate["state"] == "checked"


def test_a_model_without_a_schema_says_so(world: Any, content: bytes) -> None:
    version = world.upload(content, training_data_schema=None, label_column=None)
    found = certificate(world, version.id)
    assert found["state"] == "unavailable"
    assert "training_data_schema" in found["reason"]


def test_publishing_does_not_wait_for_the_check_and_a_deployment_does(world: Any, content: bytes) -> None:
    world.spark.hold.clear()
    version = world.upload(content)
    assert world.engine.models.published(version.model_id)[1].certificate["state"] == "pending"
    made = world.engine.deployments.create(version.model_id, ONLINE, None)
    assert made.status == "INITIALIZING"
    assert world.engine.deployments.get(made.id).status == "DEPLOY_IN_PROGRESS"
    assert not world.engine.deployments.ready(made.id).done()
    world.spark.hold.set()
    status(world, made.id, "DEPLOY_SUCCESS")


def test_a_check_that_a_restart_interrupts_is_done_again(world: Any, content: bytes) -> None:
    world.spark.hold.clear()
    version = world.upload(content)
    world.engine.close()
    world.restart()
    assert certificate(world, version.id)["engine"] == "native"


# -- what is refused when a model is created


@pytest.mark.parametrize(
    ("change", "code", "target"),
    [
        (
            {"framework": {"name": "tensorflow", "version": "1.5"}},
            "runtime_env_not_supported",
            "framework.name",
        ),
        ({"training_data_schema": {"type": "struct"}}, "invalid_request_payload", "training_data_schema"),
        (
            {"training_data_schema": {"type": "struct", "fields": [{"name": "a", "type": "text"}]}},
            "invalid_request_payload",
            "training_data_schema.fields[0].type",
        ),
        (
            {"input_data_schema": {"type": "struct", "fields": [{"name": "a", "type": "string"}] * 2}},
            "invalid_request_payload",
            "input_data_schema.fields[1]",
        ),
        ({"label_column": "nope"}, "invalid_request_payload", "label_column"),
        ({"sample": {"fields": ["text"], "values": [["a", "b"]]}}, "invalid_request_payload", "sample"),
        ({"sample": {"fields": ["id", "text"], "values": [["x", "y"]]}}, "invalid_request_payload", "sample"),
        ({"sample": {"fields": ["id"], "values": [[1]]}}, "invalid_request_payload", "sample"),
        (
            {"sample": {"fields": ["id", "text", "x"], "values": [[1, "a", 2]]}},
            "invalid_request_payload",
            "sample",
        ),
        ({"sample": {"fields": ["id", "id"], "values": [[1, 1]]}}, "invalid_request_payload", "sample"),
    ],
)
def test_a_wrong_model_is_refused_and_not_stored(world: Any, change: Any, code: str, target: str) -> None:
    with pytest.raises(Invalid) as caught:
        world.engine.models.create(saved_models.request(**change))
    assert caught.value.code == code
    assert caught.value.target == {"type": "field", "name": target}
    with world.engine.store.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM models").scalar() == 0


def test_content_is_never_fetched_from_somewhere(world: Any) -> None:
    with pytest.raises(NotSupported):
        world.engine.models.create(saved_models.request(content_location={"url": "file:///etc/passwd"}))


# -- online deployments


def test_a_deployment_scores_and_says_with_what(world: Any, content: bytes) -> None:
    made = online(world, content)
    ready = status(world, made.id, "DEPLOY_SUCCESS")
    assert ready.engine == "native"
    assert "1000 rows" in ready.engine_reason
    fields, values, errors = score(world, made, FIELDS, ROWS)
    assert fields == ["id", "text", "words", "features", "rawPrediction", "probability", "prediction"]
    assert not errors
    assert [row[:3] for row in values] == [
        [1, "what a day", ["what", "a", "day"]],
        [2, "so sad", ["so", "sad"]],
    ]
    size, indices, counts = values[0][3]
    assert (size, len(indices), counts) == (saved_models.FEATURES, 3, [1.0, 1.0, 1.0])
    assert all(abs(sum(row[5]) - 1.0) < 1e-12 for row in values)


def test_a_model_that_spark_cannot_load_fails_to_deploy(world: Any, tmp_path: Path) -> None:
    folder = saved_models.text_pipeline(
        tmp_path / "m", last="org.apache.spark.ml.clustering.PowerIterationClustering"
    )
    version = world.upload(saved_models.archive(folder))
    world.spark.refuse = "ClassNotFoundException: PowerIterationClustering"
    made = world.engine.deployments.create(version.model_id, ONLINE, None)
    failed = status(world, made.id, "DEPLOY_FAILURE")
    assert "PowerIterationClustering" in failed.failure[0]["message"]


def test_a_name_and_a_description_can_change(world: Any, content: bytes) -> None:
    made = online(world, content)
    patch = [{"op": "replace", "path": "/name", "value": "new"}]
    assert world.engine.deployments.change(made.id, made.model_id, patch).name == "new"
    assert world.engine.deployments.get(made.id).description == "d"


def test_a_deployment_belongs_to_its_model(world: Any, content: bytes) -> None:
    made = online(world, content)
    other = world.upload(content)
    for look in (
        lambda: world.engine.deployments.get(made.id, other.model_id),
        lambda: world.engine.deployments.delete(made.id, other.model_id),
        lambda: world.engine.deployments.change(made.id, other.model_id, []),
        lambda: world.engine.scorers.find(made.id, other.model_id),
        lambda: world.engine.deployments.get("unknown"),
    ):
        with pytest.raises(NotFound):
            look()


def test_who_waits_for_a_deployment_is_told_when_it_is_deleted(world: Any, content: bytes) -> None:
    world.spark.hold.clear()
    made = online(world, content)
    waiting = world.engine.deployments.ready(made.id)
    world.engine.deployments.delete(made.id)
    with pytest.raises(NotFound):
        waiting.result(20)
    world.spark.hold.set()
    # The load that was under way when it went away brings nothing back.
    version = world.upload(content, name="after")
    certificate(world, version.id)
    with pytest.raises(NotFound):
        world.engine.scorers.find(made.id, None)
    assert world.engine.store.deployments.all() == []


def test_deleting_a_model_takes_its_deployments_along(world: Any, content: bytes) -> None:
    made = online(world, content)
    status(world, made.id, "DEPLOY_SUCCESS")
    world.engine.delete_model(made.model_id)
    for look in (
        lambda: world.engine.models.get(made.model_id),
        lambda: world.engine.deployments.get(made.id),
        lambda: world.engine.scorers.find(made.id, None),
        lambda: world.engine.delete_model(made.model_id),
    ):
        with pytest.raises(NotFound):
            look()
    assert world.files() == set()


def test_deployments_made_while_their_model_is_deleted_do_not_stay(world: Any, content: bytes) -> None:
    version = world.upload(content)
    stop = threading.Event()
    trouble: list[Exception] = []

    def deploy() -> None:
        while not stop.is_set():
            try:
                world.engine.deployments.create(version.model_id, ONLINE, None)
            except NotFound:
                return
            except Exception as error:
                trouble.append(error)
                return

    threads = [threading.Thread(target=deploy) for _ in range(3)]
    for thread in threads:
        thread.start()
    world.engine.delete_model(version.model_id)
    stop.set()
    for thread in threads:
        thread.join()
    assert trouble == []
    assert world.engine.store.deployments.all() == []


def test_a_restart_finds_everything(world: Any, content: bytes) -> None:
    made = online(world, content)
    status(world, made.id, "DEPLOY_SUCCESS")
    before = score(world, made, FIELDS, ROWS)
    world.engine.count_predictions(5)
    world.restart()
    assert world.spark.calls == 0
    assert score(world, made, FIELDS, ROWS) == before
    assert status(world, made.id, "DEPLOY_SUCCESS").created_at == made.created_at
    assert world.spark.calls == 0  # the certificate was kept: nothing is checked again
    assert world.engine.predictions() == 5


def test_a_models_deletion_that_a_crash_interrupts_is_finished_after_the_restart(
    world: Any, content: bytes
) -> None:
    made = online(world, content)
    status(world, made.id, "DEPLOY_SUCCESS")
    world.engine.store.models.set_deleted(made.model_id, True)  # and here the power fails
    world.restart()
    assert world.engine.store.deployments.all() == []
    assert world.engine.store.digests() == set()
    assert world.files() == set()


@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        ("virtual", Invalid, "not_supported_deployment_type"),
        ("x" * 1000, Invalid, "not_supported_deployment_type"),
    ],
)
def test_other_kinds_are_refused_by_name(
    world: Any, content: bytes, kind: str, error: Any, code: str
) -> None:
    version = world.upload(content)
    with pytest.raises(error, match=kind[:20]) as caught:
        world.engine.deployments.create(version.model_id, {"name": "x", "type": kind}, None)
    assert caught.value.code == code


def test_a_batch_without_places_is_refused_and_not_kept(world: Any, content: bytes) -> None:
    version = world.upload(content)
    with pytest.raises(Invalid, match="required fields: input"):
        world.engine.deployments.create(version.model_id, {"name": "x", "type": "batch"}, None)
    assert world.engine.store.deployments.all() == []


def test_a_model_without_content_cannot_be_deployed(world: Any) -> None:
    model, _ = world.engine.models.create(saved_models.request())
    with pytest.raises(NotFound):
        world.engine.deployments.create(model.id, ONLINE, None)
