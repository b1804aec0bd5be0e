"""What Spark does with a stream's records between reading and sending them: our plan beside one written by hand.

    .venv/bin/python benchmarks/stream_plan.py [--model FOLDER] [--rows 50000] [--turns 20]

Rows as Kafka's source gives them are kept in memory, and what comes out is thrown away, so no broker takes part, and
no batch begins or ends. One JVM with one core does both in turns, over and over: the first half of the turns warms it
up, the best of the others counts. Printed: records for each second of its CPU, with the compiler and the collector.
Other programs on the same cores make a record dearer by a tenth and more: compare on a machine that is quiet.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from figures import Figure, report
from streams import FIT, SCHEMA
from workloads import texts

from wmlclient.runner.engine.ports import KafkaEndpoint, StreamSpec
from wmlclient.runner.spark.plan import StreamPlan
from wmlclient.runner.spark.session import Session
from wmlclient.runner.spark.settings import DriverFolder, spark_settings, to_properties
from wmlclient.runner.spark.single import SinglePass

GOAL = 0.95
STYLES: dict[str, dict[str, Any]] = {"json.dumps": {}, "compact": {"separators": (",", ":")}}
KAFKA = (
    "CAST(concat('k', id) AS BINARY) AS key",
    "CAST(value AS BINARY) AS value",
    "'source' AS topic",
    "0 AS partition",
    "id AS offset",
    "TIMESTAMP '2026-01-01 00:00:00' AS timestamp",
    "0 AS timestampType",
    "CAST(NULL AS ARRAY<STRUCT<key: STRING, value: BINARY>>) AS headers",
)


class Bench:
    """A session with one core, and a model."""

    def __init__(self, home: Path, model: Path) -> None:
        folder = DriverFolder.of(home, "local[1]")
        folder.path.mkdir(parents=True)
        folder.properties.write_text(to_properties(spark_settings(folder, "local[1]", (), "1g")))
        self.session = Session(folder.path)
        self.session.start()
        self._home = home
        end = KafkaEndpoint(("127.0.0.1:9",), "topic", "PLAINTEXT", None, None)
        spec = StreamSpec("bench", str(model), SCHEMA, end, end, end, "", 1, "sha256:bench")
        plan = StreamPlan.make(self.session, spec)
        self._model, self._ours = plan.model, SinglePass(self.session, spec, plan, plan.model)

    def rows(self, count: int, **style: Any) -> Any:
        """Rows of Kafka's source."""
        file, frame = self._home / "rows.txt", texts(count, 7)
        pairs = zip(frame["id"], frame["text"], strict=True)
        file.write_text("\n".join(json.dumps({"id": int(id), "text": text}, **style) for id, text in pairs))
        seq = self.session.seq
        read = self.session.spark.read().text(file.as_uri()).coalesce(1)
        numbered = read.selectExpr(seq(["monotonically_increasing_id() AS id", "value"]))
        return numbered.selectExpr(seq(list(KAFKA))).localCheckpoint(True)

    def by_hand(self, rows: Any) -> Any:
        """The plan of a job as one writes it."""
        functions, seq, jvm = self.session.functions, self.session.seq, self.session.jvm
        schema = jvm.org.apache.spark.sql.types.DataType.fromJson(json.dumps(SCHEMA))
        text = functions.col("value").cast("string")
        read = functions.from_json(text, schema, jvm.java.util.HashMap()).alias("r")
        scored = self._model.transform(
            rows.select(seq([functions.col("key"), read])).selectExpr(seq(["key", "r.*"]))
        )
        names = ", ".join(name for name in scored.columns() if name != "key")
        return scored.selectExpr(seq(["key", f"to_json(struct({names})) AS value"]))

    def ours(self, rows: Any) -> Any:
        """The plan of a stream."""
        return self._ours.apply(rows)

    def cpu(self, frame: Any) -> float:
        """Seconds of the JVM's CPU that it takes to compute a frame."""
        process = psutil.Process(self.session.jvm_pid)
        before = process.cpu_times()
        frame.write().format("noop").mode("overwrite").save()
        after = process.cpu_times()
        return after.user + after.system - before.user - before.system


def figures(bench: Bench, count: int, turns: int) -> Iterator[Figure]:
    """One for each way in which JSON is usually written."""
    for title, style in STYLES.items():
        rows = bench.rows(count, **style)
        frames = (bench.ours(rows), bench.by_hand(rows))
        used = [[bench.cpu(frame) for frame in frames] for _ in range(turns)][turns // 2 :]
        ours, theirs = (count / min(each) for each in zip(*used, strict=True))
        met = ours >= GOAL * theirs
        yield Figure(
            f"JSON of {title}, records a CPU second", ours, "/s", theirs, "plan by hand", ">= 0.95 x", met
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="a pipeline that `streams.py --model` has kept")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--turns", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        model = (arguments.model or home / "model").absolute()
        if not model.exists():
            here = str(Path(__file__).parent)
            subprocess.run([sys.executable, "-c", FIT, str(model), here], check=True, capture_output=True)
        bench = Bench(home, model)
        try:
            found = report(
                "what Spark does with each record", figures(bench, arguments.rows, arguments.turns)
            )
        finally:
            bench.session.kill()
    return 1 if any(figure.met is False for figure in found) else 0


if __name__ == "__main__":
    sys.exit(main())
