"""What a process beside the service has to be told of a stream: its model, its topics, its formats."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wmlclient.errors import ConfigError, PayloadError
from wmlclient.kafka_login import fields_of
from wmlclient.translate import translate

if TYPE_CHECKING:
    from wmlclient.deployment import Deployment
    from wmlclient.topics import KafkaTopic


def input_schema(deployment: Deployment) -> dict[str, Any]:
    """What a deployment's model reads.

    Raises:
        ConfigError: The scorer installed here is not the one that was compared with Spark.
        PayloadError: The model has no schema.
    """
    from wmlclient.scoring.digests import scorer_digest

    service = deployment._service
    with translate():
        found = service.api.published_models.get(service.instance_id, str(deployment.model_id))
    proved = getattr(found.entity.parity, "scorer_digest", None)
    if proved is not None and proved != scorer_digest():
        raise ConfigError(
            "The scorer installed here is another one than the service compared with Spark. Install the version of "
            "wmlclient that the service runs."
        )
    schema = found.entity.input_data_schema
    if schema is None:
        raise PayloadError(f"Model {found.entity.name!r} has no input schema.")
    return dict(schema)


def fetch(deployment: Deployment, version_id: str, folder: Path) -> tuple[str, str]:
    """Download a version's archive; returns its path and its digest, ``sha256:...``."""
    archive = folder / f"{version_id}.tar.gz"
    digest = hashlib.sha256()
    with translate(), open(archive, "wb") as file:
        for chunk in deployment._service.api.models.download_content(
            str(deployment.model_id), version_id, decompress=False
        ):
            file.write(chunk)
            digest.update(chunk)
    return str(archive), f"sha256:{digest.hexdigest()}"


def formats_body(deployment: Deployment) -> dict[str, Any]:
    """What a stream reads and writes, as a request would say it.

    Raises:
        ConfigError: That takes a password which the service never shows.
    """
    body: dict[str, Any] = {}
    for side, end in (("input", "source"), ("output", "target")):
        given = getattr(getattr(deployment._entity, side), end).format
        found = given.as_dict() if given is not None else None
        if ((found or {}).get("registry") or {}).get("password"):
            raise ConfigError(
                "The stream's registry of schemas wants a password, which the service never shows: only the service "
                "can read and write this stream's records. More workers are had with workers=N."
            )
        body[side] = {end: {"format": found}}
    return body


def endpoint(topic: KafkaTopic) -> dict[str, Any]:
    """A topic with how to reach it, as plain JSON. Secrets are in it."""
    return {"brokers": list(topic.connection.brokers), "topic": topic.name, **fields_of(topic.connection)}
