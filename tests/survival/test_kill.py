"""What is left when processes die: no record lost, no JVM and no broker left behind."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import wmlclient
from wmlclient.runner.processes import command_line

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.timeout(420),
    # A client of kafka-python that cannot be made, as its broker ends or begins, leaves its socket to the collector.
    pytest.mark.filterwarnings(
        r"ignore:.*unclosed <socket.socket fd=\d+, family=2, type=1, proto=6:ResourceWarning"
    ),
]

SCHEMA = "id int, text string, label double"
TEXTS = ["what a lovely day", "awful, just awful", "so good, love it", "bad bad news"]


@pytest.fixture(scope="module")
def pipeline_model(spark: Any) -> Any:
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import HashingTF, Tokenizer

    train = spark.createDataFrame([(i, TEXTS[i % 4], 1.0 - i % 2) for i in range(16)], SCHEMA)
    stages = [
        Tokenizer(inputCol="text", outputCol="words"),
        HashingTF(inputCol="words", outputCol="features", numFeatures=256),
        LogisticRegression(maxIter=5),
    ]
    return Pipeline(stages=stages).fit(train), train


class Served:
    """``wmlclient serve`` on a home, as an operator starts it."""

    def __init__(self, home: Path, log: Path) -> None:
        self.home = home
        self._log = open(log, "ab")  # noqa: SIM115 - closed by close()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> wmlclient.Client:
        old = self._inode()
        argv = [str(Path(sys.executable).parent / "wmlclient"), "serve"]
        argv += ["--home", str(self.home), "--port", "0", "--kafka"]
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        wait_until(lambda: self._inode() not in (None, old), 90, "credentials.json", self.alive)
        return wmlclient.Client.from_profile(path=self.home / "credentials.json")

    def _inode(self) -> int | None:
        try:
            return (self.home / "credentials.json").stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def alive(self) -> bool:
        assert self._process is not None
        return self._process.poll() is None

    def family(self) -> list[psutil.Process]:
        """All processes below the service, JVMs included."""
        assert self._process is not None
        return psutil.Process(self._process.pid).children(recursive=True)

    def end(self, number: int) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(60)

    def close(self) -> None:
        if self._process is not None and self.alive():
            self.end(signal.SIGTERM)
        self._log.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    service = Served(tmp_path / "home", tmp_path / "serve.log")
    yield service
    service.close()


def wait_until(
    done: Callable[[], Any], seconds: float, what: str, going: Callable[[], bool] = lambda: True
) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert going(), f"ended while waiting for {what}"
        assert time.monotonic() < deadline, f"no {what} within {seconds} s"
        time.sleep(0.1)


def wait_gone(processes: list[psutil.Process], seconds: float = 60) -> None:
    _, left = psutil.wait_procs(processes, timeout=seconds)
    assert not left, f"left behind: {[(p.pid, p.cmdline()[:4]) for p in left if p.is_running()]}"


def java(processes: list[psutil.Process], program: str = "") -> list[psutil.Process]:
    """The JVMs among them; a short process of the family may have gone since, and has no command line any more."""
    return [each for each in processes if re.match(rf"\S*java .*{program}", command_line(each.pid))]


def test_stream_survives_kill_of_the_service(served: Served, pipeline_model: Any) -> None:
    """kill -9 while records flow; the next start on the same home goes on by itself, and nothing is lost."""
    model, train = pipeline_model
    client = served.start()
    published = client.models.publish(model, name="m", sample=train, label_col="label")
    kafka = client.kafka
    source, target = kafka.topic("in"), kafka.topic("out")
    spark_service = wmlclient.SparkService(cluster_master_url="local[2]")
    stream = published.deploy("s", source=source, target=target, spark=spark_service).wait(timeout=180)

    source.send([{"id": i, "text": TEXTS[i % 4]} for i in range(500)])
    wait_until(lambda: len(target.read(timeout=5)) >= 100, 60, "first records")
    source.send([{"id": i, "text": TEXTS[i % 4]} for i in range(500, 1000)])
    family = served.family()
    assert len(java(family)) == 2  # Spark and the broker
    assert served.end(signal.SIGKILL) == -signal.SIGKILL
    wait_gone(family)

    again = served.start()
    assert again.url != client.url or again.instance_id == client.instance_id
    found = again.deployments.get(stream.id).wait(timeout=180)
    assert found.status == "RUNNING"
    source, target = again.kafka.topic("in"), again.kafka.topic("out")
    source.send([{"id": i, "text": TEXTS[i % 4]} for i in range(1000, 1200)])
    seen: set[int] = set()

    def all_there() -> bool:
        seen.update(record.value["id"] for record in target.read(timeout=10))
        return seen == set(range(1200))

    wait_until(all_there, 120, "every record scored")
    assert again.models.get(published.id).parity.engine == "native"
    found.delete()


def test_a_native_stream_survives_kill_of_the_service_exactly_once(
    served: Served, pipeline_model: Any
) -> None:
    """kill -9 while records flow, with a worker from elsewhere in the group: nothing lost, nothing double."""
    model, train = pipeline_model
    client = served.start()
    published = client.models.publish(model, name="m", sample=train, label_col="label")
    source, target = client.kafka.topic("in").create(4), client.kafka.topic("out").create(4)
    stream = published.deploy("s", source=source, target=target, receipts=True, workers=2).wait(timeout=180)
    assert (stream.engine, stream.delivery) == ("native", "exactly_once")
    argv = [
        str(Path(sys.executable).parent / "wmlclient"),
        "--credentials",
        str(served.home / "credentials.json"),
    ]
    worker = subprocess.Popen([*argv, "worker", stream.id], stdout=subprocess.PIPE, text=True)
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline().startswith("running, partitions")
        source.send([{"id": i, "text": TEXTS[i % 4]} for i in range(2000)])
        wait_until(lambda: len(target.read(timeout=5)) >= 100, 60, "first records")
        source.send([{"id": i, "text": TEXTS[i % 4]} for i in range(2000, 4000)] + ["no JSON"])
        family = served.family()
        assert served.end(signal.SIGKILL) == -signal.SIGKILL
        wait_gone(family)

        again = served.start()
        found = again.deployments.get(stream.id).wait(timeout=180)
        source = again.kafka.topic("in")
        source.send([{"id": i, "text": TEXTS[i % 4]} for i in range(4000, 5000)])
        worker.terminate()
        assert worker.wait(60) == 0
        source.send([{"id": i, "text": TEXTS[i % 4]} for i in range(5000, 6000)])
        # A worker that had to leave its transaction open hides what was sent after it, until Kafka ends it.
        wait_until(lambda: found.audit(again.kafka).outputs >= 6000, 150, "every record")
        audit = found.audit(again.kafka)
        assert audit.ok, str(audit)
        assert (audit.inputs, audit.outputs, audit.dead_letters) == (6001, 6000, 1)
        assert [letter.reason for letter in found.dead_letters(again.kafka)] == ["malformed JSON"]
        wait_until(lambda: (p := found.progress) is not None and sum(p.lag.values()) == 0, 30, "no lag")
        found.delete()
    finally:
        worker.kill()
        worker.communicate()  # closes its pipe, too


def test_sigterm_takes_everything_along(served: Served, pipeline_model: Any) -> None:
    model, train = pipeline_model
    client = served.start()
    published = client.models.publish(model, name="m", sample=train, label_col="label")
    published.deploy("online")  # has started Spark for the certificate
    family = served.family()
    assert len(java(family)) == 2

    assert served.end(signal.SIGTERM) == 0

    wait_gone(family, 5)


NOTEBOOK = """
    import signal, sys, time
    import wmlclient
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, a kernel does not
    client = wmlclient.Client.local()
    client.kafka.topic("t").send([{"id": 1}])
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_embedded_runner_ends_with_its_parent(number: int) -> None:
    notebook = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(NOTEBOOK)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert notebook.stdout is not None
    watchdog = threading.Timer(120, notebook.kill)
    watchdog.start()
    try:
        assert notebook.stdout.readline().strip() == "ready"
    finally:
        watchdog.cancel()
    family = psutil.Process(notebook.pid).children(recursive=True)
    assert java(family)

    notebook.send_signal(number)
    notebook.wait(60)
    notebook.stdout.close()

    wait_gone(family)


def test_a_dead_spark_does_not_take_the_service_down(served: Served, pipeline_model: Any) -> None:
    model, train = pipeline_model
    client = served.start()
    published = client.models.publish(model, name="m", sample=train, label_col="label")
    source, target = client.kafka.topic("in"), client.kafka.topic("out")
    spark_service = wmlclient.SparkService(cluster_master_url="local[2]")
    published.deploy("s", source=source, target=target, spark=spark_service).wait(timeout=180)
    drivers = java(served.family(), "SparkSubmit")
    assert drivers

    for driver in drivers:
        driver.kill()
    source.send([{"id": i, "text": TEXTS[i % 4]} for i in range(100)])

    assert {record.value["id"] for record in target.read(100, timeout=240)} == set(range(100))
    assert client.instance.plan
