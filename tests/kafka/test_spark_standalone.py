"""A stream on a standalone cluster of two workers, which the driver hands the connector's jars."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions
from kafka_stand import Stream
from spark_cluster import Daemon, cluster  # noqa: F401 - a fixture among them
from waiting import eventually

from wmlclient.runner.processes import alive
from wmlclient.runner.spark.pool import DriverPool
from wmlclient.runner.streams.clients import connection

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(420)]


def test_two_workers_share_a_stream_whose_batches_are_bounded(
    make_stream: Callable[..., Stream],
    cluster: tuple[str, list[Daemon]],  # noqa: F811
    tmp_path: Path,
) -> None:
    url, workers = cluster
    conf = tmp_path / "spark.conf"
    conf.write_text("# small\nspark.executor.memory 512m\nspark.wmlclient.recordsPerBatch=40\n")
    stream = make_stream()
    client = AdminClient(connection(stream.spec.source))
    topic = stream.spec.source.topic
    client.create_partitions([NewPartitions(topic, 2)])[topic].result(30)
    pool = DriverPool(tmp_path, conf=conf)
    try:
        runner = pool.get(url)
        # All are there before it starts, or a batch would hold what has come by then.
        stream.send([(b"%d" % n, json.dumps({"id": n, "text": "a b"}).encode(), []) for n in range(100)])
        stream.start(runner)
        assert sorted(int(record.key) for record in stream.scored(100)) == list(range(100))
        for worker in workers:
            worker.said("Asked to (launch executor)")
        eventually(lambda: any(e.details.get("records_in") == 100 for e in stream.events), 60)
        assert max(e.details.get("batches", 0) for e in stream.events) >= 3
        jvm = runner.jvm_pid
    finally:
        pool.close()
    assert jvm is not None
    assert not alive(jvm)
