"""What a stream must know of its model before the first record: loaded, looked at, and tried. Driver side."""

from __future__ import annotations

import json
import logging
from typing import Any

from attrs import frozen

from wmlclient.runner.engine.ports import StreamSpec, TransformFailed
from wmlclient.runner.spark.failures import root_cause
from wmlclient.runner.spark.formats import form_of, translated
from wmlclient.runner.spark.models import load, skip_invalid
from wmlclient.runner.spark.records import META, RecordReader, RecordWriter
from wmlclient.runner.spark.session import Session
from wmlclient.runner.spark.table import request_schema, to_lines
from wmlclient.runner.spark.transform import collect, make_frame
from wmlclient.scoring.types import simple_type

logger = logging.getLogger("wmlclient.runner.spark.driver")

_MOST_PROBES = 50
_SAMPLES: dict[str, Any] = {
    "string": "a",
    "boolean": True,
    "date": "2000-01-01",
    "timestamp": "2000-01-01T00:00:00Z",
}
_NUMBERS = ("integer", "long", "short", "byte", "double", "float")


@frozen
class StreamPlan:
    """Attributes:
    model: The JVM's model, of its own for this stream, with ``handleInvalid="skip"`` where it was ``"error"``.
    dropping: Stages of it that drop rows.
    reader: Reads records for it.
    writer: Writes the records to send.
    kinds: Short types of all columns that come out of the model.
    translated: Whether its records pass through this process, as Spark does not read or write them.
    sample: A row of the input, as JSON, that goes through the model; None where none was found.
    """

    model: Any
    dropping: list[str]
    reader: RecordReader
    writer: RecordWriter
    kinds: dict[str, str]
    translated: bool
    sample: str | None = None

    @classmethod
    def make(cls, session: Session, spec: StreamSpec) -> StreamPlan:
        """Load the model and look at it.

        Raises:
            TransformFailed: It cannot be loaded, or cannot work in a stream.
        """
        model = load(session, spec.model_dir)
        dropping = skip_invalid(session, model)
        columns = _columns(session, model, spec.input_schema)
        needed = _needed(session, model, spec.input_schema)
        row = _sample_row(spec.input_schema, needed)
        rows = None if row is None else _survivors(session, model, spec.input_schema, row)
        not_null = (
            _not_null(session, model, spec.input_schema, needed, row, rows)
            if row and rows is not None
            else []
        )
        reader = RecordReader(
            spec.input_schema, needed, not_null, form_of(spec.source_format, spec.input_schema)
        )
        logger.info("stream %s needs %s, of those without null: %s", spec.stream_id, needed, not_null)
        receipt = spec.model_digest if spec.receipts else None
        names = [field["name"] for field in spec.input_schema["fields"]]
        sample = json.dumps(dict(zip(names, row, strict=True))) if row and rows else None
        whole = (spec.target_format or {}).get("output") != "scores"
        made = [name for name in columns if name != META and name not in names]
        writer = RecordWriter(names, made, receipt, whole)
        return cls(model, dropping, reader, writer, columns, translated(spec), sample)


def _struct(session: Session, fields: list[dict[str, Any]]) -> Any:
    text = json.dumps({"type": "struct", "fields": fields})
    return session.jvm.org.apache.spark.sql.types.DataType.fromJson(text)


def _columns(session: Session, model: Any, schema: dict[str, Any]) -> dict[str, str]:
    """The columns of the transformed rows, in the order in which the stages make them, and their short types."""
    empty = session.jvm.java.util.ArrayList()
    fields = [dict(field, nullable=True) for field in schema["fields"]]
    fields.append({"name": META, "type": "string", "nullable": True, "metadata": {}})
    try:
        # Not transformSchema, which lists a classifier's columns in another order than transform makes them.
        frame = session.spark.createDataFrame(empty, _struct(session, fields))
        fields = json.loads(str(model.transform(frame).schema().json()))["fields"]
    except Exception as error:
        raise TransformFailed(
            f"The model does not take rows of its input schema: {root_cause(error)}", "model_schema_mismatch"
        ) from error
    found = {field["name"]: simple_type(field["type"]) for field in fields}
    if META not in found:
        raise TransformFailed(
            "A stage of the model drops columns that it does not know (a SQLTransformer without '*'), so that the "
            "keys of its records would be lost in a stream.",
            "model_drops_columns",
        )
    return found


def _needed(session: Session, model: Any, schema: dict[str, Any]) -> list[str]:
    """The columns without which the model does not work. A StringIndexer does without its input, e.g. a label."""
    needed = []
    for field in schema["fields"]:
        others = [other for other in schema["fields"] if other is not field]
        try:
            model.transformSchema(_struct(session, others))
        except Exception:
            needed.append(field["name"])
    return needed


def _sample_row(schema: dict[str, Any], needed: list[str]) -> list[Any] | None:
    """A row with a value in each needed column; None where that cannot be made up."""
    kinds = {field["name"]: field["type"] for field in schema["fields"]}
    if len(needed) > _MOST_PROBES or not all(_has_sample(kinds[name]) for name in needed):
        return None
    return [_sample(kind) if name in needed else None for name, kind in kinds.items()]


def _not_null(
    session: Session, model: Any, schema: dict[str, Any], needed: list[str], sample: list[Any], rows: int
) -> list[str]:
    """The needed columns in which a null makes the model fail or drop the row: found by trying.

    Knowing them beforehand spares a batch with nulls the search for the record that failed it.
    """
    names = [field["name"] for field in schema["fields"]]
    found = []
    for name in needed:
        row = [None if other == name else value for other, value in zip(names, sample, strict=True)]
        left = _survivors(session, model, schema, row)
        if left is None or (rows and not left):
            found.append(name)
    return found


def _survivors(session: Session, model: Any, schema: dict[str, Any], row: list[Any]) -> int | None:
    """How many rows come out for this one row; None where it fails."""
    names = [field["name"] for field in schema["fields"]]
    asked = request_schema(schema, names)
    try:
        frame = make_frame(session, to_lines(asked, names, [row]), asked)
        return len(json.loads(collect(session, model.transform(frame))))
    except Exception as error:
        logger.debug("probe: %s", root_cause(error))
        return None


def _has_sample(kind: Any) -> bool:
    return isinstance(kind, str) and (kind in _SAMPLES or kind in _NUMBERS or kind.startswith("decimal"))


def _sample(kind: str) -> Any:
    return _SAMPLES.get(kind, 1)
