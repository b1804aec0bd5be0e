"""A stream's history scored by another version of its model: what would flip, and how far the scores would move."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from wmlclient import display, streamspec, versions
from wmlclient.errors import BrokerError, ConfigError, LocalModeError, PayloadError, WmlError
from wmlclient.formats import SchemaRegistry

if TYPE_CHECKING:
    from wmlclient.connections import KafkaConnection
    from wmlclient.deployment import Deployment
    from wmlclient.topics import KafkaTopic
    from wmlclient.versions import ModelVersion

_PROGRAM = "wmlclient.runner.streams.replay"
_SHOWN = 5
#: Ends whose reason lies with the brokers, or with the registry of schemas.
_OUTSIDE = ("broker_", "topic_", "replay_", "data_", "registry_")


@frozen
class Flip:
    """A record whose label changes.

    Attributes:
        partition, offset: where it is in the source.
        before: its label by the version that was compared with.
        after: its label by the version that was tried.
    """

    partition: int
    offset: int
    before: Any
    after: Any


@frozen
class Shift:
    """How far a column moves. A vector or an array counts with its largest difference of two elements.

    Attributes:
        changed: records in which it differs at all.
        mean: mean \\|difference\\|; None, as the others, for columns that are no numbers.
        largest: the largest.
        p50, p90, p99: quantiles; of more than 100,000 records, those of an even sample.
    """

    changed: int
    mean: float | None = None
    largest: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None

    def __str__(self) -> str:
        if self.mean is None:
            return f"{self.changed:,} changed"
        return (
            f"{self.changed:,} changed, mean {self.mean:.4g}, p50 {self.p50:.4g}, p90 {self.p90:.4g}, "
            f"p99 {self.p99:.4g}, largest {self.largest:.4g}"
        )


@frozen
class Replay:
    """What another version makes of a stream's history, beside the version that it was compared with.

    Attributes:
        version: id of the version that was tried.
        against: id of the version that it was compared with.
        target: the side topic.
        records: records read.
        scored: records that the version scores; they are in the side topic, with receipts.
        refused: records that it does not; they are nowhere but in the source.
        refused_before: records that the other version does not score.
        compared: records that both score.
        label: the column whose changes are flips; None where the model makes none, as a regression.
        flips: records whose label changes; None without a label.
        pairs: how often which label became which, the most frequent first.
        examples: some of the flips.
        shifts: by column that both versions make.
        only_before, only_after: columns of one of the two.
        refusals: some of the refused: dicts with ``partition``, ``offset``, ``stage`` and ``reason``.
        ranges: by partition, first offset and the one after the last.
        seconds: how long it took, without the downloads.
    """

    version: str
    against: str
    target: str
    records: int
    scored: int
    refused: int
    refused_before: int
    compared: int
    label: str | None
    flips: int | None
    pairs: tuple[tuple[Any, Any, int], ...] = ()
    examples: tuple[Flip, ...] = ()
    shifts: dict[str, Shift] = field(factory=dict)
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()
    refusals: tuple[dict[str, Any], ...] = ()
    ranges: dict[int, tuple[int, int]] = field(factory=dict)
    seconds: float = 0.0

    @property
    def flip_rate(self) -> float | None:
        """Flips for each record that both score, 0 to 1; None without a label or a record."""
        return self.flips / self.compared if self.flips is not None and self.compared else None

    @classmethod
    def _of(cls, told: dict[str, Any], version: str, against: str, target: str) -> Replay:
        same = ("records", "scored", "refused", "refused_before", "compared", "label", "flips", "seconds")
        return cls(
            version=version,
            against=against,
            target=target,
            **{name: told[name] for name in same},
            pairs=tuple((old, new, count) for old, new, count in told["pairs"]),
            examples=tuple(Flip(**each) for each in told["examples"]),
            shifts={name: Shift(**each) for name, each in told["columns"].items()},
            only_before=tuple(told["only_before"]),
            only_after=tuple(told["only_after"]),
            refusals=tuple(told["refusals"]),
            ranges={int(partition): (first, end) for partition, (first, end) in told["ranges"].items()},
        )

    def _lines(self) -> list[tuple[str, str]]:
        if self.flips is None:
            flips = "the model makes no label; label= names one"
        else:
            flips = f"{self.flips:,} of {self.compared:,} in {self.label!r}"
            flips += f" ({self.flip_rate:.2%})" if self.flip_rate is not None else ""
        lines = [
            ("records", f"{self.records:,}, {self.scored:,} scored to {self.target}"),
            ("refused", f"{self.refused:,} (before: {self.refused_before:,})"),
            ("flips", flips),
        ]
        lines += [("", f"{old!r} to {new!r}: {count:,}") for old, new, count in self.pairs[:_SHOWN]]
        lines += [
            ("", f"partition {each.partition}, offset {each.offset}: {each.before!r} to {each.after!r}")
            for each in self.examples[:_SHOWN]
        ]
        lines += [(name, str(shift)) for name, shift in self.shifts.items()]
        for word, names in (("gone", self.only_before), ("new", self.only_after)):
            if names:
                lines.append((word, ", ".join(names)))
        return lines

    def __str__(self) -> str:
        lines = self._lines()
        width = max(len(name) for name, _ in lines)
        return "\n".join(f"{name.ljust(width)}  {text}" for name, text in lines)

    def _repr_html_(self) -> str:
        rows = [(name or "\u00a0", text) for name, text in self._lines()]
        return display.card(f"Version {self.version} beside {self.against}", rows)


def replayed(
    deployment: Deployment,
    version: ModelVersion | str,
    *,
    since: dt.datetime | int | str,
    to: KafkaTopic | str,
    against: ModelVersion | str | None,
    label: str | None,
    connection: KafkaConnection | None,
    registry: SchemaRegistry | Collection[SchemaRegistry] | None,
) -> Replay:
    """See :meth:`wmlclient.Deployment.replay`."""
    from wmlclient.streams import topics_of

    begin = _since(since)
    known = (registry,) if isinstance(registry, SchemaRegistry) else registry or ()
    source, target, letters = topics_of(deployment, connection)
    side = source.connection.topic(to) if isinstance(to, str) else to
    taken = {each.name for each in (source, target, letters)}
    if side.name in taken and set(side.connection.brokers) & set(source.connection.brokers):
        raise ConfigError(f"Topic {side.name!r} is the stream's own. Give to= a topic that nobody reads.")
    tried = versions.id_of(version)
    other = versions.id_of(against if against is not None else str(deployment.refresh().version))
    if importlib.util.find_spec("confluent_kafka") is None:
        raise LocalModeError("A replay scores here. Run: pip install 'wmlclient[local]'")
    body = _formats(deployment, side, (*known, *deployment._registries))
    schemas = {each: streamspec.certified_schema(deployment, each) for each in (tried, other)}
    side._ensure()
    with tempfile.TemporaryDirectory(prefix="wmlclient-replay-") as name:
        folder = Path(name)
        archive, digest = streamspec.fetch(deployment, tried, folder)
        before, _ = streamspec.fetch(deployment, other, folder)
        ends = [streamspec.endpoint(each) for each in (source, side)]
        spec = {
            "stream_id": deployment.id,
            "model_dir": archive,
            "input_schema": schemas[tried],
            "source": ends[0],
            "target": ends[1],
            "dead_letter": ends[1],
            "checkpoint_dir": "",
            "created_at_ms": 0,
            "model_digest": digest,
            "receipts": True,
        }
        compared = {"archive": before, "schema": schemas[other]}
        told = run({"spec": spec, "body": body, "before": compared, "since": begin, "label": label})
    return Replay._of(told, tried, other, side.name)


def _formats(
    deployment: Deployment, side: KafkaTopic, registries: Collection[SchemaRegistry]
) -> dict[str, Any]:
    """What is read and written: of the side topic its own format, else that of the stream's target."""
    if side.format is not None:
        body = streamspec.formats_body(deployment, registries, ("input",))
        return {**body, "output": {"target": {"format": side.format._to_wire()}}}
    body = streamspec.formats_body(deployment, registries)
    # The subject is that of the stream's topic: what another version makes may not go with its schema.
    (body["output"]["target"]["format"] or {}).pop("subject", None)
    return body


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Have a process of its own do a replay; returns the outcome as JSON.

    Raises:
        BrokerError, PayloadError: a named end.
        LocalModeError: it has ended without an outcome.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            # Secrets go through the pipe. It stays open: at its end the process ends, as when this one dies.
            process.stdin.write(json.dumps(task).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        finally:
            process.kill()
            process.communicate()
        if line:
            answer = json.loads(line)
            if "result" in answer:
                return dict(answer["result"])
            raise _error(**answer["error"])
        log.seek(0)
        last = log.read().decode("utf-8", "replace").strip().rsplit("\n", 1)[-1]
    raise LocalModeError(f"The replay has ended without an outcome: {last or 'it said nothing'}. Try again.")


def _error(code: str, message: str) -> WmlError:
    kind = BrokerError if code.startswith(_OUTSIDE) else PayloadError
    return kind(message, code=code)


def _since(given: dt.datetime | int | str) -> dict[str, int]:
    if isinstance(given, dt.datetime):
        if given.tzinfo is None:
            raise ConfigError("since: a time without a time zone may mean two. Give tzinfo=, such as UTC.")
        return {"at_ms": int(given.timestamp() * 1000)}
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return {"offset": given}
    if given == "beginning":
        return {}
    raise ConfigError(f'since: {given!r} is neither a datetime, an offset (0 or more), nor "beginning".')
