"""A native stream at work for long: what its worker's memory, descriptors and threads do.

    python3 dev.py bench soak [--minutes N] [--rate RECORDS] [--workers N]

Records come at an even rate, about half of what one worker can take by default; the first third of the time is left
out. The goals: memory grows by less than 1 % an hour, descriptors and threads do not, and nothing is lost or double.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from confluent_kafka import Consumer, Producer, TopicPartition
from exactly_once import Heard, make_spec, tweet
from figures import Figure, report

from wmlclient.runner.broker import Broker
from wmlclient.runner.engine.ports import KafkaEndpoint, StreamSpec
from wmlclient.runner.streams.clients import connection
from wmlclient.runner.streams.delivery import produce
from wmlclient.runner.streams.engine import NativeStreams
from wmlclient.runner.streams.outgoing import Outgoing

_EVERY_SECONDS = 5.0
_PARTITIONS = 2


@frozen
class Sample:
    """All workers of a stream at one moment.

    Attributes:
        at: Seconds since the start.
        memory: Bytes of their own, not those of files.
        descriptors: Open ones.
        threads: Of the system.
    """

    at: float
    memory: int
    descriptors: int
    threads: int

    @classmethod
    def of(cls, pids: list[int], at: float) -> Sample:
        memory = descriptors = threads = 0
        for pid in pids:
            told = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            memory += int(told["RssAnon"].split()[0]) * 1024
            threads += int(told["Threads"])
            descriptors += len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return cls(at, memory, descriptors, threads)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: 30)")
    parser.add_argument("--rate", type=int, default=40_000, help="records a second (default: 40000)")
    parser.add_argument("--workers", type=int, default=1, help="of the stream (default: 1)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder) / "broker") as broker:
        spec = make_spec(broker, Path(folder), _PARTITIONS, workers=options.workers)
        shown = report("a native stream for long", soak(spec, Path(folder), options))
    return 0 if all(figure.met is not False for figure in shown) else 1


def soak(spec: StreamSpec, home: Path, options: argparse.Namespace) -> Iterator[Figure]:
    """Run the stream and look at its workers."""
    streams, heard, over = NativeStreams(home), Heard(), threading.Event()
    sent: list[int] = []
    feeder = threading.Thread(target=lambda: sent.append(feed(spec.source, options.rate, over)))
    try:
        streams.start_stream(spec, heard)
        while len(heard.kinds()) == 0:
            time.sleep(0.1)
        feeder.start()
        began, pids, samples = time.monotonic(), streams.pids(spec.stream_id), []
        while (at := time.monotonic() - began) < options.minutes * 60:
            samples.append(Sample.of(pids, at))
            over.wait(_EVERY_SECONDS)
        over.set()
        feeder.join()
        until = time.monotonic() + 300
        while heard.progress().get("records_in", 0) < sent[0] and time.monotonic() < until:
            time.sleep(0.5)
        told = heard.progress()
        same = streams.pids(spec.stream_id) == pids
    finally:
        over.set()
        streams.close()
    kept = [sample for sample in samples if sample.at >= options.minutes * 20]
    mean = statistics.mean(sample.memory for sample in kept)
    slope = statistics.linear_regression([s.at for s in kept], [s.memory for s in kept]).slope * 3600
    percent = 100 * slope / mean
    yield Figure("records a second", sent[0] / (options.minutes * 60), "rec/s", options.rate, "wanted")
    yield Figure("memory of its own", mean / 2**20, "MiB")
    yield Figure("memory an hour", percent, "%", limit="< 1 %", met=percent < 1)
    third = len(kept) // 3
    for name in ("descriptors", "threads"):
        first, last = (
            statistics.median(getattr(s, name) for s in part)
            for part in (kept[: third + 1], kept[-third - 1 :])
        )
        yield Figure(name, last, "", first, "a third of the time in", "no more", last <= first)
    scored = told["records_out"] + told["dead_letters"]
    found = _records(spec.target)
    yield Figure("records scored", scored, "", sent[0], "sent", "all", scored == sent[0] and same)
    yield Figure("records in the target", found, "", sent[0], "sent", "all, once", found == sent[0])


def feed(end: KafkaEndpoint, rate: int, over: threading.Event) -> int:
    """Send records at an even rate until it is over; returns how many."""
    producer = Producer({**connection(end), "linger.ms": 5, "acks": "all"})
    tweets = [tweet(number) for number in range(10_000)]
    records = [Outgoing(end.topic, value, key, headers, 0) for key, value, headers in tweets]
    began, sent = time.monotonic(), 0
    while not over.wait(0.01):
        due = int((time.monotonic() - began) * rate)
        produce(producer, (records[number % len(records)] for number in range(sent, due)))
        sent = due
        producer.poll(0)
    if producer.flush(60):
        raise RuntimeError("the broker does not take what is sent")
    return sent


def _records(end: KafkaEndpoint) -> int:
    """How many committed records a topic has: each is read, as marks of transactions have offsets, too."""
    consumer = Consumer(
        {
            **connection(end),
            "group.id": "count",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
        }
    )
    try:
        partitions = [TopicPartition(end.topic, number, 0) for number in range(_PARTITIONS)]
        consumer.assign(partitions)
        count, quiet = 0, time.monotonic() + 15
        while time.monotonic() < quiet:
            found = sum(1 for each in consumer.consume(10_000, 0.5) if not each.error())
            if found:
                count, quiet = count + found, time.monotonic() + 3
        return count
    finally:
        consumer.close()


if __name__ == "__main__":
    sys.exit(main())
