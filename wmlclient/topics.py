"""Kafka topics at hand: send records, read them back, follow them. Needs ``kafka-python``, the extra ``kafka``."""

from __future__ import annotations

import contextlib
import logging
import time
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from wmlclient.connections import KafkaConnection
from wmlclient.errors import BrokerError, ConfigError, WaitTimeoutError
from wmlclient.formats import RecordFormat
from wmlclient.kafka_login import kafka_python_options, login_of
from wmlclient.knock import KnockFailed, knock
from wmlclient.records import Headers, KafkaRecord, Key, outgoing, several

if TYPE_CHECKING:
    from wmlclient.kafka_admin import KafkaAdmin

CONNECT_TIMEOUT = 15.0
_UNKNOWN_TOPIC = 3  # by the Kafka protocol


def _format(given: RecordFormat | str | None) -> RecordFormat | None:
    return RecordFormat(given) if isinstance(given, str) else given


@frozen
class KafkaTopic:
    """One topic of a Kafka service.

    Made by ``connection.topic(name)``; a deployment takes it as ``source=`` or ``target=``.

    Attributes:
        connection: its Kafka service.
        name: its name.
        format: what its records are for a deployment; None for JSON objects.
    """

    connection: KafkaConnection
    name: str = field()
    format: RecordFormat | None = field(default=None, converter=_format)

    @name.validator
    def _check_name(self, _attribute: Any, value: str) -> None:
        if (
            not isinstance(value, str)
            or not 0 < len(value) <= 249
            or not set(value) <= _LETTERS
            or value in (".", "..")
        ):
            raise ConfigError(f"Topic {value!r}: give up to 249 letters, digits, dots, dashes, underscores.")

    def __str__(self) -> str:
        return self.name

    def create(self, partitions: int = 1, *, replication: int = -1, exist_ok: bool = True) -> KafkaTopic:
        """Makes the topic.

        Args:
            partitions: how many.
            replication: copies of each; -1 leaves it to the brokers.
            exist_ok: a topic that is there already is left as it is, and is no error.

        Raises:
            BrokerError: Kafka refuses, or does not answer.
        """
        errors = _kafka().errors
        with _translated(self.connection, self.name), _admin(self.connection) as admin:
            try:
                admin.create(self.name, num_partitions=partitions, replication_factor=replication)
            except errors.TopicAlreadyExistsError:
                if not exist_ok:
                    raise
        return self

    def delete(self, *, missing_ok: bool = True) -> None:
        """Deletes the topic with all its records."""
        errors = _kafka().errors
        with _translated(self.connection, self.name), _admin(self.connection) as admin:
            try:
                admin.delete(self.name)
            except errors.UnknownTopicOrPartitionError:
                if not missing_ok:
                    raise

    def exists(self) -> bool:
        """True if the brokers know it."""
        with _translated(self.connection, self.name), _admin(self.connection) as admin:
            return int(admin.describe(self.name)["error_code"]) != _UNKNOWN_TOPIC

    def send(
        self,
        records: Any,
        *,
        key: Key = None,
        headers: Headers | None = None,
        timeout: float = 30.0,
    ) -> int:
        """Sends records, and returns when the brokers have them.

        Args:
            records: one record or many: a dict is sent as JSON, a text as UTF-8, bytes as they are. A pandas
                DataFrame is sent row by row.
            key: name of the field that is the record's key, or a function of the record; by default no key.
            headers: sent with each record.
            timeout: seconds for all of it.

        Returns:
            How many were sent.

        Raises:
            BrokerError: Kafka refuses, or does not answer; records before may have been sent.
            PayloadError: a record has no JSON form, or lacks the key field.

        Example:
            >>> topic.send([{"id": 1, "text": "what a day"}], key="id")   # doctest: +SKIP
            1
        """
        ready = [outgoing(record, number, key) for number, record in enumerate(several(records))]
        pairs = [(name, v if isinstance(v, bytes) else v.encode()) for name, v in (headers or {}).items()]
        self._ensure()
        deadline = time.monotonic() + timeout
        with _translated(self.connection, self.name):
            producer = _open(
                _kafka().KafkaProducer,
                self.connection,
                linger_ms=5,
                max_block_ms=int(min(timeout, CONNECT_TIMEOUT) * 1000),
                delivery_timeout_ms=int(timeout * 1000) + 1000,
                request_timeout_ms=int(timeout * 1000),
                allow_auto_create_topics=False,
            )
            try:
                sent = [
                    producer.send(self.name, value=value, key=record_key, headers=pairs)
                    for record_key, value in ready
                ]
                producer.flush(timeout=max(0.1, deadline - time.monotonic()))
                for future in sent:
                    future.get(timeout=max(0.1, deadline - time.monotonic()))
            finally:
                producer.close(timeout=1)
        return len(ready)

    def read(
        self, n: int | None = None, *, timeout: float = 30.0, from_beginning: bool = True
    ) -> list[KafkaRecord]:
        """Reads records, without a consumer group: whoever reads next sees them again.

        Args:
            n: how many to wait for; None takes what is there now.
            timeout: seconds to wait for them.
            from_beginning: from the oldest record on; else only what comes after the call.

        Returns:
            The records, in order within a partition.

        Raises:
            WaitTimeoutError: fewer than ``n`` came in time; its ``records`` holds those that did.
            BrokerError: Kafka refuses, does not answer, or has no such topic.
        """
        deadline = time.monotonic() + timeout
        found: list[KafkaRecord] = []
        with self.tail(from_beginning=from_beginning) as tail:
            if n is None:
                return tail.rest(deadline)
            while len(found) < n:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise WaitTimeoutError(
                        f"Topic {self.name!r}: {len(found)} of {n} records came in {timeout:g} s.",
                        records=found,
                    )
                found += tail.poll(left, n - len(found))
        return found

    def tail(self, *, from_beginning: bool = False, idle: float | None = None) -> KafkaTail:
        """Follows the topic: an iterator over records as they come, also a context manager.

        Args:
            from_beginning: the records that are there already, first.
            idle: ends after so many seconds without a record; None never ends.

        Example:
            >>> with topic.tail() as records:    # doctest: +SKIP
            ...     for record in records: ...
        """
        self._ensure()
        return KafkaTail(self, from_beginning=from_beginning, idle=idle)

    def _ensure(self) -> None:
        """A topic that is not there is made, or is an error; many brokers would make it, misspelt or not."""
        if self.exists():
            return
        if not self.connection.create_topics:
            raise _no_topic(self.connection, self.name)
        self.create()


