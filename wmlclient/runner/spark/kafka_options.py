"""A connection as options of Spark's Kafka source and sink. Only these are ever set: a request brings values, no
names of options."""

from __future__ import annotations

from wmlclient.kafka_login import login_of
from wmlclient.runner.engine.ports import KafkaEndpoint, StreamSpec
from wmlclient.runner.kafka_security import java_options

# Bounds one batch, and with it what is read again after a failure, and the memory of a stage that keeps rows. A batch
# costs as much CPU as some 8,000 records, so much smaller ones slow down a stream that catches up.
MAX_RECORDS_PER_BATCH = 250_000
# The driver's Python holds a batch that it translates.
MAX_TRANSLATED = 20_000


def connection_options(endpoint: KafkaEndpoint) -> dict[str, str]:
    """How to reach the cluster."""
    return {
        "kafka.bootstrap.servers": ",".join(endpoint.brokers),
        **java_options(login_of(endpoint), "kafka."),
        # A cluster that is gone is told after half a minute, not after Kafka's own two.
        "kafka.request.timeout.ms": "20000",
        "kafka.default.api.timeout.ms": "30000",
        # Clients that report their own metrics to the broker, which nobody asked them to.
        "kafka.enable.metrics.push": "false",
    }


def source_options(spec: StreamSpec) -> dict[str, str]:
    """For ``readStream.format("kafka")``."""
    return {
        **connection_options(spec.source),
        "subscribe": spec.source.topic,
        "includeHeaders": "true",
        # Only for the very first start; from then on the checkpoint says where to go on.
        "startingTimestamp": str(spec.created_at_ms),
        "startingOffsetsByTimestampStrategy": "latest",
        "failOnDataLoss": "true",
        "kafka.isolation.level": "read_committed",
    }


def bound(records: int | None = None) -> dict[str, str]:
    """For a source whose records come in batches; Real-time Mode refuses it.

    Args:
        records: So many of them at most in one batch; None for :data:`MAX_RECORDS_PER_BATCH`.
    """
    return {"maxOffsetsPerTrigger": str(records or MAX_RECORDS_PER_BATCH)}


def sink_options(endpoint: KafkaEndpoint) -> dict[str, str]:
    """For ``write.format("kafka")`` to one topic."""
    return {**producer_options(endpoint), "topic": endpoint.topic}


def producer_options(endpoint: KafkaEndpoint, linger_ms: int = 5) -> dict[str, str]:
    """For ``write.format("kafka")`` of rows that name their topics.

    Args:
        endpoint: The cluster.
        linger_ms: How long a record may wait for others to be sent with.
    """
    return {
        **connection_options(endpoint),
        "includeHeaders": "true",
        "kafka.acks": "all",
        "kafka.enable.idempotence": "true",
        "kafka.delivery.timeout.ms": "60000",
        "kafka.linger.ms": str(linger_ms),
        "kafka.max.request.size": str(16 * 1024 * 1024),
    }
