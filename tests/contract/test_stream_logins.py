"""Logins of the registry of a stream's schemas, for who scores beside the service: for one address alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import saved_models
from contract_service import INSTANCE, PASSWORD, USER, Service

import wmlclient
from wmlclient import RecordFormat, SchemaRegistry, config, streamspec
from wmlclient.errors import ConfigError
from wmlclient.runner.engine.formats import stream_formats
from wmlclient.runner.streams.model import Formats

SECRET = "registry-s3cr3t"
REGISTRY = SchemaRegistry("https://registry:8081", user="ada", password=SECRET)
KAFKA = wmlclient.KafkaConnection(brokers=["broker:9093"])


@pytest.fixture
def client(service: Service) -> Iterator[wmlclient.Client]:
    with wmlclient.Client(service.url, username=USER, password=PASSWORD, instance_id=INSTANCE) as client:
        yield client


@pytest.fixture
def stream(client: wmlclient.Client, tmp_path: Path) -> wmlclient.Deployment:
    model = client.models.publish(
        saved_models.text_pipeline(tmp_path / "model"),
        "m",
        training_schema=saved_models.TEXT_SCHEMA,
        label_col="label",
    )
    target = RecordFormat("avro", registry=REGISTRY, subject="scored")
    return model.deploy(
        "s", source=KAFKA.topic("in", format="text"), target=KAFKA.topic("out", format=target)
    )


def target_of(body: dict[str, Any]) -> Any:
    return body["output"]["target"]["format"]


def test_a_login_is_had_from_whoever_deployed_and_from_nobody_else(
    client: wmlclient.Client, stream: wmlclient.Deployment
) -> None:
    assert target_of(streamspec.formats_body(stream, stream._registries))["registry"] == {
        "url": "https://registry:8081",
        "user": "ada",
        "password": SECRET,
    }
    found = client.deployments.get(stream.id)
    assert found._registries == ()
    with pytest.raises(ConfigError, match="https://registry:8081 wants a password") as caught:
        streamspec.formats_body(found)
    assert SECRET not in str(caught.value)
    assert streamspec.formats_body(found, (), ("input",))["input"]["source"]["format"]["type"] == "text"
    # A login is for the address that it was given with: a service that names another does not get it.
    for url in ("https://registry:8082", "http://registry:8081", "https://registry"):
        with pytest.raises(ConfigError, match="schema_registry"):
            streamspec.formats_body(found, (SchemaRegistry(url, user="ada", password=SECRET),))
    other = SchemaRegistry("https://registry:8081/", user="eve", password="other")
    login = target_of(streamspec.formats_body(found, (REGISTRY, other)))["registry"]
    assert (login["user"], login["password"]) == ("ada", SECRET)
    assert target_of(streamspec.formats_body(found, (other,)))["registry"]["user"] == "eve"


def test_no_repr_shows_a_login(stream: wmlclient.Deployment) -> None:
    body = streamspec.formats_body(stream, stream._registries)
    formats = stream_formats(body, {"fields": [{"name": "text", "type": "string"}]})
    shown = [formats, Formats(formats.source, formats.target), stream, stream._registries, REGISTRY]
    assert SECRET not in repr(shown) + stream._repr_html_()


def test_credentials_name_one_registry_or_several() -> None:
    given = {"url": "https://registry:8081", "user": "ada", "password": SECRET}
    service = dict.fromkeys(config.NAMES, "x")
    credentials = config.Credentials.from_mapping({**service, "schema_registry": given}, "a file")
    assert SECRET not in repr(credentials)
    assert SchemaRegistry.from_credentials(credentials.schema_registry) == (REGISTRY,)
    assert SchemaRegistry.from_credentials([given, {"url": "http://other"}])[1].user is None
    assert SchemaRegistry.from_credentials(None) == ()


@pytest.mark.parametrize(
    "wrong", [{"user": "ada"}, "https://registry", [{"url": 1}], {"url": "x", "password": 1}]
)
def test_a_registry_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="url, user, password, ca"):
        SchemaRegistry.from_credentials(wrong)
