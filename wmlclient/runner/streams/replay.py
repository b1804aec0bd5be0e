"""A stream's history scored by two versions: ``python -m wmlclient.runner.streams.replay``.

One line of stdin says what to do (passwords travel through the pipe), one line of stdout is the outcome. The source is
read without its group, so that the stream that runs is not touched. What the one version makes of the records goes to a
side topic with receipts; the other one's is only compared.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import orjson
from attrs import evolve
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from wmlclient.runner import lines, verdicts
from wmlclient.runner.engine.errors import EngineError
from wmlclient.runner.engine.formats import stream_formats
from wmlclient.runner.engine.ports import KafkaEndpoint, PortError, StreamSetupError, StreamSpec
from wmlclient.runner.streams import clients
from wmlclient.runner.streams.decoder import Verdict
from wmlclient.runner.streams.delivery import produce
from wmlclient.runner.streams.membership import raise_named
from wmlclient.runner.streams.model import Formats, StreamModel
from wmlclient.runner.streams.outgoing import Sender
from wmlclient.runner.streams.shift import Comparison

logger = logging.getLogger("wmlclient.runner.streams")

#: A source of which nothing comes for so long, though there is more, has gone.
STILL_SECONDS = 60.0
_EXAMPLES = 20

Ranges = dict[int, tuple[int, int]]


class Replay:
    """One replay.

    Args:
        spec: The stream with the version to try; its target is the side topic.
        before: The version to compare with, loaded to give JSON.
        since: ``{"at_ms": ...}``, ``{"offset": ...}``, or empty for the beginning.
        label: The column whose changes are flips, or None.
    """

    def __init__(
        self, spec: StreamSpec, before: StreamModel, since: Mapping[str, int], label: str | None
    ) -> None:
        self._spec, self._since = spec, since
        self._before = before
        formats = Formats(spec.source_format, spec.target_format, spec.target.topic, plain=True)
        self._after = StreamModel.open(Path(spec.model_dir), spec.input_schema, formats)
        self._comparison = Comparison(before.made, self._after.made, label)
        if label is not None and self._comparison.label is None:
            raise StreamSetupError(
                "no_such_label",
                f"Not both versions make a column {label!r}. Give label= one of {', '.join(self._after.made)}.",
            )
        self._bytes = clients.record_bytes(spec.target)
        self._sender = Sender(spec, self._after, self._bytes, self._bytes)
        self._failed: list[KafkaError] = []
        self._counts = dict.fromkeys(("records", "scored", "refused", "refused_before"), 0)
        self._refusals: list[dict[str, Any]] = []

    def run(self) -> dict[str, Any]:
        """Read from there to the present end; returns the outcome as JSON.

        Raises:
            StreamSetupError: A named end.
        """
        begun = time.monotonic()
        consumer = _reader(self._spec.source)
        try:
            ranges = _ranges(consumer, self._spec.source.topic, self._since)
            producer = clients.producer(self._spec.target, None, lambda error, _: self._failed.append(error))
            self._read(consumer, producer, ranges)
        except KafkaException as problem:
            error = problem.args[0]
            raise_named(error, self._spec.source.topic)
            raise StreamSetupError("broker_unavailable", f"Kafka: {error.str()}. Try again.", True) from None
        finally:
            consumer.close()
        return {
            **self._counts,
            **self._comparison.to_json(),
            "refusals": self._refusals,
            "ranges": {str(partition): list(each) for partition, each in ranges.items()},
            "seconds": round(time.monotonic() - begun, 3),
        }

    def _read(self, consumer: Consumer, producer: Producer, ranges: Ranges) -> None:
        topic = self._spec.source.topic
        left = {partition: end for partition, (begin, end) in ranges.items() if begin < end}
        consumer.assign([TopicPartition(topic, partition, ranges[partition][0]) for partition in left])
        heard = time.monotonic()
        while left:
            taken = []
            for message in consumer.consume(self._after.most, 0.5):
                partition, offset, error = _int(message.partition()), _int(message.offset()), message.error()
                if error is not None:
                    # Markers of transactions have offsets, too: the end may come without a record.
                    if error.code() == KafkaError._PARTITION_EOF:
                        if offset >= left.get(partition, 0):
                            left.pop(partition, None)
                        continue
                    raise KafkaException(error)
                end = left.get(partition)
                if end is None:
                    continue
                if offset < end:
                    taken.append(message)
                if offset + 1 >= end:
                    del left[partition]
            if taken:
                self._work(taken, producer)
                heard = time.monotonic()
            elif left and time.monotonic() - heard > STILL_SECONDS:
                raise StreamSetupError(
                    "replay_stands_still",
                    f"Nothing has come of {topic!r} for {STILL_SECONDS:.0f} s, though it has more. Look whether its "
                    "brokers run, and whether a transaction is open on it; then try again.",
                    True,
                )

    def _work(self, messages: list[Any], producer: Producer) -> None:
        values = [message.value() for message in messages]
        before, after = self._before.run(values), self._after.run(values)
        now = time.time_ns() // 1_000_000
        self._counts["records"] += len(messages)
        self._counts["refused_before"] += len(messages) - len(before.scored)
        records = []
        for place, message in enumerate(messages):
            value = after.scored.get(place)
            if value is None:
                self._refuse(message, after.verdicts[place])
                continue
            record = self._sender.scored(message, value, now)
            if record is None:
                self._refuse(message, Verdict("oversize", verdicts.too_large(self._bytes)))
                continue
            self._counts["scored"] += 1
            records.append(record)
            old = before.scored.get(place)
            if old is not None:
                at = (message.partition(), message.offset())
                self._comparison.add(at, orjson.loads(old), orjson.loads(after.plain[place]))
        produce(producer, records)
        left = producer.flush(clients.ANSWER_SECONDS)
        if left or self._failed:
            why = self._failed[0].str() if self._failed else "no answer"
            raise StreamSetupError(
                "replay_refused",
                f"The topic {self._spec.target.topic!r} does not take a record: {why}. Look at its settings, then "
                "replay to a new topic.",
            )

    def _refuse(self, message: Any, verdict: Verdict) -> None:
        self._counts["refused"] += 1
        if len(self._refusals) < _EXAMPLES:
            self._refusals.append(
                {
                    "partition": message.partition(),
                    "offset": message.offset(),
                    "stage": verdict.stage,
                    "reason": verdict.reason,
                }
            )


def _int(value: int | None) -> int:
    return -1 if value is None else value


def _reader(source: KafkaEndpoint) -> Consumer:
    options = {
        **clients.connection(source),
        # Needs a name, and is never joined: partitions are assigned by hand and nothing is committed.
        "group.id": f"wmlclient-replay-{os.getpid()}",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
    }
    return Consumer(options, logger=logger)


def _ranges(consumer: Consumer, topic: str, since: Mapping[str, int]) -> Ranges:
    """By partition, the first record and the present end.

    Raises:
        StreamSetupError: ``topic_not_found``.
        KafkaException: The cluster does not answer.
    """
    found = consumer.list_topics(topic, timeout=clients.ANSWER_SECONDS).topics[topic]
    if found.error is not None:
        raise StreamSetupError("topic_not_found", f"The topic {topic!r}: {found.error.str()}.")
    ranges: Ranges = {}
    for partition in found.partitions:
        low, high = consumer.get_watermark_offsets(
            TopicPartition(topic, partition), timeout=clients.ANSWER_SECONDS
        )
        begin = low
        if "offset" in since:
            begin = min(max(low, since["offset"]), high)
        elif "at_ms" in since:
            asked = [TopicPartition(topic, partition, since["at_ms"])]
            [place] = consumer.offsets_for_times(asked, timeout=clients.ANSWER_SECONDS)
            begin = place.offset if place.offset >= 0 else high
        ranges[partition] = (begin, high)
    return ranges


def replay(task: Mapping[str, Any]) -> dict[str, Any]:
    """Do what a task says.

    Args:
        task: ``spec`` (see :mod:`wmlclient.runner.lines`), ``body`` with the formats of the source and the side topic,
            ``before`` (``archive`` and ``schema`` of the version to compare with), ``since``, ``label``.

    Raises:
        PortError: A named end.
        EngineError: The formats are none.
    """
    spec = lines.spec_from_json(task["spec"])
    formats = stream_formats(task["body"], spec.input_schema)
    spec = evolve(spec, source_format=formats.source, target_format=formats.target)
    archive, schema = Path(task["before"]["archive"]), task["before"]["schema"]
    source = stream_formats(task["body"], schema).source
    return Replay(
        spec, StreamModel.open(archive, schema, Formats(source)), task["since"], task["label"]
    ).run()


def _end_with_parent(requests: IO[bytes]) -> None:
    requests.read()
    os._exit(1)


def main() -> None:
    """Entry point."""
    requests, answers = lines.own_pipes()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    task = lines.decode(requests.readline())
    threading.Thread(target=_end_with_parent, args=(requests,), daemon=True).start()
    try:
        answer = {"result": replay(task)}
    except (PortError, EngineError) as error:
        answer = {"error": {"code": error.code, "message": error.message}}
    answers.write(lines.encode(answer))
    answers.flush()
    # Kafka's clients have threads that may wait for brokers that are away.
    os._exit(0)


if __name__ == "__main__":
    main()
