"""Kafka's admin calls, asked again where a broker is gone and another one takes over.

kafka-python's admin client sends a call to one broker and leaves it at that: while one of three is dead, a call fails
that the two others would answer; and it goes on believing in the controller that it once knew. So each try has a client
of its own. Both halves ask through this. Needs ``kafka-python``, the extra ``kafka``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential


class KafkaAdmin:
    """Admin calls for as long as one look takes; :meth:`close` comes last.

    Args:
        connect: Makes an admin client of kafka-python.
        seconds: How long a call is asked again.
    """

    def __init__(self, connect: Callable[[], Any], seconds: float) -> None:
        from kafka import errors

        self._connect = connect
        self._client: Any = connect()
        gone = (
            errors.KafkaConnectionError,
            errors.NodeNotReadyError,
            errors.UnknownBrokerIdError,
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
        """What the brokers say of a topic, with an ``error_code`` for one that is not there.

        Unlike asking for a topic's metadata, this never makes it.
        """
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
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _ask(self, call: str, *arguments: Any, **options: Any) -> Any:
        def ask() -> Any:
            if self._client is None:
                self._client = self._connect()
            try:
                return getattr(self._client, call)(*arguments, **options)
            except BaseException:
                self.close()
                raise

        return self._again(ask)
