"""How a fitted pipeline gets to the service: sample, schema, archive, and the calls in their order."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any, cast

from attrs import frozen

from wmlclient import certifying, schema
from wmlclient.archive import Archive, archived
from wmlclient.errors import PayloadError, ResponseError, WmlError
from wmlclient.payload import Table, dumps, json_body, spark_rows, to_table
from wmlclient.translate import translate
from wmlclient.waiting import progress_bar

if TYPE_CHECKING:
    from wmlclient.service import Service

logger = logging.getLogger("wmlclient.publishing")

SAMPLE_ROWS = 1000
SAMPLE_BYTES = 8 << 20


def publish(
    service: Service,
    model: Any,
    name: str,
    *,
    sample: Any,
    label_col: str | None,
    pipeline: Any,
    training_schema: Any,
    description: str | None,
    author: str | Mapping[str, str] | None,
    metrics: Mapping[str, float] | None,
    certificate: Any,
    progress: bool | None,
) -> Any:
    """See :meth:`wmlclient.models.Models.publish`. Returns the generated client's ``PublishedModel``."""
    if not isinstance(name, str) or not name.strip():
        raise PayloadError("name: give the model a name.")
    with contextlib.ExitStack() as stack:
        body, archive = _prepared(
            stack, model, name, sample, label_col, training_schema, description, author, metrics, certificate
        )
        definition = stack.enter_context(archived(pipeline, "Pipeline")) if pipeline is not None else None
        return _Publication(service, body, archive, definition).run(progress)


def publish_version(
    service: Service,
    model_id: str,
    model: Any,
    name: str,
    *,
    sample: Any,
    label_col: str | None,
    training_schema: Any,
    description: str | None,
    author: Mapping[str, str] | None,
    metrics: Mapping[str, float] | None,
    certificate: Any,
    progress: bool | None,
) -> Any:
    """See :meth:`wmlclient.model.Model.publish_version`. Returns the generated client's ``AssetVersion``."""
    with contextlib.ExitStack() as stack:
        body, archive = _prepared(
            stack, model, name, sample, label_col, training_schema, description, author, metrics, certificate
        )
        with translate():
            created = service.api.models.create_version(model_id, json_body(body))
        _, version = _named(created, "model_version")
        with translate(), _upload(archive, name, progress) as content:
            service.api.models.upload_content(model_id, version.guid, content)
    logger.info("published a version of %s: %s", name, version.guid)
    return version


def _prepared(
    stack: contextlib.ExitStack,
    model: Any,
    name: str,
    sample: Any,
    label_col: str | None,
    training_schema: Any,
    description: str | None,
    author: str | Mapping[str, str] | None,
    metrics: Mapping[str, float] | None,
    certificate: Any,
) -> tuple[dict[str, Any], Archive]:
    """The request that describes a model, and its archive, which lives as long as the stack."""
    proof = certifying.given(certificate) if certificate not in (None, "local") else None
    _check_given(sample, training_schema)
    archive = stack.enter_context(archived(model))
    body = described(name, archive, sample, training_schema, label_col)
    body["author"] = {"name": author} if isinstance(author, str) else dict(author or {})
    if description is not None:
        body["description"] = description
    if metrics:
        body["evaluation"] = {"metrics": [{"name": key, "value": value} for key, value in metrics.items()]}
    if certificate == "local":
        proof = certifying.made(archive, body, lambda folder: certifying.Session(model, folder)).to_json()
    if proof is not None:
        body["certificate"] = proof
    return body, archive


def described(
    name: str, archive: Archive, sample: Any, training_schema: Any, label_col: str | None
) -> dict[str, Any]:
    """The request that describes a model to the service, with the sample's first rows.

    Raises:
        PayloadError: sample, schema or label do not go together.
    """
    _check_given(sample, training_schema)
    columns = schema.to_schema(training_schema) if training_schema is not None else None
    rows, found = _sample(sample) if sample is not None else (None, None)
    body = _body(name, archive, columns or found, label_col)
    if rows is not None:
        _check_columns(rows, body["training_data_schema"])
        body["sample"] = _fitting(rows)
    return body


def _check_given(sample: Any, training_schema: Any) -> None:
    if sample is None and training_schema is None:
        raise PayloadError(
            "Give sample=, some rows of training data, or training_schema=: the service must know what the model reads."
        )


