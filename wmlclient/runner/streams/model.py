"""A model at work in a stream: values of records in, values of scored records out, and a verdict for every other."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from attrs import define, field, frozen
from confluent_kafka import KafkaException

from wmlclient.runner import verdicts
from wmlclient.runner.engine.ports import StreamSetupError, StreamSpec
from wmlclient.runner.streams.decoder import Decoder, Rows, Verdict
from wmlclient.runner.streams.encoder import Encoder, writes
from wmlclient.runner.streams.readers import reader
from wmlclient.runner.streams.registry import unavailable
from wmlclient.runner.streams.writers import writer
from wmlclient.scoring import (
    ArchiveError,
    InputError,
    RowDropped,
    RowError,
    Scorer,
    UnsupportedModel,
    load,
)
from wmlclient.scoring.types import simple_type

logger = logging.getLogger("wmlclient.runner.streams")

#: Records that are scored at once: enough for columns, few enough for the broker to get some while others are scored.
MOST = 2_000
_MOST_PROBES = 50
_NUMBERS = frozenset(("tinyint", "smallint", "int", "bigint", "double", "float"))
_SAMPLES: dict[str, Any] = {"string": "a", "boolean": True}


@define
class Outcome:
    """What became of some records.

    Attributes:
        scored: By place among the records, ascending: the value to send.
        verdicts: By place: why it goes aside. Every record is in one of the two.
        plain: By place: what was scored as JSON, where the formats ask for it.
    """

    scored: dict[int, bytes] = field(factory=dict)
    verdicts: dict[int, Verdict] = field(factory=dict)
    plain: dict[int, bytes] = field(factory=dict)


@frozen
class Formats:
    """What a stream's records are.

    Attributes:
        source: As ``RecordFormat`` in the contract; None for JSON. A registry's password may be in it.
        target: Likewise.
        topic: The target's name, which its schema is registered by.
        plain: Whether what is scored is wanted as JSON, too.
    """

    source: Mapping[str, Any] | None = field(default=None, repr=False)
    target: Mapping[str, Any] | None = field(default=None, repr=False)
    topic: str = ""
    plain: bool = False


class OneByOne(Exception):
    """What became of some records together says nothing about each; they have to be given again, one by one."""


class RecordModel(Protocol):
    """What is done with the records of a stream."""

    @property
    def most(self) -> int:
        """How many records to give it at once."""
        ...

    @property
    def fast(self) -> bool:
        """Whether several such pieces may make a batch."""
        ...

    def run(self, values: Sequence[bytes | None]) -> Outcome:
        """Judge values of some records; see :class:`Outcome`. Raises :class:`OneByOne` only for several."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


class StreamModel:
    """Scores values of records.

    Args:
        scorer: The model, loaded with the schema.
        schema: The JSON of the model's input.
        formats: What the records are.

    Raises:
        StreamSetupError: ``model_not_native``: the native engine cannot run it in a stream; the reason is named.
    """

    most = MOST
    fast = True

    def close(self) -> None:
        """See :class:`RecordModel`."""

    def __init__(self, scorer: Scorer, schema: Mapping[str, Any], formats: Formats | None = None) -> None:
        reason = needs_spark(scorer, schema)
        if reason is not None:
            raise StreamSetupError("model_not_native", f"The model cannot be streamed natively: {reason}.")
        self._scorer = scorer
        names = [column["name"] for column in schema["fields"]]
        formats = formats or Formats()
        self._decoder = Decoder(dict(schema), scorer.required, not_null(scorer, schema))
        self._reader = reader(formats.source, self._decoder, schema)
        types = scorer.output_types(names)
        made = [name for name in types if name not in names]
        # Fields that the model does not know came in, too.
        self._whole = (formats.target or {}).get("output") != "scores"
        came = names if self._whole else []
        self._names = [*came, *made]
        order = list(types)
        self._order = [order.index(name) for name in self._names]
        #: The columns that the model adds, with their short types.
        self.made: dict[str, str] = {name: types[name] for name in made}
        kinds = [types[name] for name in self._names]
        self._encoder = writer(formats.target, formats.topic, self._names, kinds, len(came))
        self._plain = Encoder(self._names, kinds, len(came)) if formats.plain else None

    @classmethod
    def open(cls, folder: Path, schema: Mapping[str, Any], formats: Formats | None = None) -> StreamModel:
        """Load a saved model.

        Raises:
            StreamSetupError: It cannot be loaded, or not natively.
        """
        try:
            return cls(load(folder, schema), schema, formats)
        except KafkaException as away:
            raise unavailable(away) from None
        except UnsupportedModel as error:
            raise StreamSetupError(
                "model_not_native", f"The model cannot be streamed natively: {error}."
            ) from None
        except InputError as error:
            raise StreamSetupError(
                "model_schema_mismatch", f"The model does not take rows of its input schema: {error}."
            ) from None
        except (ArchiveError, OSError) as error:
            raise StreamSetupError("load_model_failure", f"The model cannot be loaded: {error}.") from None

    def run(self, values: Sequence[bytes | None]) -> Outcome:
        """Score the values of some records. Never raises for what a record holds.

        Raises:
            KafkaException: The registry of their schemas is away.
        """
        rows = self._reader.read(values)
        outcome = Outcome({}, rows.verdicts)
        if rows.places:
            try:
                self._score(rows, outcome)
            except Exception as error:
                logger.debug("a batch failed (%s); its records are looked at one by one", error)
                self._singly(rows, outcome)
        return outcome

    def _score(self, rows: Rows, outcome: Outcome) -> None:
        """Score and write all rows; nothing is kept of it where one of them fails."""
        scored: dict[int, bytes] = {}
        plain: dict[int, bytes] = {}
        seen = 0
        for part in self._scorer.parts(self._decoder.names, rows.columns):
            columns = [part.columns[place] for place in self._order]
            extras = rows.extras if self._whole else {}
            if extras:
                extras = {at: extras[number] for at, number in enumerate(part.rows) if number in extras}
            texts = self._encoder.write(columns, extras)
            scored.update(zip((rows.places[number] for number in part.rows), texts, strict=True))
            if self._plain is not None:
                texts = self._plain.write(columns, extras)
                plain.update(zip((rows.places[number] for number in part.rows), texts, strict=True))
            seen += len(part.rows)
        if seen != len(rows.places):
            raise _Dropped
        outcome.scored.update(scored)
        outcome.plain.update(plain)

    def _singly(self, rows: Rows, outcome: Outcome) -> None:
        """Find the rows that fail or are dropped, and score the others together."""
        table = self._scorer.run(self._decoder.names, list(zip(*rows.columns, strict=True)))
        for number, problem in table.problems.items():
            outcome.verdicts[rows.places[number]] = _verdict(problem)
        good = [number for number in range(len(rows.places)) if number not in table.problems]
        if not good:
            return
        rest = _taken(rows, good)
        try:
            self._score(rest, outcome)
        except Exception as error:
            logger.debug("the good rows of a batch failed too: %s", error)
            for number in range(len(good)):
                one = _taken(rest, [number])
                try:
                    self._score(one, outcome)
                except RowError as problem:
                    outcome.verdicts[one.places[0]] = _verdict(problem)
                except Exception as problem:
                    reason = f"the scored row cannot be written ({type(problem).__name__})"
                    outcome.verdicts[one.places[0]] = Verdict("encode", reason)