class KafkaTail(Iterator[KafkaRecord]):
    """The records of a topic, as they come. Made by :meth:`KafkaTopic.tail`."""

    def __init__(self, topic: KafkaTopic, *, from_beginning: bool, idle: float | None) -> None:
        kafka = _kafka()
        self._topic = topic
        self._idle = idle
        self._waiting: list[KafkaRecord] = []
        with _translated(topic.connection, topic.name):
            self._consumer = _open(
                kafka.KafkaConsumer,
                topic.connection,
                group_id=None,
                enable_auto_commit=False,
                isolation_level="read_committed",
                allow_auto_create_topics=False,
            )
            try:
                self._start(kafka, from_beginning)
            except BaseException:
                self.close()
                raise

    def _start(self, kafka: ModuleType, from_beginning: bool) -> None:
        numbers = self._consumer.partitions_for_topic(self._topic.name)
        if not numbers:
            raise kafka.errors.UnknownTopicOrPartitionError()
        self._partitions = [kafka.TopicPartition(self._topic.name, number) for number in sorted(numbers)]
        self._consumer.assign(self._partitions)
        # The positions are asked for now, so that what is sent after this call is seen.
        look = self._consumer.beginning_offsets if from_beginning else self._consumer.end_offsets
        for partition, offset in look(self._partitions).items():
            self._consumer.seek(partition, offset)

    def rest(self, deadline: float) -> list[KafkaRecord]:
        """What there is from here to the present end. ``deadline``: on the monotonic clock."""
        found: list[KafkaRecord] = []
        with _translated(self._topic.connection, self._topic.name):
            ends = self._consumer.end_offsets(self._partitions)
            # Positions, not records, are compared: markers of transactions have offsets too.
            while any(self._consumer.position(p) < end for p, end in ends.items()):
                if time.monotonic() > deadline:
                    raise WaitTimeoutError(
                        f"Topic {self._topic.name!r}: {len(found)} records came in time, and there are more.",
                        records=found,
                    )
                found += self.poll(0.2)
        return [
            record
            for record in found
            if record.offset < ends[self._partitions[0]._replace(partition=record.partition)]
        ]

    def poll(self, timeout: float, limit: int = 500) -> list[KafkaRecord]:
        """What has come, at most ``limit``; waits up to ``timeout`` seconds for the first."""
        with _translated(self._topic.connection, self._topic.name):
            batches = self._consumer.poll(timeout_ms=max(1, int(timeout * 1000)), max_records=limit)
        return [KafkaRecord._of(record) for records in batches.values() for record in records]

    def __next__(self) -> KafkaRecord:
        silent_since = time.monotonic()
        while not self._waiting:
            left = 1.0 if self._idle is None else self._idle - (time.monotonic() - silent_since)
            if left <= 0:
                raise StopIteration
            self._waiting = self.poll(min(left, 1.0))[::-1]
        return self._waiting.pop()

    def close(self) -> None:
        """Leaves the topic. Safe to call twice."""
        self._consumer.close()

    def __enter__(self) -> KafkaTail:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def _kafka() -> ModuleType:
    try:
        with warnings.catch_warnings():
            # kafka-python 3.0 reads its schemas in a way that Python 3.11 deprecates.
            warnings.simplefilter("ignore", DeprecationWarning)
            import kafka
            import kafka.errors
    except ImportError:
        raise ConfigError("kafka-python is not installed. Run: pip install 'wmlclient[kafka]'") from None
    # Who chose SASL_PLAINTEXT need not be told so at each connection.
    logging.getLogger("kafka.net.sasl.plain").setLevel(logging.ERROR)
    module: ModuleType = kafka
    return module


