"""The whole runner with a real Spark and a real Kafka: the documented calls, and a kill in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import saved_models
from runner_fakes import eventually

from wmlclient import wire

pytestmark = [
    pytest.mark.spark,
    pytest.mark.kafka,
    pytest.mark.timeout(900),
    # kafka-python reads its own resources the old way.
    pytest.mark.filterwarnings("ignore:(read|open)_text is deprecated:DeprecationWarning"),
]

SPARK = {"X-Spark-Service-Instance": wire.encode_spark_service({"credentials": {"tenant_secret": "s3cr3t"}})}
STOP = [{"op": "replace", "path": "/status", "value": "STOPPED"}]
START = [{"op": "replace", "path": "/status", "value": "RUNNING"}]
SECONDS = 240


class Runner:
    """A process of the runner on one home, and a client of it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = home.with_suffix(".log")
        self.start()

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "wmlclient.runner",
            "--home",
            str(self.home),
            "--port",
            "0",
            "--kafka",
        ]
        last = self.credentials()
        with open(self.log, "ab") as sink:
            self.process = subprocess.Popen(command, stderr=sink)
        eventually(lambda: self.process.poll() is not None or self.credentials() not in ({}, last), SECONDS)
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        found = self.credentials()
        self.url, self.instance, self.kafka = found["url"], found["instance_id"], found["kafka"]
        login = (found["username"], found["password"])
        token = requests.get(f"{self.url}/v3/identity/token", auth=login, timeout=30).json()["token"]
        self.headers = {"Authorization": f"Bearer {token}"}

    def credentials(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.home / "credentials.json").read_text())
            return found
        except FileNotFoundError:
            return {}

    def call(self, method: str, path: str, status: int, **more: Any) -> Any:
        url = path if path.startswith("http") else self.url + path
        headers = {**self.headers, **more.pop("headers", {})}
        answer = requests.request(method, url, headers=headers, timeout=SECONDS, **more)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def family(self) -> list[psutil.Process]:
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def end(self, number: int) -> int:
        """Send a signal; returns the exit code once nothing is left."""
        family = self.family()
        self.process.send_signal(number)
        code = self.process.wait(60)
        eventually(lambda: not _alive(family), 60)
        return code


def _alive(family: list[psutil.Process]) -> list[psutil.Process]:
    alive = []
    for process in family:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
        except psutil.NoSuchProcess:
            continue
    return alive


class Desk:
    """Sends tweets to a topic and reads what comes out of another."""

    def __init__(self, runner: Runner, source: str, target: str) -> None:
        self._runner, self._source, self._target = runner, source, target

    def _options(self) -> dict[str, Any]:
        kafka = self._runner.kafka
        return {
            "bootstrap_servers": kafka["kafka_brokers_sasl"],
            "security_protocol": kafka["security_protocol"],
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": kafka["user"],
            "sasl_plain_password": kafka["password"],
        }

    def send(self, ids: range) -> None:
        from kafka import KafkaProducer

        producer = KafkaProducer(**self._options())
        try:
            for number in ids:
                value = json.dumps({"id": number, "text": f"what a day {number}"}).encode()
                producer.send(self._source, value=value)
            producer.flush(60)
        finally:
            producer.close()

    def read(self, ids: set[int], seconds: float = SECONDS) -> list[dict[str, Any]]:
        """All records of the target, once each of these ids is among them."""
        from kafka import KafkaConsumer

        consumer = KafkaConsumer(
            self._target, **self._options(), auto_offset_reset="earliest", consumer_timeout_ms=500
        )
        try:
            found: list[dict[str, Any]] = []
            deadline = time.monotonic() + seconds
            while not ids <= {record["id"] for record in found} and time.monotonic() < deadline:
                found += [json.loads(record.value) for record in consumer]
            assert ids <= {record["id"] for record in found}, f"lost: {ids - {r['id'] for r in found}}"
            return found
        finally:
            consumer.close()


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    started = Runner(tmp_path / "home")
    yield started
    if started.process.poll() is None:
        started.end(signal.SIGKILL)


def test_the_documented_calls_a_kill_and_a_clean_end(runner: Runner, tmp_path: Path) -> None:
    content = saved_models.archive(saved_models.text_pipeline(tmp_path / "model"))
    made = runner.call("POST", "/v3/ml_assets/models", 201, json=saved_models.request())
    runner.call("PUT", made["entity"]["model_version"]["content_url"], 200, data=content)
    model = f"/v3/wml_instances/{runner.instance}/published_models/{made['metadata']['guid']}"

    body = {
        "name": "Sentiment Prediction",
        "type": "stream",
        "description": "Streaming Deployment",
        "input": {"connection": runner.kafka, "source": {"topic": "sinput", "type": "kafka"}},
        "output": {"connection": runner.kafka, "target": {"topic": "soutput", "type": "kafka"}},
    }
    stream = runner.call("POST", f"{model}/deployments", 201, json=body, headers=SPARK)
    assert stream["entity"]["status"] == "INITIALIZING"
    path = f"{model}/deployments/{stream['metadata']['guid']}"

    def reach(status: str) -> Any:
        def look() -> Any:
            found = runner.call("GET", path, 200)["entity"]
            assert found["status"] != "FAILED" or status == "FAILED", found["status_details"]
            return found if found["status"] == status else None

        return eventually(look, SECONDS)

    reach("RUNNING")
    desk = Desk(runner, "sinput", "soutput")
    desk.send(range(10))
    records = desk.read(set(range(10)))
    first = next(record for record in records if record["id"] == 0)
    assert list(first) == ["id", "text", "words", "features", "rawPrediction", "probability", "prediction"]
    assert first["features"]["type"] == 0
    assert first["probability"]["type"] == 1

    # Stopped, records wait; running again, they come out, and none twice.
    runner.call("PATCH", path, 204, json=STOP)
    assert runner.call("GET", path, 200)["entity"]["status"] == "STOPPED"
    desk.send(range(10, 20))
    runner.call("PATCH", path, 204, json=START)
    reach("RUNNING")
    records = desk.read(set(range(20)))
    assert sorted(record["id"] for record in records) == list(range(20))

    # A kill of the runner while it runs: by itself it is RUNNING again, and nothing is lost.
    desk.send(range(20, 40))
    assert runner.end(signal.SIGKILL) == -signal.SIGKILL
    runner.start()
    reach("RUNNING")
    desk.send(range(40, 50))
    assert {record["id"] for record in desk.read(set(range(50)))} == set(range(50))

    # The same model online, checked by this very Spark.
    online = runner.call("POST", f"{model}/deployments", 201, json={"name": "x", "type": "online"})
    scoring = online["entity"]["scoring_url"]
    table = {"fields": ["id", "text"], "values": [[0, "what a day 0"]]}
    scored = runner.call("POST", scoring, 200, json=table)
    online_row = dict(zip(scored["fields"], scored["values"][0], strict=True))
    assert online_row["probability"] == first["probability"]["values"]
    certificate = runner.call("GET", model, 200)["entity"]["parity"]
    assert (certificate["state"], certificate["engine"], certificate["mismatches"]) == (
        "checked",
        "native",
        0,
    )

    runner.call("DELETE", path, 204)
    runner.call("GET", path, 404)
    assert not (runner.home / "checkpoints" / stream["metadata"]["guid"]).exists()
    assert len(runner.family()) > 3
    assert runner.end(signal.SIGTERM) == 0
    text = runner.log.read_text()
    assert "s3cr3t" not in text
    assert runner.kafka["password"] not in text
    assert os.listdir(runner.home / "archives" / "incoming") == []
