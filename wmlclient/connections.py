"""Where data lives and where Spark runs: connections that a deployment is given. Secrets never show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from wmlclient import wire
from wmlclient.errors import ConfigError

if TYPE_CHECKING:
    from wmlclient.topics import KafkaTopic

PROTOCOLS = ("SASL_SSL", "SASL_PLAINTEXT", "PLAINTEXT", "SSL")


def _secret(value: Any) -> str:
    return "None" if value is None else "'***'"


def _text(value: str | None) -> str:
    return value or ""


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
        user: SASL user, if the brokers ask for one; the mechanism is PLAIN.
        password: its password; never shown.
        security_protocol: ``SASL_SSL``, ``SASL_PLAINTEXT``, ``PLAINTEXT`` or ``SSL``. By default SASL_SSL with a
            user, else PLAINTEXT.
        api_key, admin_url, rest_url, mqlight_url: the rest of Message Hub's credentials, passed on as they are.
        create_topics: make a topic that is not there on first use. For brokers of tests; a misspelt name on any other
            should be an error.

    Raises:
        ConfigError: no broker, a user without password, or an unknown protocol.

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

    def __attrs_post_init__(self) -> None:
        if not self.security_protocol:
            object.__setattr__(self, "security_protocol", "SASL_SSL" if self.user else "PLAINTEXT")
        bad = next((broker for broker in self.brokers if not _is_address(broker)), None)
        if not self.brokers or bad is not None:
            raise ConfigError(f"brokers: give 'host:port', one or more{f', not {bad!r}' if bad else ''}.")
        if self.security_protocol not in PROTOCOLS:
            raise ConfigError(
                f"security_protocol={self.security_protocol!r}: give one of {', '.join(PROTOCOLS)}."
            )
        if self.security_protocol.startswith("SASL") and not (self.user and self.password):
            raise ConfigError(f"{self.security_protocol} needs user= and password=.")

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
            user=credentials.get("user"),
            password=credentials.get("password"),
            security_protocol=credentials.get("security_protocol"),
            api_key=credentials.get("api_key"),
            admin_url=credentials.get("kafka_admin_url"),
            rest_url=credentials.get("kafka_rest_url"),
            mqlight_url=credentials.get("mqlight_lookup_url"),
            create_topics=create_topics,
        )

    def topic(self, name: str) -> KafkaTopic:
        """One topic of it, to deploy with, or to send to and read from."""
        from wmlclient.topics import KafkaTopic

        return KafkaTopic(self, name)

    def _to_wire(self) -> dict[str, Any]:
        """The ``connection`` of a stream's request, secrets included."""
        values = {
            "kafka_brokers_sasl": list(self.brokers),
            "user": self.user,
            "password": self.password,
            "security_protocol": self.security_protocol,
            "api_key": self.api_key,
            "kafka_admin_url": self.admin_url,
            "kafka_rest_url": self.rest_url,
            "mqlight_lookup_url": self.mqlight_url,
        }
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
