"""Which engine runs a stream, and what is refused: by the request, the model and its certificate."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from runner_fakes import eventually

from wmlclient import wire
from wmlclient.runner.engine import streams
from wmlclient.runner.engine.errors import Invalid
from wmlclient.runner.engine.ports import SparkUnavailable, StreamSetupError

HEADER = wire.encode_spark_service({"version": "2.0"})
KAFKA = {"kafka_brokers_sasl": ["127.0.0.1:9092"]}


def request(far: bool = False, **more: Any) -> dict[str, Any]:
    other = {"kafka_brokers_sasl": ["far:9092"]} if far else KAFKA
    return {
        "name": "tweets",
        "type": "stream",
        "input": {"connection": KAFKA, "source": {"topic": "in", "type": "kafka"}},
        "output": {"connection": other, "target": {"topic": "out", "type": "kafka"}},
        **more,
    }


@pytest.fixture
def model_id(world: Any, content: bytes) -> str:
    version = world.upload(content)
    world.engine.certificates.checked(version)
    return str(version.model_id)


def create(world: Any, model_id: str, header: str | None = None, **more: Any) -> Any:
    return world.engine.deployments.create(model_id, request(**more), header)


def refused(world: Any, model_id: str, header: str | None = None, **more: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        create(world, model_id, header, **more)
    assert world.engine.store.deployments.all() == []
    return caught.value


def test_without_a_spark_service_the_native_engine_runs_it_exactly_once(world: Any, model_id: str) -> None:
    made = create(world, model_id)
    assert made.engine == "native"
    assert made.engine_reason.startswith("no Spark service is named, and all ")
    eventually(lambda: made.id in world.native.streams)
    spec = world.native.streams[made.id]
    assert (spec.delivery, spec.workers, spec.receipts) == ("exactly_once", 1, False)
    assert world.spark.starts == []


def test_wishes_reach_the_engine(world: Any, model_id: str) -> None:
    made = create(world, model_id, engine="native", delivery="at_least_once", workers=3, receipts=True)
    eventually(lambda: made.id in world.native.streams)
    spec = world.native.streams[made.id]
    assert (spec.delivery, spec.workers, spec.receipts) == ("at_least_once", 3, True)


def test_a_named_spark_service_runs_it_at_least_once(world: Any, model_id: str) -> None:
    made = create(world, model_id, HEADER)
    assert (made.engine, made.engine_reason) == ("spark", "the request names a Spark service")
    eventually(lambda: made.id in world.spark.streams)
    assert world.spark.streams[made.id].delivery == "at_least_once"
    assert world.native.starts == []


def test_real_time_and_receipts_reach_spark(world: Any, model_id: str) -> None:
    made = create(world, model_id, HEADER, latency="realtime", receipts=True)
    assert made.engine_reason == "the request names a Spark service, in Real-time Mode"
    eventually(lambda: made.id in world.spark.streams)
    spec = world.spark.streams[made.id]
    assert (spec.latency, spec.receipts) == ("realtime", True)


def test_real_time_is_refused_with_the_reason_that_is_known_beforehand(world: Any, model_id: str) -> None:
    world.spark.no_realtime = "the model takes vectors"
    error = refused(world, model_id, HEADER, latency="realtime")
    assert error.code == "latency_not_supported"
    assert "takes vectors" in error.message


@pytest.mark.parametrize("code", ["realtime_needs_slots", "realtime_not_supported"])
def test_real_time_is_refused_with_the_reason_that_spark_has(world: Any, model_id: str, code: str) -> None:
    world.spark.check_error = StreamSetupError(code, "Not enough of it.")
    error = refused(world, model_id, HEADER, latency="realtime", receipts=True)
    assert (error.code, error.message) == (code, "Not enough of it.")
    [spec] = world.spark.checked
    assert (spec.latency, spec.receipts, spec.source.topic) == ("realtime", True, "in")
    assert world.spark.starts == []
    assert create(world, model_id, HEADER).engine == "spark"


def test_what_else_is_in_the_way_of_real_time_is_told_when_it_starts(world: Any, model_id: str) -> None:
    world.spark.check_error = StreamSetupError("broker_unavailable", "no broker")
    made = create(world, model_id, HEADER, latency="realtime")
    eventually(lambda: made.id in world.spark.streams)


def test_a_spark_that_takes_long_to_answer_is_not_waited_for(
    world: Any, model_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "ASKED_SECONDS", 0.05)
    answer = threading.Event()
    monkeypatch.setattr(world.spark, "check_stream", lambda spec: answer.wait(10))
    made = create(world, model_id, HEADER, latency="realtime")
    answer.set()
    eventually(lambda: made.id in world.spark.streams)


def test_two_clusters_are_never_promised_exactly_once(world: Any, model_id: str) -> None:
    assert create(world, model_id, far=True).body["delivery"] == "at_least_once"
    # Two addresses may be one cluster: who asks for it is believed, and the worker looks.
    assert create(world, model_id, far=True, delivery="exactly_once").body["delivery"] == "exactly_once"


def test_a_model_that_needs_spark_is_refused_with_the_stage_that_forces_it(world: Any, model_id: str) -> None:
    world.native.reason = "stage ALS_1 is not scored natively: ratings"
    error = refused(world, model_id)
    assert error.code == "missing_prediction_spark_definition"
    assert "ALS_1" in error.message
    assert refused(world, model_id, engine="native").code == "model_not_native"
    assert create(world, model_id, HEADER).engine == "spark"


def test_a_model_whose_numbers_differ_is_refused_with_its_certificate(world: Any, content: bytes) -> None:
    world.spark.skew = 0.5
    version = world.upload(content)
    reason = world.engine.certificates.checked(version)["reason"]
    error = refused(world, version.model_id)
    assert error.code == "missing_prediction_spark_definition"
    assert reason in error.message


def test_a_stream_made_before_the_check_is_done_waits_for_it(world: Any, content: bytes) -> None:
    world.spark.hold.clear()
    version = world.upload(content)
    made = create(world, version.model_id)
    assert made.engine is None
    world.spark.hold.set()
    eventually(lambda: world.engine.deployments.get(made.id).status == "RUNNING")
    found = world.engine.deployments.get(made.id)
    assert found.engine == "native"
    assert found.engine_reason.startswith("no Spark service is named, and ")


def differing(world: Any, content: bytes, **more: Any) -> Any:
    """A stream that was made before the check of its model, which then asks for Spark."""
    world.spark.hold.clear()
    world.spark.skew = 0.5
    version = world.upload(content)
    made = create(world, version.model_id, **more)
    assert made.engine is None
    return made


def test_a_stream_made_before_a_check_that_finds_a_difference_moves_to_spark_with_it(
    world: Any, content: bytes
) -> None:
    made = differing(world, content, receipts=True)
    assert made.body["delivery"] == "exactly_once"
    world.spark.hold.set()
    eventually(lambda: world.engine.deployments.get(made.id).status == "RUNNING")
    found = world.engine.deployments.get(made.id)
    assert (found.engine, found.body["delivery"]) == ("spark", "at_least_once")
    assert found.engine_reason.startswith(
        "the check of the model came after the stream, and asks for Spark: "
    )
    assert "asked" not in found.body
    spec = world.spark.streams[made.id]
    assert (spec.delivery, spec.receipts, spec.created_at_ms) == ("at_least_once", True, made.created_at)
    assert world.native.starts == []


def test_a_stream_that_was_moved_starts_on_spark_again(world: Any, content: bytes) -> None:
    made = differing(world, content)
    world.spark.hold.set()
    eventually(lambda: world.spark.starts == [made.id])
    for status in ("STOPPED", "RUNNING"):
        world.engine.deployments.change(
            made.id, None, [{"op": "replace", "path": "/status", "value": status}]
        )
    eventually(lambda: world.spark.starts == [made.id] * 2)
    assert world.native.starts == []


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"engine": "native"}, "model_not_native"),
        ({"delivery": "exactly_once"}, "delivery_not_supported"),
        ({"workers": 2}, "workers_not_supported"),
        (
            {
                "input": {
                    "connection": {**KAFKA, "token": "t"},
                    "source": {"topic": "in", "type": "kafka"},
                }
            },
            "sasl_mechanism_not_supported",
        ),
    ],
)
def test_a_stream_that_asks_for_what_spark_has_not_is_not_moved(
    world: Any, content: bytes, more: dict[str, Any], code: str
) -> None:
    made = differing(world, content, **more)
    world.spark.hold.set()
    eventually(lambda: world.engine.deployments.get(made.id).status == "FAILED")
    [failure] = world.engine.deployments.get(made.id).failure
    assert failure["code"] == code
    assert (world.native.starts, world.spark.starts) == ([], [])


def test_a_stream_is_not_moved_where_there_is_no_spark(
    world: Any, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = world.engine.certificates.checked

    def then_gone(version: Any) -> Any:
        found = checked(version)
        world.spark.down = SparkUnavailable("java_not_found", "No Java is installed. Install one.")
        return found

    monkeypatch.setattr(world.engine.certificates, "checked", then_gone)
    made = differing(world, content)
    world.spark.hold.set()
    eventually(lambda: world.engine.deployments.get(made.id).status == "FAILED")
    [failure] = world.engine.deployments.get(made.id).failure
    assert failure["code"] == "missing_prediction_spark_definition"
    assert "No Java is installed. Install one." in failure["message"]


@pytest.mark.parametrize(
    ("header", "more", "code"),
    [
        (None, {"latency": "realtime"}, "missing_prediction_spark_definition"),
        (None, {"latency": "realtime", "engine": "native"}, "latency_not_supported"),
        (HEADER, {"engine": "native"}, "engine_conflict"),
        (None, {"engine": "spark"}, "missing_prediction_spark_definition"),
        (HEADER, {"delivery": "exactly_once"}, "delivery_not_supported"),
        (HEADER, {"workers": 2}, "workers_not_supported"),
        (None, {"engine": "flink"}, "invalid_request_payload"),
        (None, {"delivery": "at_most_once"}, "invalid_request_payload"),
        (None, {"workers": 65}, "invalid_request_payload"),
    ],
)
def test_wishes_that_cannot_be_had_are_refused_by_name(
    world: Any, model_id: str, header: str | None, more: dict[str, Any], code: str
) -> None:
    assert refused(world, model_id, header, **more).code == code


def test_what_a_stream_tells_of_itself_is_kept_until_it_starts_anew(world: Any, model_id: str) -> None:
    made = create(world, model_id)
    eventually(lambda: world.engine.deployments.get(made.id).status == "RUNNING")
    world.native.tell(made.id, "progress", records_in=5)
    told = {"records_in": 5, "restarts": 0, "last_error": None}
    assert world.engine.streams.progress(made.id) == told


def test_the_end_of_the_service_ends_the_native_streams(world: Any, model_id: str) -> None:
    create(world, model_id)
    world.engine.close()
    assert world.native.closed


def test_a_login_that_spark_cannot_have_is_refused_by_name(world: Any, model_id: str) -> None:
    connection = {**KAFKA, "token": "t"}
    side = {"connection": connection, "source": {"topic": "in", "type": "kafka"}}
    error = refused(world, model_id, HEADER, input=side)
    assert error.code == "sasl_mechanism_not_supported"
    assert error.target == {"type": "field", "name": "input.connection.sasl_mechanism"}
    other = {"connection": connection, "target": {"topic": "out", "type": "kafka"}}
    assert create(world, model_id, input=side, output=other).engine == "native"
