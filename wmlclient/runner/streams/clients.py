"""The Kafka clients of a worker. Only the options below are ever set: a request brings values, no names of options."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from wmlclient.kafka_login import login_of
from wmlclient.runner.engine.ports import KafkaEndpoint
from wmlclient.runner.kafka_security import librdkafka_options
from wmlclient.runner.streams.commits import OnCommit

logger = logging.getLogger("wmlclient.runner.streams")

#: Seconds for one answer of a cluster.
ANSWER_SECONDS = 20.0
#: A worker that is gone or stands still leaves its partitions to the others after so many milliseconds.
SESSION_MS = 10_000
#: An open transaction of a worker that is gone is given up by the broker after so many milliseconds.
TRANSACTION_MS = 30_000
#: A consumer that is told that a topic is gone asks for its records again after so many milliseconds.
FETCH_PAUSE_MS = 500
#: What a topic takes in one record unless it was told otherwise.
TOPIC_BYTES = 1_048_588


def connection(endpoint: KafkaEndpoint) -> dict[str, Any]:
    """How to reach a cluster."""
    options: dict[str, Any] = {
        "bootstrap.servers": ",".join(endpoint.brokers),
        **librdkafka_options(login_of(endpoint)),
        "client.id": "wmlclient",
        # A broker that is down for a while shall not fill a worker's log.
        "reconnect.backoff.ms": 250,
        "reconnect.backoff.max.ms": 2_000,
        "log.connection.close": False,
        "enable.metrics.push": False,
    }
    return options


def consumer(
    endpoint: KafkaEndpoint,
    group: str,
    member: str | None,
    on_error: Callable[[Any], None],
    on_commit: OnCommit,
) -> Consumer:
    """A member of the stream's group.

    Args:
        endpoint: The source.
        group: The group.
        member: A name that the member has across restarts, so that it gets its partitions back at once and whoever
            had the name before is shut out; None for one that leaves when it ends.
        on_error: Takes errors of the connection.
        on_commit: Takes the outcome of each commit, an error or None, and its partitions.
    """
    options = {
        **connection(endpoint),
        "group.id": group,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # Records that are gone before they were read are told, not jumped over.
        "auto.offset.reset": "error",
        "partition.assignment.strategy": "range",
        "session.timeout.ms": SESSION_MS,
        "heartbeat.interval.ms": SESSION_MS // 5,
        "max.poll.interval.ms": 120_000,
        "topic.metadata.refresh.interval.ms": 10_000,
        "fetch.queue.backoff.ms": 5,
        "fetch.error.backoff.ms": FETCH_PAUSE_MS,
        "error_cb": on_error,
        "on_commit": on_commit,
    }
    if member is not None:
        options["group.instance.id"] = member
    return Consumer(options, logger=logger)


def producer(
    endpoint: KafkaEndpoint, transactional_id: str | None, on_failed: Callable[[Any, Any], None]
) -> Producer:
    """What sends scored records and dead letters.

    Args:
        endpoint: The target.
        transactional_id: For transactions; whoever had it before is fenced off. None for at-least-once.
        on_failed: Takes the error of each record that is not delivered.
    """
    options = {
        **connection(endpoint),
        "acks": "all",
        "enable.idempotence": True,
        # As Java's clients do, and with them Spark.
        "partitioner": "murmur2_random",
        "linger.ms": 2,
        # The marks of the last transaction may be on their way when the next one begins.
        "retry.backoff.ms": 5,
        "batch.size": 512 * 1024,
        "queue.buffering.max.messages": 200_000,
        "message.max.bytes": 64 << 20,
        "delivery.report.only.error": True,
        "on_delivery": on_failed,
    }
    if transactional_id is not None:
        options |= {"transactional.id": transactional_id, "transaction.timeout.ms": TRANSACTION_MS}
    return Producer(options, logger=logger)


def cluster_id(client: Consumer | Producer) -> str | None:
    """Which cluster a client speaks to; None for one that does not tell.

    Raises:
        KafkaException: It does not answer.
    """
    found: str | None = client.list_topics(timeout=ANSWER_SECONDS).cluster_id
    return found


def record_bytes(endpoint: KafkaEndpoint) -> int:
    """How large a record the topic takes; Kafka's own default where it does not tell."""
    resource = ConfigResource(ConfigResource.Type.TOPIC, endpoint.topic)
    try:
        admin = AdminClient(connection(endpoint), logger=logger)
        answer = admin.describe_configs([resource], request_timeout=ANSWER_SECONDS)[resource]
        return int(answer.result(ANSWER_SECONDS)["max.message.bytes"].value)
    except (KafkaException, KeyError, ValueError, TypeError) as error:
        logger.info("the limit of topic %s is not known: %s", endpoint.topic, error)
        return TOPIC_BYTES
