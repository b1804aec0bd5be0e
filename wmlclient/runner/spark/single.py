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
from wmlclient.runner.spark.judging import judge, parse_with
from wmlclient.runner.spark.plan import StreamPlan
from wmlclient.runner.spark.records import META, dead_letter_columns, literal, named, stage_of_reason
from wmlclient.runner.spark.session import Session
from wmlclient.runner.spark.table import has_vectors

#: The name of the counts in the progress of a query.
COUNTS = "records"


def refusal(plan: StreamPlan) -> str | None:
    """Why a stream cannot take all records in one pass, in words that continue a sentence; None where it can."""
    if has_vectors({"fields": plan.reader.fields}):
        return "its model takes vectors, whose rows cross from one query to another"
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
        sample = parse_with(self.session, self.plan.reader, functions.lit(self.plan.sample))
        judged = judge(self.session, self.plan.reader, frame).withColumn("sample", sample)
        inputs = self.plan.reader.all_inputs(self.spec.receipts)
        scored = self.model.transform(judged.selectExpr(seq(inputs)))
        meta = {name: f"{META}.{name}" for name in ("key", "headers", "aside")}
        good = {f"good_{name}": self.plan.output[name] for name in ("headers", "value")}
        out = scored.selectExpr(seq(named(meta | good)))
        counts = [functions.expr("count(1) AS n"), functions.expr("count(aside) AS bad")]
        return out.observe(COUNTS, counts[0], seq(counts[1:])).selectExpr(seq(named(self._sent())))

    def _sent(self) -> dict[str, str]:
        dead = dead_letter_columns(
            stage_of_reason("aside.reason"), self.spec.model_digest, "aside.reason", "aside."
        )
        columns = {
            "value": ("CAST(good_value AS BINARY)", dead["value"]),
            "headers": ("good_headers", dead["headers"]),
            "topic": (literal(self.spec.target.topic), literal(self.spec.dead_letter.topic)),
        }
        sent = {name: f"IF(aside IS NULL, {good}, {bad})" for name, (good, bad) in columns.items()}
        return {"key": "key", **sent}
