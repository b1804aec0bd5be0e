from __future__ import annotations

import threading
from typing import Any

import pytest
from runner_fakes import eventually

from wmlclient import wire
from wmlclient.runner.engine.errors import Conflict, Invalid, NotFound
from wmlclient.runner.engine.ports import PortError, SparkUnavailable, StreamSetupError
from wmlclient.runner.engine.streams import BACKOFF

HEADER = wire.encode_spark_service({"credentials": {"tenant_secret": "s3cr3t"}, "version": "2.0"})
KAFKA = {"kafka_brokers_sasl": ["127.0.0.1:9092"], "user": "u", "password": "s3cr3t"}
STREAM = {
    "name": "tweets",
    "type": "stream",
    "input": {"connection": KAFKA, "source": {"topic": "sinput", "type": "kafka"}},
    "output": {"connection": KAFKA, "target": {"topic": "soutput", "type": "kafka"}},
}
STOP = [{"op": "replace", "path": "/status", "value": "STOPPED"}]
START = [{"op": "replace", "path": "/status", "value": "RUNNING"}]
DIED = {"code": "spark_driver_died", "message": "The driver died.", "retriable": True}


@pytest.fixture
def model_id(world: Any, content: bytes) -> str:
    return str(world.upload(content).model_id)


def create(world: Any, model_id: str, body: Any = None, header: str | None = HEADER) -> Any:
    return world.engine.deployments.create(model_id, body or STREAM, header)


def reach(world: Any, id: str, status: str) -> Any:
    def look() -> Any:
        found = world.engine.deployments.get(id)
        return found if found.status == status else None

    return eventually(look)


def running(world: Any, model_id: str) -> str:
    made = create(world, model_id)
    reach(world, made.id, "RUNNING")
    return str(made.id)


def test_a_stream_starts_with_all_that_its_engine_needs(world: Any, model_id: str) -> None:
    made = create(world, model_id)
    assert made.status == "INITIALIZING"
    assert reach(world, made.id, "RUNNING").failure is None
    spec = world.spark.streams[made.id]
    assert spec.source.topic == "sinput"
    assert spec.target.topic == "soutput"
    assert spec.dead_letter.topic == "soutput.dead-letters"
    assert spec.source.security_protocol == "SASL_SSL"
    assert spec.created_at_ms == made.created_at
    assert [column["name"] for column in spec.input_schema["fields"]] == ["id", "text"]
    assert spec.model_digest.startswith("sha256:")
    assert spec.checkpoint_dir == str(world.home / "checkpoints" / made.id)
    assert world.spark.masters[-1] is None
    assert world.topics.seen == ["sinput", "soutput", "soutput.dead-letters"]


def test_a_stream_reads_and_writes_where_its_topics_are_now(world: Any, model_id: str) -> None:
    world.topics.moved = ("127.0.0.1:20001",)
    made = create(world, model_id)
    reach(world, made.id, "RUNNING")
    spec = world.spark.streams[made.id]
    assert {end.brokers for end in (spec.source, spec.target, spec.dead_letter)} == {("127.0.0.1:20001",)}


def test_the_header_names_the_cluster(world: Any, model_id: str) -> None:
    header = wire.encode_spark_service({"credentials": {"cluster_master_url": "spark://h:7077"}})
    reach(world, create(world, model_id, header=header).id, "RUNNING")
    assert "spark://h:7077" in world.spark.masters  # the check of the model asks for a Spark, too


@pytest.mark.parametrize(
    ("header", "code"),
    [(None, "missing_prediction_spark_definition"), ("%", "spark_header_deserialization_error")],
)
def test_a_stream_that_needs_spark_is_not_made_without_its_header(
    world: Any, model_id: str, header: Any, code: str
) -> None:
    world.native.reason = "stage ALS_1 is not scored natively"
    with pytest.raises(Invalid) as caught:
        create(world, model_id, header=header)
    assert caught.value.code == code
    assert world.engine.store.deployments.all() == []


@pytest.mark.parametrize("code", ["broker_unavailable", "broker_authentication_failed", "topic_not_found"])
def test_a_connection_that_does_not_work_fails_at_once_with_its_reason(
    world: Any, model_id: str, code: str
) -> None:
    world.topics.error = StreamSetupError(code, "What is wrong.")
    failed = reach(world, create(world, model_id).id, "FAILED")
    assert failed.failure == [{"code": code, "message": "What is wrong."}]
    assert world.spark.starts == []
    assert world.delay.waiting == []


