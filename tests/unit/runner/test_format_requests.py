"""The formats of a stream in a request: what is taken, filled in, refused by name and shown again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_stream_choice import HEADER, create, model_id, refused  # noqa: F401 - a fixture among them

from wmlclient.connections import KafkaConnection
from wmlclient.deployments import ends
from wmlclient.errors import ConfigError
from wmlclient.formats import RecordFormat, SchemaRegistry
from wmlclient.runner.engine.connections import masked_request
from wmlclient.runner.engine.errors import Invalid
from wmlclient.runner.engine.formats import stream_formats

SCHEMA = {
    "type": "struct",
    "fields": [{"name": "id", "type": "integer"}, {"name": "text", "type": "string"}],
}
REGISTRY = {"url": "https://registry:8081", "user": "u", "password": "s3cret"}


def body(source: Any = None, target: Any = None) -> dict[str, Any]:
    return {
        "input": {"connection": {}, "source": {"topic": "in", "format": source}},
        "output": {"connection": {}, "target": {"topic": "out", "format": target}},
    }


def test_defaults_are_filled_in() -> None:
    assert stream_formats(body(), SCHEMA) == stream_formats(body({"type": "json"}, {}), SCHEMA)
    assert stream_formats(body(), SCHEMA).source is None
    found = stream_formats(body({"type": "text"}, {"output": "scores"}), SCHEMA)
    assert found.source == {"type": "text", "column": "text"}
    assert found.target == {"type": "json", "output": "scores"}


@pytest.mark.parametrize(
    ("source", "target", "name"),
    [
        ({"type": "xml"}, None, "input.source.format.type"),
        ("json", None, "input.source.format"),
        ({"type": "text", "column": "id"}, None, "input.source.format.column"),
        ({"output": "scores"}, None, "input.source.format.output"),
        ({"type": "csv", "delimiter": ";;"}, None, "input.source.format.delimiter"),
        ({"type": "csv", "columns": ["id", "id"]}, None, "input.source.format.columns"),
        ({"type": "csv", "columns": ["who"]}, None, "input.source.format.columns"),
        ({"type": "avro"}, None, "input.source.format.registry"),
        ({"type": "avro", "registry": {"url": "file:///etc"}}, None, "input.source.format.registry.url"),
        ({"type": "avro", "registry": {"url": "http://u:p@host"}}, None, "input.source.format.registry.url"),
        ({"type": "csv", "registry": REGISTRY}, None, "input.source.format.registry"),
        (None, {"type": "text"}, "output.target.format.type"),
        (None, {"type": "json", "output": "some"}, "output.target.format.output"),
    ],
)
def test_what_cannot_be_is_refused_by_name(source: Any, target: Any, name: str) -> None:
    with pytest.raises(Invalid) as caught:
        stream_formats(body(source, target), SCHEMA)
    assert caught.value.target["name"] == name


def test_both_engines_get_every_format(world: Any, model_id: str) -> None:  # noqa: F811
    kafka = {"kafka_brokers_sasl": ["127.0.0.1:9092"]}

    def side(end: str, **given: Any) -> dict[str, Any]:
        return {"connection": kafka, end: {"topic": end, "type": "kafka", "format": given}}

    avro = side("source", type="avro", registry=REGISTRY)
    assert create(world, model_id, input=avro).engine == "native"
    assert create(world, model_id, HEADER, input=avro, output=side("target", type="csv")).engine == "spark"
    made = create(
        world, model_id, HEADER, input=side("source", type="csv"), output=side("target", output="scores")
    )
    assert made.engine == "spark"
    assert made.body["input"]["source"]["format"] == {"type": "csv"}


def test_a_registrys_password_is_never_shown() -> None:
    shown = masked_request(body({"type": "avro", "registry": REGISTRY}))
    assert "s3cret" not in json.dumps(shown)
    assert shown["input"]["source"]["format"]["registry"]["url"] == REGISTRY["url"]
    assert "s3cret" not in repr(RecordFormat("avro", registry=SchemaRegistry(**REGISTRY)))


def test_the_facade_says_the_same() -> None:
    kafka = KafkaConnection(brokers="k:1")
    registry = SchemaRegistry(**REGISTRY)
    source = kafka.topic("in", format="text")
    target = kafka.topic("out", format=RecordFormat("avro", registry=registry, output="scores"))
    made = ends(source, target, None)
    assert made["input"]["source"] == {"topic": "in", "type": "kafka", "format": {"type": "text"}}
    assert made["output"]["target"]["format"] == {"type": "avro", "registry": REGISTRY, "output": "scores"}
    assert stream_formats(made, SCHEMA).target == made["output"]["target"]["format"]
    assert RecordFormat("avro", registry="http://r").registry == SchemaRegistry("http://r")
    for bad in (
        {"type": "xml"},
        {"type": "avro"},
        {"type": "csv", "registry": "http://r"},
        {"output": "some"},
    ):
        with pytest.raises(ConfigError):
            RecordFormat(**bad)