class _Dropped(Exception):
    """A stage has left rows out."""


def _verdict(problem: RowError) -> Verdict:
    if isinstance(problem, RowDropped):
        return Verdict("score", verdicts.dropped(problem.stage))
    where = f"stage {problem.stage}: " if problem.stage else ""
    return Verdict("score", f"{where}{problem.reason} (column {problem.column})")


def _taken(rows: Rows, numbers: Sequence[int]) -> Rows:
    return Rows(
        [rows.places[number] for number in numbers],
        [[column[number] for number in numbers] for column in rows.columns],
        {at: rows.extras[number] for at, number in enumerate(numbers) if number in rows.extras},
    )


def open_model(spec: StreamSpec) -> StreamModel:
    """The model of a stream.

    Raises:
        StreamSetupError: It cannot be loaded, or not with the stream's formats.
    """
    formats = Formats(spec.source_format, spec.target_format, spec.target.topic)
    return StreamModel.open(Path(spec.model_dir), spec.input_schema, formats)


def refusal(folder: Path, schema: Mapping[str, Any]) -> str | None:
    """Why a saved model cannot be streamed natively, or None.

    Args:
        folder: The saved model.
        schema: The JSON of the model's input.
    """
    try:
        return needs_spark(load(folder, schema), schema)
    except (UnsupportedModel, InputError, ArchiveError) as error:
        return str(error)


def needs_spark(scorer: Scorer, schema: Mapping[str, Any]) -> str | None:
    """Why a model that is scored natively has to be streamed by Spark all the same, or None.

    Args:
        scorer: The model, loaded with the schema.
        schema: The JSON of the model's input.
    """
    names = [column["name"] for column in schema["fields"]]
    types = scorer.output_types(names)
    gone = [name for name in names if name not in types]
    if gone:
        return f"a stage of it drops the column {gone[0]!r} (a SQLTransformer without '*')"
    kinds = {**{column["name"]: simple_type(column["type"]) for column in schema["fields"]}, **types}
    for name, kind in kinds.items():
        if not writes(kind):
            return f"the column {name!r} is of the type {kind}, which only Spark writes as Spark does"
    return None


def not_null(scorer: Scorer, schema: Mapping[str, Any]) -> list[str]:
    """The needed columns in which a null makes the model fail or drop the row: found by trying.

    A record that lacks one of them is then told so, and not that some stage failed.
    """
    names = [column["name"] for column in schema["fields"]]
    kinds = {column["name"]: simple_type(column["type"]) for column in schema["fields"]}
    needed = [name for name in scorer.required if name in kinds]
    if len(needed) > _MOST_PROBES or not all(kinds[n] in _SAMPLES or kinds[n] in _NUMBERS for n in needed):
        return []
    sample = [_SAMPLES.get(kinds[name], 1) if name in needed else None for name in names]
    rows = [sample]
    rows += [
        [None if other == name else value for other, value in zip(names, sample, strict=True)]
        for name in needed
    ]
    problems = scorer.run(names, rows).problems
    # A sample that is itself refused (an unseen label) says nothing about nulls, unless the null is refused elsewhere.
    failed = problems.get(0)
    found = []
    for number, name in enumerate(needed, 1):
        problem = problems.get(number)
        if problem is not None and (failed is None or problem.reason != failed.reason):
            found.append(name)
    return found
