"""Queries of one stream, on one checkpoint: all in one pass, or batch by batch through Python. In the driver only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import frozen

from wmlclient.hadoop import to_write
from wmlclient.runner.engine.ports import StreamSpec
from wmlclient.runner.spark import conf
from wmlclient.runner.spark.batches import BatchWriter
from wmlclient.runner.spark.formats import translated
from wmlclient.runner.spark.kafka_options import MAX_TRANSLATED, bound, producer_options, source_options
from wmlclient.runner.spark.session import Session
from wmlclient.runner.spark.single import SinglePass

# Between two batches of Real-time Mode records wait for half a second: with a minute that were 1 % of them, the p99.
# After a crash those of the last one are scored again.
_REALTIME_BATCH = "120 seconds"
_INTERFACE = "org.apache.spark.sql.execution.streaming.sources.PythonForeachBatchFunction"


@frozen
class Queries:
    """Attributes:
    session: The driver's session.
    spec: The stream.
    """

    session: Session
    spec: StreamSpec

    def in_one_pass(self, plan: SinglePass, realtime: bool) -> Any:
        """Start a query that writes to Kafka by itself.

        Args:
            plan: What it does.
            realtime: Whether records are scored as they come, not in batches.
        """
        out = self._named(plan.apply(self._source(bounded=not realtime)).writeStream().format("kafka"))
        for key, value in producer_options(self.spec.target, 0 if realtime else 5).items():
            out = out.option(key, value)
        if realtime:
            lasts = self.session.setting(conf.REALTIME_BATCH) or _REALTIME_BATCH
            trigger = self.session.jvm.org.apache.spark.sql.streaming.Trigger.RealTime(lasts)
            out = out.outputMode("update").trigger(trigger)
        return out.start()

    def by_batches(self, writer: BatchWriter, once: bool = False) -> Any:
        """Start a query that hands each batch to a writer.

        Args:
            writer: Takes them.
            once: Whether it ends when it has taken what is there now.
        """
        out = self._named(self._source().writeStream())
        self.session.foreach_batch(out, _Batch(writer))
        if once:
            out = out.trigger(self.session.jvm.org.apache.spark.sql.streaming.Trigger.AvailableNow())
        return out.start()

    def _source(self, bounded: bool = True) -> Any:
        source = self.session.spark.readStream().format("kafka")
        most = self.session.setting(conf.RECORDS_PER_BATCH)
        least = MAX_TRANSLATED if translated(self.spec) else None
        limit = bound(int(most) if most else least) if bounded else {}
        for key, value in {**source_options(self.spec), **limit}.items():
            source = source.option(key, value)
        return source.load()

    def _named(self, out: Any) -> Any:
        folder = Path(self.spec.checkpoint_dir)
        folder.mkdir(parents=True, exist_ok=True)
        return out.queryName(self.spec.stream_id).option("checkpointLocation", to_write(folder))


class _Batch:
    """What the JVM calls with each micro-batch."""

    def __init__(self, writer: BatchWriter) -> None:
        self._writer = writer

    def call(self, frame: Any, batch_id: int) -> None:
        try:
            self._writer.write(frame, batch_id)
        except BaseException as error:
            # Spark matches a regular expression against the Python traceback that py4j hands it, and overflows the
            # stack on a long one. The writer keeps the error itself.
            raise RuntimeError(type(error).__name__) from None

    class Java:
        implements = [_INTERFACE]
