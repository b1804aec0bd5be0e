"""Rows that pass through this process: few, or those of one batch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from wmlclient.runner.spark.session import Session


def lines_of(session: Session, texts: Any) -> list[str]:
    """The rows of a column of text without line feeds."""
    jvm = session.jvm
    found = getattr(texts, "as")(jvm.org.apache.spark.sql.Encoders.STRING()).collectAsList()
    # Not splitlines(), which takes other characters for line ends, too.
    return [] if found.isEmpty() else str(jvm.java.lang.String.join("\n", found)).split("\n")


def texts_of(session: Session, lines: str) -> Any:
    """A frame with one column ``value``, a row for each line; local rows, for which Spark needs no job."""
    jvm = session.jvm
    rows = jvm.org.apache.commons.io.IOUtils.readLines(jvm.java.io.StringReader(lines))
    return session.spark.createDataset(rows, jvm.org.apache.spark.sql.Encoders.STRING())


def table_of(session: Session, rows: Iterable[Mapping[str, Any]], columns: str) -> Any:
    """A frame with one column ``d``, a struct of these columns."""
    texts = texts_of(session, "\n".join(json.dumps(row) for row in rows))
    return texts.selectExpr(session.seq([f"from_json(value, '{columns}') AS d"]))


def at_places(session: Session, frame: Any, rows: Iterable[Mapping[str, Any]], columns: str) -> Any:
    """The records of a frame that these rows name by ``p`` and ``o``, partition and offset, each with its row ``d``.

    Args:
        session: The driver's session.
        frame: Records, with their places.
        rows: Place, and what belongs there.
        columns: The other columns of the rows, as DDL.
    """
    table = session.functions.broadcast(table_of(session, rows, f"p INT, o BIGINT, {columns}"))
    return frame.join(table, session.functions.expr("partition = d.p AND offset = d.o"))
