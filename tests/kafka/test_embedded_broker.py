"""The embedded broker: real, private, durable, and gone when its parent is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from kafka_stand import endpoint_of
from waiting import eventually

from wmlclient.runner.broker import Broker, BrokerFailed
from wmlclient.runner.broker.config import free_port
from wmlclient.runner.engine.ports import KafkaEndpoint, StreamSetupError
from wmlclient.runner.processes import alive, command_line
from wmlclient.runner.topics import KafkaTopicAdmin, client_options

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


def refused(endpoint: KafkaEndpoint) -> StreamSetupError:
    with pytest.raises(StreamSetupError) as caught:
        KafkaTopicAdmin().ensure(endpoint, create=False)
    return caught.value


def changed(endpoint: KafkaEndpoint, **values: object) -> KafkaEndpoint:
    import attrs

    return attrs.evolve(endpoint, **values)


def test_credentials_have_the_shape_of_message_hub(broker: Broker) -> None:
    given = broker.credentials()
    assert given["kafka_brokers_sasl"] == [broker.bootstrap]
    assert given["security_protocol"] == "SASL_PLAINTEXT"
    assert set(given) == {
        "kafka_brokers_sasl", "user", "password", "api_key", "kafka_admin_url", "kafka_rest_url",
        "mqlight_lookup_url", "security_protocol",
    }  # fmt: skip
    assert str(given["password"]) not in repr(broker)
    assert broker.pid
    assert str(given["password"]) not in command_line(broker.pid)
    assert str(given["password"]) not in broker.log.read_text()


def test_a_topic_is_made_and_found(broker: Broker) -> None:
    end = endpoint_of(broker, "made")
    error = refused(end)
    assert error.code == "topic_not_found"
    assert "Create it there first" in str(error)
    KafkaTopicAdmin().ensure(end, create=True)
    KafkaTopicAdmin().ensure(end, create=True)
    KafkaTopicAdmin().ensure(end, create=False)


def test_each_wrong_connection_has_its_own_error(broker: Broker) -> None:
    good = endpoint_of(broker, "tweets")
    password = str(broker.credentials()["password"])
    wrong = refused(changed(good, password="wrong-" + password))
    assert wrong.code == "broker_authentication_failed"
    assert password not in str(wrong)
    assert refused(changed(good, brokers=(f"127.0.0.1:{free_port(0)}",))).code == "broker_unavailable"
    assert refused(changed(good, security_protocol="PLAINTEXT")).code == "broker_protocol_mismatch"
    assert refused(changed(good, security_protocol="SASL_SSL")).code == "broker_protocol_mismatch"
    # The first broker of the list may be down.
    brokers = (f"127.0.0.1:{free_port(0)}", *good.brokers)
    KafkaTopicAdmin().ensure(changed(good, brokers=brokers), create=True)


def test_a_second_start_finds_port_password_and_records(tmp_path: Path) -> None:
    from kafka import KafkaConsumer, KafkaProducer

    with Broker(tmp_path) as first:
        before = first.credentials()
        end = endpoint_of(first, "kept")
        producer = KafkaProducer(**client_options(end))
        producer.send("kept", b"still here").get(30)
        producer.close()
        assert first.start() is first
    assert not first.running
    with Broker(tmp_path) as second:
        assert second.credentials() == before
        consumer = KafkaConsumer("kept", auto_offset_reset="earliest", group_id=None, **client_options(end))
        records = eventually(lambda: [r for batch in consumer.poll(500).values() for r in batch])
        consumer.close()
        assert [record.value for record in records] == [b"still here"]


def test_without_sasl(tmp_path: Path) -> None:
    with Broker(tmp_path, "plaintext") as broker:
        given = broker.credentials()
        assert (given["security_protocol"], given["user"], given["password"]) == ("PLAINTEXT", "", "")
        KafkaTopicAdmin().ensure(KafkaEndpoint((broker.bootstrap,), "t"), create=True)
        # A second one on the same folder must not get at the first one's files.
        other = Broker(tmp_path, "plaintext", port=int(broker.bootstrap.split(":")[1]))
        (broker.folder / "broker.pid").unlink()
        with pytest.raises(BrokerFailed):
            other.start()
        assert broker.running


PARENT = """
import sys, time
from pathlib import Path
from wmlclient.runner.broker import Broker
broker = Broker(Path(sys.argv[1])).start()
print(broker.pid, broker.bootstrap, flush=True)
time.sleep(200)
"""


def test_kill_9_of_the_parent_ends_it_and_the_next_start_is_the_same(tmp_path: Path, root: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(root)}
    argv = [sys.executable, "-c", textwrap.dedent(PARENT), str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) as parent:
        try:
            assert parent.stdout is not None
            pid, bootstrap = parent.stdout.readline().split()
        finally:
            os.kill(parent.pid, signal.SIGKILL)
    # At once: the old one is still on its way out.
    with Broker(tmp_path) as broker:
        assert broker.bootstrap == bootstrap
        assert broker.pid != int(pid)
        assert not alive(int(pid))


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "kafka").write_text("a file")
    with pytest.raises(BrokerFailed, match="cannot be used"):
        Broker(tmp_path).start()
