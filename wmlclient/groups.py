"""Consumer groups at hand: how far one has come, and records moved on by one. Needs ``kafka-python``."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from uuid import UUID

from wmlclient.records import KafkaRecord
from wmlclient.topics import KafkaTopic, _admin, _kafka, _open, _translated

_SECONDS = 30.0
_AT_ONCE = 500


def group_ranges(topic: KafkaTopic, group: str, since_ms: int) -> dict[int, tuple[int, int]]:
    """By partition, the first record of a time and what the group reads next.

    Args:
        topic: The topic.
        group: The group.
        since_ms: Milliseconds since 1970.

    Returns:
        Empty for a group that has committed nothing. A partition whose offset is that of a topic which had this name
        before is left out.

    Raises:
        BrokerError: Kafka refuses, or does not answer.
    """
    kafka = _kafka()
    with _translated(topic.connection, topic.name):
        with _admin(topic.connection) as admin:
            offsets = admin.group_offsets(group)
            id = _id(admin, topic.name)
        ends = {
            partition: found.offset
            for partition, found in offsets.items()
            if partition.topic == topic.name and found.offset >= 0 and same_topic(found.metadata, id)
        }
        if not ends:
            return {}
        consumer = _open(kafka.KafkaConsumer, topic.connection, group_id=None)
        try:
            begun = consumer.offsets_for_times(dict.fromkeys(ends, since_ms))
        finally:
            consumer.close()
    return {
        partition.partition: (min(begun[partition].offset, end) if begun.get(partition) else end, end)
        for partition, end in ends.items()
    }


def topic_id(topic: KafkaTopic) -> str | None:
    """The id that the brokers gave a topic; None for brokers that give none.

    Raises:
        BrokerError: Kafka refuses, or does not answer.
    """
    with _translated(topic.connection, topic.name), _admin(topic.connection) as admin:
        return _id(admin, topic.name)


def same_topic(told: str | None, id: str | None) -> bool:
    """Whether what a stream tells of its source can mean the topic of an id.

    Args:
        told: The id that it committed or wrote; none where its engine knows no ids.
        id: The topic's id, or None.
    """
    # librdkafka writes an id in the other alphabet of base64, and commits the end of the text, too.
    given = (told or "").rstrip("\0").replace("+", "-").replace("/", "_")
    return not given or id is None or given == id


def _id(admin: Any, name: str) -> str | None:
    given = admin.describe(name).get("topic_id")
    id = given if isinstance(given, UUID) else UUID(str(given)) if given else None
    return base64.urlsafe_b64encode(id.bytes).decode().rstrip("=") if id is not None and id.int else None


def leaders(topic: KafkaTopic) -> dict[int, int]:
    """By partition, the broker that takes its records; a partition without one is left out.

    Raises:
        BrokerError: Kafka refuses, or does not answer.
    """
    with _translated(topic.connection, topic.name), _admin(topic.connection) as admin:
        found = admin.describe(topic.name)
    return {
        each["partition_index"]: each["leader_id"] for each in found["partitions"] if each["leader_id"] >= 0
    }


def move(
    source: KafkaTopic,
    target: KafkaTopic,
    group: str,
    headers: Callable[[KafkaRecord], list[tuple[str, Any]] | None],
) -> int:
    """Send records of a topic to another, each once: the group remembers where it is.

    After a crash on the way the last few may be sent twice.

    Args:
        source: Where they are.
        target: Where they go, with their key, value and timestamp.
        group: The group; what it has read before is not read again.
        headers: Gives the headers of the record to send; None for one that stays.

    Returns:
        How many were sent.

    Raises:
        BrokerError: Kafka refuses, or does not answer.
    """
    kafka = _kafka()
    sent = 0
    with _translated(source.connection, source.name):
        consumer = _open(
            kafka.KafkaConsumer,
            source.connection,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
        producer = _open(kafka.KafkaProducer, target.connection, acks="all", linger_ms=5)
        try:
            numbers = consumer.partitions_for_topic(source.name) or ()
            partitions = [kafka.TopicPartition(source.name, number) for number in numbers]
            consumer.assign(partitions)
            ends = consumer.end_offsets(partitions)
            while any(consumer.position(partition) < end for partition, end in ends.items()):
                futures = []
                for raw in _records(consumer):
                    added = headers(KafkaRecord._of(raw))
                    if added is not None:
                        futures.append(
                            producer.send(
                                target.name,
                                value=raw.value,
                                key=raw.key,
                                headers=added,
                                timestamp_ms=raw.timestamp,
                            )
                        )
                producer.flush(timeout=_SECONDS)
                for future in futures:
                    future.get(timeout=_SECONDS)
                consumer.commit()
                sent += len(futures)
        finally:
            producer.close(timeout=1)
            consumer.close()
    return sent


def _records(consumer: Any) -> list[Any]:
    found = consumer.poll(timeout_ms=500, max_records=_AT_ONCE)
    return [record for records in found.values() for record in records]
