"""Models: their rows, their versions, their content. What is published has content."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from ..store import Model, Page, PendingArchive, Referenced, Store, Version
from . import native
from .certificates import CertificateService, pending_certificate
from .clock import new_id, now_ms
from .contents import Contents
from .errors import Invalid, NotFound, NotSupported, field_error
from .schemas import check_struct, input_schema, label_column

logger = logging.getLogger("wmlclient.runner.engine")

_SCHEMAS = ("training_data_schema", "input_data_schema", "output_data_schema")

# A client that updates a model sends back all it read; what the service says of a model is not the client's to set.
_READ_ONLY = (
    "ml_asset_guid",
    "ml_asset_url",
    "versions_url",
    "model_version",
    "parity",
    "bill_of_materials",
    "sample",
)
#: Bills of materials that are kept; making one reads the model.
_MATERIALS_KEPT = 256


def check_framework(body: Mapping[str, Any]) -> None:
    """Return where the framework is Spark's.

    Raises:
        Invalid: ``runtime_env_not_supported``.
    """
    name = str(body["framework"]["name"])
    if not name.lower().startswith(("mllib", "sparkml")):
        raise Invalid(
            "runtime_env_not_supported",
            f"The framework {name[:80]!r} is not supported: this service stores Spark ML pipelines, `mllib`.",
            {"type": "field", "name": "framework.name"},
        )


class ModelService:
    """Models of the repository, and the published ones among them.

    Args:
        store: Rows.
        contents: Archives.
        certificates: Told of each new content.
        clock: Milliseconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        contents: Contents,
        certificates: CertificateService,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._contents = contents
        self._certificates = certificates
        self._clock = clock
        self._materials: dict[str, dict[str, Any]] = {}

    def create(self, body: Mapping[str, Any]) -> tuple[Model, Version]:
        """A model with a first version that waits for its content; not published yet.

        Raises:
            Invalid: The framework is not Spark's, a schema is none, or the sample does not fit it.
            NotSupported: The content is to be fetched from somewhere.
        """
        kept, sample = _checked(body)
        now = self._clock()
        model = Model(new_id(), kept, now, now)
        version = Version(new_id(), model.id, now, sample)
        self._store.models.add(model, version)
        return model, version

    def create_version(self, id: str, body: Mapping[str, Any]) -> tuple[Model, Version]:
        """A further version of a model; it counts from when its content is there.

        Raises:
            NotFound: No such model.
            Invalid, NotSupported: As for :meth:`create`.
        """
        model = self._known(id)
        kept, sample = _checked(body)
        version = Version(new_id(), id, self._clock(), sample, body=kept)
        try:
            self._store.models.add_version(version)
        except Referenced:  # the model was deleted meanwhile
            raise NotFound() from None
        return version.of(model), version

    def get(self, id: str) -> tuple[Model, Version]:
        """A model of the repository and its newest version, with content or without.

        Raises:
            NotFound: There is none.
        """
        model = self._store.models.get(id)
        version = self._store.models.latest_version(id, with_content=False)
        if model is None or version is None:
            raise NotFound()
        return version.of(model), version

    def published(self, id: str) -> tuple[Model, Version]:
        """A published model and its newest version with content.

        Raises:
            NotFound: There is none, or it has no content yet.
        """
        model = self._store.models.get(id)
        version = self._store.models.latest_version(id, with_content=True)
        if model is None or version is None:
            raise NotFound()
        return version.of(model), version

    def materials(self, model: Model, version: Version) -> dict[str, Any] | None:
        """The bill of materials of a version with content; None where its archive cannot be read any more."""
        if version.digest is None:
            return None
        known = self._materials.get(version.id)
        if known is None:
            try:
                known = native.materials(
                    self._contents.folder(version.digest),
                    input_schema(model.body),
                    version.size,
                    version.digest,
                )
            except Invalid as error:
                logger.warning("model %s: no bill of materials: %s", model.id, error.message)
                return None
            while len(self._materials) >= _MATERIALS_KEPT:
                self._materials.pop(next(iter(self._materials)), None)
            self._materials[version.id] = known
        return known

    def page(self, limit: int, start: int | None) -> Page[tuple[Model, Version]]:
        """Models with content, oldest first."""
        page = self._store.models.page(limit, start)
        found = [
            (model, self._store.models.latest_version(model.id, with_content=True)) for model in page.items
        ]
        # One deleted between the two looks is left out.
        return Page(
            [(version.of(model), version) for model, version in found if version is not None],
            page.total,
            page.next,
        )

    def versions(self, id: str, limit: int, start: int | None) -> Page[tuple[Model, Version]]:
        """All versions of a model, oldest first.

        Raises:
            NotFound: No such model.
        """
        model = self._known(id)
        page = self._store.models.versions(id, limit, start)
        return Page([(version.of(model), version) for version in page.items], page.total, page.next)

    def version(self, id: str, version_id: str) -> tuple[Model, Version]:
        """One version of a model.

        Raises:
            NotFound: No such model, or not a version of it.
        """
        model = self._known(id)
        version = self._store.models.version(version_id)
        if version is None or version.model_id != id:
            raise NotFound()
        return version.of(model), version

    def behind(self, id: str, version_id: str) -> tuple[Model, Version]:
        """The model of a deployment, or what stands for a web service, and the version.

        Raises:
            NotFound: It is gone.
        """
        model, version = self._store.models.behind(id), self._store.models.version(version_id)
        if model is None or version is None:
            raise NotFound()
        return model, version

    def evaluations(self, id: str) -> list[tuple[Version, list[dict[str, Any]]]]:
        """Versions that came with figures of an evaluation, oldest first, and the figures.

        Raises:
            NotFound: No such published model.
        """
        self.published(id)
        model, found = self._known(id), []
        for version in self._store.models.versions(id).items:
            figures = (version.of(model).body.get("evaluation") or {}).get("metrics")
            if figures and version.digest is not None:
                found.append((version, figures))
        return found

    def upload(self, id: str, version_id: str, pending: PendingArchive) -> None:
        """Take the content of a version: from then on the model is published, and its parity check under way.

        Raises:
            NotFound: No such version.
            Invalid, Conflict, NoRoom: See :meth:`Contents.put`.
        """
        try:
            _, version = self.version(id, version_id)
        except NotFound:
            pending.discard()
            raise

        def attach(digest: str, size: int) -> bool:
            return self._store.models.set_content(
                version_id, digest, size, pending_certificate(), self._clock()
            )

        self._contents.put(pending, "PipelineModel", version.digest, attach)
        if version.digest is None:
            self._certificates.submit(version_id)

    def delete(self, id: str) -> None:
        """Remove a model with its versions and their content. Its deployments must be gone."""
        digests = [version.digest for version in self._store.models.versions(id).items]
        self._store.models.delete(id)
        for digest in digests:
            self._contents.forget(digest)

    def _known(self, id: str) -> Model:
        model = self._store.models.get(id)
        if model is None:
            raise NotFound()
        return model


