"""A worker at work: take records, score them, send them, over and over, and after any trouble from what is committed.

The order of things is what makes it exact. Partitions only move while records are taken, when nothing is under way;
what was taken is either sent and committed as one, or given up as one; and after an error nobody's memory counts, only
the offsets that the group has committed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from wmlclient import envelope
from wmlclient.runner.engine.ports import StreamSetupError, StreamSpec
from wmlclient.runner.streams import clients
from wmlclient.runner.streams.commits import OnCommit
from wmlclient.runner.streams.counts import Counts
from wmlclient.runner.streams.decoder import Verdict
from wmlclient.runner.streams.delivery import AtLeastOnce, Delivery, ExactlyOnce, LostPlace, RecordRefused
from wmlclient.runner.streams.membership import Membership, is_fatal, raise_named
from wmlclient.runner.streams.model import OneByOne, RecordModel
from wmlclient.runner.streams.outgoing import Blocked, Outgoing, Sender
from wmlclient.runner.streams.pace import Pace
from wmlclient.runner.streams.source import NO_TOPIC, Renewed, Source, missing_of

logger = logging.getLogger("wmlclient.runner.streams")

_WAIT_SECONDS = 0.2
_REPORT_SECONDS = 0.5
_LATE = frozenset((KafkaError._TIMED_OUT, KafkaError._MSG_TIMED_OUT, *NO_TOPIC))
_PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)

# Called with kind and details of an event.
Tell = Callable[[str, dict[str, Any]], None]


class StreamLoop:
    """One worker of a stream.

    Args:
        spec: The stream.
        model: Its model.
        name: The worker's name among those of the stream: also its transactional id, so that a second one of the
            name fences off the first.
        lasting: Whether a worker of this name comes back after an accident, and takes its partitions up at once.
        tell: Takes its events.
    """

    def __init__(self, spec: StreamSpec, model: RecordModel, name: str, lasting: bool, tell: Tell) -> None:
        self._spec, self._model, self._tell = spec, model, tell
        self._id = f"{envelope.group(spec.stream_id)}-{name}"
        self._member = self._id if lasting else None
        self._source = Source.of(spec.source)
        self.counts = Counts()
        self._stopping = threading.Event()
        self._trouble = 0
        self._careful = 0
        self._pace = Pace()
        self._dead = False
        self._blocked = False
        self._busy = False
        self._reported = 0.0
        self._next: tuple[StreamSpec, RecordModel] | None = None

    def swap(self, spec: StreamSpec, model: RecordModel) -> None:
        """Have the records from the next batch on scored by another model. From any thread.

        Args:
            spec: The stream with that model; its topics, formats and delivery are those of now.
            model: The model.
        """
        self._next = (spec, model)

    def stop(self) -> None:
        """Have :meth:`run` return after the batch that is under way. From any thread."""
        self._stopping.set()

    def run(self) -> None:
        """Work until it is stopped.

        Raises:
            StreamSetupError: A named end.
        """
        delivery = self._delivery()
        self._settle(delivery)
        membership = Membership(self._consumer, self._source, self._spec.created_at_ms)
        try:
            sender = self._sender()
            running = False
            self._tell("loaded", {"digest": self._spec.model_digest})
            while not self._stopping.is_set():
                following, self._next = self._next, None
                if following is not None:
                    # Between two transactions: each record is scored by one of the two, and its receipt says which.
                    self._spec, self._model = following
                    sender = self._sender()
                    logger.info("records are scored by %s from here on", self._spec.model_digest)
                    self._tell("loaded", {"digest": self._spec.model_digest})
                elif self._blocked:
                    # What its topics take may be another thing now.
                    sender, self._blocked = self._sender(), False
                self._turn(membership, delivery, sender)
                if membership.joined and not running:
                    running = True
                    self._tell("running", {"partitions": sorted(membership.positions)})
                self._report(membership)
        finally:
            delivery.close()
            membership.close()

    # -- its parts --------------------------------------------------------------------------------------------

    def _consumer(self, on_commit: OnCommit) -> Any:
        group = envelope.group(self._spec.stream_id)
        return clients.consumer(self._spec.source, group, self._member, self._disturbed, on_commit)

    def _delivery(self) -> Delivery:
        target, once = self._spec.target, self._spec.delivery == "exactly_once"
        if not once:
            return AtLeastOnce(lambda failed: clients.producer(target, None, failed))
        self._check_cluster()
        return ExactlyOnce(lambda failed: clients.producer(target, self._id, failed))

    def _check_cluster(self) -> None:
        """A transaction lives in one cluster: the group's offsets and the target have to be in the same."""
        try:
            ends = [
                clients.cluster_id(clients.producer(end, None, lambda *_: None))
                for end in (self._spec.source, self._spec.target)
            ]
        except KafkaException as problem:
            raise StreamSetupError(
                "broker_unavailable", f"The Kafka cluster does not answer: {problem.args[0].str()}.", True
            ) from None
        if ends[0] != ends[1]:
            raise StreamSetupError(
                "different_clusters",
                "Source and target are in different Kafka clusters, and no transaction spans two. "
                "Deploy the stream with delivery at_least_once.",
            )

    def _settle(self, delivery: Delivery) -> None:
        while not self._stopping.is_set():
            try:
                return delivery.ready()
            except KafkaException as problem:
                raise_named(problem.args[0], self._spec.target.topic)
                self.counts.last_error = problem.args[0].str()
                logger.warning("the producer is not ready: %s", problem)
                self._tell("progress", self.counts.to_json())
                self._stopping.wait(_PAUSES[3])

    def _sender(self) -> Sender:
        spec = self._spec
        return Sender(
            spec, self._model, clients.record_bytes(spec.target), clients.record_bytes(spec.dead_letter)
        )

    def _disturbed(self, error: Any) -> None:
        """The connection has trouble; the client goes on trying by itself, unless it says that it will not."""
        logger.info("%s", error)
        self.counts.last_error = error.str()
        self._dead = self._dead or is_fatal(error)

    # -- its work ---------------------------------------------------------------------------------------------

    def _turn(self, membership: Membership, delivery: Delivery, sender: Sender) -> None:
        if self._dead or membership.lost():
            # Such a client gives neither records nor errors any more.
            logger.warning(
                "joining the group as somebody new: %s", self.counts.last_error or "no place in it for long"
            )
            self._dead = False
            membership.rejoin()
        try:
            self._source.watch(self._busy)
            most = 1 if self._careful else self._pace.most(self._model)
            messages = membership.take(most, _WAIT_SECONDS)
            self._busy = bool(messages)
            if messages:
                self._work(messages, membership, delivery, sender)
        except Renewed:
            self.counts.aborted += 1
            self.counts.last_error = f"The topic {self._source.name!r} was deleted and made again."
            logger.warning("%s Going on from its first record", self.counts.last_error)
            membership.rejoin()
        except Blocked as reason:
            self._wait_for_room(str(reason), membership)
        except LostPlace:
            logger.info("the partitions are somebody else's; a batch is given up")
            self.counts.aborted += 1
        except KafkaException as problem:
            self._given_up(problem.args[0], membership, delivery)

    def _work(
        self, messages: Sequence[Any], membership: Membership, delivery: Delivery, sender: Sender
    ) -> None:
        began, now = time.monotonic(), _now_ms()
        sender.topic_id = self._source.id or ""
        following = membership.after(messages)
        dead: list[int] = []
        pieces = self._scored(messages, sender, now, dead)
        try:
            first = next(pieces)
        except OneByOne as reason:
            return self._apart(messages, membership, reason)
        try:
            delivery.send(chain(first, chain.from_iterable(pieces)), membership, following)
        except RecordRefused as refused:
            if len(messages) > 1:
                return self._apart(messages, membership, refused)
            if sum(dead):
                raise self._refused(refused) from None
            dead = [1]
            try:
                letter = sender.dead_letter(messages[0], _refusal(refused), now)
                delivery.send([letter], membership, following)
            except RecordRefused as too:
                raise self._refused(too) from None
        membership.done(following)
        self._trouble, self._careful = 0, max(0, self._careful - len(messages))
        self._pace.done(self._model, len(messages), time.monotonic() - began)
        now = _now_ms()
        times = (message.timestamp() for message in messages[-256:])
        ages = [now - at for kind, at in times if kind]
        self.counts.done(len(messages), sum(dead), ages, now)

    def _scored(
        self, messages: Sequence[Any], sender: Sender, now: int, dead: list[int]
    ) -> Iterator[list[Outgoing]]:
        """The records to send, piece by piece: while one is scored, the client sends the last one.

        Args:
            messages: What came.
            sender: Scores them.
            now: Milliseconds since 1970.
            dead: Takes how many of each piece are dead letters.
        """
        # Once only: what was read is this topic's. At least once: the look now and then will do, as what is read
        # from a new topic before it is read again.
        asked = self._source.begin() if self._spec.delivery == "exactly_once" else None
        size = self._model.most
        for start in range(0, len(messages), size):
            batch = sender.run(messages[start : start + size], now)
            dead.append(batch.dead)
            yield batch.records
        if asked is not None:
            self._source.check(asked)

    def _apart(self, messages: Sequence[Any], membership: Membership, reason: Exception) -> None:
        """Take the same records again one by one, until the one is found: the others go out, that one goes aside."""
        logger.warning("%s; taking %d records one by one", reason, len(messages))
        self._careful = len(messages)
        self._pace.trouble()
        self.counts.aborted += 1
        membership.resume()

    def _refused(self, refused: RecordRefused) -> Blocked:
        return Blocked(
            f"The dead-letter topic {self._spec.dead_letter.topic!r} refuses a record: {refused}. Change the topic's "
            "settings: the stream waits for it, and drops nothing."
        )

    def _wait_for_room(self, reason: str, membership: Membership) -> None:
        """A record can go nowhere: try again, until the dead-letter topic takes it."""
        logger.warning("%s", reason)
        self.counts.aborted += 1
        self.counts.last_error = reason
        self._blocked = True
        self._report(membership)
        if self._stopping.wait(_PAUSES[4]):
            return
        try:
            membership.resume()
        except KafkaException as problem:
            logger.info("joining the group anew: %s", problem)
            membership.rejoin()

    def _said(self, error: Any, delivery: Delivery) -> str:
        """An error in words; with the topic, where a topic does not take what is sent."""
        ends = (self._spec.target, self._spec.dead_letter)
        # The first time it is most likely a broker that changes, unless that has taken long.
        missing = missing_of(*ends) if self._trouble or error.code() in _LATE else None
        for word, end in zip(("target", "dead-letter"), ends, strict=True):
            if end is missing:
                return (
                    f"The {word} topic {end.topic!r} does not exist; waiting for it, and nothing is dropped."
                )
            if end.topic == delivery.undelivered:
                return f"The {word} topic {end.topic!r} takes nothing: {error.str()}; nothing is dropped."
        return str(error.str())

    def _given_up(self, error: Any, membership: Membership, delivery: Delivery) -> None:
        """A batch was not sent, or nobody knows: wait a little, and go on from what is committed."""
        self._pace.trouble()
        self.counts.aborted += 1
        self.counts.last_error = self._said(error, delivery)
        self._report(membership)
        pause = _PAUSES[min(self._trouble, len(_PAUSES) - 1)]
        self._trouble += 1
        logger.warning("%s (%s); going on from the committed offsets in %.2f s", error.str(), error, pause)
        if self._stopping.wait(pause):
            return  # the next start settles it
        try:
            delivery.ready()
            if is_fatal(error) or self._trouble > len(_PAUSES):
                membership.rejoin()
            else:
                membership.resume()
        except KafkaException as problem:
            logger.warning("the committed offsets cannot be read: %s", problem)
            if problem.args[0].code() in NO_TOPIC:
                self._source.gone()
            raise_named(problem.args[0], self._spec.source.topic)
            membership.rejoin()

    def _report(self, membership: Membership) -> None:
        now = time.monotonic()
        if now - self._reported >= _REPORT_SECONDS:
            self._reported = now
            if self._source.missing:
                self.counts.last_error = f"The topic {self._source.name!r} does not exist; waiting for it."
            lag = {str(partition): waiting for partition, waiting in membership.lag().items()}
            self._tell("progress", {**self.counts.to_json(), "lag": lag})


def _refusal(refused: RecordRefused) -> Verdict:
    return Verdict("encode", f"the target topic refuses it: {refused}")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
