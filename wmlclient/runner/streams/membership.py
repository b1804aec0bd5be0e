"""A worker's place in the stream's consumer group: which partitions it has, and where it goes on in each.

The proof of membership that goes into a transaction is the one of the moment at which the partitions were given to
this worker. A worker that has lost them meanwhile, without knowing, shows an old proof, and the broker refuses it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from wmlclient.runner.engine.ports import StreamSetupError
from wmlclient.runner.streams.clients import ANSWER_SECONDS
from wmlclient.runner.streams.commits import Commits, OnCommit
from wmlclient.runner.streams.source import NO_TOPIC, Source

logger = logging.getLogger("wmlclient.runner.streams")

#: A worker without a place in the group for so long asks for one anew.
PLACELESS_SECONDS = 60.0

_NO_OFFSET = 0  # offsets below are names: never committed, the end, ...
_GONE = frozenset((KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE))
_DENIED = frozenset(
    (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
    )
)


class Membership:
    """One member of the group.

    Args:
        make: Makes the consumer; takes what is called with the outcome of each commit.
        source: The source; its id goes with each offset that is committed, so that an offset of a topic that is no
            more is known as such.
        since: Milliseconds since 1970; a partition that the group has never read is read from this moment on.

    Attributes:
        positions: The next record to read of each partition that this worker has.
        proof: Shown to the broker with each transaction; None while this worker has no place in the group.
        joined: Whether it ever had one.
    """

    def __init__(self, make: Callable[[OnCommit], Consumer], source: Source, since: int) -> None:
        self._make = make
        self._source = source
        self._topic = source.name
        self._since = since
        self.positions: dict[int, int] = {}
        self.proof: Any = None
        self.joined = False
        self._changes = 0
        self._broken: Exception | None = None
        self._placeless: float | None = None
        self._shared: str | None = None
        self._share_anew = False
        self._taken = 0
        self._consumer = self._join()

    def _join(self) -> Consumer:
        self._commits = Commits()
        consumer = self._make(self._commits.told)
        self._subscribe(consumer)
        return consumer

    def _subscribe(self, consumer: Consumer) -> None:
        consumer.subscribe(
            [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )

    def take(self, most: int, seconds: float) -> list[Any]:
        """The next records, in order in each partition; empty where there are none, or where partitions moved.

        Args:
            most: How many at most.
            seconds: How long to wait for the first.

        Raises:
            StreamSetupError: A named end: records that are gone, a topic that is, a user that may not.
            Renewed: The topic was made again; :meth:`rejoin` comes next.
            KafkaException: Trouble that may pass; :meth:`resume` comes next.
        """
        before = self._changes
        messages = self._consumer.consume(1, seconds)
        if messages and most > 1:
            messages += self._consumer.consume(most - 1, 0)
        if self._share_anew:
            self._share_anew = False
            self._subscribe(self._consumer)
            return []
        if self._broken is not None:
            broken, self._broken = self._broken, None
            self.rejoin()
            raise broken
        self._commits.check()
        self._commit_waiting()
        if self._changes != before:
            # What was read belongs to the partitions of before; but a client says only once that it is finished.
            for error in (message.error() for message in messages):
                if error is not None and is_fatal(error):
                    raise KafkaException(error)
            self._seek(self.positions)
            return []
        good = []
        for message in messages:
            error = message.error()
            if error is None:
                good.append(message)
            else:
                self._judge(error)
        if self._commits.records + len(good) > most and self._commits.records:
            # Of what comes twice after an accident there is one batch at most.
            self.commit(self._commits.settle())
        self._taken = len(good)
        return good

    @staticmethod
    def after(messages: Sequence[Any]) -> dict[int, int]:
        """Where to go on after some records: in each partition the last offset and one.

        A transaction that was aborted, and a topic's compaction, leave holes: the next offset is not the last one
        of the positions and so many records.
        """
        following: dict[int, int] = {}
        for message in messages:
            partition, offset = message.partition(), message.offset() + 1
            if offset > following.get(partition, 0):
                following[partition] = offset
        return following

    def offsets(self, following: dict[int, int]) -> list[TopicPartition]:
        """Positions in the client's form."""
        id = self._source.id or ""
        return [TopicPartition(self._topic, partition, offset, id) for partition, offset in following.items()]

    def done(self, following: dict[int, int]) -> None:
        """The group's offsets are these now."""
        self.positions.update(following)

    def commit(self, following: dict[int, int]) -> None:
        """Commit offsets outside of a transaction.

        Raises:
            KafkaException: They are not committed, or it is not known.
        """
        for found in self._consumer.commit(offsets=self.offsets(following), asynchronous=False) or ():
            if found.error is not None:
                raise KafkaException(found.error)

    def commit_soon(self, following: dict[int, int]) -> None:
        """Commit offsets outside of a transaction, and do not wait: what fails is raised by :meth:`take`.

        One commit is under way at a time; what is done meanwhile goes with the next one.
        """
        self._commits.add(following, self._taken)
        self._commit_waiting()

    def _commit_waiting(self) -> None:
        if self._commits.waiting and not self._commits.under_way:
            self._consumer.commit(offsets=self.offsets(self._commits.begin()), asynchronous=True)

    def _settle(self) -> None:
        """Have nothing under way: what is done and not committed would be done again by the next one."""
        done = self._commits.settle()
        if done:
            try:
                self.commit(done)
            except KafkaException as error:
                logger.info("offsets are not committed, and records are sent twice: %s", error)

    def resume(self) -> None:
        """Read on from what the group has committed, whatever was read meanwhile.

        Raises:
            KafkaException: The broker does not answer.
        """
        self._settle()
        if self.positions:
            self.positions = self._starts(list(self.positions))
            self._seek(self.positions)

    def rejoin(self) -> None:
        """Leave, and join as somebody new."""
        self.positions, self.proof = {}, None
        self.close()
        # While it leaves it may be given partitions once more, and fails at them; that is no trouble of the next one.
        self.positions, self.proof, self._broken, self._placeless = {}, None, None, None
        self._changes += 1
        self._consumer = self._join()

    def lost(self) -> bool:
        """Whether this worker has had no place in the group for longer than a rebalance takes."""
        if self.proof is not None:
            self._placeless = None
            return False
        now = time.monotonic()
        if self._placeless is None:
            self._placeless = now
        return now - self._placeless > PLACELESS_SECONDS

    def lag(self) -> dict[int, int]:
        """Records that wait in each partition, as far as is known without asking."""
        found = {}
        for partition, position in list(self.positions.items()):
            try:
                _, high = self._consumer.get_watermark_offsets(
                    TopicPartition(self._topic, partition), cached=True
                )
            except KafkaException as error:
                # A topic that was just deleted: whoever takes records next hears of it, by name.
                logger.info("the end of partition %d is not known: %s", partition, error)
                continue
            found[partition] = max(0, high - position) if high >= 0 else 0
        return found

    def close(self) -> None:
        """Leave the group."""
        self._settle()
        try:
            self._consumer.close()
        except (KafkaException, RuntimeError) as error:
            logger.info("leaving the group: %s", error)

    # -- the group moves partitions; all of this runs inside take() ---------------------------------------------

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._changes += 1
        try:
            proof = consumer.consumer_group_metadata()
            self._source.identify()
            self.positions = self._starts([each.partition for each in partitions], pin=True)
            self._seek(self.positions)
            if self._share_anew:
                return
            self.proof, self.joined = proof, True
            logger.info("partitions of %s: %s", self._topic, self.positions)
        except Exception as error:
            self._broken = error

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._settle()
        self._lost(consumer, partitions)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Somebody else has them already.
        self._commits.settle()
        self._changes += 1
        self.positions, self.proof = {}, None
        consumer.unassign()
        logger.info("partitions of %s are given up: %s", self._topic, [each.partition for each in partitions])

    def _starts(self, partitions: list[int], pin: bool = False) -> dict[int, int]:
        """Where to go on. What was never read begins at the stream's creation, which is committed at once: an old
        timestamp on a later record must not move it. A topic that was made again begins at its first record."""
        if not partitions:
            return {}
        asked = [TopicPartition(self._topic, partition) for partition in partitions]
        found: dict[int, int] = {}
        renewed = self._source.renewed
        # Waits for transactions that are under way, so that nobody reads what another one is about to commit.
        for each in self._consumer.committed(asked, timeout=ANSWER_SECONDS):
            if each.error is not None:
                raise KafkaException(each.error)
            if each.offset >= _NO_OFFSET:
                if each.metadata and self._source.id and each.metadata != self._source.id:
                    renewed = True
                else:
                    found[each.partition] = each.offset
        if pin and renewed and self._shared != self._source.id:
            # One that comes back under its name is given what it had: partitions of the old topic, of which the new
            # one may have fewer, or more. Asking once more has them shared anew.
            self._shared, self._share_anew = self._source.id, True
            return {}
        fresh = [partition for partition in partitions if partition not in found]
        if fresh:
            begins = self._first if renewed else self._first_since
            begun = {partition: begins(partition) for partition in fresh}
            if pin:
                self.commit(begun)
            found |= begun
        return found

    def _first(self, partition: int) -> int:
        low, _ = self._consumer.get_watermark_offsets(
            TopicPartition(self._topic, partition), timeout=ANSWER_SECONDS
        )
        return int(low)

    def _first_since(self, partition: int) -> int:
        """The first record of the stream's time; the end, where there is none yet."""
        asked = TopicPartition(self._topic, partition, self._since)
        [found] = self._consumer.offsets_for_times([asked], timeout=ANSWER_SECONDS)
        if found.error is not None:
            raise KafkaException(found.error)
        if found.offset >= _NO_OFFSET:
            return int(found.offset)
        _, high = self._consumer.get_watermark_offsets(asked, timeout=ANSWER_SECONDS)
        return int(high)

    def _seek(self, positions: dict[int, int]) -> None:
        # Assigning drops what was fetched ahead; seek() would not, for partitions that are not fetched from yet.
        self._consumer.assign(self.offsets(positions))

    def _judge(self, error: KafkaError) -> None:
        if error.code() in NO_TOPIC:
            return self._source.gone()
        if error.code() in _GONE:
            # An offset of the old topic, most likely, where there is a new one of the name.
            self._source.check(self._source.look())
        raise_named(error, self._topic)
        if is_fatal(error):
            raise KafkaException(error)
        logger.info("reading %s: %s", self._topic, error)


def is_fatal(error: KafkaError) -> bool:
    """Whether a client that says so gives nothing any more."""
    return error.fatal() or error.code() == KafkaError._FATAL


def raise_named(error: KafkaError, topic: str) -> None:
    """Raise the named end that an error is, if it is one.

    Raises:
        StreamSetupError: ``data_lost``, ``broker_authentication_failed``.
    """
    code = error.code()
    if code in _GONE:
        raise StreamSetupError(
            "data_lost",
            f"Records that this stream has not read yet are gone from the topic {topic!r}: {error.str()}. "
            "Delete the deployment and create it again to go on from now.",
        )
    if code in _DENIED:
        raise StreamSetupError(
            "broker_authentication_failed", f"Kafka refuses this connection: {error.str()}."
        )
