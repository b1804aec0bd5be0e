"""The parent's side of the driver process, against a driver that is played."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wmlclient.runner import lines
from wmlclient.runner.engine.ports import KafkaEndpoint, SparkUnavailable, StreamSpec, TransformFailed
from wmlclient.runner.spark.client import DriverProcess

FAKE = Path(__file__).with_name("fake_driver.py")


class Stand:
    """Starts played drivers and keeps what they tell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[dict[str, Any]] = []
        self.deaths: list[SparkUnavailable] = []
        self.drivers: list[DriverProcess] = []

    def start(self, mode: str = "works") -> DriverProcess:
        driver = DriverProcess(
            [sys.executable, str(FAKE), mode],
            log=self.folder / "driver.log",
            env=dict(os.environ),
            on_event=self.events.append,
            on_death=self.deaths.append,
        )
        self.drivers.append(driver)
        return driver


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    made = Stand(tmp_path)
    yield made
    for driver in made.drivers:
        driver.kill()


def eventually(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_calls_and_events(stand: Stand) -> None:
    driver = stand.start()
    driver.wait_ready(20)
    assert driver.facts["version"] == "9.9.9"
    futures = [driver.call("echo", number=i) for i in range(20)]
    assert [future.result(20) for future in futures] == [{"number": i} for i in range(20)]
    driver.call("event", stream_id="s", kind="running", details={}).result(20)
    assert stand.events == [{"stream_id": "s", "kind": "running", "details": {}}]
    assert "some log line" in (stand.folder / "driver.log").read_text()


def test_errors_are_of_their_kind(stand: Stand) -> None:
    driver = stand.start()
    with pytest.raises(TransformFailed, match="Unseen label"):
        driver.call("transform").result(20)


def test_a_line_that_is_none_does_no_harm(stand: Stand) -> None:
    driver = stand.start()
    assert driver.call("garbage").result(20) == {}


def test_death_fails_all_that_waits_and_all_that_comes(stand: Stand) -> None:
    driver = stand.start()
    waiting = [driver.call("sleep") for _ in range(3)]
    driver.call("die")
    for future in waiting:
        with pytest.raises(SparkUnavailable) as caught:
            future.result(20)
        assert caught.value.code == "spark_driver_died"
        assert caught.value.retriable
    eventually(lambda: len(stand.deaths) == 1)
    assert not driver.alive
    with pytest.raises(SparkUnavailable):
        driver.call("echo").result(20)


def test_a_driver_that_cannot_start_says_why(stand: Stand) -> None:
    driver = stand.start("fails")
    with pytest.raises(SparkUnavailable, match="no session"):
        driver.wait_ready(20)


def test_a_driver_that_says_nothing_is_given_up(stand: Stand) -> None:
    driver = stand.start("silent")
    with pytest.raises(SparkUnavailable, match="not ready after"):
        driver.wait_ready(0.3)
    assert not driver.alive


def test_closing_is_no_accident(stand: Stand) -> None:
    driver = stand.start()
    driver.wait_ready(20)
    driver.close()
    driver.close()
    eventually(lambda: stand.deaths)
    assert not stand.deaths[0].retriable


def test_a_stream_crosses_the_pipe_whole() -> None:
    one = KafkaEndpoint(("a:1", "b:2"), "t", "SASL_SSL", "u", 'p"\\ä\n')
    spec = StreamSpec("s", "/m", {"type": "struct", "fields": []}, one, one, one, "/c", 5, "sha256:x")
    line = lines.encode({"spec": lines.spec_to_json(spec)})
    assert line.count(b"\n") == 1
    assert lines.spec_from_json(lines.decode(line)["spec"]) == spec
