"""The first steps of every stream: records read, each with the reason why it is bad, or null. In the driver only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wmlclient.runner.spark.records import META_COLUMNS, RecordReader
from wmlclient.runner.spark.session import Session


def read(session: Session, reader: RecordReader, frame: Any) -> Any:
    """Rows of Kafka's source, each with its text (``s``) and what that holds (``r``)."""
    functions, form = session.functions, reader.form
    columns = [functions.col(name) for name in (*META_COLUMNS, *form.kept)]
    text, kept = functions.expr(form.text), functions.col("s")
    if not form.is_json:
        frame = frame.select(session.seq([*columns, text.alias("s")]))
        text = kept
    # Else in one step: a text that is kept and read would cost a copy of the row.
    columns += [text.alias("s"), parse_with(session, reader, text).alias("r")]
    return frame.select(session.seq(columns))


def judge(session: Session, reader: RecordReader, made: Sequence[str], frame: Any) -> Any:
    """Rows of Kafka's source, each with what it holds (``r``, ``extra``) and its ``reason``."""
    frame = read(session, reader, frame)
    for step in reader.judged(made):
        frame = frame.selectExpr(session.seq(step))
    return frame


def parse_with(session: Session, reader: RecordReader, text: Any) -> Any:
    """The JVM's column that reads a column of text by the schema of the model's input."""
    options = session.jvm.java.util.HashMap()
    for key, value in reader.parse_options().items():
        options.put(key, value)
    schema = session.jvm.org.apache.spark.sql.types.DataType.fromJson(reader.schema_json())
    return session.functions.from_json(text, schema, options)
