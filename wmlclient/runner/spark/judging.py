"""The first steps of every stream: records read, each with the reason why it is bad, or null. In the driver only."""

from __future__ import annotations

from typing import Any

from wmlclient.runner.spark.records import RecordReader
from wmlclient.runner.spark.session import Session


def judge(session: Session, reader: RecordReader, frame: Any) -> Any:
    """Rows of Kafka's source, each with what it holds (``r``, ``a``) and its ``reason``."""
    frame = frame.selectExpr(session.seq(reader.raw()))
    frame = frame.withColumn("r", parse_with(session, reader, session.functions.col("s")))
    for step in (reader.told(), reader.parsed(), reader.judged()):
        frame = frame.selectExpr(session.seq(step))
    return frame


def parse_with(session: Session, reader: RecordReader, text: Any) -> Any:
    """The JVM's column that reads a column of text by the schema of the model's input."""
    options = session.jvm.java.util.HashMap()
    for key, value in reader.parse_options().items():
        options.put(key, value)
    schema = session.jvm.org.apache.spark.sql.types.DataType.fromJson(reader.schema_json())
    return session.functions.from_json(text, schema, options)
