"""Rows through a pipeline. In the driver process only."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from wmlclient.runner.engine.ports import TransformFailed, TransformResult
from wmlclient.runner.spark.failures import root_cause
from wmlclient.runner.spark.local_rows import texts_of
from wmlclient.runner.spark.models import ModelCache
from wmlclient.runner.spark.session import Session
from wmlclient.runner.spark.table import ROW, from_lines, has_vectors, request_schema, to_lines

# From here on a job on all cores beats the driver's one thread (see make_frame).
_MANY_ROWS = 4_000
_HIDDEN = re.compile(rf'["`]{ROW}["`](:\d+)?(, ?)?')


class Transformer:
    """Runs ``PipelineModel.transform`` on rows of a request."""

    def __init__(self, session: Session, models: ModelCache) -> None:
        self._session, self._models = session, models

    def run(
        self, model_dir: str, schema: dict[str, Any], fields: Sequence[str], values: Sequence[Sequence[Any]]
    ) -> TransformResult:
        """See :meth:`wmlclient.runner.engine.ports.SparkRunner.transform`.

        Raises:
            TransformFailed: With Spark's own reason.
        """
        asked = request_schema(schema, fields)
        lines = to_lines(asked, fields, values)
        model = self._models.get(model_dir)
        try:
            frame = make_frame(self._session, lines, asked)
            if len(values) >= _MANY_ROWS:
                frame = frame.repartition(int(self._session.spark.sparkContext().defaultParallelism()))
            out = model.transform(frame)
            output = json.loads(out.schema().json())
            if not any(column["name"] == ROW for column in output["fields"]):
                raise TransformFailed(
                    "A stage of the model drops columns that it does not know (a SQLTransformer without '*'), "
                    "so rows cannot be told apart.",
                    "model_drops_columns",
                )
            text = collect(self._session, out)
        except TransformFailed:
            raise
        except Exception as error:
            # The hidden column is nobody's business.
            raise TransformFailed(_HIDDEN.sub("", root_cause(error))) from error
        return from_lines(text, output, fields, values)


def make_frame(session: Session, lines: str, schema: dict[str, Any]) -> Any:
    """Lines of JSON as a DataFrame.

    It is a plan over local rows (``LocalRelation``), which Spark's optimizer evaluates itself, stages of the model
    included: a small request needs no job at all. Measured: a third of the time of ``createDataFrame``.
    """
    jvm, functions = session.jvm, session.functions
    data = texts_of(session, lines)
    options = jvm.java.util.HashMap()
    # A value that is not of its type is an error of the request, never a null.
    options.put("mode", "FAILFAST")
    struct = jvm.org.apache.spark.sql.types.DataType.fromJson(json.dumps(schema))
    parsed = functions.from_json(functions.col("value"), struct, options).alias("r")
    frame = data.select(session.seq([parsed])).select("r.*", session.seq([]))
    return with_vectors(frame, struct) if has_vectors(schema) else frame


def with_vectors(frame: Any, struct: Any) -> Any:
    """The same rows under a schema with vectors, which ``from_json`` reads as the structs that they are inside.

    No cast leads there. The price: what comes before is a query of its own from here on.
    """
    return frame.sparkSession().internalCreateDataFrame(frame.queryExecution().toRdd(), struct, False)


def collect(session: Session, frame: Any) -> str:
    """All rows of a DataFrame as the text of one JSON array."""
    jvm, functions = session.jvm, session.functions
    options = jvm.java.util.HashMap()
    options.put("ignoreNullFields", "false")
    columns = [functions.col(quote(name)) for name in frame.columns()]
    packed = functions.to_json(functions.struct(session.seq(columns)), options).alias("j")
    lines = getattr(frame.select(session.seq([packed])), "as")(jvm.org.apache.spark.sql.Encoders.STRING())
    return "[" + str(jvm.java.lang.String.join(",", lines.collectAsList())) + "]"


def quote(name: str) -> str:
    """A column name as SQL reads it."""
    return "`" + name.replace("`", "``") + "`"
