from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from wmlclient import wire
from wmlclient.runner.engine import connections
from wmlclient.runner.engine.errors import Invalid
from wmlclient.runner.engine.ports import KafkaEndpoint

SECRET = "s3cr3t-s3cr3t"
CONNECTION: dict[str, Any] = {
    "kafka_brokers_sasl": ["kafka01-prod01.messagehub.services:9093", "kafka02:9093"],
    "user": "u",
    "password": SECRET,
    "api_key": SECRET,
    "kafka_admin_url": "https://kafka-admin:443",
    "kafka_rest_url": "https://kafka-rest:443",
    "mqlight_lookup_url": "https://mqlight/Lookup",
}
BODY: dict[str, Any] = {
    "name": "Sentiment Prediction",
    "type": "stream",
    "description": "Streaming Deployment",
    "input": {"connection": CONNECTION, "source": {"topic": "sinput", "type": "kafka"}},
    "output": {"connection": CONNECTION, "target": {"topic": "soutput", "type": "kafka"}},
}
SPARK: dict[str, Any] = {
    "credentials": {
        "tenant_id": "t",
        "tenant_id_full": "full",
        "cluster_master_url": "spark://10.0.0.1:7077",
        "tenant_secret": SECRET,
        "instance_id": "i",
        "plan": "p",
    },
    "version": "2.0",
}


def changed(path: str, value: Any) -> dict[str, Any]:
    body = copy.deepcopy(BODY)
    *parents, last = path.split(".")
    place: Any = body
    for parent in parents:
        place = place.setdefault(parent, {})
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return body


def test_the_documented_request() -> None:
    ends = connections.stream_endpoints(BODY)
    brokers = ("kafka01-prod01.messagehub.services:9093", "kafka02:9093")
    assert ends.source == KafkaEndpoint(brokers, "sinput", "SASL_SSL", "u", SECRET)
    assert ends.target.topic == "soutput"
    assert ends.dead_letter == KafkaEndpoint(brokers, "soutput.dead-letters", "SASL_SSL", "u", SECRET)
    assert SECRET not in repr(ends)


def test_defaults_and_our_own_members() -> None:
    body = changed("input.connection", {"kafka_brokers_sasl": ["[::1]:9092"]})
    assert connections.stream_endpoints(body).source == KafkaEndpoint(("[::1]:9092",), "sinput", "PLAINTEXT")
    body = changed("input.connection.security_protocol", "SASL_PLAINTEXT")
    assert connections.stream_endpoints(body).source.security_protocol == "SASL_PLAINTEXT"
    body = changed("dead_letter.topic", "bad-tweets")
    assert connections.stream_endpoints(body).dead_letter.topic == "bad-tweets"
    # A broker without SASL gives empty credentials.
    body = changed(
        "input.connection", {**CONNECTION, "user": "", "password": "", "security_protocol": "PLAINTEXT"}
    )
    assert connections.stream_endpoints(body).source.user is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("input", ...),
        ("input", "x"),
        ("input.connection", ...),
        ("input.source", ...),
        ("input.source.topic", ...),
        ("input.source.topic", ""),
        ("input.source.topic", "a b"),
        ("input.source.topic", "../x"),
        ("input.source.topic", "x" * 250),
        ("input.source.topic", 7),
        ("input.source.type", "file"),
        ("output.target", ...),
        ("output.target.topic", "."),
        ("input.connection.kafka_brokers_sasl", ...),
        ("input.connection.kafka_brokers_sasl", []),
        ("input.connection.kafka_brokers_sasl", "host:9093"),
        ("input.connection.kafka_brokers_sasl", ["host"]),
        ("input.connection.kafka_brokers_sasl", ["host:0"]),
        ("input.connection.kafka_brokers_sasl", ["host:99999"]),
        ("input.connection.kafka_brokers_sasl", ["http://host:1"]),
        ("input.connection.kafka_brokers_sasl", ["host:9093\nsasl.jaas.config=x"]),
        ("input.connection.kafka_brokers_sasl", [None]),
        ("input.connection.security_protocol", "GSSAPI"),
        ("input.connection.password", ""),
        ("input.connection.password", ["x"]),
        ("input.connection.user", "a\nb"),
    ],
)
def test_a_malformed_request_names_its_member(path: str, value: Any) -> None:
    with pytest.raises(Invalid) as caught:
        connections.stream_endpoints(changed(path, value))
    assert caught.value.code == "invalid_request_payload"
    assert caught.value.target is not None
    named = caught.value.target["name"]
    assert path.startswith(named.rsplit(".", 1)[0])
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("output.target.topic", "sinput", "output.target.topic"),
        ("dead_letter.topic", "sinput", "dead_letter.topic"),
        ("dead_letter.topic", "soutput", "dead_letter.topic"),
    ],
)
def test_a_stream_never_reads_what_it_wrote(path: str, value: str, where: str) -> None:
    with pytest.raises(Invalid) as caught:
        connections.stream_endpoints(changed(path, value))
    assert caught.value.target == {"type": "field", "name": where}


