"""What a native stream does when its brokers and topics go: on a real cluster of three, with records under way.

    python3 dev.py bench outages [restart|kill|leader|pause|recreated|partitions ...] [--pause SECONDS]

For each accident: how long until records are scored again, or the named end the stream comes to, and whether each
record has exactly one result. Without a name all of them are had, one after the other.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, evolve
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from exactly_once import Heard, lost_and_double, make_spec, read, send, tweet

from wmlclient.runner.broker import Cluster
from wmlclient.runner.engine.ports import StreamSpec
from wmlclient.runner.streams.clients import connection
from wmlclient.runner.streams.engine import NativeStreams
from wmlclient.testing.brokers import KafkaCluster, cluster_of

LIMIT_SECONDS = 30.0
_LOST = "the topic's records are gone with it"


@define
class Trial:
    """A stream at work, and a feeder that goes on whatever happens."""

    cluster: KafkaCluster
    spec: StreamSpec
    heard: Heard
    sent: int = 0
    stopped: bool = False

    @property
    def source(self) -> Any:
        return self.cluster.connection.topic(self.spec.source.topic)

    def feed(self) -> None:
        while not self.stopped:
            try:
                send(self.spec.source, [tweet(n) for n in range(self.sent, self.sent + 100)])
                self.sent += 100
            except Exception:
                time.sleep(0.2)  # the brokers are away; those that arrived all the same count as sent
            time.sleep(0.1)

    def scored(self) -> int:
        return int(self.heard.progress().get("records_out", 0))

    def admin(self) -> AdminClient:
        return AdminClient(connection(self.spec.source))


def restart(trial: Trial, _: float) -> None:
    trial.cluster.leader(trial.source).restart()


def kill(trial: Trial, _: float) -> None:
    leader = trial.cluster.leader(trial.source)
    leader.kill()
    leader.restart()


def leader(trial: Trial, _: float) -> None:
    trial.cluster.leader(trial.source).kill()


def pause(trial: Trial, seconds: float) -> None:
    for node in trial.cluster.nodes:
        node.pause()
    time.sleep(seconds)
    for node in trial.cluster.nodes:
        node.resume()


def recreated(trial: Trial, _: float) -> None:
    trial.source.delete()
    time.sleep(2)
    trial.source.create(2)


def partitions(trial: Trial, _: float) -> None:
    name = trial.spec.source.topic
    admin = trial.admin()  # one that is let go answers nothing
    admin.create_partitions([NewPartitions(name, 4)])[name].result(30)


ACCIDENTS: dict[str, Callable[[Trial, float], None]] = {
    each.__name__: each for each in (restart, kill, leader, pause, recreated, partitions)
}


def run(name: str, cluster: KafkaCluster, brokers: Cluster, home: Path, seconds: float) -> bool:
    """One accident; True if the stream did what it promises."""
    spec = make_spec(brokers.brokers[0], home, 2, workers=1)
    given = cluster.connection.brokers
    spec = evolve(
        spec,
        source=evolve(spec.source, brokers=given),
        target=evolve(spec.target, brokers=given),
        dead_letter=evolve(spec.dead_letter, brokers=given),
    )
    streams, heard = NativeStreams(home), Heard()
    trial = Trial(cluster, spec, heard)
    streams.start_stream(spec, heard)
    feeder = threading.Thread(target=trial.feed, daemon=True)
    feeder.start()
    try:
        _until(lambda: trial.scored() > 500, 120, lambda: f"{name}: not begun: {heard.events[-3:]}")
        ACCIDENTS[name](trial, seconds)
        over, before = time.monotonic(), trial.scored()
        try:
            _until(lambda: trial.scored() > before + 200 or "failed" in heard.kinds(), 120)
        except SystemExit:
            print(f"{name}: NOT scoring again: {heard.progress()}")
            for log in (home / "logs").glob(f"stream-{spec.stream_id}*"):
                print(log.read_text()[-3000:])
            return False
        took = time.monotonic() - over
        trial.stopped = True
        feeder.join(90)
        if "failed" in heard.kinds():
            details = heard.events[-1].details
            print(f"{name}: ended after {took:.1f} s: {details['code']}: {details['message']}")
            if details["code"] == "stream_failed":
                for log in (home / "logs").glob(f"stream-{spec.stream_id}*"):
                    print(log.read_text()[-3000:])
            return name == "recreated" and details["code"] != "stream_failed"
        for node in cluster.nodes:
            node.mend()
        # Those that were added, too, of which the stream hears some seconds later.
        count = len(trial.admin().list_topics(spec.source.topic, 30).topics[spec.source.topic].partitions)
        _until(
            lambda: len(lag := heard.progress().get("lag") or {}) == count and not sum(lag.values()),
            60,
            lambda: f"{name}: lag stays: {heard.progress()}",
        )
        sources = {(r.partition(), r.offset()) for r in read(spec.source, 1, more=4.0)}
        outs = read(spec.target, min(len(sources), 1), more=4.0)
        told = f"scoring again after {took:.1f} s (limit {LIMIT_SECONDS:.0f})"
        if name == "recreated":
            print(f"{name}: {told}; {_LOST}")
            return took <= LIMIT_SECONDS
        lost, double = lost_and_double(sources, outs)
        print(f"{name}: {told}; {len(sources):,} records, {lost} lost, {double} double")
        return took <= LIMIT_SECONDS and lost == double == 0
    finally:
        trial.stopped = True
        streams.close()
        for node in cluster.nodes:
            node.mend()


def _until(condition: Callable[[], Any], seconds: float, what: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"nothing happened for {seconds:.0f} s; {what()}")
        time.sleep(0.05)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("accidents", nargs="*", choices=[*ACCIDENTS, []], default=[])
    parser.add_argument("--pause", type=float, default=45.0, help="seconds that all brokers stand still")
    arguments = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder)) as brokers:
        cluster = cluster_of(brokers)
        for name in arguments.accidents or ACCIDENTS:
            good &= run(name, cluster, brokers, Path(folder), arguments.pause)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