def test_no_java_fails_at_once_with_its_reason(world: Any, model_id: str) -> None:
    world.spark.start_error = SparkUnavailable("java_not_found", "No Java was found.")
    assert reach(world, create(world, model_id).id, "FAILED").failure[0]["code"] == "java_not_found"


def test_a_bug_in_an_engine_fails_the_stream_without_its_text(
    world: Any, model_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*args: Any) -> None:
        raise RuntimeError("s3cr3t")

    monkeypatch.setattr(world.spark, "start_stream", bug)
    failed = reach(world, create(world, model_id).id, "FAILED")
    assert "RuntimeError" in failed.failure[0]["message"]
    assert "s3cr3t" not in str(failed.failure)


def test_stop_returns_when_the_query_is_gone_and_start_resumes(world: Any, model_id: str) -> None:
    id = running(world, model_id)
    assert world.engine.deployments.change(id, model_id, STOP) is None
    assert world.spark.streams == {}
    assert world.engine.deployments.get(id).status == "STOPPED"
    world.engine.deployments.change(id, None, STOP)
    assert world.engine.deployments.get(id).status == "STOPPED"
    assert world.engine.deployments.change(id, model_id, START) is None
    reach(world, id, "RUNNING")
    assert world.spark.starts == [id, id]
    # Running already: nothing happens.
    world.engine.deployments.change(id, model_id, START)
    assert world.spark.starts == [id, id]
    assert (world.home / "checkpoints" / id).is_dir()


def test_what_comes_late_from_a_stopped_stream_changes_nothing(world: Any, model_id: str) -> None:
    id = running(world, model_id)
    world.engine.deployments.change(id, model_id, STOP)
    for kind in ("running", "failed", "stopped", "progress"):
        world.spark.tell(id, kind, **DIED)
    assert world.engine.deployments.get(id).status == "STOPPED"
    assert world.delay.waiting == []


def test_a_driver_that_dies_is_replaced_after_growing_pauses_and_then_the_stream_has_failed(
    world: Any, model_id: str
) -> None:
    id = running(world, model_id)
    for tries, pause in enumerate(BACKOFF, start=2):
        world.spark.tell(id, "failed", **DIED)
        assert world.engine.deployments.get(id).status == "INITIALIZING"
        assert world.delay.run() == pause
        reach(world, id, "RUNNING")
        assert len(world.spark.starts) == tries
    world.spark.tell(id, "failed", **DIED)
    failed = world.engine.deployments.get(id)
    assert failed.status == "FAILED"
    assert failed.failure == [{"code": "spark_driver_died", "message": "The driver died."}]
    assert world.delay.waiting == []
    # The user may start it again, with all its tries.
    world.engine.deployments.change(id, None, START)
    assert reach(world, id, "RUNNING").failure is None
    world.spark.tell(id, "failed", **DIED)
    assert world.engine.deployments.get(id).status == "INITIALIZING"


def test_accidents_are_told_until_a_batch_goes_well(world: Any, model_id: str) -> None:
    def told() -> Any:
        found = world.engine.streams.progress(id)
        return found and (found["restarts"], found["last_error"], found.get("records_in"))

    id = running(world, model_id)
    assert told() is None
    world.spark.tell(id, "failed", **DIED)
    assert told() == (1, "The driver died.", None)
    world.delay.run()
    reach(world, id, "RUNNING")
    world.spark.tell(id, "progress", records_in=0, batches=0, restarts=2, last_error=None)
    assert told() == (3, "The driver died.", 0)
    world.spark.tell(id, "progress", records_in=5, batches=1, restarts=2, last_error=None)
    assert told() == (3, None, 5)
    world.spark.tell(id, "progress", records_in=5, batches=1, restarts=2, last_error="its own")
    assert told() == (3, "its own", 5)
    # Counted since it was started.
    world.engine.deployments.change(id, None, STOP)
    world.engine.deployments.change(id, None, START)
    reach(world, id, "RUNNING")
    assert world.engine.streams.progress(id)["restarts"] == 2


def test_a_stream_that_ran_soundly_has_all_its_tries_again(world: Any, model_id: str) -> None:
    id = running(world, model_id)
    for _ in range(2 * len(BACKOFF)):
        world.clock.forward(61)
        world.spark.tell(id, "failed", **DIED)
        assert world.delay.run() == BACKOFF[0]
        reach(world, id, "RUNNING")