def test_the_same_topic_on_another_cluster_is_fine() -> None:
    body = changed("output.target.topic", "sinput")
    body["output"]["connection"] = {"kafka_brokers_sasl": ["other:9092"]}
    assert connections.stream_endpoints(body).target.topic == "sinput"


def test_the_spark_service_header() -> None:
    header = wire.encode_spark_service(SPARK)
    assert connections.spark_service(header, "stream") == SPARK
    assert connections.spark_master(SPARK) == "spark://10.0.0.1:7077"
    assert connections.spark_master({"version": "2.0"}) is None
    assert connections.spark_master({"credentials": {"cluster_master_url": ""}}) is None
    for master in (
        "local",
        "local[*]",
        "local[2]",
        "local[2,3]",
        "yarn",
        "k8s://https://host:6443",
        "spark://a:1,b:2",
    ):
        assert connections.spark_master({"credentials": {"cluster_master_url": master}}) == master


@pytest.mark.parametrize("header", [None, ""])
def test_a_missing_spark_service_has_the_documented_error(header: str | None) -> None:
    with pytest.raises(Invalid) as caught:
        connections.spark_service(header, "stream")
    assert caught.value.code == "missing_prediction_spark_definition"
    assert (
        caught.value.message
        == "For type stream spark instance must be provided in `X-Spark-Service-Instance` header"
    )


@pytest.mark.parametrize(
    "header",
    [
        "%%%",
        wire.encode_spark_service(SPARK)[:-5],
        wire.encode_spark_service({"credentials": {"cluster_master_url": "http://169.254.169.254/"}}),
        wire.encode_spark_service({"credentials": {"cluster_master_url": "local[2] --conf x=y"}}),
    ],
)
def test_a_malformed_spark_service_has_the_documented_code(header: str) -> None:
    with pytest.raises(Invalid) as caught:
        connections.spark_service(header, "stream")
    assert caught.value.code == "spark_header_deserialization_error"
    assert SECRET not in str(caught.value)


def test_what_is_shown_has_the_shape_and_no_secret() -> None:
    body = copy.deepcopy(BODY)
    body["input"]["connection"] |= {
        "ssl.keystore.password": SECRET,
        "kafka_admin_url": f"https://user:{SECRET}@host",
        "extra": {"deep": [SECRET, 7, None, True]},
    }
    shown = connections.masked_request(body)
    assert SECRET not in json.dumps(shown)
    connection = shown["input"]["connection"]
    assert connection["password"] == connections.MASK
    assert connection["extra"] == {"deep": [connections.MASK, connections.MASK, None, True]}
    assert connection["kafka_brokers_sasl"] == CONNECTION["kafka_brokers_sasl"]
    assert connection["user"] == "u"
    assert set(connection) == set(body["input"]["connection"])
    assert shown["input"]["source"] == BODY["input"]["source"]
    assert shown["output"]["target"] == BODY["output"]["target"]
    service = connections.masked_spark_service({**SPARK, "token": SECRET})
    assert SECRET not in json.dumps(service)
    assert service["credentials"]["cluster_master_url"] == "spark://10.0.0.1:7077"
    assert service["credentials"]["tenant_secret"] == connections.MASK
    assert service["version"] == "2.0"
