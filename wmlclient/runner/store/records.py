"""The rows of the store, as values."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from attrs import Factory, evolve, field, frozen

T = TypeVar("T")


@frozen
class Definition:
    """An unfitted pipeline with its one version.

    Attributes:
        id: Identity, as in all of these a lower-case UUID.
        body: The request that made it.
        version_id: Identity of the version.
        created_at: Milliseconds since 1970, as all times in here.
        modified_at: When it last changed.
        digest: ``sha256:...`` of its archive; None until it was uploaded.
        size: Bytes of the archive.
    """

    id: str
    body: dict[str, Any]
    version_id: str
    created_at: int
    modified_at: int
    digest: str | None = None
    size: int | None = None


@frozen
class Model:
    """A fitted pipeline.

    Attributes:
        id: Identity.
        body: The request that made it, without its sample.
        created_at: When it was created.
        modified_at: When it last changed.
        deleted: It is being taken down: no longer found, though its rows are there yet.
        service: ``{"name", "version"}`` of the web service that it stands for, so that deployments have a model to
            name; it is in no list, and is found by its deployment alone. None for a model.
    """

    id: str
    body: dict[str, Any]
    created_at: int
    modified_at: int
    deleted: bool = False
    service: dict[str, str] | None = None


@frozen
class Version:
    """One version of a model.

    Attributes:
        id: Identity.
        model_id: Its model.
        created_at: When it was created.
        sample: Rows for the parity check, ``{"fields", "values"}``, or None.
        digest: ``sha256:...`` of its archive; None until it was uploaded.
        size: Bytes of the archive.
        certificate: The parity certificate as JSON; None until there is an archive.
        body: The request that made it, where that is not the one that made the model.
    """

    id: str
    model_id: str
    created_at: int
    sample: dict[str, Any] | None = None
    digest: str | None = None
    size: int | None = None
    certificate: dict[str, Any] | None = None
    body: dict[str, Any] | None = None

    def of(self, model: Model) -> Model:
        """The model as this version describes it."""
        return model if self.body is None else evolve(model, body=self.body)


@frozen
class Deployment:
    """A model version at work.

    Attributes:
        id: Identity.
        model_id: Its model.
        version_id: The version of the model that it runs.
        kind: ``online``, ``stream`` or ``batch``.
        name: Name.
        description: What it is for, or None.
        desired: What the user wants: ``running``, ``stopped`` or ``deleted`` (while it is being taken down).
        status: What it is, in the words of the wire.
        created_at: When it was created.
        modified_at: When it last changed.
        failure: ``[{"code", "message"}]`` where it failed.
        body: The request's ``input``, ``output``, ``dead_letter``: holds secrets, so not in the repr.
        spark_service: The decoded Spark service header, or None: holds secrets too.
        engine: ``native`` or ``spark``, once it is known.
        engine_reason: Why that engine.
        previous_id: The version that it ran before this one, or None.
        progress: Rows that a batch has read, written and left out so far, or None.
    """

    id: str
    model_id: str
    version_id: str
    kind: str
    name: str
    description: str | None
    desired: str
    status: str
    created_at: int
    modified_at: int
    failure: list[dict[str, str]] | None = None
    body: dict[str, Any] = field(factory=dict, repr=False)
    spark_service: dict[str, Any] | None = field(default=None, repr=False)
    engine: str | None = None
    engine_reason: str | None = None
    previous_id: str | None = None
    progress: dict[str, Any] | None = None


@frozen
class Learning:
    """How a model learns.

    Attributes:
        model_id: The model.
        body: The configuration: may hold the secrets of a database, so not in the repr.
        spark_service: The decoded Spark service header: holds secrets too.
        last_record: Rows of feedback that a training has seen.
        created_at: When it was first said.
        modified_at: When it last changed.
    """

    model_id: str
    body: dict[str, Any] = field(repr=False)
    spark_service: dict[str, Any] | None = field(repr=False)
    last_record: int
    created_at: int
    modified_at: int


@frozen
class Iteration:
    """A learning iteration.

    Attributes:
        id: Identity.
        model_id: Its model.
        state: ``INITIALIZED``, ``RUNNING``, ``COMPLETED`` or ``FAILED``.
        created_at: When it was started.
        modified_at: When it last changed.
        records: Rows of new feedback, once they are counted.
        evaluations: ``[{"phase", "values", "timestamp", "version_id"}]`` so far; the time in milliseconds.
        version_id: The version that it trained, or None.
        redeployed: Whether that was deployed; None where nothing was trained.
        message: What came of it, in words.
        failure: ``[{"code", "message"}]`` where it failed.
    """

    id: str
    model_id: str
    state: str
    created_at: int
    modified_at: int
    records: int | None = None
    evaluations: list[dict[str, Any]] = Factory(list)
    version_id: str | None = None
    redeployed: bool | None = None
    message: str | None = None
    failure: list[dict[str, str]] | None = None


@frozen
class User:
    """A local user.

    Attributes:
        name: Name.
        hash: Argon2 hash of its password.
        role: ``owner``, ``contributor`` or ``reader``.
        created_at: When it was added.
    """

    name: str
    hash: str = field(repr=False)
    role: str
    created_at: int


@frozen
class Login:
    """A login and its renewals.

    Attributes:
        id: Identity.
        username: Who logged in.
        started_at: When, in seconds since 1970.
        renewed_at: When it was last renewed, in seconds since 1970.
        refresh_digest: Digest of the refresh token.
        access_id: Identity of the access token.
    """

    id: str
    username: str
    started_at: int
    renewed_at: int
    refresh_digest: str = field(repr=False)
    access_id: str


@frozen
class Snapshot:
    """Workspace and files of a session.

    Attributes:
        id: Identity.
        name: Name.
        owner: User that made it.
        runtime: Language of the session.
        created_at: When it was made.
        digest: ``sha256:...`` of its zip.
        size: Bytes of the zip.
    """

    id: str
    name: str
    owner: str
    runtime: str
    created_at: int
    digest: str
    size: int


@frozen
class WebService:
    """One version of a web service.

    Attributes:
        id: Identity; another one once the service was published anew.
        name: Name.
        version: Version.
        owner: User that published it.
        runtime: ``Python`` or ``Realtime``.
        created_at: When it was published.
        body: What it was published with: its code, parameters and words.
        digest: ``sha256:...`` of its own copy of the snapshot, or of its model; None where it has neither.
        size: Bytes of that.
        pool: ``{"initial", "most"}``: workers that were asked for, or None.
    """

    id: str
    name: str
    version: str
    owner: str
    runtime: str
    created_at: int
    body: dict[str, Any]
    digest: str | None = None
    size: int | None = None
    pool: dict[str, int] | None = None


@frozen
class Execution:
    """A batch execution of a web service.

    Attributes:
        id: Identity.
        service_id: Its service.
        owner: User that started it.
        state: ``Pending``, ``InProgress``, ``Complete`` or ``Failed``.
        total: How many requests it is made of.
        created_at: When it was started.
    """

    id: str
    service_id: str
    owner: str
    state: str
    total: int
    created_at: int


@frozen
class Page(Generic[T]):
    """Part of a list.

    Attributes:
        items: This page's records, oldest first.
        total: How many there are in all that the filter lets through.
        next: Where the next page starts, or None on the last page.
    """

    items: list[T] = Factory(list)
    total: int = 0
    next: int | None = None
