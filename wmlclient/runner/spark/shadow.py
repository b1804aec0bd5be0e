"""A consumer group that shows how far a Spark stream has come, for tools that look at lag. Nobody reads with it.

Spark keeps its offsets in its checkpoint alone. So the group's are set after each batch, and are never ahead of it.
Trouble with it is no trouble of the stream.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping
from typing import Any

from wmlclient import envelope
from wmlclient.runner.engine.ports import KafkaEndpoint

logger = logging.getLogger("wmlclient.runner.spark.driver")

_SECONDS = 20.0


class ShadowGroup:
    """The group of one stream.

    Args:
        stream_id: The deployment.
        source: Its source.
    """

    def __init__(self, stream_id: str, source: KafkaEndpoint) -> None:
        self._group, self._source = envelope.group(stream_id), source
        self._client: Any = None
        self._committed: dict[int, int] = {}
        self._told = False

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Set the group's offsets. Never fails; what could not be set is with the next batch."""
        if not offsets or offsets == self._committed:
            return
        if importlib.util.find_spec("confluent_kafka") is None:
            return
        try:
            self._alter(offsets)
        except Exception as error:
            if not self._told:
                logger.warning("the offsets of group %s cannot be set: %s", self._group, error)
            self._told = True
        else:
            self._committed, self._told = dict(offsets), False

    def _alter(self, offsets: Mapping[int, int]) -> None:
        from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
        from confluent_kafka.admin import AdminClient

        from wmlclient.runner.streams.clients import connection

        if self._client is None:
            self._client = AdminClient(connection(self._source), logger=logger)
        places = [TopicPartition(self._source.topic, *place) for place in offsets.items()]
        asked = self._client.alter_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(self._group, places)], request_timeout=_SECONDS
        )
        for answer in asked.values():
            for place in answer.result(_SECONDS).topic_partitions:
                if place.error is not None:
                    raise RuntimeError(str(place.error))
