"""The driver's life and death: nothing is left behind, and the next call finds a new one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from spark_stand import Fitted
from waiting import eventually

from wmlclient.runner.engine.ports import KafkaEndpoint, SparkUnavailable, StreamEvent, StreamSpec
from wmlclient.runner.jars import JarsUnavailable
from wmlclient.runner.processes import alive, command_line
from wmlclient.runner.spark.pool import DriverPool

pytestmark = [pytest.mark.spark, pytest.mark.timeout(300)]

SECONDS = 200


def no_jars() -> list[Path]:
    raise JarsUnavailable("jars_not_fetched", "The jars could not be fetched; connect once.")


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[DriverPool]:
    made = DriverPool(tmp_path, default_master="local[1]", jars=no_jars)
    yield made
    made.close()


@pytest.mark.parametrize("victim", ["pid", "jvm_pid"])
def test_a_killed_driver_is_replaced(pool: DriverPool, pipelines: dict[str, Fitted], victim: str) -> None:
    runner, model = pool.get(None), pipelines["text"]
    runner.version()
    pid, jvm = runner.pid, runner.jvm_pid
    assert pid
    assert jvm
    if victim == "pid":
        # Sent by this thread: one that another thread sends after the death would start the next driver.
        rows = {"model_dir": model.path, "schema": model.schema, "fields": ["text"], "values": [["a"]]}
        waiting = runner.job("transform", rows)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(SparkUnavailable) as caught:
            waiting.result(SECONDS)
        assert caught.value.code == "spark_driver_died"
        assert caught.value.retriable
    else:
        os.kill(jvm, signal.SIGKILL)
    eventually(lambda: not alive(jvm), what="the JVM's end")
    eventually(lambda: runner.pid is None, what="the driver's end")
    assert len(runner.transform(model.path, model.schema, ["text"], [["a"]]).result(SECONDS).values) == 1
    assert runner.pid not in (None, pid)


def test_closing_ends_the_jvm_and_keeps_the_secret_out_of_sight(pool: DriverPool) -> None:
    runner = pool.get(None)
    runner.version()
    pid, jvm = runner.pid, runner.jvm_pid
    assert pid
    assert jvm
    properties = runner.folder.properties
    secret = properties.read_text().split("spark.authenticate.secret=")[1].splitlines()[0]
    assert properties.stat().st_mode & 0o077 == 0
    assert secret not in command_line(jvm)
    pool.close()
    pool.close()
    assert not alive(jvm)
    assert not alive(pid)
    assert secret not in runner.folder.log.read_text(errors="replace")


PARENT = """
import sys, time
from pathlib import Path
from wmlclient.runner.spark.pool import DriverPool
runner = DriverPool(Path(sys.argv[1]), default_master="local[1]", jars=lambda: []).get(None)
runner.version()
print(runner.pid, runner.jvm_pid, flush=True)
time.sleep(250)
"""


def test_kill_9_of_the_parent_leaves_no_jvm(tmp_path: Path, root: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(root)}
    argv = [sys.executable, "-c", textwrap.dedent(PARENT), str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) as parent:
        try:
            assert parent.stdout is not None
            driver, jvm = (int(part) for part in parent.stdout.readline().split())
            assert alive(driver)
            assert alive(jvm)
        finally:
            parent.kill()
    eventually(lambda: not alive(jvm) and not alive(driver), what="their end")


def test_scoring_needs_no_connector_but_a_stream_does(pool: DriverPool, pipelines: dict[str, Fitted]) -> None:
    runner, model = pool.get(None), pipelines["text"]
    assert len(runner.transform(model.path, model.schema, ["text"], [["a"]]).result(SECONDS).values) == 1
    one = KafkaEndpoint(("127.0.0.1:1",), "t")
    events: list[StreamEvent] = []
    spec = StreamSpec("s", model.path, model.schema, one, one, one, "/nowhere", 0, "sha256:x")
    runner.start_stream(spec, events.append)
    [event] = eventually(lambda: list(events))
    assert (event.kind, event.details["code"]) == ("failed", "jars_not_fetched")
    assert "connect once" in event.details["message"]
    runner.stop_stream("s")


@pytest.mark.parametrize("master", ["mesos://x", "local[2] --conf a=b", "spark://a b"])
def test_a_master_that_is_none(tmp_path: Path, master: str) -> None:
    pool = DriverPool(tmp_path, jars=no_jars)
    with pytest.raises(SparkUnavailable, match="no Spark master"):
        pool.get(master).version()
    pool.close()


def test_without_java_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    pool = DriverPool(tmp_path, jars=no_jars)
    with pytest.raises(SparkUnavailable, match="Install a JDK 17 or 21") as caught:
        pool.get(None).version()
    assert caught.value.code == "java_not_found"
    pool.close()


def test_the_shells_own_spark_settings_do_not_reach_it(
    pool: DriverPool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SPARK_HOME", str(tmp_path / "no-spark"))
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path / "no-conf"))
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "--master local[7] nonsense")
    monkeypatch.setenv("SPARK_REMOTE", "sc://nowhere")
    assert pool.get(None).version()
