"""How a client logs in to Kafka, in plain fields, and what each client library is told of it.

Both halves read this. Certificates and keys are PEM text, so that they cross a wire; nothing here is ever a name of a
client's option, or of a class. The standard library and attrs only.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Mapping
from typing import Any

from attrs import field, fields, frozen

MECHANISMS: tuple[str, ...] = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
PROTOCOLS: tuple[str, ...] = ("SASL_SSL", "SASL_PLAINTEXT", "PLAINTEXT", "SSL")

_BEGIN = "-----BEGIN "


@frozen
class KafkaLogin:
    """Who logs in, and how.

    Attributes:
        security_protocol: One of :data:`PROTOCOLS`.
        user: SASL user; with ``OAUTHBEARER`` and a token endpoint the client's id there.
        password: Its password; there the client's secret.
        sasl_mechanism: One of :data:`MECHANISMS`; means something with a SASL protocol only.
        token: ``OAUTHBEARER``: a token as it is.
        token_endpoint: ``OAUTHBEARER``: where tokens are asked for, by the OAuth grant ``client_credentials``.
        scope: ``OAUTHBEARER``: what is asked for there.
        ca: PEM of the authorities that brokers' certificates are checked against; the system's own where None.
        certificate: PEM of the client's certificate and its chain, for mutual TLS.
        key: PEM of its key.
        key_password: Of an encrypted key.
    """

    security_protocol: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    sasl_mechanism: str = "PLAIN"
    token: str | None = field(default=None, repr=False)
    token_endpoint: str | None = None
    scope: str | None = None
    ca: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    key_password: str | None = field(default=None, repr=False)

    @property
    def sasl(self) -> bool:
        """Whether somebody logs in by SASL."""
        return self.security_protocol.startswith("SASL")

    @property
    def tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.security_protocol.endswith("SSL")


#: The fields, which connections and endpoints have too, by the same names.
FIELDS: tuple[str, ...] = tuple(each.name for each in fields(KafkaLogin))
#: Those of them that nobody is ever shown.
SECRET = frozenset(("password", "token", "key", "key_password"))


def defaults(given: Mapping[str, Any]) -> dict[str, str]:
    """The protocol and the mechanism of a login that may name neither.

    Args:
        given: Fields of a login; those not given are absent, None or empty.

    Example:
        >>> defaults({"user": "ada", "password": "..."})
        {'security_protocol': 'SASL_SSL', 'sasl_mechanism': 'PLAIN'}
    """
    oauth = given.get("token") or given.get("token_endpoint")
    if given.get("user") or oauth:
        protocol = "SASL_SSL"
    else:
        protocol = "SSL" if given.get("ca") or given.get("certificate") else "PLAINTEXT"
    return {
        "security_protocol": given.get("security_protocol") or protocol,
        "sasl_mechanism": given.get("sasl_mechanism") or ("OAUTHBEARER" if oauth else "PLAIN"),
    }


def fields_of(holder: Any) -> dict[str, Any]:
    """By name, the fields of a login of what has them; secrets are among them."""
    return {name: getattr(holder, name) for name in FIELDS}


def login_of(holder: Any) -> KafkaLogin:
    """The login of what has the same fields."""
    return KafkaLogin(**fields_of(holder))


def problem(login: KafkaLogin) -> tuple[str, str] | None:
    """What is wrong with a login, as far as can be seen without a network.

    Returns:
        The field and a sentence; None where nothing is.

    Example:
        >>> problem(KafkaLogin("SASL_SSL", sasl_mechanism="GSSAPI"))[0]
        'sasl_mechanism'
    """
    if login.security_protocol not in PROTOCOLS:
        return "security_protocol", f"`security_protocol` is one of {', '.join(PROTOCOLS)}."
    if login.sasl_mechanism not in MECHANISMS:
        return "sasl_mechanism", f"`sasl_mechanism` is one of {', '.join(MECHANISMS)}."
    if login.sasl:
        found = _sasl_problem(login)
        if found is not None:
            return found
    if not login.tls:
        for name in ("ca", "certificate", "key"):
            if getattr(login, name):
                return name, f"`{name}` is for TLS: `security_protocol` has to be SASL_SSL or SSL."
    if bool(login.certificate) != bool(login.key):
        return "key", "`certificate` and `key` go together."
    for name, word in (("ca", "CERTIFICATE"), ("certificate", "CERTIFICATE"), ("key", "PRIVATE KEY")):
        text = getattr(login, name)
        if text and not (_BEGIN in text and word in text):
            return name, f"`{name}` is no PEM: it has no line {_BEGIN}{word}-----."
    return None


def _sasl_problem(login: KafkaLogin) -> tuple[str, str] | None:
    named = bool(login.user and login.password)
    if login.sasl_mechanism != "OAUTHBEARER":
        if not named:
            return "user", f"{login.security_protocol} needs `user` and `password`."
        if login.token or login.token_endpoint:
            return "token", "A token is for `sasl_mechanism` OAUTHBEARER."
        return None
    if bool(login.token) == bool(login.token_endpoint):
        return "token", "OAUTHBEARER needs `token` or `token_endpoint`, one of them."
    if login.token_endpoint:
        if not login.token_endpoint.startswith(("https://", "http://")):
            return "token_endpoint", "`token_endpoint` is an address: https://..."
        if not named:
            return (
                "user",
                "`token_endpoint` needs `user` and `password`: the client's id and its secret there.",
            )
    return None


def tls_context(login: KafkaLogin) -> ssl.SSLContext:
    """What a connection is encrypted with.

    Raises:
        ValueError: A certificate or key cannot be used; never with its text.
    """
    try:
        context = ssl.create_default_context(cadata=login.ca or None)
        if login.certificate and login.key:
            _load(context, login.certificate, login.key, login.key_password)
    except (ssl.SSLError, ValueError, OSError) as error:
        raise ValueError(f"the certificates or the key cannot be used: {_reason(error)}") from None
    return context


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or "they are not what their names say")


def _load(context: ssl.SSLContext, certificate: str, key: str, password: str | None) -> None:
    # Python's ssl reads these from files alone; for the moment of the call there is one, its owner's alone.
    number, path = tempfile.mkstemp(prefix="wmlclient-")
    try:
        with os.fdopen(number, "w", encoding="ascii") as file:
            file.write(f"{certificate}\n{key}\n")
        context.load_cert_chain(path, password=password or "")
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)


def kafka_python_options(login: KafkaLogin) -> dict[str, Any]:
    """A login as keyword arguments of kafka-python's clients.

    Raises:
        ValueError: A certificate or key cannot be used.
    """
    options: dict[str, Any] = {"security_protocol": login.security_protocol}
    if login.tls:
        options["ssl_context"] = tls_context(login)
    if not login.sasl:
        return options
    options["sasl_mechanism"] = login.sasl_mechanism
    if login.sasl_mechanism == "OAUTHBEARER":
        from wmlclient.kafka_tokens import token_provider

        return options | {"sasl_oauth_token_provider": token_provider(login)}
    return options | {"sasl_plain_username": login.user, "sasl_plain_password": login.password}