def test_a_query_that_fails_by_itself_is_not_tried_again(world: Any, model_id: str) -> None:
    id = running(world, model_id)
    world.spark.tell(id, "failed", code="stream_failed", message="The topic is gone.", retriable=False)
    assert world.engine.deployments.get(id).failure == [
        {"code": "stream_failed", "message": "The topic is gone."}
    ]
    assert world.delay.waiting == []


def test_a_stop_between_an_accident_and_the_next_try_holds(world: Any, model_id: str) -> None:
    id = running(world, model_id)
    world.spark.tell(id, "failed", **DIED)
    world.engine.deployments.change(id, None, STOP)
    world.delay.run()
    eventually(lambda: world.engine.streams._pool._work_queue.empty())
    assert world.engine.deployments.get(id).status == "STOPPED"
    assert world.spark.starts == [id]


def test_a_restart_resumes_what_should_run(world: Any, model_id: str) -> None:
    runs, stopped = running(world, model_id), running(world, model_id)
    world.engine.deployments.change(stopped, None, STOP)
    world.spark.tell(runs, "failed", code="stream_failed", message="x", retriable=False)
    world.restart()
    # What had failed is given another chance, as a user who restarts wants.
    reach(world, runs, "RUNNING")
    assert world.spark.starts == [runs]
    assert world.engine.deployments.get(stopped).status == "STOPPED"
    assert world.spark.streams[runs].checkpoint_dir.endswith(runs)


def test_a_broker_that_starts_slower_than_we_do_is_waited_for(world: Any, model_id: str) -> None:
    id = running(world, model_id)
    world.topics.error = StreamSetupError("broker_unavailable", "Nobody answers.")
    world.restart()
    eventually(lambda: world.delay.waiting)
    assert world.engine.deployments.get(id).status == "INITIALIZING"
    world.topics.error = None
    world.delay.run()
    reach(world, id, "RUNNING")


def test_delete_ends_the_query_and_forgets_the_checkpoint(world: Any, model_id: str) -> None:
    id = running(world, model_id)
    assert (world.home / "checkpoints" / id).is_dir()
    world.engine.deployments.delete(id, model_id)
    assert world.spark.streams == {}
    assert not (world.home / "checkpoints" / id).exists()
    with pytest.raises(NotFound):
        world.engine.deployments.get(id)


def test_a_query_that_cannot_be_stopped_is_an_error_unless_it_is_to_be_ignored(
    world: Any, model_id: str
) -> None:
    id = running(world, model_id)
    world.spark.stop_error = PortError("underlying_api_error", "Spark does not answer.")
    for act in (
        lambda: world.engine.deployments.change(id, None, STOP),
        lambda: world.engine.deployments.delete(id),
        lambda: world.engine.delete_model(model_id),
    ):
        with pytest.raises(Conflict, match="Spark does not answer"):
            act()
        assert world.engine.deployments.get(id).desired == "running"
    world.engine.delete_model(model_id, ignore_spark_errors=True)
    with pytest.raises(NotFound):
        world.engine.deployments.get(id)


def test_a_deletion_that_a_crash_interrupts_is_finished_after_the_restart(world: Any, model_id: str) -> None:
    id = running(world, model_id)
    world.engine.store.deployments.update(id, desired="deleted")  # and here the power fails
    world.restart()
    assert world.engine.store.deployments.all() == []
    assert world.spark.starts == []
    assert not (world.home / "checkpoints" / id).exists()


def test_stopping_while_it_is_being_started_wins(
    world: Any, model_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go = threading.Event(), threading.Event()

    def slow(endpoint: Any) -> Any:
        entered.set()
        go.wait(20)
        return endpoint

    monkeypatch.setattr(world.topics, "ensure", slow)
    made = create(world, model_id)
    entered.wait(20)
    stopping = threading.Thread(target=world.engine.deployments.change, args=(made.id, None, STOP))
    stopping.start()
    eventually(lambda: world.engine.store.deployments.get(made.id).desired == "stopped")
    go.set()
    stopping.join(20)
    assert world.engine.deployments.get(made.id).status == "STOPPED"
    assert world.spark.streams == {}


def test_secrets_are_kept_and_not_shown(world: Any, model_id: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    id = running(world, model_id)
    world.spark.tell(id, "failed", **DIED)
    world.engine.deployments.change(id, None, STOP)
    found = world.engine.deployments.get(id)
    assert found.body["input"]["connection"]["password"] == "s3cr3t"
    assert "s3cr3t" not in repr(found)
    assert "s3cr3t" not in caplog.text