def _checked(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What is kept of a request that describes a model, and its sample.

    Raises:
        Invalid, NotSupported: See :meth:`ModelService.create`.
    """
    check_framework(body)
    if body.get("content_location"):
        raise NotSupported(
            "not_supported",
            "`content_location` is not supported: upload the content instead of naming a place.",
        )
    for name in _SCHEMAS:
        if body.get(name):
            check_struct(body[name], name)
    label = body.get("label_column")
    training = body.get("training_data_schema")
    if label and training and label not in [column["name"] for column in training["fields"]]:
        raise field_error(
            "label_column", f"`label_column` {label!r} is not a column of `training_data_schema`."
        )
    return {key: value for key, value in body.items() if key not in _READ_ONLY}, _sample(body)


def _sample(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The sample's columns that the model is scored with; checked against their schema."""
    sample = body.get("sample")
    if not sample:
        return None
    fields, values = list(sample["fields"]), sample["values"]
    for index, row in enumerate(values):
        if len(row) != len(fields):
            raise field_error(
                "sample", f"`sample.values[{index}]` has {len(row)} values for {len(fields)} fields."
            )
    if len(set(fields)) != len(fields):
        raise field_error("sample", "`sample.fields` names a column twice.")
    schema = input_schema(body)
    if schema is None:
        raise field_error("sample", "`sample` needs `training_data_schema` or `input_data_schema` beside it.")
    names = [column["name"] for column in schema["fields"]]
    known = {*names, label_column(body)}
    known.update(column["name"] for column in (body.get("training_data_schema") or {}).get("fields", ()))
    strangers = [name for name in fields if name not in known]
    if strangers:
        raise field_error("sample", f"`sample` has a column that is in no schema: {strangers[0]!r}.")
    kept = [name for name in fields if name in names]
    places = [fields.index(name) for name in kept]
    rows = [[row[place] for place in places] for row in values]
    try:
        native.check_rows(schema, kept, rows)
    except Invalid as error:
        raise field_error("sample", f"`sample` does not fit the schema: {error.message}") from None
    return {"fields": kept, "values": rows}
