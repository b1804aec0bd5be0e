"""The deployments of an instance, or of one model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wmlclient.connections import SparkService
from wmlclient.deployment import Deployment
from wmlclient.errors import BadRequestError, PayloadError
from wmlclient.pages import Pages
from wmlclient.payload import json_body
from wmlclient.states import State
from wmlclient.storage import StoredFile, StoredTable
from wmlclient.translate import translate

if TYPE_CHECKING:
    from wmlclient.service import Service

COLUMNS = (
    ("name", "name"),
    ("kind", "kind"),
    ("state", "state"),
    ("model", "model_name"),
    ("engine", "engine"),
    ("id", "id"),
)


class Deployments:
    """``client.deployments``: all deployments of the instance."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def get(self, deployment_id: str) -> Deployment:
        """One deployment, by its id.

        Raises:
            NotFoundError: there is none.
        """
        service = self._service
        with translate():
            return Deployment(
                service, service.api.instance_deployments.get(service.instance_id, deployment_id)
            )

    def list(self, *, status: State | str | None = None, kind: str | None = None) -> Pages[Deployment]:
        """All deployments, fetched as they are walked.

        Args:
            status: a :class:`State` (``"ready"``), or the service's own word (``"DEPLOY_SUCCESS"``).
            kind: ``"online"``, ``"stream"`` or ``"batch"``.
        """
        return listing(self._service, None, status=status, kind=kind)

    def __repr__(self) -> str:
        return "<deployments: .list(), .get(id); made by model.deploy(name)>"


def listing(
    service: Service, model_id: str | None, *, status: State | str | None = None, kind: str | None = None
) -> Pages[Deployment]:
    """The deployments of an instance, or of one model of it."""
    wanted = State(str(status)) if status is not None and str(status) in set(map(str, State)) else None
    word = str(status) if status is not None and wanted is None else None

    def fetch(start: str | None) -> Any:
        if model_id is None:
            return service.api.instance_deployments.list(
                service.instance_id, start=start, status=word, type=kind
            )
        return service.api.deployments.list(
            service.instance_id, model_id, start=start, status=word, type=kind
        )

    def make(resource: Any) -> Deployment | None:
        deployment = Deployment(service, resource)
        return deployment if wanted is None or deployment.state is wanted else None

    return Pages(fetch, make, "deployments", COLUMNS)


def create(
    service: Service, model_id: str, body: Mapping[str, Any], *, spark_header: str | None = None
) -> Deployment:
    """Asks the service for a deployment; does not wait for it."""
    with translate():
        resource = service.api.deployments.create(
            service.instance_id,
            model_id,
            json_body(body),
            # A stream's create takes no sync in the documents.
            sync=False if body["type"] == "online" else None,
            x_spark_service_instance=spark_header,
        )
    return _noted(service, resource)


def create_of_service(service: Service, url: str, body: Mapping[str, Any]) -> Deployment:
    """Asks for a deployment of the web service at an address; does not wait for it."""
    with translate():
        resource = service.api.instance_deployments.create(
            service.instance_id, json_body({**body, "deployable_asset_url": url})
        )
    return _noted(service, resource)


def _noted(service: Service, resource: Any) -> Deployment:
    deployment = Deployment(service, resource)
    service.note("deployment", deployment.id)
    return deployment


def spark_header(spark: SparkService | None) -> str | None:
    """What names a Spark service in a request.

    Raises:
        PayloadError: It is something else.
    """
    if spark is not None and not isinstance(spark, SparkService):
        # Not what it is: a dict may hold a password.
        raise PayloadError(
            f"spark= is of the type {type(spark).__name__}. Give a SparkService, such as "
            "SparkService(cluster_master_url='local[2]')."
        )
    return spark._header() if spark is not None else None


def create_stream(
    service: Service, model_id: str, body: Mapping[str, Any], spark: SparkService | None
) -> Deployment:
    """Asks for a stream; does not wait for it.

    Args:
        service: The service.
        model_id: The model.
        body: The request.
        spark: The Spark service that is to run it, or None. Where one is needed after all, the client's own is named.
    """
    header = spark_header(spark)
    own = service.default_spark
    if header is None and own is not None and body.get("engine") == "spark":
        header = own._header()
    try:
        return create(service, model_id, body, spark_header=header)
    except BadRequestError as error:
        if error.code != "missing_prediction_spark_definition" or header is not None or own is None:
            raise
    return create(service, model_id, body, spark_header=own._header())


def wishes(
    engine: str | None, delivery: str | None, workers: int | None, receipts: bool | None, latency: str | None
) -> dict[str, Any]:
    """What a request says of how its stream is to run; only what was given."""
    given: dict[str, Any] = {"engine": engine, "delivery": delivery, "workers": workers}
    given |= {"receipts": receipts, "latency": latency}
    return {name: value for name, value in given.items() if value is not None}


def ends(source: Any, target: Any, dead_letter: Any) -> dict[str, Any]:
    """Kind, input and output of a stream or a batch."""
    from wmlclient.topics import KafkaTopic

    if isinstance(source, KafkaTopic) and isinstance(target, KafkaTopic):
        body: dict[str, Any] = {
            "type": "stream",
            "input": {
                "connection": source.connection._to_wire(),
                "source": _topic(source),
            },
            "output": {
                "connection": target.connection._to_wire(),
                "target": _topic(target),
            },
        }
        if dead_letter is not None:
            if isinstance(dead_letter, KafkaTopic) and dead_letter.connection != target.connection:
                raise PayloadError("dead_letter: give a topic on the target's connection.")
            body["dead_letter"] = {"topic": str(dead_letter)}
        return body
    files = (str, os.PathLike, StoredFile, StoredTable)
    if isinstance(source, files) and isinstance(target, files) and dead_letter is None:
        return {
            "type": "batch",
            "input": _end("source", source),
            "output": _end("target", target),
        }
    raise PayloadError(
        "Give source= and target= both as Kafka topics for a stream, or both as files or tables for a batch."
    )


def _topic(topic: Any) -> dict[str, Any]:
    """Source or target of a stream."""
    format = {"format": topic.format._to_wire()} if topic.format is not None else {}
    return {"topic": topic.name, "type": "kafka", **format}


def _end(end: str, file: Any) -> dict[str, Any]:
    """Input or output of a batch."""
    if isinstance(file, StoredTable):
        return file._to_wire(end)
    if isinstance(file, StoredFile):
        place = {"type": "cloudobjectstorage", "bucket": file.bucket, "filename": file.name}
        connection = {"connection": file.storage._to_wire()}
    else:
        # Relative to where we are; the service is elsewhere.
        place, connection = {"type": "file", "filename": os.path.abspath(file)}, {}
    return {**connection, end: place}
