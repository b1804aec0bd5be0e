"""The client itself: instance, Kafka, embedded runner, public names."""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from facade_stub import INSTANCE, PASSWORD, USER, Stub

import wmlclient
from wmlclient import KafkaConnection, errors
from wmlclient.client import Client, _Local


def test_the_instance(client: Client) -> None:
    instance = client.instance

    assert (instance.id, instance.plan, instance.status, instance.region) == (
        INSTANCE,
        "lite",
        "Active",
        "us-south",
    )
    assert str(instance.usage["model_count"]) == "6 of 200"
    assert instance.usage["capacity_units"].limit is None
    assert "gpu_count" not in instance.usage
    assert "6 of 200" in instance._repr_html_()


def test_kafka_of_a_remote_service_is_in_its_credentials(connect: Any) -> None:
    with pytest.raises(errors.ConfigError, match="no Kafka service"):
        _ = connect().kafka
    credentials = {"kafka_brokers_sasl": ["k:1"], "user": "u", "password": "kafka-secret"}
    client = connect(kafka=credentials)

    assert client.kafka.brokers == ("k:1",)
    assert client.kafka is client.kafka
    assert client.kafka.create_topics is False
    assert "kafka-secret" not in repr(client) + repr(client.kafka)


def test_raw_is_the_generated_client(client: Client) -> None:
    assert client.raw.instances.get(INSTANCE).entity.plan == "lite"


class FakeRunner:
    """Stands for the runner's child process."""

    made: list[FakeRunner] = []
    url = ""
    broken = False

    def __init__(
        self,
        home: Any = None,
        kafka: bool = False,
        spark_master: str = "",
        allow_uncertified: bool = False,
    ) -> None:
        self.home, self.kafka, self.spark_master = home, kafka, spark_master
        self.allow_uncertified = allow_uncertified
        self.stops = 0
        FakeRunner.made.append(self)

    def start(self) -> None:
        if FakeRunner.broken:
            raise RuntimeError("port 1 is in use")

    @property
    def credentials(self) -> dict[str, str]:
        return {"url": FakeRunner.url, "username": USER, "password": PASSWORD, "instance_id": INSTANCE}

    def kafka_credentials(self) -> dict[str, Any]:
        return {
            "kafka_brokers_sasl": ["127.0.0.1:9"],
            "user": "u",
            "password": "p",
            "security_protocol": "SASL_PLAINTEXT",
        }

    def stop(self) -> None:
        self.stops += 1


@pytest.fixture
def runner(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> type[FakeRunner]:
    module = types.ModuleType("wmlclient.runner.launch")
    module.LocalRunner = FakeRunner  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wmlclient.runner.launch", module)
    monkeypatch.setattr(_Local, "NEEDS", ())
    monkeypatch.setattr(FakeRunner, "made", [])
    monkeypatch.setattr(FakeRunner, "broken", False)
    monkeypatch.setattr(FakeRunner, "url", stub.url)
    return FakeRunner


def test_local_ends_with_the_client(runner: type[FakeRunner], tmp_path: Path) -> None:
    with Client.local(tmp_path, kafka=True, spark_master="local[3]", allow_uncertified=True) as client:
        (child,) = runner.made
        assert (child.home, child.kafka, child.spark_master) == (tmp_path, True, "local[3]")
        assert child.allow_uncertified
        assert client.instance.plan == "lite"
        assert client._service.default_spark is not None
        assert client._service.default_spark.cluster_master_url == "local[3]"
        assert client.kafka.security_protocol == "SASL_PLAINTEXT"
        assert client.kafka.create_topics is True
        assert "embedded" in repr(client)
    client.close()

    assert child.stops >= 1


def test_a_runner_that_does_not_start_is_a_clear_error(runner: type[FakeRunner]) -> None:
    runner.broken = True

    with pytest.raises(errors.LocalModeError, match="port 1 is in use"):
        Client.local()


def test_a_runner_that_answers_nonsense_is_stopped(
    runner: type[FakeRunner], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeRunner, "url", "")

    with pytest.raises(errors.ConfigError, match="embedded runner: url missing"):
        Client.local()
    assert runner.made[0].stops == 1


@pytest.mark.parametrize("module", ["wmlclient.runner.launch", "starlette"])
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else found(name))
    if module.startswith("wmlclient"):
        monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(errors.LocalModeError, match=r"pip install 'wmlclient\[local\]'"):
        Client.local()


