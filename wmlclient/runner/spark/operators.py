"""The operators that Spark runs in Real-time Mode: its own list, looked at before a stream is started."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from wmlclient.runner.spark.session import Session
from wmlclient.runner.spark.single import SinglePass

logger = logging.getLogger("wmlclient.runner.spark.driver")

_KAFKA = (
    "key BINARY, value BINARY, topic STRING, partition INT, offset BIGINT, timestamp TIMESTAMP, timestampType INT, "
    "headers ARRAY<STRUCT<key: STRING, value: BINARY>>"
)
_ALLOWLIST = "RealTimeModeAllowlist$"
_OPERATORS = f"org$apache$spark$sql$execution$streaming$runtime${_ALLOWLIST}$allowedOperators"


def refused(session: Session, plan: SinglePass) -> str | None:
    """The name of an operator in a stream's plan that is not on the list; None where there is none.

    None, too, where this version of Spark keeps its list elsewhere: it then ends the query by itself.
    """
    try:
        package = session.jvm.org.apache.spark.sql.execution.streaming.runtime
        listed = getattr(getattr(getattr(package, _ALLOWLIST), "MODULE$"), _OPERATORS)()
    except Exception:
        logger.info("this Spark does not tell what it runs in Real-time Mode", exc_info=True)
        return None
    context = session.jvm.org.apache.spark.api.java.JavaSparkContext.fromSparkContext(
        session.spark.sparkContext()
    )
    # Not of a list of rows: Spark would compute what comes of none, and no operator would be left.
    struct = session.jvm.org.apache.spark.sql.types.StructType.fromDDL(_KAFKA)
    frame = plan.apply(session.spark.createDataFrame(context.emptyRDD(), struct))
    names = _inner(frame.queryExecution().sparkPlan())
    found = next((name for name in names if not listed.contains(name)), None)
    return None if found is None else found.rpartition(".")[2].removesuffix("Exec")


def _inner(node: Any) -> Iterator[str]:
    """The classes of all operators but those that read."""
    children = node.children()
    if children.isEmpty():
        return
    yield str(node.getClass().getName())
    places = children.iterator()
    while places.hasNext():
        yield from _inner(places.next())
