"""Three brokers, of which one goes: by the plugin's fixture, one cluster for all of this."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from exactly_once import Heard, endpoint_of_topic, lost_and_double, places, read, send, spec_of, tweet
from waiting import eventually

from wmlclient.runner.streams.engine import NativeStreams
from wmlclient.testing.brokers import KafkaCluster

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


def test_the_leader_goes_and_another_one_leads(kafka_cluster: KafkaCluster) -> None:
    topic = kafka_cluster.topic("led")
    topic.send([{"id": 1}])
    leader = kafka_cluster.leader(topic)
    assert len(kafka_cluster.brokers) == len(kafka_cluster.nodes) == 3
    leader.kill()
    topic.send([{"id": 2}], timeout=60)
    assert kafka_cluster.leader(topic).number != leader.number
    assert [record.value["id"] for record in topic.read(2)] == [1, 2]


def test_a_stream_goes_on_under_another_leader(kafka_cluster: KafkaCluster, tmp_path: Path) -> None:
    # What the test before has killed is back.
    assert all(node.pid for node in kafka_cluster.nodes)
    topics = [kafka_cluster.topic(name, partitions=2) for name in ("in", "out", "dead")]
    spec = spec_of(topics[0].name, [endpoint_of_topic(each) for each in topics], tmp_path)
    streams, heard = NativeStreams(tmp_path), Heard()

    def logs() -> str:
        return "\n".join(path.read_text()[-3000:] for path in (tmp_path / "logs").glob("stream-*.log"))

    def feed() -> None:
        for number in range(0, 5_000, 100):
            send(spec.source, [tweet(each) for each in range(number, number + 100)])

    def told(name: str) -> Any:
        return heard.progress().get(name) or 0

    feeder = threading.Thread(target=feed, daemon=True)
    try:
        streams.start_stream(spec, heard)
        eventually(heard.kinds, what=logs)
        feeder.start()
        eventually(lambda: told("records_out") >= 300, what=logs)
        leader = kafka_cluster.leader(topics[0])
        leader.kill()
        # While it is gone: records are under way, and all of them are scored.
        feeder.join(90)
        assert kafka_cluster.leader(topics[0]).number != leader.number
        came = places(spec)
        assert len(came) >= 5_000
        eventually(lambda: told("records_out") >= len(came), what=logs)
        assert lost_and_double(came, read(spec.target, len(came))) == (0, 0)
        assert (heard.kinds(), told("dead_letters")) == (["running"], 0)
    finally:
        streams.close()
