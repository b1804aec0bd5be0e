"""The proof that nothing of a stream's source is missing in what it wrote, or there twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attrs import frozen

from wmlclient import display, envelope
from wmlclient.errors import PayloadError
from wmlclient.records import KafkaRecord
from wmlclient.streams import group_of, since_of, topics_of

if TYPE_CHECKING:
    from wmlclient.connections import KafkaConnection
    from wmlclient.deployment import Deployment
    from wmlclient.topics import KafkaTopic

#: Partition and offset of a record of the source.
Place = tuple[int, int]
Ranges = dict[int, tuple[int, int]]

_SHOWN = 20


@frozen
class Audit:
    """A range of a stream's source, and what became of it.

    Attributes:
        inputs: records of the source in the range.
        outputs: scored records made of them.
        dead_letters: dead letters made of them.
        missing: sources without a result, as partition and offset.
        double: sources with more than one.
        ranges: by partition, first offset and the one after the last.
        left_out: results of a topic that had the source's name before, and was deleted.
    """

    inputs: int
    outputs: int
    dead_letters: int
    missing: tuple[Place, ...]
    double: tuple[Place, ...]
    ranges: dict[int, tuple[int, int]]
    left_out: int = 0

    @property
    def ok(self) -> bool:
        """Whether every record has exactly one result."""
        return not self.missing and not self.double

    def __str__(self) -> str:
        head = (
            f"{self.inputs:,} records in, {self.outputs:,} scored, {self.dead_letters:,} dead letters: "
            f"{len(self.missing):,} missing, {len(self.double):,} double"
        )
        lines = [head]
        for word, places in (("missing", self.missing), ("double", self.double)):
            lines += [f"  {word}: partition {p}, offset {o}" for p, o in places[:_SHOWN]]
            if len(places) > _SHOWN:
                lines.append(f"  {word}: and {len(places) - _SHOWN:,} more")
        if self.left_out:
            lines.append(
                f"  left out: {self.left_out:,} results of a topic that had the source's name before"
            )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return display.card(
            "Audit", [("result", "complete" if self.ok else "NOT complete"), ("found", str(self))]
        )


def audit(source: KafkaTopic, target: KafkaTopic, letters: KafkaTopic | None, ranges: Ranges | None) -> Audit:
    """Compare what came in with what went out.

    Args:
        source: The source topic, as it is now: results of one that had its name before are left out.
        target: The target topic, with receipts.
        letters: The dead-letter topic, where there is one.
        ranges: By partition of the source, first offset and the one after the last; None for all there is.

    Raises:
        PayloadError: Records of the target have no receipts.
        BrokerError: Kafka refuses, or does not answer.
    """
    from wmlclient.groups import same_topic, topic_id

    id = topic_id(source)
    came = {(record.partition, record.offset) for record in source.read()}
    outputs, dead, left_out = Counter[Place](), Counter[Place](), 0
    receipts = True
    for topic, found in ((target, outputs), (letters, dead)):
        for record in topic.read() if topic is not None else ():
            receipts = receipts and (topic is not target or envelope.OFFSET in record.headers)
            for place, told in _result(record, source.name):
                if same_topic(told, id):
                    found[place] += 1
                else:
                    left_out += 1
    if ranges is not None:
        if left_out:
            # Such a topic is read from its first record on, whatever the record's time.
            ranges = {partition: (0, end) for partition, (_, end) in ranges.items()}
        came, outputs, dead = _inside(came, ranges), _within(outputs, ranges), _within(dead, ranges)
    if came and not outputs and not receipts:
        raise PayloadError(
            f"The records of {target.name!r} have no receipts, so that nobody can tell what they were made of. "
            "Deploy the stream with receipts=True."
        )
    counted = outputs + dead
    return Audit(
        inputs=len(came),
        outputs=sum(outputs.values()),
        dead_letters=sum(dead.values()),
        missing=tuple(sorted(came - counted.keys())),
        double=tuple(sorted(place for place, times in counted.items() if times > 1)),
        ranges=ranges or {},
        left_out=left_out,
    )


def _result(record: KafkaRecord, source: str) -> Iterator[tuple[Place, str]]:
    """Where a result comes from, with the topic's id where it is told; nothing for a result of another source."""
    headers = record.headers
    if headers.get(envelope.TOPIC) == source.encode() and envelope.OFFSET in headers:
        place = int(headers[envelope.PARTITION]), int(headers[envelope.OFFSET])
        yield place, headers.get(envelope.TOPIC_ID, b"").decode("ascii", "replace")


def _inside(places: set[Place], ranges: Ranges) -> set[Place]:
    return {place for place in places if _lies(place, ranges)}


def _within(counted: Counter[Place], ranges: Ranges) -> Counter[Place]:
    return Counter({place: times for place, times in counted.items() if _lies(place, ranges)})


def _lies(place: Place, ranges: Ranges) -> bool:
    first, end = ranges.get(place[0], (0, 0))
    return first <= place[1] < end


def audited(deployment: Deployment, connection: KafkaConnection | None) -> Audit:
    """See :meth:`wmlclient.Deployment.audit`."""
    from wmlclient.groups import group_ranges

    source, target, letters = topics_of(deployment, connection)
    return audit(source, target, letters, group_ranges(source, group_of(deployment), since_of(deployment)))
