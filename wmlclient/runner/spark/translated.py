"""Records that Spark does not read or write itself: Avro, JSON with a schema of a registry, CSV as a target.

Each batch passes through this process: what comes is made JSON before the stream's own SQL judges it, and what goes is
made of the JSON that the SQL writes. The native engine's readers and writers do both, so its reasons hold here, too.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from confluent_kafka import KafkaException

from wmlclient.runner import verdicts
from wmlclient.runner.engine.ports import StreamSpec
from wmlclient.runner.spark.failures import Stopped
from wmlclient.runner.spark.formats import TEXT, WHY, incoming, outgoing
from wmlclient.runner.spark.local_rows import at_places, lines_of, table_of
from wmlclient.runner.spark.progress import Counts
from wmlclient.runner.spark.session import Session
from wmlclient.runner.streams.decoder import Verdict
from wmlclient.runner.streams.readers import to_json
from wmlclient.runner.streams.registry import unavailable
from wmlclient.runner.streams.writers import from_json

_PAUSE_SECONDS = 1.0
_BASE64 = "replace(base64({}), '\\r\\n', '')"


@frozen
class Incoming:
    """Attributes:
    session: The driver's session.
    translate: Makes JSON of a value.
    counts: Told when the registry is away.
    stopping: Set when it is to be waited for no more.
    """

    session: Session
    translate: Callable[[bytes], bytes | Verdict]
    counts: Counts
    stopping: threading.Event

    @classmethod
    def of(
        cls, session: Session, spec: StreamSpec, counts: Counts, stopping: threading.Event
    ) -> Incoming | None:
        """For a stream; None where Spark reads its records itself."""
        if not incoming(spec.source_format):
            return None
        return cls(session, to_json(spec.source_format or {}), counts, stopping)

    def apply(self, frame: Any) -> Any:
        """Kafka's rows, each with its text, or why it has none.

        Raises:
            Stopped: While the registry was away.
        """
        value = f"coalesce({_BASE64.format('value')}, '-')"
        texts = frame.selectExpr(self.session.seq([f"concat_ws(' ', partition, offset, {value})"]))
        rows = [self._row(*line.split(" ")) for line in lines_of(self.session, texts)]
        joined = at_places(self.session, frame, rows, "text STRING, why STRING")
        kept = ("key", "value", "topic", "partition", "offset", "timestamp", "timestampType", "headers")
        return joined.selectExpr(self.session.seq([*kept, f"d.text AS {TEXT}", f"d.why AS {WHY}"]))

    def _row(self, partition: str, offset: str, value: str) -> dict[str, Any]:
        place = {"p": int(partition), "o": int(offset)}
        found = (
            Verdict("decode", verdicts.NULL_VALUE)
            if value == "-"
            else self._translated(base64.b64decode(value))
        )
        if isinstance(found, Verdict):
            return {**place, "why": found.reason}
        return {**place, "text": found.decode("utf-8", "replace")}

    def _translated(self, value: bytes) -> bytes | Verdict:
        while True:
            try:
                return self.translate(value)
            except KafkaException as away:
                self.counts.trouble(away.args[0].str())
                if self.stopping.wait(_PAUSE_SECONDS):
                    raise Stopped from None


@frozen
class Outgoing:
    """Attributes:
    session: The driver's session.
    write: Makes values of JSON.
    """

    session: Session
    write: Callable[[Sequence[bytes]], list[bytes]]

    @classmethod
    def of(
        cls, session: Session, spec: StreamSpec, names: Sequence[str], kinds: Sequence[str]
    ) -> Outgoing | None:
        """For a stream; None where Spark writes its records itself.

        Args:
            session: The driver's session.
            spec: The stream.
            names: Columns of its records, in order.
            kinds: Their short types.

        Raises:
            StreamSetupError: The format cannot hold them; the registry refuses their schema, or is away.
        """
        if not outgoing(spec.target_format):
            return None
        try:
            return cls(session, from_json(spec.target_format or {}, spec.target.topic, names, kinds))
        except KafkaException as away:
            raise unavailable(away) from None

    def apply(self, frame: Any) -> Any:
        """Rows to send, of rows with a ``key``, ``headers`` and JSON as ``value``."""
        headers = f"transform(headers, h -> struct(h.key AS n, {_BASE64.format('h.value')} AS v))"
        packed = f"to_json(struct({_BASE64.format('key')} AS k, {headers} AS h, value AS v))"
        rows = [
            json.loads(line) for line in lines_of(self.session, frame.selectExpr(self.session.seq([packed])))
        ]
        values = self.write([row["v"].encode() for row in rows])
        for row, value in zip(rows, values, strict=True):
            row["v"] = base64.b64encode(value).decode()
        table = table_of(self.session, rows, "k STRING, h ARRAY<STRUCT<n: STRING, v: STRING>>, v STRING")
        back = "transform(d.h, h -> struct(h.n AS key, unbase64(h.v) AS value)) AS headers"
        return table.selectExpr(self.session.seq(["unbase64(d.k) AS key", "unbase64(d.v) AS value", back]))
