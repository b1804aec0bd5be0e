"""Certificates that come with a model: accepted where they hold, else the service looks for itself and says why."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
import saved_models
from certificate_maker import made
from runner_fakes import eventually

from wmlclient import scoring
from wmlclient.runner.engine.ports import SparkUnavailable
from wmlclient.scoring import certificates

ONLINE = {"name": "sentiment", "type": "online"}
NO_JAVA = SparkUnavailable("java_not_found", "No Java was found. Install a JDK 17 and set JAVA_HOME.")
TRAINING = saved_models.TEXT_SCHEMA
INPUT = {"type": "struct", "fields": TRAINING["fields"][:2]}


@pytest.fixture(scope="session")
def certificate(pipeline: Path) -> dict[str, Any]:
    return made(pipeline, INPUT, label="label", training=TRAINING, rows=40)


def kept(world: Any, version: Any) -> dict[str, Any]:
    def look() -> Any:
        found = world.engine.store.models.version(version.id).certificate
        return found if found["state"] != "pending" else None

    found: dict[str, Any] = eventually(look)
    return found


def deployed(world: Any, version: Any) -> Any:
    made = world.engine.deployments.create(version.model_id, ONLINE, None)

    def look() -> Any:
        found = world.engine.deployments.get(made.id)
        return found if found.status in ("DEPLOY_SUCCESS", "DEPLOY_FAILURE") else None

    return eventually(look)


def test_a_certificate_that_holds_needs_no_spark(
    world: Any, content: bytes, certificate: dict[str, Any]
) -> None:
    world.spark.down = NO_JAVA
    version = world.upload(content, certificate=certificate)

    assert kept(world, version) == certificate
    deployment = deployed(world, version)
    assert (deployment.status, deployment.engine) == ("DEPLOY_SUCCESS", "native")
    assert world.spark.masters == []


def test_another_archive_of_the_same_folder_will_do(
    world: Any, pipeline: Path, certificate: dict[str, Any]
) -> None:
    world.spark.down = NO_JAVA
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        tar.add(pipeline, arcname="sentiment")
    version = world.upload(packed.getvalue(), certificate=certificate)
    assert kept(world, version)["engine"] == "native"


def changed(certificate: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return certificates.sealed({**certificate, **changes})


REFUSED = [
    (lambda c: changed(c, model_digest="sha256:" + "0" * 64), "another model"),
    (lambda c: changed(c, scorer_digest="sha256:" + "0" * 64), "another version of the native scorer"),
    (lambda c: changed(c, format=99), "format is 99"),
    (lambda c: {**c, "mismatches": 1}, "changed after it was made"),
    (lambda c: changed(c, input={"text": "int"}), "made for the input text int"),
    (lambda c: {}, "format is None"),
]


@pytest.mark.parametrize(("change", "reason"), REFUSED)
def test_one_that_does_not_hold_is_refused_and_the_service_looks_for_itself(
    world: Any, content: bytes, certificate: dict[str, Any], change: Any, reason: str
) -> None:
    version = world.upload(content, certificate=change(certificate))

    found = kept(world, version)
    assert (found["state"], found["engine"]) == ("checked", "native")
    assert found["rows"] > 900  # its own comparison, not the 40 rows that came
    assert "not accepted" in found["reason"]
    assert reason in found["reason"]
    assert certificates.flaw(found, found["model_digest"]) is None


@pytest.mark.parametrize(("change", "reason"), REFUSED)
def test_without_spark_it_is_not_deployed(
    world: Any, content: bytes, certificate: dict[str, Any], change: Any, reason: str
) -> None:
    world.spark.down = NO_JAVA
    version = world.upload(content, certificate=change(certificate))

    assert kept(world, version)["state"] == "unavailable"
    deployment = deployed(world, version)
    assert deployment.status == "DEPLOY_FAILURE"
    (failure,) = deployment.failure
    assert failure["code"] == "model_not_checked"
    assert reason in failure["message"]
    assert "--allow-uncertified" in failure["message"]
    assert "certificate=" in failure["message"]


def test_one_that_found_mismatches_is_believed(world: Any, content: bytes, pipeline: Path) -> None:
    honest = made(pipeline, INPUT, label="label", training=TRAINING, rows=40, skew=1.0)
    version = world.upload(content, certificate=honest)

    assert kept(world, version) == honest
    assert deployed(world, version).engine == "spark"


@pytest.fixture
def trusting(world: Any) -> Any:
    """Without a Spark, and allowed to score what nobody has compared."""
    world.engine.close()
    world.uncertified = True
    world.spark.down = NO_JAVA
    world.start()
    return world


def test_uncertified_models_are_scored_where_that_is_allowed(trusting: Any, content: bytes) -> None:
    version = trusting.upload(content)

    found = kept(trusting, version)
    assert (found["state"], found["engine"]) == ("unavailable", "native")
    assert found["reason"].startswith("uncertified")
    assert NO_JAVA.message in found["reason"]
    deployment = deployed(trusting, version)
    assert (deployment.status, deployment.engine) == ("DEPLOY_SUCCESS", "native")
    assert deployment.engine_reason.startswith("uncertified")
    # Once there is a Spark, the next deployment is of a certified model.
    trusting.spark.down = None
    assert deployed(trusting, version).engine_reason.startswith("all ")


def test_what_no_engine_here_can_score_is_refused_all_the_same(trusting: Any, tmp_path: Path) -> None:
    clusters = "org.apache.spark.ml.clustering.PowerIterationClustering"
    version = trusting.upload(saved_models.archive(saved_models.text_pipeline(tmp_path / "m", last=clusters)))

    deployment = deployed(trusting, version)
    assert deployment.status == "DEPLOY_FAILURE"
    assert "No Java" in deployment.failure[0]["message"]


def test_after_an_upgrade_of_the_scorer_a_kept_certificate_is_made_anew(
    world: Any, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = world.upload(content)
    old = kept(world, version)
    calls = world.spark.calls
    assert deployed(world, version).status == "DEPLOY_SUCCESS"
    assert world.spark.calls == calls

    stale = changed(old, scorer_digest="sha256:" + "0" * 64)
    world.engine.store.models.set_certificate(version.id, stale)
    assert deployed(world, version).status == "DEPLOY_SUCCESS"
    assert world.spark.calls > calls
    assert kept(world, version)["scorer_digest"] == scoring.scorer_digest()
