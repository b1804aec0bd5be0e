"""One micro-batch: score and send, and put aside what cannot be. In the driver process only."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from wmlclient.runner.engine.ports import KafkaEndpoint, StreamSpec
from wmlclient.runner.spark import ages
from wmlclient.runner.spark.failures import Stopped, mentions, of_kafka, root_cause
from wmlclient.runner.spark.formats import literal
from wmlclient.runner.spark.isolate import Position, find_bad, position_filter
from wmlclient.runner.spark.judging import judge
from wmlclient.runner.spark.kafka_options import sink_options
from wmlclient.runner.spark.local_rows import at_places, lines_of
from wmlclient.runner.spark.models import ModelCache
from wmlclient.runner.spark.plan import StreamPlan
from wmlclient.runner.spark.progress import Counts
from wmlclient.runner.spark.records import (
    META,
    META_COLUMNS,
    dead_letter_columns,
    named,
    stage_of_reason,
)
from wmlclient.runner.spark.session import Session
from wmlclient.runner.spark.table import has_vectors
from wmlclient.runner.spark.transform import with_vectors
from wmlclient.runner.verdicts import RECORD_BYTES, dropped, too_large

if TYPE_CHECKING:
    from wmlclient.runner.spark.translated import Incoming, Outgoing

logger = logging.getLogger("wmlclient.runner.spark.driver")

# So many records of a batch are asked for their very own reason; the others get that of their kind.
_EXACT_REASONS = 20
_COUNTED = ("count(1) AS n", "count(reason) AS bad", ages.observed(ages.column(realtime=False)))


class BatchWriter:
    """Handles each micro-batch of one stream.

    Attributes:
        counts: For progress events.
        error: What made the last batch fail, as it was raised here.
    """

    def __init__(
        self,
        session: Session,
        models: ModelCache,
        spec: StreamSpec,
        plan: StreamPlan,
        stopping: threading.Event,
        counts: Counts,
        careful: bool = False,
    ) -> None:
        self._session, self._models, self._spec, self._plan = session, models, spec, plan
        self._stopping = stopping
        self.counts = counts
        self.error: BaseException | None = None
        fields = [dict(field, nullable=True) for field in plan.reader.fields]
        self._vectors = fields if has_vectors({"fields": fields}) else None
        self._incoming, self._outgoing = _translations(session, spec, plan, self.counts, stopping)
        self._careful = careful or self._vectors is not None or self._outgoing is not None
        self._seen: dict[str, Any] = {}

    def write(self, frame: Any, batch_id: int) -> None:
        """Take one micro-batch: rows of Kafka's source. Returns when all its records have been sent somewhere.

        Raises:
            Exception: The batch must be run again; the query ends with it.
        """
        started = datetime.now(timezone.utc)
        self._seen = {}
        try:
            taken, dead = self._write(frame)
        except BaseException as error:
            self.error = error
            raise
        now = datetime.now(timezone.utc)
        at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        latency = ages.latency(self._seen, now.timestamp() * 1000)
        self.counts.add(taken, dead, batch_id, at, (now - started).total_seconds(), latency)

    def _write(self, frame: Any) -> tuple[int, int]:
        judged = self._judge(frame)
        if self._careful:
            return self._write_carefully(judged)
        before, counted = self._observe(judged, *_COUNTED)
        out = self._score(counted)
        after = None
        if self._plan.dropping:
            after, out = self._observe(out, "count(1) AS n")
        try:
            self._send(out, self._spec.target)
        except Exception as error:
            if self._stopping.is_set() or (of_kafka(error) and not _too_large(error)):
                raise
            logger.warning("stream %s: a batch failed (%s)", self._spec.stream_id, root_cause(error))
            self.counts.trouble(root_cause(error))
            # What was sent of this batch before the failure is sent once more. Not so the next time.
            self._careful = True
            return self._recover(judged, error)
        # No count is no proof that there is nothing bad.
        self._seen = seen = _metrics(before) or self._counted(judged)
        taken, bad = seen["n"], seen["bad"]
        if bad:
            self._bury_unparsed(judged)
        dropped: dict[Position, str] = {}
        if after is not None and _metrics(after).get("n") != taken - bad:
            dropped = self._dropped(judged)
        if dropped:
            self._bury(judged, dropped, "score")
        return taken, bad + len(dropped)

    def _write_carefully(self, judged: Any) -> tuple[int, int]:
        """Score all of a batch before any of it is sent: twice the work, but nothing is sent twice.

        For streams in which a record has made a batch fail, and for models that take vectors, whose rows cross from
        one query to another, where observed counts are lost.
        """
        judged = judged.persist()
        try:
            self._seen = self._counted(judged)
            taken, bad = self._seen["n"], self._seen["bad"]
            try:
                out = self._score(judged)
                _noop(out)
                dropped = self._dropped(judged) if self._plan.dropping else {}
                self._send(out, self._spec.target)
            except Exception as error:
                if self._stopping.is_set() or (of_kafka(error) and not _too_large(error)):
                    raise
                return self._recover(judged, error)
            if bad:
                self._bury_unparsed(judged)
            if dropped:
                self._bury(judged, dropped, "score")
            return taken, bad + len(dropped)
        finally:
            judged.unpersist()

    # -- the steps --------------------------------------------------------------------------------------------

    def _judge(self, frame: Any) -> Any:
        """The records, each with what it holds (``r``, ``extra``) and the reason why it is bad, or null."""
        if self._incoming is not None:
            frame = self._incoming.apply(frame)
        return judge(self._session, self._plan.reader, self._plan.writer.made, frame)

    def _score(self, judged: Any) -> Any:
        """The records to send, of all good ones."""
        written = self._written(self._transform(judged))
        return written if self._outgoing is None else self._outgoing.apply(written)

    def _written(self, scored: Any, **more: str) -> Any:
        writer, extra = self._plan.writer, f"{META}.extra"
        columns = {"key": f"{META}.key", "headers": writer.headers(f"{META}."), "value": writer.value(extra)}
        return self._select(self._select(scored, writer.written(extra)), named(columns | more))

    def _transform(self, judged: Any) -> Any:
        return self._plan.model.transform(self._inputs(judged.filter("reason IS NULL")))

    def _inputs(self, good: Any) -> Any:
        """The columns that the model takes."""
        rows = self._select(good, self._plan.reader.inputs())
        if self._vectors is None:
            return rows
        fields = [*self._vectors, json.loads(rows.schema().json())["fields"][-1]]
        struct = json.dumps({"type": "struct", "fields": fields})
        return with_vectors(rows, self._session.jvm.org.apache.spark.sql.types.DataType.fromJson(struct))

    def _send(self, frame: Any, endpoint: KafkaEndpoint) -> None:
        writer = frame.write().format("kafka").mode("append")
        for key, value in sink_options(endpoint).items():
            writer = writer.option(key, value)
        writer.save()

    def _select(self, frame: Any, expressions: Iterable[str]) -> Any:
        return frame.selectExpr(self._session.seq(list(expressions)))

    def _observe(self, frame: Any, *expressions: str) -> tuple[Any, Any]:
        observation = self._session.jvm.org.apache.spark.sql.Observation()
        columns = [self._session.functions.expr(expression) for expression in expressions]
        return observation, frame.observe(observation, columns[0], self._session.seq(columns[1:]))

    def _counted(self, judged: Any) -> dict[str, Any]:
        """The same as is observed, by a query of its own."""
        found: dict[str, Any] = json.loads(str(self._select(judged, _COUNTED).toJSON().first()))
        return found

    # -- what cannot be scored --------------------------------------------------------------------------------

    def _bury_unparsed(self, judged: Any) -> None:
        columns = dead_letter_columns(
            stage_of_reason("reason"), self._spec.model_digest, "reason", self._plan.reader.form.bytes
        )
        self._send(self._select(judged.filter("reason IS NOT NULL"), named(columns)), self._spec.dead_letter)

    def _bury(self, judged: Any, reasons: dict[Position, str], stage: str) -> None:
        """Send these records, with these reasons, to the dead-letter topic."""
        rows = [{"p": partition, "o": offset, "why": why} for (partition, offset), why in reasons.items()]
        records = self._select(judged, [*META_COLUMNS, f"{self._plan.reader.form.bytes} AS bytes"])
        joined = at_places(self._session, records, rows, "why STRING")
        columns = dead_letter_columns(literal(stage), self._spec.model_digest, "d.why", "bytes")
        self._send(self._select(joined, named(columns)), self._spec.dead_letter)

    def _dropped(self, judged: Any) -> dict[Position, str]:
        """The good records of which the model made nothing."""
        good = set(self._positions(judged.filter("reason IS NULL"), "partition", "offset"))
        left = self._positions(self._transform(judged), f"{META}.partition", f"{META}.offset")
        missing = sorted(good - set(left))
        general = dropped(", ".join(self._plan.dropping))
        reasons = dict.fromkeys(missing, general)
        model = self._models.get(self._spec.model_dir)
        for position in missing[:_EXACT_REASONS]:
            try:
                _noop(model.transform(self._inputs(judged.filter(position_filter(position, position)))))
            except Exception as error:
                reasons[position] = root_cause(error)
        return reasons

    def _positions(self, frame: Any, partition: str, offset: str) -> list[Position]:
        text = self._select(frame, [f"concat({partition}, ' ', {offset}) AS position"])
        pairs = (line.split() for line in lines_of(self._session, text))
        return [(int(pair[0]), int(pair[1])) for pair in pairs]

    def _recover(self, judged: Any, error: Exception) -> tuple[int, int]:
        """Find the records that made the batch fail, send them aside, and the others on."""
        judged = judged.persist()
        try:
            good = judged.filter("reason IS NULL")
            positions = sorted(self._positions(good, "partition", "offset"))
            self._seen = self._counted(judged)
            taken = self._seen["n"]

            def score(first: Position, last: Position) -> None:
                if self._stopping.is_set():
                    raise Stopped
                _noop(self._score(good.filter(position_filter(first, last))))

            bad = {} if _too_large(error) else find_bad(positions, score, root_cause)
            rest = self._without(judged, bad)
            large = self._too_large(rest) if _too_large(error) else {}
            if not bad and not large:
                # Each record can be scored, so the trouble is elsewhere.
                raise error
            rest = self._without(rest, large)
            dropped = self._dropped(rest) if self._plan.dropping else {}
            self._send(self._score(rest), self._spec.target)
            unparsed = taken - len(positions)
            if unparsed:
                self._bury_unparsed(judged)
            for reasons, stage in ((bad | dropped, "score"), (large, "oversize")):
                if reasons:
                    self._bury(judged, reasons, stage)
            dead = unparsed + len(bad) + len(dropped) + len(large)
            return taken, dead
        finally:
            judged.unpersist()

    def _without(self, judged: Any, bad: dict[Position, str]) -> Any:
        if not bad:
            return judged
        pairs = ", ".join(f"({partition}, {offset}L)" for partition, offset in sorted(bad))
        return judged.filter(f"(partition, offset) NOT IN ({pairs})")

    def _too_large(self, judged: Any) -> dict[Position, str]:
        size = "octet_length(value) + coalesce(octet_length(key), 0)"
        place = {name: f"{META}.{name}" for name in ("partition", "offset")}
        sized = self._written(self._transform(judged), **place).filter(f"{size} > {RECORD_BYTES}")
        reason = too_large(RECORD_BYTES)
        return dict.fromkeys(self._positions(sized, "partition", "offset"), reason)


def _translations(
    session: Session, spec: StreamSpec, plan: StreamPlan, counts: Counts, stopping: threading.Event
) -> tuple[Incoming | None, Outgoing | None]:
    if not plan.translated:
        return None, None
    # Few streams need them, and they need the native engine.
    from wmlclient.runner.spark.translated import Incoming, Outgoing

    names = [*(plan.reader.names if plan.writer.whole else ()), *plan.writer.made]
    made = Outgoing.of(session, spec, names, [plan.kinds[name] for name in names])
    return Incoming.of(session, spec, counts, stopping), made


def _noop(frame: Any) -> None:
    """Compute all of it, and throw it away."""
    frame.write().format("noop").mode("overwrite").save()


def _metrics(observation: Any) -> dict[str, Any]:
    return {str(key): value for key, value in dict(observation.getAsJava()).items()}


def _too_large(error: BaseException) -> bool:
    return mentions(error, "RecordTooLargeException")
