"""Which topic the source's name means: one that was deleted and made again has the old name, and other records.

A consumer notices nothing of it. Its offsets fit into the new topic as soon as that has grown as long, and the first
records would be jumped over. Brokers give each topic an id that never comes again, so the id is looked at: for
each batch that is to be sent once, unless that was done just before, and now and then.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from wmlclient.runner.engine.ports import KafkaEndpoint, StreamSetupError
from wmlclient.runner.streams.clients import connection

logger = logging.getLogger("wmlclient.runner.streams")

#: A topic that was deleted is waited for so long: most are made again at once.
GONE_SECONDS = 20.0
#: Between two looks at a topic of which nothing comes, and at one of which records come.
LOOK_SECONDS, BUSY_SECONDS = 1.0, 0.1
#: What is read so soon after a look has begun is of the topic that was seen: after a topic is gone the consumer pauses
#: for ``clients.FETCH_PAUSE_MS``, which is longer.
FRESH_SECONDS = 0.25
#: Brokers hear of a new topic one after the other; an answer counts when it is the same so much later.
SURE_SECONDS = 0.5

_ANSWER_SECONDS = 5.0

NO_TOPIC = frozenset(
    (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_ID)
)
_NO_ID = "A" * 22  # brokers before 2.8


def missing_of(*ends: KafkaEndpoint) -> KafkaEndpoint | None:
    """The first of some topics of one cluster that the cluster does not have, as far as it answers; makes none."""
    admin = AdminClient(connection(ends[0]), logger=logger)
    asked = admin.describe_topics(
        TopicCollection([end.topic for end in ends]), request_timeout=_ANSWER_SECONDS
    )
    for end in ends:
        try:
            asked[end.topic].result(_ANSWER_SECONDS + 1)
        except KafkaException as problem:
            if problem.args[0].code() in NO_TOPIC:
                return end
        except NotInTime:
            break
    return None


#: When it was begun, and what it answers.
Look = tuple[float, Future[Any]]


class Renewed(Exception):
    """The name means another topic than at the assignment: what was read since is worth nothing."""


class Source:
    """The source topic by name and id.

    Args:
        name: Its name.
        make: Makes a connection: what asks the cluster. The answer is a description with ``topic_id``. One that has
            failed is replaced: Kafka's client goes on looking for a controller that is dead.

    Attributes:
        id: Its id at the last assignment; empty where the brokers have no ids.
        renewed: Whether it was made again while this worker was there.
    """

    def __init__(self, name: str, make: Callable[[], Callable[[], Future[Any]]]) -> None:
        self.name = name
        self.id: str | None = None
        self.renewed = False
        self._make = make
        self._ask = make()
        self._asked: Look | None = None
        self._looked = self._sure = float("-inf")
        self._missing: float | None = None

    @classmethod
    def of(cls, endpoint: KafkaEndpoint) -> Source:
        """The source on its cluster, by a connection of its own."""
        topics = TopicCollection([endpoint.topic])

        def make() -> Callable[[], Future[Any]]:
            admin = AdminClient(connection(endpoint), logger=logger)

            def ask() -> Future[Any]:
                found = admin.describe_topics(topics, request_timeout=_ANSWER_SECONDS)
                one: Future[Any] = found[endpoint.topic]
                return one

            return ask

        return cls(endpoint.topic, make)

    def identify(self) -> str:
        """The topic's id now, which is the one to compare with from here on.

        Raises:
            KafkaException: There is no such topic, or no answer.
        """
        found = self._answer(self._ask())
        if self.id is not None and found != self.id:
            found = self.surely(found)
            self.renewed = self.renewed or found != self.id
        self.id, self._sure = found, float("-inf")
        return found

    def surely(self, found: str | None = None) -> str:
        """The topic's id, told twice.

        Raises:
            KafkaException: There is no such topic, or no answer.
        """
        while True:
            time.sleep(SURE_SECONDS)
            again = self._answer(self._ask())
            if again == found:
                return again
            found = again

    def begin(self) -> Look | None:
        """Ask, without waiting, which topic was read just now; for :meth:`check`. None where that is sure."""
        return None if time.monotonic() - self._sure <= FRESH_SECONDS else self.look()

    def look(self) -> Look:
        """Ask, without waiting."""
        return time.monotonic(), self._ask()

    def check(self, look: Look) -> None:
        """Return where the topic is still the one of the assignment.

        Raises:
            Renewed: It is another one.
            KafkaException: There is none, or no answer.
        """
        begun, asked = look
        found = self._answer(asked)
        self._looked = time.monotonic()
        if self.id is not None and found != self.id and self.surely(found) != self.id:
            raise Renewed
        self._sure = max(self._sure, begun)

    def watch(self, busy: bool = False) -> None:
        """Look now and then, and never wait. Called over and over.

        Args:
            busy: Look so often that :meth:`begin` need not.

        Raises:
            Renewed: It is another topic.
            StreamSetupError: ``topic_not_found``: there has been none for long.
        """
        now = time.monotonic()
        if self._asked is None:
            if now - self._looked >= (BUSY_SECONDS if busy else LOOK_SECONDS):
                self._asked = self.look()
            return
        if not self._asked[1].done():
            return
        look, self._asked = self._asked, None
        self._looked = now
        try:
            self.check(look)
        except KafkaException as problem:
            if problem.args[0].code() in NO_TOPIC:
                self.gone()
            else:
                logger.info("the topic %s cannot be looked at: %s", self.name, problem)

    @property
    def missing(self) -> bool:
        """Whether there was none at the last look."""
        return self._missing is not None

    def gone(self) -> None:
        """Somebody was told that there is no such topic.

        Raises:
            StreamSetupError: ``topic_not_found``: for too long.
        """
        now = time.monotonic()
        if self._missing is None:
            logger.warning("the topic %s does not exist; waiting for it", self.name)
            self._missing = now
        if now - self._missing > GONE_SECONDS:
            raise StreamSetupError(
                "topic_not_found",
                f"The topic {self.name!r} does not exist any more. Make it again, then start the stream: it reads "
                "the new topic from its beginning.",
            )

    def _answer(self, asked: Future[Any]) -> str:
        try:
            topic_id = str(asked.result(_ANSWER_SECONDS + 1).topic_id)
        except NotInTime:
            self._ask = self._make()
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from None
        except KafkaException as problem:
            if problem.args[0].code() not in NO_TOPIC:
                self._ask = self._make()
            raise
        self._missing = None
        return "" if topic_id == _NO_ID else topic_id
