"""A stream is moved to another version: what the row says, what runs, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from runner_fakes import eventually
from test_runner_versions import further, other, url  # noqa: F401 - a fixture among them
from test_stream_choice import HEADER, create, model_id  # noqa: F401 - a fixture among them

from wmlclient.runner.engine.errors import Conflict, EngineError, Invalid
from wmlclient.runner.engine.ports import StreamSetupError


@pytest.fixture
def stream(world: Any, model_id: str) -> Any:  # noqa: F811
    made = create(world, model_id)
    eventually(lambda: made.id in world.native.streams)
    return world.engine.deployments.get(made.id)


def moved(world: Any, stream: Any, version: str) -> Any:
    world.engine.deployments.move(stream.id, None, url(stream.model_id, version)).result(20)
    return world.engine.deployments.get(stream.id)


def test_a_running_stream_takes_the_version_and_goes_on(world: Any, stream: Any, other: bytes) -> None:  # noqa: F811
    version = further(world, stream.model_id, other)
    before = world.native.streams[stream.id]
    found = moved(world, stream, version)
    assert (found.status, found.version_id, found.previous_id) == ("RUNNING", version, stream.version_id)
    spec = world.native.streams[stream.id]
    assert spec.model_digest != before.model_digest
    assert world.native.starts == [stream.id]
    back = moved(world, stream, stream.version_id)
    assert (back.version_id, back.previous_id) == (stream.version_id, version)
    assert world.native.streams[stream.id] == before


def test_a_stopped_one_starts_with_it(world: Any, stream: Any, other: bytes) -> None:  # noqa: F811
    world.engine.deployments.change(
        stream.id, None, [{"op": "replace", "path": "/status", "value": "STOPPED"}]
    )
    version = further(world, stream.model_id, other)
    assert moved(world, stream, version).status == "STOPPED"
    assert world.native.streams == {}
    world.engine.deployments.change(
        stream.id, None, [{"op": "replace", "path": "/status", "value": "RUNNING"}]
    )
    eventually(lambda: stream.id in world.native.streams)
    found = world.engine.store.models.version(version)
    assert world.native.streams[stream.id].model_digest == found.digest


@pytest.mark.parametrize("trouble", ["native", "workers"])
def test_what_cannot_be_leaves_everything_as_it_was(
    world: Any,
    stream: Any,
    other: bytes,  # noqa: F811
    trouble: str,
) -> None:
    version = further(world, stream.model_id, other)
    kind: type[EngineError]
    if trouble == "native":
        world.native.reason, kind, code = "stage X needs Spark", Invalid, "model_not_native"
    else:
        world.native.trouble = StreamSetupError("update_failed", "not loaded")
        kind, code = Conflict, "underlying_api_error"
    with pytest.raises(kind) as caught:
        moved(world, stream, version)
    assert caught.value.code == code
    found = world.engine.deployments.get(stream.id)
    assert (found.status, found.version_id, found.previous_id) == ("RUNNING", stream.version_id, None)


def test_spark_takes_the_version_too(world: Any, model_id: str, other: bytes) -> None:  # noqa: F811
    made = create(world, model_id, HEADER)
    eventually(lambda: made.id in world.spark.streams)
    version = further(world, model_id, other)
    # What the native engine thinks of the version does not matter here.
    world.native.reason = "stage X needs Spark"
    found = moved(world, made, version)
    assert (found.status, found.version_id, found.previous_id) == ("RUNNING", version, made.version_id)
    assert world.spark.streams[made.id].model_digest == world.engine.store.models.version(version).digest
    assert world.spark.starts == [made.id]
    world.spark.update_error = StreamSetupError("load_model_failure", "not loaded")
    with pytest.raises(Conflict, match="not loaded"):
        moved(world, made, made.version_id)
    assert world.engine.deployments.get(made.id).version_id == version


def test_a_version_that_has_no_real_time_mode_is_refused(world: Any, model_id: str, other: bytes) -> None:  # noqa: F811
    made = create(world, model_id, HEADER, latency="realtime")
    eventually(lambda: made.id in world.spark.streams)
    version = further(world, model_id, other)
    world.spark.no_realtime = "its model takes vectors"
    with pytest.raises(Invalid, match="takes vectors") as caught:
        moved(world, made, version)
    assert caught.value.code == "latency_not_supported"
    assert world.engine.deployments.get(made.id).version_id == made.version_id
