"""What a deployment does as a stream, and what that leaves in Kafka, read back: dead letters and receipts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast, overload

from attrs import frozen

from wmlclient import envelope
from wmlclient.errors import ConfigError, PayloadError, WaitTimeoutError
from wmlclient.progress import StreamProgress
from wmlclient.records import KafkaRecord
from wmlclient.waiting import poll

if TYPE_CHECKING:
    from wmlclient.audits import Audit
    from wmlclient.connections import KafkaConnection
    from wmlclient.deployment import Deployment
    from wmlclient.formats import SchemaRegistry
    from wmlclient.replays import Replay
    from wmlclient.topics import KafkaTopic
    from wmlclient.versions import ModelVersion


class StreamCalls:
    """What a deployment does as a stream."""

    #: The stream's Kafka, where it was made here.
    _kafka: KafkaConnection | None = None
    #: Its registries of schemas, likewise.
    _registries: tuple[SchemaRegistry, ...] = ()

    def _remember(self, *ends: Any) -> None:
        """Keep the logins of the topics that it was made of, which the service never shows."""
        self._kafka = ends[0].connection
        formats = (end.format for end in ends if end.format is not None)
        self._registries = tuple(each.registry for each in formats if each.registry is not None)

    @property
    def _deployment(self) -> Deployment:
        return cast("Deployment", self)

    @property
    def progress(self) -> StreamProgress | None:
        """How a stream does, asked for at each access: records, lag, latency. None while it tells nothing."""
        deployment = self._deployment.refresh()
        told = deployment._entity.stream
        return StreamProgress._of(told, str(deployment.state)) if told is not None else None

    def _glance(self) -> list[tuple[str, Any]]:
        """What a notebook shows of it as a stream, as of the last look at the service."""
        deployment = self._deployment
        told = deployment._entity.stream
        ends = [
            ("delivery", deployment.delivery),
            ("source", deployment.source),
            ("target", deployment.target),
        ]
        return [*ends, *(StreamProgress._of(told)._rows() if told is not None else ())]

    def dead_letters(self, connection: KafkaConnection | None = None) -> list[DeadLetter]:
        """The stream's records that did not parse or score, as they are in the dead-letter topic now.

        Args:
            connection: the stream's Kafka; needed unless it was deployed by this very object's ``deploy``.
        """
        source, _, letters = topics_of(self._deployment, connection)
        return list(letters_of(letters, source.name)) if letters.exists() else []

    def audit(self, connection: KafkaConnection | None = None) -> Audit:
        """Proves that each record of the source has one result, up to where the stream has come.

        Reads the source, the target and the dead letters; for streams with ``receipts=True``. Results of a source that
        was deleted and made again since are left out, and counted, where the native engine runs the stream.

        Args:
            connection: as for :meth:`dead_letters`.

        Raises:
            PayloadError: the records carry no receipts.

        Example:
            >>> print(stream.audit())                                  # doctest: +SKIP
            1,000 records in, 990 scored, 10 dead letters: 0 missing, 0 double
        """
        from wmlclient.audits import audited

        return audited(self._deployment, connection)

    def _wait_for_version(self, version_id: str, timeout: float | None) -> Deployment:
        """Returns itself once it runs a version."""

        def late(_: Deployment, seconds: float) -> Exception:
            return WaitTimeoutError(f"The stream has not taken version {version_id} after {seconds:.0f} s.")

        return poll(
            lambda: self._deployment.refresh(),
            lambda found: found.version == version_id,
            timeout=timeout,
            late=late,
        )

    @overload
    def replay(
        self,
        version: None = None,
        *,
        stages: Sequence[str] | None = None,
        connection: KafkaConnection | None = None,
    ) -> int: ...

    @overload
    def replay(
        self,
        version: ModelVersion | str,
        *,
        to: KafkaTopic | str,
        since: dt.datetime | int | str = "beginning",
        against: ModelVersion | str | None = None,
        label: str | None = None,
        connection: KafkaConnection | None = None,
        registry: SchemaRegistry | Collection[SchemaRegistry] | None = None,
    ) -> Replay: ...

    def replay(
        self,
        version: ModelVersion | str | None = None,
        *,
        to: KafkaTopic | str | None = None,
        since: dt.datetime | int | str = "beginning",
        against: ModelVersion | str | None = None,
        label: str | None = None,
        stages: Sequence[str] | None = None,
        connection: KafkaConnection | None = None,
        registry: SchemaRegistry | Collection[SchemaRegistry] | None = None,
    ) -> Replay | int:
        """Sends the dead letters to their source topic again; or, with a version, has that one score the history.

        Dead letters are sent each once, however often this is called. With a version, the source is read again from
        ``since`` to where it ends now, without the stream's group: the stream goes on untouched. What the version
        makes of it goes to a side topic, with receipts, and is compared with what ``against`` makes of the same
        records. That runs in a process of this computer, which downloads both versions and scores each record twice,
        natively.

        Args:
            version: a version of the model, or its id; None replays dead letters.
            to: the side topic, or its name; none of the stream's own. Written in its format, else in that of the
                stream's target.
            since: a datetime with a time zone, an offset that is meant in each partition, or ``"beginning"``.
            against: the version to compare with; by default the one that the stream runs.
            label: the column whose changes are flips; by default the one that looks like it.
            stages: of dead letters, only those of these stages, such as ``["score"]``; the others are passed over
                for good.
            connection: as for :meth:`dead_letters`.
            registry: with a version: the registry of schemas, or several, of a stream whose formats have one with a
                password; needed unless it was deployed by this very object's ``deploy``.

        Returns:
            How many dead letters were sent; or what would flip and shift.

        Raises:
            BrokerError: Kafka refuses, or does not answer.
            PayloadError: A version is not certified for native scoring; the reason is named.
            LocalModeError: The packages that score are not installed.

        Example:
            >>> print(stream.replay(version, since="beginning", to="tried"))     # doctest: +SKIP
            records      1,000, 990 scored to tried
            refused      10 (before: 10)
            flips        12 of 990 in 'prediction' (1.21%)
            ...
        """
        if version is None:
            if to is not None or against is not None or label is not None:
                raise ConfigError("to=, against= and label= go with a version to replay the history with.")
            source, _, letters = topics_of(self._deployment, connection)
            return replay(letters, source, f"{group_of(self._deployment)}-replay", stages)
        if stages is not None or to is None:
            raise ConfigError("A version replays the history: give to=, the side topic, and no stages=.")
        from wmlclient.replays import replayed

        return replayed(
            self._deployment,
            version,
            since=since,
            to=to,
            against=against,
            label=label,
            connection=connection,
            registry=registry,
        )


@frozen
class DeadLetter:
    """A record that did not parse or score.

    Attributes:
        stage: ``decode``, ``schema``, ``score``, ``encode`` or ``oversize``.
        reason: why, in words.
        topic, partition, offset: where it came from.
        timestamp: its time there, milliseconds since 1970; None if it had none.
        digest: the model that refused it.
        record: the dead letter itself: original bytes (``record.raw``), key and headers.
    """

    stage: str
    reason: str
    topic: str
    partition: int
    offset: int
    timestamp: int | None
    digest: str
    record: KafkaRecord

    @classmethod
    def _of(cls, record: KafkaRecord) -> DeadLetter:
        text = {name: value.decode("utf-8", "replace") for name, value in record.headers.items() if value}
        stamp = text.get(envelope.TIMESTAMP)
        return cls(
            stage=text.get(envelope.STAGE, ""),
            reason=text.get(envelope.REASON, ""),
            topic=text.get(envelope.TOPIC, ""),
            partition=int(text.get(envelope.PARTITION, -1)),
            offset=int(text.get(envelope.OFFSET, -1)),
            timestamp=int(stamp) if stamp is not None else None,
            digest=text.get(envelope.DIGEST, ""),
            record=record,
        )


def letters_of(topic: KafkaTopic, source: str | None = None) -> Iterator[DeadLetter]:
    """The dead letters that are in a topic now, oldest first in each partition.

    Args:
        topic: The dead-letter topic.
        source: Only those of this source topic.
    """
    for record in topic.read():
        letter = DeadLetter._of(record)
        if source is None or letter.topic == source:
            yield letter


def replay(letters: KafkaTopic, source: KafkaTopic, group: str, stages: Collection[str] | None) -> int:
    """Send dead letters to their source topic again, each once, however often this is called.

    Args:
        letters: The dead-letter topic.
        source: Where they came from, and go.
        group: Consumer group that remembers which have been sent.
        stages: Only those of these stages; the others stay, and are not looked at again.

    Returns:
        How many were sent.
    """
    from wmlclient.groups import move

    def again(record: KafkaRecord) -> envelope.Headers | None:
        letter = DeadLetter._of(record)
        if letter.topic != source.name or (stages is not None and letter.stage not in stages):
            return None
        return envelope.without_own(list(record.headers.items()))

    return move(letters, source, group, again)


def topics_of(
    deployment: Deployment, connection: KafkaConnection | None
) -> tuple[KafkaTopic, KafkaTopic, KafkaTopic]:
    """Source, target and dead-letter topic of a stream.

    Raises:
        ConfigError: The connection is not known here.
        PayloadError: It is no stream.
    """
    if deployment.kind != "stream" or not deployment.source or not deployment.target:
        raise PayloadError(f"Deployment {deployment.name!r} is of kind {deployment.kind}, not a stream.")
    known = connection if connection is not None else deployment._kafka
    if known is None:
        raise ConfigError("The service never shows a stream's secrets. Give connection=KafkaConnection(...).")
    letters = deployment.dead_letter or f"{deployment.target}.dead-letters"
    return known.topic(deployment.source), known.topic(deployment.target), known.topic(letters)


def since_of(deployment: Deployment) -> int:
    """When a stream was made, milliseconds since 1970."""
    return int(deployment.created_at.timestamp() * 1000)


def group_of(deployment: Deployment) -> str:
    """The consumer group of a stream; with Spark, the one that shows how far it has come."""
    return envelope.group(deployment.id)