@frozen
class _Publication:
    """The calls of one publication, undone if one of them fails."""

    service: Service
    body: dict[str, Any]
    archive: Archive
    definition: Archive | None

    def run(self, progress: bool | None) -> Any:
        api = self.service.api
        with contextlib.ExitStack() as undo:
            if self.definition is not None:
                self.body["training_definition_url"] = self._publish_definition(
                    self.definition, undo, progress
                )
            with translate():
                created = api.models.create(json_body(self.body))
            model_id, version = _named(created, "model_version")
            undo.callback(_quietly, api.models.delete, model_id)
            with translate(), _upload(self.archive, self.body["name"], progress) as content:
                api.models.upload_content(model_id, version.guid, content)
            with translate():
                published = api.published_models.get(self.service.instance_id, model_id)
            undo.pop_all()  # nothing to undo any more
        self.service.note("model", model_id)
        logger.info("published %s as %s", self.body["name"], model_id)
        return published

    def _publish_definition(self, archive: Archive, undo: contextlib.ExitStack, progress: bool | None) -> str:
        api = self.service.api
        framework = {k: v for k, v in self.body["framework"].items() if k != "runtimes"}
        body = {"name": self.body["name"], "framework": framework, "author": self.body["author"]}
        with translate():
            created = api.training_definitions.create(json_body(body))
        definition, version = _named(created, "training_definition_version")
        undo.callback(_quietly, api.training_definitions.delete, definition)
        with translate(), _upload(archive, f"{self.body['name']} (pipeline)", progress) as content:
            api.training_definitions.upload_content(definition, version.guid, content)
        return str(version.url)


def _named(created: Any, version: str) -> tuple[str, Any]:
    """Id and version of what the service just created."""
    found = getattr(created.entity, version, None)
    if created.metadata is None or found is None:
        raise ResponseError(f"The service's answer names no {version}.")
    return str(created.metadata.guid), found


def _quietly(delete: Any, asset_id: str) -> None:
    """Undoes one step; what went wrong before is what the user hears of."""
    try:
        with translate():
            delete(asset_id)
    except WmlError as error:
        logger.warning("could not delete the unfinished %s: %s", asset_id, error)


class _Upload:
    """A file that is read as it is sent, and can be read again for a second try."""

    def __init__(self, file: Any, size: int, bar: Any) -> None:
        self._file, self._size, self._bar = file, size, bar

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(1 << 16):
            yield chunk

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._file.read(size)
        self._bar.update(len(data))
        return data

    def tell(self) -> int:
        return int(self._file.tell())

    def seek(self, offset: int, whence: int = 0) -> int:
        at = int(self._file.seek(offset, whence))
        self._bar.update(at - self._bar.n)
        return at


@contextlib.contextmanager
def _upload(archive: Archive, name: str, progress: bool | None) -> Iterator[IO[bytes]]:
    size = archive.path.stat().st_size
    with (
        open(archive.path, "rb") as file,
        progress_bar(progress, desc=f"uploading {name}", total=size, unit="B", unit_scale=True) as bar,
    ):
        yield cast("IO[bytes]", _Upload(file, size, bar))


def _sample(sample: Any) -> tuple[Table, dict[str, Any] | None]:
    """The first rows of the sample, and its schema; a table has none."""
    if isinstance(sample, Table):
        return Table(sample.fields, sample.values[:SAMPLE_ROWS]), None
    package = type(sample).__module__.partition(".")[0]
    if package == "pyspark" and hasattr(sample, "limit"):
        rows = spark_rows(list(sample.columns), sample.schema, sample.limit(SAMPLE_ROWS).collect())
        found: dict[str, Any] = sample.schema.jsonValue()
    elif package == "pandas" and hasattr(sample, "head"):
        head = sample.head(SAMPLE_ROWS)
        rows, found = to_table(head), schema.of_pandas(head)
    elif isinstance(sample, list | tuple) and sample and isinstance(sample[0], Mapping):
        head = list(sample[:SAMPLE_ROWS])
        rows, found = to_table(head), schema.of_rows(head)
    else:
        raise PayloadError(
            f"sample={type(sample).__name__}: give a Spark or pandas DataFrame, or a list of dicts, with rows."
        )
    if not rows.values:
        raise PayloadError("The sample has no rows. Give some, or training_schema= instead.")
    return rows, found


def _body(name: str, archive: Archive, columns: Any, label_col: str | None) -> dict[str, Any]:
    """The request that describes a model to the service."""
    names = [field["name"] for field in columns["fields"]]
    label = label_col if label_col is not None else archive.label()
    if label is not None and label not in names:
        if label_col is not None:
            raise PayloadError(
                f"label_col={label_col!r}: the columns are {', '.join(names)}.", column=label_col
            )
        label = None  # the sample is of rows to score, without what is to be predicted
    body: dict[str, Any] = {
        "name": name,
        "framework": {
            "name": "mllib",
            "version": archive.framework_version,
            "runtimes": [{"name": "spark", "version": archive.framework_version}],
        },
        "training_data_schema": schema.mark_target(columns, label),
        "training_data_reference": [],
        "hyper_parameters": [],
    }
    if label is not None:
        body["label_column"] = label
    return body


def _fitting(rows: Table) -> dict[str, Any]:
    """The sample's first rows, as many as a service takes in a JSON body."""
    values = rows.values
    while len(values) > 1 and len(dumps(values)) > SAMPLE_BYTES:
        values = values[: len(values) // 2]
    return {"fields": rows.fields, "values": values}


def _check_columns(rows: Table, columns: Mapping[str, Any]) -> None:
    names = [field["name"] for field in columns["fields"]]
    unknown = next((name for name in rows.fields if name not in names), None)
    if unknown is not None:
        raise PayloadError(
            f"The sample has column {unknown!r}, training_schema= has not: {', '.join(names)}.",
            column=unknown,
        )
