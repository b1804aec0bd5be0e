"""What a process beside the service has to be told of a stream: its model, its topics, its formats."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wmlclient import versions
from wmlclient.errors import ConfigError, PayloadError, WaitTimeoutError
from wmlclient.kafka_login import fields_of
from wmlclient.translate import translate
from wmlclient.waiting import poll

if TYPE_CHECKING:
    from wmlclient.deployment import Deployment
    from wmlclient.formats import SchemaRegistry
    from wmlclient.topics import KafkaTopic

#: Seconds that a comparison with Spark which is under way is waited for.
CHECK_TIMEOUT = 300.0
_ENDS = {"input": "source", "output": "target"}


def input_schema(deployment: Deployment, version_id: str) -> dict[str, Any]:
    """What a version reads, which is to be scored here as the service scores it.

    Raises:
        ConfigError: The scorer installed here is not the one that was compared with Spark.
        PayloadError: The version has no schema.
    """
    found = versions.entity(deployment._service, str(deployment.model_id), version_id)
    return _schema(found, version_id)


def certified_schema(deployment: Deployment, version_id: str) -> dict[str, Any]:
    """What a version reads, which is to be scored natively: allowed where a deployment of it would be.

    A comparison with Spark that is under way is waited for.

    Raises:
        ConfigError: As for :func:`input_schema`.
        PayloadError: ``model_not_native``: the certificate is not for the native scorer; or there is no schema.
        WaitTimeoutError: The comparison takes too long.
    """

    def late(_: Any, seconds: float) -> Exception:
        return WaitTimeoutError(
            f"Version {version_id}: the check against Spark is not done after {seconds:.0f} s. Try again later.",
            last_status="pending",
        )

    found = poll(
        lambda: versions.entity(deployment._service, str(deployment.model_id), version_id),
        lambda entity: entity.parity is None or str(entity.parity.state) != "pending",
        timeout=CHECK_TIMEOUT,
        late=late,
        label=f"parity of version {version_id}",
    )
    if found.parity is None or found.parity.engine != "native":
        reason = getattr(found.parity, "reason", None) or "the service has not compared it with Spark"
        raise PayloadError(
            f"Version {version_id} is not certified for native scoring: {reason}. Choose a version whose `parity` "
            "says native.",
            code="model_not_native",
        )
    return _schema(found, version_id)


def _schema(entity: Any, version_id: str) -> dict[str, Any]:
    from wmlclient.scoring.digests import scorer_digest

    proved = getattr(entity.parity, "scorer_digest", None)
    if proved is not None and proved != scorer_digest():
        raise ConfigError(
            f"The scorer installed here is another one than version {version_id} was compared with Spark by. Install "
            "the version of wmlclient that the service runs; where that is so, deploy the version, which has it "
            "compared again."
        )
    if entity.input_data_schema is None:
        raise PayloadError(f"Version {version_id} of {entity.name!r} has no input schema.")
    return dict(entity.input_data_schema)


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


def formats_body(
    deployment: Deployment, registries: Collection[SchemaRegistry] = (), sides: Collection[str] = tuple(_ENDS)
) -> dict[str, Any]:
    """What a stream reads and writes, as a request would say it. Secrets may be in it.

    Args:
        deployment: The stream.
        registries: Registries of schemas whose logins are known here.
        sides: ``input``, ``output`` or both.

    Raises:
        ConfigError: A login that is needed is not known here: the service never shows it.
    """
    body: dict[str, Any] = {}
    for side in sides:
        end = _ENDS[side]
        given = getattr(getattr(deployment._entity, side), end).format
        found = given.as_dict() if given is not None else None
        if found is not None and found.get("registry"):
            found["registry"] = _with_login(found["registry"], registries)
        body[side] = {end: {"format": found}}
    return body


def _with_login(shown: dict[str, Any], registries: Collection[SchemaRegistry]) -> dict[str, Any]:
    """A registry as the service shows it, with the login that is known for its very address and for no other."""
    if not shown.get("password"):
        return shown
    for known in registries:
        if known.url.rstrip("/") == shown["url"].rstrip("/"):
            return {
                "url": shown["url"],
                **({"ca": shown["ca"]} if shown.get("ca") else {}),
                **known._to_wire(),
            }
    raise ConfigError(
        f"The stream's registry of schemas at {shown['url']} wants a password, which the service never shows. Give "
        "registry=SchemaRegistry(...) for that address; on the command line schema_registry, with url, user and "
        "password, in credentials.json."
    )


def endpoint(topic: KafkaTopic) -> dict[str, Any]:
    """A topic with how to reach it, as plain JSON. Secrets are in it."""
    return {"brokers": list(topic.connection.brokers), "topic": topic.name, **fields_of(topic.connection)}
