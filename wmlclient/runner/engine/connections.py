"""The connections of a stream: read from a request's body, and shown again without their secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import evolve, frozen

from wmlclient.kafka_login import FIELDS, KafkaLogin, defaults, problem
from wmlclient.wire import SPARK_SERVICE_HEADER, decode_spark_service

from .errors import Invalid, field_error, missing
from .ports import KafkaEndpoint
from .texts import is_text

MASK = "********"

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_BROKER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253}):([0-9]{1,5})")
_MASTER = re.compile(
    r"local(\[(\*|[1-9][0-9]{0,3})(,[1-9][0-9]{0,3})?\])?|yarn|(spark|k8s)://[A-Za-z0-9._:,/\[\]-]+"
)

# What may be shown; every other text of a connection is masked, so that a member nobody thought of leaks nothing.
_SHOWN = frozenset(
    (
        *(
            "kafka_brokers_sasl",
            "user",
            "security_protocol",
            "sasl_mechanism",
            "token_endpoint",
            "scope",
            "ca",
            "certificate",
            "kafka_admin_url",
            "kafka_rest_url",
            "mqlight_lookup_url",
        ),
        *("userid", "projectid", "region", "authurl", "url", "host", "port", "db", "username"),
        *("tenant_id", "tenant_id_full", "cluster_master_url", "instance_id", "plan"),
    )
)


@frozen
class StreamEndpoints:
    """Where a stream reads, writes, and puts what it cannot score."""

    source: KafkaEndpoint
    target: KafkaEndpoint
    dead_letter: KafkaEndpoint


def stream_endpoints(body: Mapping[str, Any]) -> StreamEndpoints:
    """The endpoints that a stream request names.

    Args:
        body: The request: ``input.connection``, ``input.source``, ``output.connection``, ``output.target`` and
            perhaps ``dead_letter``.

    Raises:
        Invalid: ``invalid_request_payload``, naming the member.
    """
    source = _endpoint(body, "input", "source")
    target = _endpoint(body, "output", "target")
    named = (body.get("dead_letter") or {}).get("topic")
    topic = _topic(f"{target.topic}.dead-letters" if named is None else named, "dead_letter.topic")
    dead_letter = evolve(target, topic=topic)
    same_cluster = bool(set(source.brokers) & set(target.brokers))
    if same_cluster and source.topic == target.topic:
        raise field_error(
            "output.target.topic",
            f"The stream would read its own output: {source.topic!r} is source and target.",
        )
    if topic == target.topic or (same_cluster and topic == source.topic):
        raise field_error(
            "dead_letter.topic",
            f"Dead letters need a topic of their own: {topic!r} is the source or the target.",
        )
    return StreamEndpoints(source, target, dead_letter)


def spark_service(header: str | None, kind: str) -> dict[str, Any]:
    """The Spark service that the request's header names.

    Raises:
        Invalid: ``missing_prediction_spark_definition``, ``spark_header_deserialization_error``.
    """
    target = {"type": "header", "name": SPARK_SERVICE_HEADER}
    if not header:
        raise Invalid(
            "missing_prediction_spark_definition",
            f"For type {kind} spark instance must be provided in `{SPARK_SERVICE_HEADER}` header",
            target,
        )
    try:
        service = decode_spark_service(header)
        spark_master(service)
    except ValueError as error:
        raise Invalid(
            "spark_header_deserialization_error",
            f"The header `{SPARK_SERVICE_HEADER}` cannot be read: {error}. "
            "It is the base64, on one line, of the Spark service's JSON.",
            target,
        ) from None
    return service


def spark_master(service: Mapping[str, Any] | None) -> str | None:
    """The cluster that a Spark service names; None for the runner's own.

    Raises:
        ValueError: It names none that Spark could use.
    """
    master = ((service or {}).get("credentials") or {}).get("cluster_master_url")
    if not master:
        return None
    if not _MASTER.fullmatch(master):
        raise ValueError(
            f"`cluster_master_url` {master[:100]!r} is no Spark master: give local[n], spark://host:port, k8s://... "
            "or yarn, or leave it out for the service's own Spark"
        )
    return str(master)


def masked(value: Any, *, inside: bool = True) -> Any:
    """A connection or a Spark service as it may be shown: the same shape, the secrets as :data:`MASK`."""
    if isinstance(value, Mapping):
        return {key: _masked_member(str(key), item) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return MASK if isinstance(value, (str, int, float)) and not isinstance(value, bool) and inside else value


def masked_request(body: Mapping[str, Any]) -> dict[str, Any]:
    """``input``, ``output`` and ``dead_letter`` of a request, with their connections masked."""
    shown: dict[str, Any] = {}
    for name in ("input", "output", "dead_letter"):
        part = body.get(name)
        if not isinstance(part, Mapping):
            continue
        shown[name] = {k: masked(v) if k == "connection" else _masked_registry(v) for k, v in part.items()}
    return shown


def _masked_registry(place: Any) -> Any:
    """A source or target with the login of its registry of schemas masked."""
    format = place.get("format") if isinstance(place, Mapping) else None
    if not isinstance(format, Mapping) or "registry" not in format:
        return place
    return {**place, "format": {**format, "registry": masked(format["registry"])}}


def masked_spark_service(service: Mapping[str, Any]) -> dict[str, Any]:
    """A Spark service with its credentials masked."""
    plain = ("version", "kernelId")
    return {key: item if key in plain else masked(item) for key, item in service.items()}


def _masked_member(key: str, value: Any) -> Any:
    if key not in _SHOWN:
        return masked(value)
    if isinstance(value, str):
        return MASK if re.search(r"//[^/]*@", value) else value
    if isinstance(value, list):
        return [_masked_member(key, item) for item in value]
    return value if not isinstance(value, Mapping) else masked(value)


def _endpoint(body: Mapping[str, Any], side: str, end: str) -> KafkaEndpoint:
    part = body.get(side)
    if not isinstance(part, Mapping):
        raise missing(side)
    connection, place = part.get("connection"), part.get(end)
    if not isinstance(connection, Mapping):
        raise missing(f"{side}.connection")
    if not isinstance(place, Mapping):
        raise missing(f"{side}.{end}")
    kind = place.get("type", "kafka")
    if kind != "kafka":
        raise field_error(
            f"{side}.{end}.type", f"A stream reads and writes Kafka topics, not {str(kind)[:80]!r}."
        )
    if "topic" not in place:
        raise missing(f"{side}.{end}.topic")
    where = f"{side}.connection"
    return KafkaEndpoint(
        _brokers(connection.get("kafka_brokers_sasl"), f"{where}.kafka_brokers_sasl"),
        _topic(place["topic"], f"{side}.{end}.topic"),
        **_login(connection, where),
    )


def _login(connection: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fields of a login; the names of clients' options, and JAAS text, are refused."""
    for name, value in connection.items():
        option = (
            "." in name
            or "jaas" in name.lower()
            or name.lower().startswith(("sasl_", "ssl_", "ssl", "login_"))
        )
        if (option and name not in FIELDS) or (isinstance(value, str) and "LoginModule" in value):
            known = ", ".join(FIELDS)
            raise Invalid(
                "kafka_option_not_supported",
                f"`{where}.{name[:80]}` is an option of a Kafka client, or its text, which a service never takes "
                f"from a request. A login is given by {known}.",
                {"type": "field", "name": f"{where}.{name[:80]}"},
            )
    given: dict[str, Any] = {name: connection.get(name) or None for name in FIELDS}
    for name, value in given.items():
        if value is not None and not is_text(value, lines=name in ("ca", "certificate", "key")):
            raise field_error(f"{where}.{name}", f"`{where}.{name}` is not a line of text.")
    given |= defaults(given)
    wrong = problem(KafkaLogin(**given))
    if wrong is not None:
        raise field_error(f"{where}.{wrong[0]}", wrong[1])
    return given


def _brokers(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise missing(where)
    for broker in value:
        match = _BROKER.fullmatch(broker) if isinstance(broker, str) else None
        if match is None or not 0 < int(match.group(2)) < 65536:
            raise field_error(where, f"`{where}` holds {str(broker)[:80]!r}; each is host:port.")
    return tuple(value)


def _topic(value: Any, where: str) -> str:
    if not isinstance(value, str) or not _TOPIC.fullmatch(value) or value in (".", ".."):
        raise field_error(
            where, f"`{where}` is not a topic's name: letters, digits, '.', '_' and '-', at most 249 of them."
        )
    return value