def _open(kind: Any, connection: KafkaConnection, **options: Any) -> Any:
    """A client of kafka-python; one that fails to start leaves no thread behind."""
    login = login_of(connection)
    knock(connection.brokers, login, CONNECT_TIMEOUT)
    settings: dict[str, Any] = {
        "bootstrap_servers": list(connection.brokers),
        "bootstrap_timeout_ms": int(CONNECT_TIMEOUT * 1000),
        **kafka_python_options(login),
        **options,
    }
    inner: list[Any] = []

    def remember(**configs: Any) -> Any:
        inner.append(kind.DEFAULT_CONFIG["kafka_client"](**configs))
        return inner[-1]

    try:
        return kind(**settings, kafka_client=remember)
    except BaseException:
        for client in inner:
            client.close()
        raise


@contextlib.contextmanager
def _admin(connection: KafkaConnection) -> Iterator[KafkaAdmin]:
    kind = _kafka().KafkaAdminClient
    from wmlclient.kafka_admin import KafkaAdmin

    admin = KafkaAdmin(lambda: _open(kind, connection), CONNECT_TIMEOUT)
    try:
        yield admin
    finally:
        admin.close()


@contextlib.contextmanager
def _translated(connection: KafkaConnection, topic: str) -> Iterator[None]:
    """Lets only this package's errors out."""
    errors = _kafka().errors
    try:
        yield
    except KnockFailed as error:
        raise BrokerError(
            error.message, code=error.code, retriable=error.code == "broker_unavailable"
        ) from None
    except errors.UnknownTopicOrPartitionError:
        raise _no_topic(connection, topic) from None
    except errors.TopicAlreadyExistsError:
        raise BrokerError(f"Topic {topic!r} is there already.", code="topic_exists") from None
    except errors.KafkaError as error:
        kind = type(error).__name__
        raise BrokerError(
            f"Kafka at {', '.join(connection.brokers)}, topic {topic!r}: {str(error) or kind}",
            code=kind,
            retriable=bool(getattr(error, "retriable", False)),
        ) from None


def _no_topic(connection: KafkaConnection, topic: str) -> BrokerError:
    where = ", ".join(connection.brokers)
    return BrokerError(
        f"Kafka at {where} has no topic {topic!r}. Make it with .create().", code="topic_not_found"
    )
