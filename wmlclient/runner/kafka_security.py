"""A Kafka login as options of the clients that streams use. Pure functions; what is set here is all that is ever set.

No text of a request becomes the name of an option, or JAAS text, which names a Java class to be loaded.
"""

from __future__ import annotations

from typing import Any

from wmlclient.kafka_login import KafkaLogin
from wmlclient.kafka_tokens import TokenRefused, token_of
from wmlclient.runner.jaas import PLAIN_MODULE, quote

_SCRAM_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"


class NotForJava(Exception):
    """A login that Java's client cannot be given.

    Attributes:
        field: The field that asks for it.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field, self.message = field, message

    def __str__(self) -> str:
        return self.message


def librdkafka_options(login: KafkaLogin) -> dict[str, Any]:
    """A login for confluent-kafka."""
    options: dict[str, Any] = {"security.protocol": login.security_protocol}
    if login.tls:
        named = {
            "ssl.ca.pem": login.ca,
            "ssl.certificate.pem": login.certificate,
            "ssl.key.pem": login.key,
            "ssl.key.password": login.key_password,
        }
        options |= {name: value for name, value in named.items() if value}
    if not login.sasl:
        return options
    options["sasl.mechanism"] = login.sasl_mechanism
    if login.sasl_mechanism == "OAUTHBEARER":
        return options | {"oauth_cb": _tokens(login)}
    return options | {"sasl.username": login.user or "", "sasl.password": login.password or ""}


def _tokens(login: KafkaLogin) -> Any:
    def give(_config: str) -> tuple[str, float]:
        try:
            return token_of(login)
        except TokenRefused as refused:
            raise RuntimeError(str(refused)) from None

    return give


def java_options(login: KafkaLogin, prefix: str = "") -> dict[str, str]:
    """A login for Kafka's own client, as Spark uses it.

    Args:
        login: Who, and how.
        prefix: Put before each name; Spark wants ``"kafka."``.

    Raises:
        NotForJava: It has no form there.

    Example:
        >>> java_options(KafkaLogin("SASL_SSL", "u", "p", "SCRAM-SHA-512"))["sasl.mechanism"]
        'SCRAM-SHA-512'
    """
    options = {"security.protocol": login.security_protocol}
    if login.tls and login.ca:
        options |= {"ssl.truststore.type": "PEM", "ssl.truststore.certificates": login.ca}
    if login.tls and login.certificate and login.key:
        options |= {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": login.certificate,
            "ssl.keystore.key": _pkcs8(login),
        }
        if login.key_password:
            options["ssl.key.password"] = login.key_password
    if login.sasl:
        options |= {"sasl.mechanism": login.sasl_mechanism, "sasl.jaas.config": _jaas(login)}
    return {f"{prefix}{name}": value for name, value in options.items()}


def java_refusal(login: KafkaLogin) -> NotForJava | None:
    """Why a login cannot be had with Spark, or None."""
    try:
        java_options(login)
    except NotForJava as refused:
        return refused
    return None


def _jaas(login: KafkaLogin) -> str:
    if login.sasl_mechanism == "OAUTHBEARER":
        raise NotForJava(
            "sasl_mechanism",
            "Kafka's Java client takes tokens from addresses that its process was started with alone",
        )
    module = PLAIN_MODULE if login.sasl_mechanism == "PLAIN" else _SCRAM_MODULE
    return f"{module} required username={quote(login.user or '')} password={quote(login.password or '')};"


def _pkcs8(login: KafkaLogin) -> str:
    key = login.key or ""
    if "-----BEGIN PRIVATE KEY-----" in key or "-----BEGIN ENCRYPTED PRIVATE KEY-----" in key:
        return key
    raise NotForJava(
        "key",
        "Kafka's Java client takes keys in PKCS #8 alone (BEGIN PRIVATE KEY); convert it: openssl pkcs8 -topk8",
    )
