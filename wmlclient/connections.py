"""Where data lives and where Spark runs: connections that a deployment is given. Secrets never show."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from wmlclient import wire
from wmlclient.errors import ConfigError
from wmlclient.kafka_login import FIELDS, defaults, fields_of, login_of, problem

if TYPE_CHECKING:
    from wmlclient.formats import RecordFormat
    from wmlclient.topics import KafkaTopic


_CHOICES = ("security_protocol", "sasl_mechanism")


def _secret(value: Any) -> str:
    return "None" if value is None else "'***'"


def _text(value: str | None) -> str:
    return value or ""


def _pem(value: str | os.PathLike[str] | None) -> str | None:
    """PEM text: given as it is, or read from a file."""
    if value is None or "-----BEGIN" in str(value):
        return value if value is None else str(value)
    try:
        return Path(value).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"ca, certificate and key are PEM text or the path of a file: {str(value)[:200]!r} cannot be read "
            f"({getattr(error, 'strerror', None) or 'not text'})."
        ) from None


def _is_address(broker: str) -> bool:
    host, _, port = broker.rpartition(":")
    return bool(host) and port.isdigit() and 0 < int(port) < 65536


def _broker_list(brokers: str | Iterable[str]) -> tuple[str, ...]:
    given = brokers.split(",") if isinstance(brokers, str) else list(brokers)
    return tuple(str(broker).strip() for broker in given if str(broker).strip())


@frozen(kw_only=True)
class KafkaConnection:
    """A Kafka service: Message Hub's credentials, or any other brokers.

    Attributes:
        brokers: ``host:port`` of one broker or more.
        user: SASL user, if the brokers ask for one; with ``token_endpoint`` the client's id there.
        password: its password, or the client's secret; never shown.
        security_protocol: ``SASL_SSL``, ``SASL_PLAINTEXT``, ``PLAINTEXT`` or ``SSL``. By default SASL_SSL with a
            user or a token, SSL with ``ca`` or ``certificate``, else PLAINTEXT.
        sasl_mechanism: ``PLAIN``, ``SCRAM-SHA-256``, ``SCRAM-SHA-512`` or ``OAUTHBEARER``. By default OAUTHBEARER with
            a token or a token endpoint, else PLAIN.
        token: a token for OAUTHBEARER; never shown.
        token_endpoint, scope: where such tokens are asked for (the OAuth grant ``client_credentials``), and for what.
        ca: PEM of the authorities that the brokers' certificates are checked against, as text or the path of a file;
            by default the system's.
        certificate, key: PEM of the client's certificate and key, for mutual TLS, as text or as paths.
        key_password: of an encrypted key; never shown.
        api_key, admin_url, rest_url, mqlight_url: the rest of Message Hub's credentials, passed on as they are.
        create_topics: make a topic that is not there on first use. For brokers of tests; a misspelt name on any other
            should be an error.

    Raises:
        ConfigError: no broker, a login that lacks a part, an unknown protocol or mechanism, a file that is not there.

    Example:
        >>> kafka = KafkaConnection(brokers=["broker:9093"], user="u", password="p")
        >>> kafka
        KafkaConnection(brokers=('broker:9093',), user='u', password='***', security_protocol='SASL_SSL')
    """

    brokers: tuple[str, ...] = field(converter=_broker_list)
    user: str | None = None
    password: str | None = field(default=None, repr=_secret)
    security_protocol: str = field(default="", converter=_text)
    api_key: str | None = field(default=None, repr=False)
    admin_url: str | None = field(default=None, repr=False)
    rest_url: str | None = field(default=None, repr=False)
    mqlight_url: str | None = field(default=None, repr=False)
    create_topics: bool = field(default=False, repr=False, eq=False)
    sasl_mechanism: str = field(default="", converter=_text, repr=False)
    token: str | None = field(default=None, repr=False)
    token_endpoint: str | None = field(default=None, repr=False)
    scope: str | None = field(default=None, repr=False)
    ca: str | None = field(default=None, converter=_pem, repr=False)
    certificate: str | None = field(default=None, converter=_pem, repr=False)
    key: str | None = field(default=None, converter=_pem, repr=False)
    key_password: str | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        for name, value in defaults(fields_of(self)).items():
            object.__setattr__(self, name, value)
        bad = next((broker for broker in self.brokers if not _is_address(broker)), None)
        if not self.brokers or bad is not None:
            raise ConfigError(f"brokers: give 'host:port', one or more{f', not {bad!r}' if bad else ''}.")
        wrong = problem(login_of(self))
        if wrong is not None:
            name, sentence = wrong
            # On the wire `name` is a member, here an argument.
            said = re.sub(r"`([a-z_]+)`", r"\1=", sentence)
            value = getattr(self, name)
            raise ConfigError(f"{name}={value!r}: {said}" if name in _CHOICES else said)

    @classmethod
    def from_credentials(
        cls, credentials: Mapping[str, Any], *, create_topics: bool = False
    ) -> KafkaConnection:
        """From Message Hub's service credentials, or the ``kafka`` part of a ``credentials.json``.

        Args:
            credentials: ``kafka_brokers_sasl``, ``user``, ``password``, and what else they hold.
            create_topics: as above.
        """
        brokers = credentials.get("kafka_brokers_sasl") or ()
        if not brokers:
            raise ConfigError("These Kafka credentials have no kafka_brokers_sasl, the list of brokers.")
        return cls(
            brokers=brokers,
            **{name: credentials.get(name) for name in FIELDS},
            api_key=credentials.get("api_key"),
            admin_url=credentials.get("kafka_admin_url"),
            rest_url=credentials.get("kafka_rest_url"),
            mqlight_url=credentials.get("mqlight_lookup_url"),
            create_topics=create_topics,
        )

    def topic(self, name: str, *, format: RecordFormat | str | None = None) -> KafkaTopic:
        """One topic of it, to deploy with, or to send to and read from.

        Args:
            name: its name.
            format: what its records are for a deployment, such as ``"text"``; JSON objects by default.
        """
        from wmlclient.topics import KafkaTopic

        return KafkaTopic(self, name, format)

    def _to_wire(self) -> dict[str, Any]:
        """The ``connection`` of a stream's request, secrets included."""
        values = {
            "kafka_brokers_sasl": list(self.brokers),
            **fields_of(self),
            "api_key": self.api_key,
            "kafka_admin_url": self.admin_url,
            "kafka_rest_url": self.rest_url,
            "mqlight_lookup_url": self.mqlight_url,
        }
        if self.sasl_mechanism == "PLAIN":
            del values["sasl_mechanism"]
        return {name: value for name, value in values.items() if value is not None}


