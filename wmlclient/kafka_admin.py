"""Kafka's admin calls, asked again where a broker is gone and another one takes over.

kafka-python's admin client sends a call to one broker and leaves it at that: while one of three is dead, a call fails
that the two others would answer. Both halves ask through this. Needs ``kafka-python``, the extra ``kafka``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential


class KafkaAdmin:
    """An admin client of kafka-python for as long as one look takes.

    Args:
        client: The client, which :meth:`close` closes.
        seconds: How long a call is asked again.
    """

    def __init__(self, client: Any, seconds: float) -> None:
        from kafka import errors

        self._client = client
        gone = (
            errors.KafkaConnectionError,
            errors.NodeNotReadyError,
            errors.NotControllerError,
            errors.NotCoordinatorError,
            errors.CoordinatorNotAvailableError,
        )
        self._again = Retrying(
            retry=retry_if_exception_type(gone),
            stop=stop_after_delay(seconds),
            wait=wait_random_exponential(multiplier=0.1, max=1),
            reraise=True,
        )

    def describe(self, topic: str) -> dict[str, Any]:
        """What the brokers say of a topic, with an ``error_code`` for one that is not there; never makes it."""
        [found] = self._ask("describe_topics", [topic])
        return dict(found)

    def create(self, topic: str, **settings: int) -> None:
        """Make a topic.

        Args:
            topic: Its name.
            settings: ``num_partitions`` and ``replication_factor``; the brokers' own where left out.
        """
        self._ask("create_topics", {topic: settings}, wait_for_metadata=True)

    def delete(self, topic: str) -> None:
        """Delete a topic."""
        self._ask("delete_topics", [topic])

    def group_offsets(self, group: str) -> Mapping[Any, Any]:
        """By partition, what a group has committed."""
        found: Mapping[Any, Any] = self._ask("list_group_offsets", group)[group]
        return found

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def _ask(self, call: str, *arguments: Any, **options: Any) -> Any:
        return self._again(getattr(self._client, call), *arguments, **options)
