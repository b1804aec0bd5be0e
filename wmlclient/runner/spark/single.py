"""All records of a stream in one pass: decoded, scored, and sent, good ones and bad ones, by one plan in the JVM.

A row of Kafka's comes out for each that goes in. A record that is no row for the model is scored, too, with a sample
in its place, and sent aside as it came; so nothing is computed twice and no second query is needed. A record that makes
the model fail makes the query fail: whoever runs it then looks for the record batch by batch
(:class:`wmlclient.runner.spark.batches.BatchWriter`).
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from wmlclient.runner.engine.ports import StreamSpec
from wmlclient.runner.spark import ages
from wmlclient.runner.spark.formats import literal
from wmlclient.runner.spark.judging import parse_with, read
from wmlclient.runner.spark.plan import StreamPlan
from wmlclient.runner.spark.records import META, dead_letter_columns, named, stage_of_reason
from wmlclient.runner.spark.session import Session
from wmlclient.runner.spark.table import has_vectors

#: The name of the counts in the progress of a query.
COUNTS = "records"
_EXTRA, _BAD = f"{META}.extra", f"{META}.bad"
# What travels along is flat: Spark makes code to write it for each stage of the model, level by level.
_ALONG = {
    "key": "key",
    "headers": "IF(odd.bad, odd.headers, headers)",
    "extra": "odd.extra",
    "bad": "coalesce(odd.bad, false)",
    "value": "odd.value",
}


def refusal(plan: StreamPlan) -> str | None:
    """Why a stream cannot take all records in one pass, in words that continue a sentence; None where it can."""
    if has_vectors({"fields": plan.reader.fields}):
        return "its model takes vectors, whose rows cross from one query to another"
    if plan.translated:
        return "its records are translated, batch by batch"
    if plan.sample is None:
        return "no row is known that its model takes"
    return None


@frozen
class SinglePass:
    """Attributes:
    session: The driver's session.
    spec: The stream.
    plan: Its plan, without a :func:`refusal`.
    model: The JVM's model; none of its stages drops rows.
    """

    session: Session
    spec: StreamSpec
    plan: StreamPlan
    model: Any

    def apply(self, frame: Any) -> Any:
        """Kafka's rows to send, each with its topic, from rows of Kafka's source. Counts are observed on the way."""
        seq, functions = self.session.seq, self.session.functions
        reader, writer = self.plan.reader, self.plan.writer
        odd = reader.odd(writer.made, self._told())
        at = ages.column(self.spec.latency == "realtime")
        columns = {"key": "key", "headers": writer.headers(""), "r": "r", "odd": odd, ages.AT: at}
        told = read(self.session, reader, frame).selectExpr(seq(named(columns)))
        # Counted here, where Spark's compiled code has a seam anyway.
        counted = ("count(1) AS n", "count_if(odd.bad) AS bad", ages.observed())
        counts = [functions.expr(each) for each in counted]
        told = told.observe(COUNTS, counts[0], seq(counts[1:]))
        sample = parse_with(self.session, reader, functions.lit(self.plan.sample))
        inputs = reader.all_inputs("odd.bad", _ALONG)
        scored = self.model.transform(told.withColumn("sample", sample).selectExpr(seq(inputs)))
        return scored.selectExpr(seq(writer.written(_EXTRA))).selectExpr(seq(named(self._sent())))

    def _told(self) -> str:
        """SQL of what travels along of a record ``o`` that is odd: how it goes aside, where it is bad."""
        dead = dead_letter_columns(
            stage_of_reason("o.reason"), self.spec.model_digest, "o.reason", self.plan.reader.form.bytes
        )
        aside = {name: f"IF(o.reason IS NULL, NULL, {dead[name]})" for name in ("value", "headers")}
        return f"struct({', '.join(named({'extra': 'o.extra', 'bad': 'o.reason IS NOT NULL', **aside}))})"

    def _sent(self) -> dict[str, str]:
        value = f"CAST({self.plan.writer.value(_EXTRA)} AS BINARY)"
        good, bad = literal(self.spec.target.topic), literal(self.spec.dead_letter.topic)
        return {
            "key": f"{META}.key",
            "value": f"IF({_BAD}, {META}.value, {value})",
            "headers": f"{META}.headers",
            "topic": f"IF({_BAD}, {bad}, {good})",
        }