@frozen(kw_only=True)
class SparkService:
    """The Spark that runs a stream or a batch: the credentials of a Spark service.

    Attributes:
        cluster_master_url: the cluster, such as ``local[2]`` or ``spark://host:7077``.
        tenant_id, tenant_id_full, instance_id, plan: the rest of such credentials.
        tenant_secret: never shown.
        version: version of the service.

    Example:
        >>> SparkService(cluster_master_url="local[2]")
        SparkService(cluster_master_url='local[2]')
    """

    cluster_master_url: str | None = None
    tenant_id: str | None = None
    tenant_id_full: str | None = None
    tenant_secret: str | None = field(default=None, repr=_secret)
    instance_id: str | None = None
    plan: str | None = None
    version: str = "2.0"

    def __repr__(self) -> str:
        shown = [
            f"{name}={'***' if name == 'tenant_secret' else value!r}"
            for name, value in self._credentials().items()
        ]
        if self.version != "2.0":
            shown.append(f"version={self.version!r}")
        return f"SparkService({', '.join(shown)})"

    @classmethod
    def from_credentials(cls, credentials: Mapping[str, Any]) -> SparkService:
        """From a Spark service's credentials, with or without the ``{"credentials": ..., "version": ...}`` around."""
        inner = credentials.get("credentials", credentials)
        names = ("cluster_master_url", "tenant_id", "tenant_id_full", "tenant_secret", "instance_id", "plan")
        known = {name: inner[name] for name in names if inner.get(name) is not None}
        return cls(**known, version=str(credentials.get("version", "2.0")))

    def _credentials(self) -> dict[str, str]:
        values = {
            "tenant_id": self.tenant_id,
            "tenant_id_full": self.tenant_id_full,
            "cluster_master_url": self.cluster_master_url,
            "tenant_secret": self.tenant_secret,
            "instance_id": self.instance_id,
            "plan": self.plan,
        }
        return {name: value for name, value in values.items() if value is not None}

    def _header(self) -> str:
        """The value of ``X-Spark-Service-Instance``."""
        return wire.encode_spark_service({"credentials": self._credentials(), "version": self.version})
