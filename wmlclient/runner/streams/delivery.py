"""How a batch leaves: all of it with the group's offsets in one transaction, or record by record before a commit."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer

from wmlclient.runner.streams.aside import Aside
from wmlclient.runner.streams.clients import ANSWER_SECONDS
from wmlclient.runner.streams.membership import Membership
from wmlclient.runner.streams.outgoing import Outgoing

logger = logging.getLogger("wmlclient.runner.streams")

#: Errors that belong to one record, and will be there again whenever it is sent.
OF_A_RECORD = frozenset(
    (
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_MSG,
    )
)

#: For a broker to take a batch's offsets. One that leads the group and is gone costs a stream so many seconds.
_OFFSETS_SECONDS = 10.0

#: Errors of records that were not tried to the end.
_GIVEN_UP = frozenset((KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT))


class RecordRefused(Exception):
    """The broker refuses a record of the batch for what it is."""


class LostPlace(Exception):
    """This worker has no place in the group any more: nothing of the batch was sent for good."""


class Delivery(Protocol):
    """Sends batches.

    Attributes:
        undelivered: The topic of the first record of the last batch that did not arrive; None where all did.
    """

    undelivered: str | None

    def ready(self) -> None:
        """End what an earlier self has left open, so that the group's offsets are settled. Before they are read.

        Raises:
            KafkaException: The broker does not answer.
        """
        ...

    def send(self, records: Iterable[Outgoing], membership: Membership, following: dict[int, int]) -> None:
        """Send a batch and say that its sources are done.

        Args:
            records: What to send; taken one after the other, while the first ones are on their way.
            membership: Whose sources they come from.
            following: Where the group goes on after them.

        Raises:
            RecordRefused: One of the records can never be sent.
            LostPlace: Somebody else has the partitions.
            KafkaException: It is not known to be done; the group's offsets say what is.
        """
        ...

    def close(self) -> None:
        """End; nothing is waited for."""
        ...


def produce(producer: Producer, records: Iterable[Outgoing]) -> None:
    """Hand records to a producer; waits where it has too many."""
    take = producer.produce
    for topic, value, key, headers, timestamp in records:
        while True:
            try:
                take(topic, value, key, timestamp=timestamp, headers=headers or [])
                break
            except BufferError:
                producer.poll(0.05)


class _Producers:
    """A producer that is replaced after an error that leaves its state unknown.

    Args:
        make: Makes one; takes what is called with the error of each record that is not delivered.
    """

    def __init__(self, make: Callable[[Callable[[Any, Any], None]], Producer]) -> None:
        self._make = make
        self._producer: Producer | None = None
        self._failures: list[KafkaError] = []
        self.undelivered: str | None = None

    def ready(self) -> None:
        """See :meth:`Delivery.ready`."""
        self._get()

    def _get(self) -> Producer:
        if self._producer is None:
            producer = self._make(self._failed)
            self._begin(producer)
            self._producer = producer
        return self._producer

    def _failed(self, error: KafkaError, message: Any) -> None:
        self._failures.append(error)
        if self.undelivered is None and error.code() not in _GIVEN_UP:
            self.undelivered = message.topic()

    def _begin(self, producer: Producer) -> None:
        """Make a new producer ready."""

    def drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                producer.purge()
            except KafkaException as error:
                logger.info("dropping a producer: %s", error)

    def close(self) -> None:
        self.drop()

    def _produce(self, producer: Producer, records: Iterable[Outgoing]) -> None:
        self._failures.clear()
        self.undelivered = None
        produce(producer, records)

    def _refused(self) -> RecordRefused | None:
        """The error of a record that did not arrive, if it is the record's own."""
        own = [error for error in self._failures if error.code() in OF_A_RECORD]
        return RecordRefused(own[0].str()) if own else None


class ExactlyOnce(_Producers):
    """Records and offsets in one transaction."""

    _aside: Aside | None = None

    def _begin(self, producer: Producer) -> None:
        # Ends the transaction that was left open under this id, and fences off whoever opened it.
        again(producer.init_transactions)
        self._aside = Aside()

    def drop(self) -> None:
        super().drop()
        if self._aside is not None:
            self._aside.close()
            self._aside = None

    def send(self, records: Iterable[Outgoing], membership: Membership, following: dict[int, int]) -> None:
        """See :meth:`Delivery.send`."""
        proof = membership.proof
        if proof is None:
            raise LostPlace
        producer = self._get()
        assert self._aside is not None
        bounded = self._aside.call
        try:
            producer.begin_transaction()
            self._produce(producer, records)
            # Offsets that meet records on their way make the broker say `CONCURRENT_TRANSACTIONS`, and then the client
            # pauses. What fails here fails the commit as well.
            producer.flush(ANSWER_SECONDS)
            offsets = membership.offsets(following)
            again(
                lambda left: bounded(producer.send_offsets_to_transaction, offsets, proof, left),
                _OFFSETS_SECONDS,
            )
            again(producer.commit_transaction)
        except KafkaException as problem:
            producer.poll(0)
            self._abort(producer, problem.args[0])
            refused = self._refused()
            if refused is not None:
                raise refused from None
            raise
        except BaseException:
            self.drop()
            raise

    def _abort(self, producer: Producer, error: KafkaError) -> None:
        """Leave nothing open. Only an error that says so leaves a producer that may be used again."""
        if error.txn_requires_abort() and not error.fatal():
            try:
                again(producer.abort_transaction)
                return
            except KafkaException as problem:
                logger.warning("a transaction cannot be aborted: %s", problem)
        self.drop()


class AtLeastOnce(_Producers):
    """Records first, offsets when all have arrived; the next batch does not wait for them to be committed."""

    def send(self, records: Iterable[Outgoing], membership: Membership, following: dict[int, int]) -> None:
        """See :meth:`Delivery.send`."""
        if membership.proof is None:
            raise LostPlace
        producer = self._get()
        try:
            self._produce(producer, records)
            left = producer.flush(ANSWER_SECONDS)
        except BaseException:
            self.drop()
            raise
        if left or self._failures:
            refused = self._refused()
            self.drop()
            if refused is not None:
                raise refused
            raise KafkaException(self._failures[0] if self._failures else KafkaError(KafkaError._TIMED_OUT))
        membership.commit_soon(following)


def again(call: Callable[[float], Any], seconds: float = ANSWER_SECONDS) -> None:
    """Call until it has worked: the client's transaction calls are taken up where they were.

    Args:
        call: Takes the seconds that are left, and is to take no longer.
        seconds: For all calls together.

    Raises:
        KafkaException: It failed in a way that calling again does not help, or for too long.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            call(max(0.1, deadline - time.monotonic()))
            return
        except KafkaException as problem:
            error: KafkaError = problem.args[0]
            if error.txn_requires_abort() or not error.retriable() or time.monotonic() >= deadline:
                raise
            logger.info("trying again: %s", error)
            time.sleep(0.05)
