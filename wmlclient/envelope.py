"""The headers that streams add to records, by name: what both halves, and any other consumer, read and write.

The standard library only, so that either half may import it without a cost.
"""

from __future__ import annotations

from collections.abc import Iterable

#: Headers with this prefix are a stream's own. One that is sent again tells of this time, not of the last.
OWN = "wml."

#: Where a dead letter failed; one of :data:`STAGES`.
STAGE = "wml.error.stage"
#: Why, for a person.
REASON = "wml.error.reason"
#: Where the record came from. The timestamp is in milliseconds since 1970; all are decimal text.
TOPIC = "wml.source.topic"
PARTITION = "wml.source.partition"
OFFSET = "wml.source.offset"
TIMESTAMP = "wml.source.timestamp"
#: Which topic of that name, by the id that brokers give each: one that was deleted and made again has another.
TOPIC_ID = "wml.source.topic.id"
#: ``sha256:...`` of the archive of the model that scored, or refused, the record.
DIGEST = "wml.model.digest"

#: ``decode``: no JSON object. ``schema``: not what the model reads. ``score``: the model refuses or drops it.
#: ``encode``: the scored row cannot be written. ``oversize``: it is larger than the target topic takes.
STAGES = ("decode", "schema", "score", "encode", "oversize")

Headers = list[tuple[str, str | bytes | None]]


def without_own(headers: Iterable[tuple[str, str | bytes | None]] | None) -> Headers:
    """The headers that are not a stream's own.

    >>> without_own([("trace", b"1"), ("wml.error.stage", b"score")])
    [('trace', b'1')]
    """
    return [(key, value) for key, value in headers or () if not key.startswith(OWN)]


def source(topic: str, partition: int, offset: int, timestamp: int | None, topic_id: str = "") -> Headers:
    """Where a record came from, as headers.

    >>> source("tweets", 0, 7, None)
    [('wml.source.topic', b'tweets'), ('wml.source.partition', b'0'), ('wml.source.offset', b'7')]
    """
    found: Headers = [
        (TOPIC, topic.encode()),
        (PARTITION, b"%d" % partition),
        (OFFSET, b"%d" % offset),
    ]
    if timestamp is not None:
        found.append((TIMESTAMP, b"%d" % timestamp))
    if topic_id:
        found.append((TOPIC_ID, topic_id.encode()))
    return found


def group(stream_id: str) -> str:
    """The consumer group of a native stream.

    >>> group("0af1")
    'wmlclient-0af1'
    """
    return f"wmlclient-{stream_id}"
