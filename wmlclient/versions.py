"""Versions of a model."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from wmlclient.certificate import Certificate
from wmlclient.errors import PayloadError, ResponseError
from wmlclient.pages import Pages
from wmlclient.translate import translate, utc

if TYPE_CHECKING:
    from wmlclient.service import Service

COLUMNS = (("created", "created_at"), ("id", "id"))


class ModelVersion:
    """One version of a model; it never changes.

    Got from ``model.versions``, ``model.version`` and ``model.publish_version(...)``.
    """

    def __init__(self, service: Service, model_id: str, link: Any) -> None:
        self._service = service
        self._link = link
        self.model_id = model_id

    @property
    def id(self) -> str:
        """Its id at the service."""
        return str(self._link.guid)

    @property
    def url(self) -> str:
        """Its address."""
        return str(self._link.url)

    @property
    def created_at(self) -> dt.datetime | None:
        """When it was made, UTC; None where the service does not say."""
        return utc(self._link.created_at) if self._link.created_at is not None else None

    @property
    def parity(self) -> Certificate | None:
        """Which engine scores it, and the proof that its numbers are Spark's; asked for at each access.

        None at a service that makes no certificates.
        """
        found = entity(self._service, self.model_id, self.id).parity
        return Certificate._of(found) if found is not None else None

    def download(self, path: str | os.PathLike[str]) -> None:
        """Writes its archive, a ``.tar.gz`` of what Spark saved, to a file.

        Args:
            path: the file; it is replaced once all is there.
        """
        with translate():
            chunks = self._service.api.models.download_content(self.model_id, self.id, decompress=False)
        write(chunks, path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelVersion) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return (
            f"<ModelVersion of {self.created_at:%Y-%m-%d %H:%M:%S}, id {self.id}>"
            if self.created_at
            else (f"<ModelVersion, id {self.id}>")
        )


def id_of(version: ModelVersion | str) -> str:
    """The id of a version, or of what names one.

    Raises:
        PayloadError: it is neither.
    """
    if isinstance(version, ModelVersion):
        return version.id
    if isinstance(version, str) and version:
        return version
    raise PayloadError("version: give a version from model.versions, or its id.")


def entity(service: Service, model_id: str, version_id: str) -> Any:
    """What the service says of one version."""
    with translate():
        found = service.api.models.get_version(model_id, version_id)
    if found is None or found.entity is None:
        raise ResponseError("The service's answer is not a version of a model.")
    return found.entity


def listing(service: Service, model_id: str) -> Pages[ModelVersion]:
    """The versions of a model."""
    return Pages(
        lambda start: service.api.models.list_versions(model_id, start=start),
        lambda resource: ModelVersion(service, model_id, resource.entity.model_version),
        "versions",
        COLUMNS,
    )


def evaluations(service: Service, model_id: str) -> list[dict[str, Any]]:
    """See :attr:`wmlclient.model.Model.evaluations`."""
    with translate():
        found = service.api.published_models.list_evaluation_metrics(service.instance_id, model_id)
    return figures(found.resources)


def figures(evaluations: Iterable[Any]) -> list[dict[str, Any]]:
    """Evaluations as the facade shows them."""
    return [
        {
            "version": (each.model_version_url or "").rpartition("/")[2] or None,
            "phase": each.phase,
            "at": utc(each.timestamp) if each.timestamp is not None else None,
            "metrics": [_plain(figure) for figure in each.values],
        }
        for each in evaluations
    ]


def _plain(figure: Any) -> dict[str, Any]:
    found = {"name": figure.name, "value": figure.value, "threshold": figure.threshold}
    return {key: value for key, value in found.items() if value is not None}


def write(chunks: Iterable[bytes], path: str | os.PathLike[str]) -> None:
    """Writes a download to a file, which is replaced once all is there."""
    part = f"{os.fspath(path)}.part"
    try:
        with translate(), open(part, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)
