"""What a batch of records becomes: scored records and dead letters, each with its key, its time and its headers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from wmlclient import envelope
from wmlclient.runner import verdicts
from wmlclient.runner.engine.ports import StreamSpec
from wmlclient.runner.streams.decoder import Verdict
from wmlclient.runner.streams.model import RecordModel

#: What a record costs beside its key, value and headers, generously.
_OVERHEAD = 256
_MINUTE_MS = 60_000


class Blocked(Exception):
    """The dead-letter topic does not take a record that can go nowhere else: the stream waits, and drops nothing."""


class Outgoing(NamedTuple):
    """A record to send."""

    topic: str
    value: bytes | None
    key: bytes | None
    headers: envelope.Headers | None
    timestamp: int


class Batch(NamedTuple):
    """What some records became: every one of them is among the ``records``, once."""

    records: list[Outgoing]
    dead: int


class Sender:
    """Turns records into those to send.

    Args:
        spec: The stream.
        model: Its model.
        target_bytes: How large a record the target topic takes.
        dead_bytes: How large a record the dead-letter topic takes.

    Attributes:
        topic_id: The id of the topic that the next records come from; empty where it is not known.
    """

    def __init__(self, spec: StreamSpec, model: RecordModel, target_bytes: int, dead_bytes: int) -> None:
        self._spec = spec
        self._model = model
        self._target_bytes = target_bytes
        self._dead_bytes = dead_bytes
        self._digest = spec.model_digest.encode()
        self.topic_id = ""

    def run(self, messages: Sequence[Any], now: int) -> Batch:
        """Score some records.

        Args:
            messages: As the Kafka client gives them.
            now: Milliseconds since 1970.

        Raises:
            Blocked: A record can go nowhere.
        """
        outcome = self._model.run([message.value() for message in messages])
        records: list[Outgoing] = []
        dead = 0
        for place, message in enumerate(messages):
            value = outcome.scored.get(place)
            if value is not None:
                record = self.scored(message, value, now)
                if record is not None:
                    records.append(record)
                    continue
                verdict = Verdict("oversize", verdicts.too_large(self._target_bytes))
            else:
                verdict = outcome.verdicts[place]
            records.append(self.dead_letter(message, verdict, now))
            dead += 1
        return Batch(records, dead)

    def scored(self, message: Any, value: bytes, now: int) -> Outgoing | None:
        """The record of one scored value; None where the target does not take it."""
        key, headers = message.key(), message.headers()
        if self._spec.receipts:
            headers = self._receipt(message, headers)
        if _size(value, key, headers) > self._target_bytes:
            return None
        return Outgoing(self._spec.target.topic, value, key, headers, _time(message, now))

    def dead_letter(self, message: Any, verdict: Verdict, now: int) -> Outgoing:
        """The dead letter of a record: its own bytes, key and headers, where it came from, and why.

        Raises:
            Blocked: The topic does not take one of its size.
        """
        headers: envelope.Headers = [
            *envelope.without_own(message.headers()),
            (envelope.STAGE, verdict.stage.encode()),
            (envelope.REASON, verdict.reason.encode("utf-8", "backslashreplace")),
            *self._source(message),
            (envelope.DIGEST, self._digest),
        ]
        value, key, topic = message.value(), message.key(), self._spec.dead_letter.topic
        if _size(value, key, headers) > self._dead_bytes:
            raise Blocked(
                f"Record {message.offset()} of partition {message.partition()} of {message.topic()!r} goes to the "
                f"dead-letter topic {topic!r}, which takes {self._dead_bytes} bytes a record; with its headers it "
                "has more. Raise max.message.bytes of that topic: the stream waits for it, and drops nothing."
            )
        return Outgoing(topic, value, key, headers, _time(message, now))

    def _receipt(self, message: Any, headers: Any) -> envelope.Headers:
        return [
            *envelope.without_own(headers),
            *self._source(message),
            (envelope.DIGEST, self._digest),
        ]

    def _source(self, message: Any) -> envelope.Headers:
        kind, at = message.timestamp()
        place = message.topic(), message.partition(), message.offset(), at if kind else None
        return envelope.source(*place, self.topic_id)


def _size(value: bytes | None, key: bytes | None, headers: envelope.Headers | None) -> int:
    size = len(value or b"") + len(key or b"") + _OVERHEAD
    for name, content in headers or ():
        size += len(name) * 4 + len(content or b"") + 8
    return size


def _time(message: Any, now: int) -> int:
    """The record's own time; 0, which is now, where it has none or one that brokers refuse: in the future."""
    kind, timestamp = message.timestamp()
    return timestamp if kind and 0 < timestamp <= now + _MINUTE_MS else 0
