"""Streams of which something is killed over and over, by ``kill -9`` at random moments: what is lost, what is double.

    python3 dev.py bench kills [runner|spark ...] [--kills N] [--records N] [--seed N]

``runner``: the service with its workers, of a stream that is exactly once; ``spark``: the driver's Python half or its
JVM, of a stream on Spark, which is at least once. For the workers alone see tox's ``kafka-long``. The goals: nothing is
lost; exactly once nothing is double; on Spark no more than was sent since the last kill, which is a batch or a few.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from attrs import evolve
from exactly_once import SCHEMA, Heard, lost_and_double, make_spec, places, read, send, topic_of, tweet
from figures import Figure, report
from waiting import eventually

import wmlclient
from wmlclient.runner.broker import Broker
from wmlclient.runner.engine.ports import StreamSpec
from wmlclient.runner.spark.pool import DriverPool

_PARTITIONS = 4
_AGAIN_SECONDS = 180.0
_AFTER = 100


class Runner:
    """The service, a process of its own on one home."""

    def __init__(self, home: Path) -> None:
        self._home, self._credentials = home, home / "credentials.json"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._credentials.unlink(missing_ok=True)
        command = [sys.executable, "-m", "wmlclient.runner", "--home", str(self._home), "--port", "0"]
        with (self._home.parent / "runner.log").open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log)
        eventually(self._credentials.exists, 60, "no service")

    def client(self) -> wmlclient.Client:
        return wmlclient.Client.from_profile(path=self._credentials)

    def kill(self) -> None:
        """``kill -9``; its workers end by themselves."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def fed(spec: StreamSpec, first: int, count: int) -> Iterator[None]:
    """Records are sent while the block runs, and all of them are there at its end."""
    records = [tweet(number) for number in range(first, first + count)]
    thread = threading.Thread(target=send, args=(spec.source, records))
    thread.start()
    yield
    thread.join()


def of_runner(broker: Broker, home: Path, options: argparse.Namespace) -> Iterator[Figure]:
    """The service is killed while records flow, and started again."""
    spec = make_spec(broker, home, _PARTITIONS)
    runner, chance, share = (
        Runner(home / "home"),
        random.Random(options.seed),
        options.records // options.kills,
    )
    runner.start()
    try:
        id = deployed(runner.client(), spec)
        for kill in range(options.kills):
            with fed(spec, kill * share, share):
                time.sleep(chance.uniform(0, 0.7))
                runner.kill()
            runner.start()
            stream = runner.client().deployments.get(id)
            eventually(lambda: caught_up(stream), _AGAIN_SECONDS, f"kill {kill}: not caught up")  # noqa: B023
        yield from judged(spec, share * options.kills, "exactly once, kills of the service", options.kills, 0)
    finally:
        runner.kill()


def deployed(client: wmlclient.Client, spec: StreamSpec) -> str:
    """The stream, made by the service; its id."""
    sample = [{"id": number, "text": f"tweet number {number}"} for number in range(20)]
    model = client.models.publish(spec.model_dir, "m", sample=sample, training_schema=SCHEMA)
    source, target, dead_letter = (topic_of(end) for end in (spec.source, spec.target, spec.dead_letter))
    stream = model.deploy(
        "s", source=source, target=target, dead_letter=dead_letter, workers=2, receipts=True
    )
    stream.wait(timeout=_AGAIN_SECONDS)
    return stream.id


def caught_up(stream: wmlclient.Deployment) -> bool:
    progress = stream.refresh().progress
    return progress is not None and len(progress.lag) == _PARTITIONS and not sum(progress.lag.values())


def of_spark(broker: Broker, home: Path, options: argparse.Namespace) -> Iterator[Figure]:
    """The driver is killed while records flow; the stream is started again as the service does it."""
    spec = make_spec(broker, home, _PARTITIONS)
    spec = evolve(spec, delivery="at_least_once", checkpoint_dir=str(home / "checkpoint"))
    pool, chance, share = (
        DriverPool(home / "driver"),
        random.Random(options.seed),
        options.records // options.kills,
    )
    heard = Heard()

    def start() -> None:
        # A driver whose end nobody has noticed may be asked first; the service tries again, too.
        for _ in range(3):
            heard.events.clear()
            pool.get(None).start_stream(spec, heard)
            eventually(heard.kinds, _AGAIN_SECONDS, "nothing is told of the start")
            if heard.kinds()[0] == "running":
                return
            time.sleep(1.0)
        raise AssertionError(f"not running: {heard.events}")

    try:
        start()
        for kill in range(options.kills):
            with fed(spec, kill * share, share - _AFTER):
                time.sleep(chance.uniform(0, 1.5))
                runner = pool.get(None)
                os.kill(int(chance.choice((runner.pid, runner.jvm_pid)) or 0), signal.SIGKILL)
                eventually(lambda: "failed" in heard.kinds(), 60, "its death is not told")
            start()
            # Where all was done before the kill, nothing would be told without them.
            send(spec.source, [tweet(kill * share + share - number) for number in range(1, _AFTER + 1)])
            eventually(
                lambda: len(lag := heard.progress().get("lag", {})) == _PARTITIONS and not sum(lag.values()),
                _AGAIN_SECONDS,
                f"kill {kill}: not caught up",
            )
        yield from judged(spec, share * options.kills, "Spark, kills of the driver", options.kills, share)
    finally:
        pool.close()


def judged(spec: StreamSpec, count: int, title: str, kills: int, batch: int) -> Iterator[Figure]:
    """What the topics hold in the end."""
    outs = read(spec.target, count, 300, more=3.0)
    lost, double = lost_and_double(places(spec), outs)
    yield Figure(f"{title}: kills", kills, "")
    yield Figure("records lost", lost, "", count, "sent", "0", lost == 0)
    yield Figure("records double", double, "", count, "sent", f"<= {batch} a kill", double <= batch * kills)


VICTIMS = {"runner": of_runner, "spark": of_spark}


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("victims", nargs="*", default=[*VICTIMS], help=f"some of {', '.join(VICTIMS)}")
    parser.add_argument("--kills", type=int, default=50, help="of each (default: 50)")
    parser.add_argument("--records", type=int, default=500_000, help="of each (default: 500000)")
    parser.add_argument("--seed", type=int, default=20261122, help="of the moments (default: 20261122)")
    options = parser.parse_args()
    good = True
    for name in options.victims:
        with tempfile.TemporaryDirectory() as folder, Broker(Path(folder) / "broker") as broker:
            shown = report(
                f"kills: {name}, seed {options.seed}", VICTIMS[name](broker, Path(folder), options)
            )
            good &= all(figure.met is not False for figure in shown)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