def test_public_names() -> None:
    assert sorted(wmlclient.__all__) == [
        "ApiError",
        "Certificate",
        "Client",
        "Database",
        "Deployment",
        "Description",
        "DeviceLogin",
        "Instance",
        "KafkaConnection",
        "KafkaRecord",
        "KafkaTopic",
        "Model",
        "ModelVersion",
        "NotFoundError",
        "ObjectStorage",
        "RecordFormat",
        "SchemaRegistry",
        "Scores",
        "SparkService",
        "State",
        "WmlError",
        "__version__",
        "certify",
        "errors",
    ]
    for name in wmlclient.__all__:
        assert getattr(wmlclient, name) is not None
        assert name in dir(wmlclient)
    with pytest.raises(AttributeError, match="no attribute 'Klient'"):
        _ = wmlclient.Klient


def test_the_log_is_silent_until_asked(tmp_path: Path) -> None:
    import subprocess

    code = "import wmlclient, logging; logging.getLogger('wmlclient.http').debug('hello %s', 'log')"
    for level, shown in (("debug", True), ("warning", False), (None, False)):
        env = {k: v for k, v in os.environ.items() if k != "WMLCLIENT_LOG"}
        if level:
            env["WMLCLIENT_LOG"] = level
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=True
        )
        assert ("hello log" in done.stderr) is shown
        assert done.stdout == ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"brokers": []}, "brokers"),
        ({"brokers": "no-port"}, "not 'no-port'"),
        ({"brokers": ":9092"}, "brokers"),
        ({"brokers": "k:99999"}, "not 'k:99999'"),
        ({"brokers": "k:1", "user": "u"}, "user= and password="),
        ({"brokers": "k:1", "security_protocol": "SASL_SSL"}, "user= and password="),
        ({"brokers": "k:1", "security_protocol": "TLS"}, "security_protocol='TLS'"),
    ],
)
def test_bad_kafka_connections(given: dict[str, Any], said: str) -> None:
    with pytest.raises(errors.ConfigError, match=said):
        KafkaConnection(**given)


def test_kafka_credentials_make_the_round_trip() -> None:
    hub = {
        "kafka_brokers_sasl": ["k1:9093", "k2:9093"],
        "user": "u",
        "password": "p",
        "api_key": "a",
        "kafka_admin_url": "https://admin",
        "kafka_rest_url": "https://rest",
        "mqlight_lookup_url": "https://mq",
        "security_protocol": "SASL_SSL",
        "instance_id": "passed over",
    }
    connection = KafkaConnection.from_credentials(hub)

    assert connection._to_wire() == {k: v for k, v in hub.items() if k != "instance_id"}
    assert repr(connection) == (
        "KafkaConnection(brokers=('k1:9093', 'k2:9093'), user='u', password='***', security_protocol='SASL_SSL')"
    )
    assert KafkaConnection(brokers="a:1, b:2").brokers == ("a:1", "b:2")
    assert KafkaConnection(brokers="a:1").security_protocol == "PLAINTEXT"
    with pytest.raises(errors.ConfigError, match="kafka_brokers_sasl"):
        KafkaConnection.from_credentials({"user": "u"})


@pytest.mark.parametrize("name", ["", "a b", "ü", "x" * 250, "..", "a/b"])
def test_bad_topic_names(name: str) -> None:
    with pytest.raises(errors.ConfigError, match="Topic"):
        KafkaConnection(brokers="k:1").topic(name)
