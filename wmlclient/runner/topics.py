"""Looks at a Kafka topic before a stream is started on it, so that a wrong connection has a clear error at once."""

from __future__ import annotations

import logging
import re
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wmlclient.kafka_login import kafka_python_options, login_of, problem
from wmlclient.knock import KnockFailed, knock
from wmlclient.runner.engine.ports import KafkaEndpoint, StreamSetupError
from wmlclient.runner.jaas import quote

if TYPE_CHECKING:
    from wmlclient.kafka_admin import KafkaAdmin

logger = logging.getLogger("wmlclient.runner.topics")

LIMIT_SECONDS = 10.0
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_UNKNOWN_TOPIC, _TOPIC_DENIED, _CLUSTER_DENIED = 3, 29, 31


class KafkaTopicAdmin:
    """Looks at topics, and makes them, with Kafka's admin calls.

    Args:
        seconds: Limit for one look, all its steps together.
    """

    def __init__(self, seconds: float = LIMIT_SECONDS) -> None:
        self._seconds = seconds

    def ensure(self, endpoint: KafkaEndpoint, create: bool) -> None:
        """Return when the topic is there and this user may see it; make it first where ``create``.

        Raises:
            StreamSetupError: With one of the codes ``invalid_security_protocol``, ``invalid_broker_address``,
                ``invalid_topic_name``, ``invalid_credentials``, ``broker_unavailable``,
                ``broker_protocol_mismatch``, ``broker_certificate_invalid``, ``broker_authentication_failed``,
                ``topic_not_authorized``, ``topic_not_found``, ``topic_not_created``.
        """
        deadline = time.monotonic() + self._seconds
        check_endpoint(endpoint)
        _knock(endpoint, self._seconds)
        with _admin(endpoint, max(deadline - time.monotonic(), 1.0)) as admin:
            code = int(admin.describe(endpoint.topic)["error_code"])
            if code == _UNKNOWN_TOPIC and create:
                self._create(admin, endpoint)
                return
        if code == _UNKNOWN_TOPIC:
            raise StreamSetupError(
                "topic_not_found",
                f"The topic {endpoint.topic!r} does not exist on {endpoint.brokers[0]}. Create it there first; "
                "only the embedded broker makes topics on demand.",
            )
        if code in (_TOPIC_DENIED, _CLUSTER_DENIED):
            raise StreamSetupError(
                "topic_not_authorized",
                f"The user {endpoint.user!r} may not use the topic {endpoint.topic!r}. Grant it read and write.",
            )
        if code:
            raise StreamSetupError(
                "topic_unavailable",
                f"Kafka answers error {code} for the topic {endpoint.topic!r}. Try again later.",
            )

    @staticmethod
    def _create(admin: KafkaAdmin, endpoint: KafkaEndpoint) -> None:
        from kafka.errors import KafkaError, TopicAlreadyExistsError

        try:
            admin.create(endpoint.topic)
        except TopicAlreadyExistsError:
            pass
        except KafkaError as error:
            raise StreamSetupError(
                "topic_not_created",
                f"The topic {endpoint.topic!r} cannot be created on {endpoint.brokers[0]}: {type(error).__name__}.",
            ) from None


def check_endpoint(endpoint: KafkaEndpoint) -> None:
    """Everything that can be seen without a network.

    Raises:
        StreamSetupError: See :meth:`KafkaTopicAdmin.ensure`.
    """
    _check_addresses(endpoint.brokers)
    if not _TOPIC.fullmatch(endpoint.topic) or endpoint.topic in (".", ".."):
        raise StreamSetupError(
            "invalid_topic_name",
            f"{endpoint.topic[:60]!r} is no name of a Kafka topic: up to 249 of letters, digits, '.', '_', '-'.",
        )
    wrong = problem(login_of(endpoint))
    if wrong is not None:
        code = "invalid_security_protocol" if wrong[0] == "security_protocol" else "invalid_credentials"
        raise StreamSetupError(code, wrong[1])
    if endpoint.user and endpoint.password:
        try:
            quote(endpoint.user), quote(endpoint.password)
        except ValueError as error:
            raise StreamSetupError(
                "invalid_credentials", f"These credentials cannot be used: {error}."
            ) from None


def _check_addresses(brokers: Sequence[str]) -> None:
    if not brokers:
        raise StreamSetupError(
            "invalid_broker_address", "The connection names no Kafka broker in kafka_brokers_sasl."
        )
    for broker in brokers:
        host, colon, port = broker.rpartition(":")
        if not colon or not host.strip("[]") or not port.isdecimal() or not 0 < int(port) < 65536:
            raise StreamSetupError(
                "invalid_broker_address",
                f"{broker!r} is not the address of a Kafka broker. Write it as host:port.",
            )


def _knock(endpoint: KafkaEndpoint, seconds: float) -> None:
    try:
        knock(endpoint.brokers, login_of(endpoint), seconds)
    except KnockFailed as error:
        raise StreamSetupError(error.code, error.message) from None


def client_options(endpoint: KafkaEndpoint) -> dict[str, Any]:
    """The endpoint as keyword arguments of kafka-python's clients."""
    return {"bootstrap_servers": list(endpoint.brokers), **kafka_python_options(login_of(endpoint))}


@contextmanager
def _admin(endpoint: KafkaEndpoint, seconds: float) -> Iterator[KafkaAdmin]:
    try:
        with warnings.catch_warnings():
            # kafka-python reads its own files in a way that Python 3.11 and 3.12 warn of.
            warnings.simplefilter("ignore", DeprecationWarning)
            from kafka import KafkaAdminClient
            from kafka.errors import KafkaError

            from wmlclient.kafka_admin import KafkaAdmin
    except ImportError:
        raise StreamSetupError(
            "kafka_python_not_found", "kafka-python is not installed. Run: pip install 'wmlclient[local]'"
        ) from None
    limit = int(seconds * 1000)
    try:
        admin = KafkaAdmin(
            lambda: KafkaAdminClient(
                **client_options(endpoint),
                request_timeout_ms=limit,
                bootstrap_timeout_ms=limit,
                client_id="wmlclient",
            ),
            seconds,
        )
        try:
            yield admin
        finally:
            admin.close()
    except KafkaError as error:
        logger.info("looking at %s on %s: %s", endpoint.topic, endpoint.brokers, type(error).__name__)
        raise StreamSetupError(
            "broker_unavailable",
            f"The Kafka cluster at {endpoint.brokers[0]} lets us in but does not answer ({type(error).__name__}). "
            "Check that the brokers' advertised addresses can be reached from here.",
        ) from None
