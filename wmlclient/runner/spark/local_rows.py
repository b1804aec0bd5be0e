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


def table_of(session: Session, rows: Iterable[Mapping[str, Any]], columns: str) -> Any:
    """A frame with one column ``d``, a struct of these columns."""
    jvm = session.jvm
    lines = "\n".join(json.dumps(row) for row in rows)
    text = jvm.org.apache.commons.io.IOUtils.readLines(jvm.java.io.StringReader(lines))
    table = session.spark.createDataset(text, jvm.org.apache.spark.sql.Encoders.STRING())
    return table.selectExpr(session.seq([f"from_json(value, '{columns}') AS d"]))
