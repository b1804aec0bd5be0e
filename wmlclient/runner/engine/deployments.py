"""Deployments of all kinds: made, looked at, changed, taken down, and found again after a restart."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from attrs import evolve

from ..store import Deployment, Page, Referenced, Store, Version, WebService
from . import patches
from .batches import RUNNING, BatchService
from .choice import Choice
from .clock import new_id, now_ms
from .connections import spark_service
from .errors import Conflict, EngineError, Invalid, NotFound, field_error
from .online import OnlineService
from .ports import PortError
from .scorers import Live, OnlineScorers
from .service_streams import ServiceStreams
from .streams import StreamService

logger = logging.getLogger("wmlclient.runner.engine")

_ALL = 1_000_000


class DeploymentService:
    """Deployments.

    Args:
        store: Rows.
        online: Loads online deployments.
        scorers: Has the loaded scorers of online deployments.
        streams: Runs stream deployments.
        batches: Runs batch deployments.
        services: Web services that are streams.
        clock: Milliseconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        online: OnlineService,
        scorers: OnlineScorers,
        streams: StreamService,
        batches: BatchService,
        services: ServiceStreams,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._online = online
        self._scorers = scorers
        self._streams = streams
        self._batches = batches
        self._services = services
        self._clock = clock

    def create(self, model_id: str, body: Mapping[str, Any], spark_header: str | None) -> Deployment:
        """A deployment that is on its way.

        Args:
            model_id: The published model.
            body: The request.
            spark_header: ``X-Spark-Service-Instance``, needed by a stream whose model needs Spark, or None.

        Returns:
            The deployment, INITIALIZING; :meth:`ready` says when an online one is done.

        Raises:
            NotFound: No such published model.
            Invalid: A kind that there is not; connections or Spark service missing or malformed.
            NotSupported: A storage that a batch cannot use.
            Forbidden: A batch names a file that it may not use.
        """
        kind = body["type"]
        if kind not in ("online", "stream", "batch"):
            raise Invalid(
                "not_supported_deployment_type", f"The deployment type {kind[:80]} is not supported."
            )
        version = self._version(model_id)
        choice = self._streams.choice(version, body, spark_header) if kind == "stream" else None
        service = choice.spark if choice else None
        if kind == "batch":
            service = spark_service(spark_header, kind) if spark_header else None
            self._batches.places(body)
        deployment = self._add(version, body, choice, service)
        if kind == "online":
            self._online.load(deployment)
        elif kind == "batch":
            self._batches.start(deployment.id)
        else:
            self._streams.start(deployment.id)
        return evolve(deployment, status="INITIALIZING")

    def create_of_service(
        self, name: str, version: str, body: Mapping[str, Any], spark_header: str | None
    ) -> Deployment:
        """A stream of a web service, on its way; it goes with the service.

        Args:
            name: The web service.
            version: Its version.
            body: The request.
            spark_header: ``X-Spark-Service-Instance``, or None.

        Raises:
            NotFound: No such web service.
            Invalid: See :meth:`ServiceStreams.choice`.
        """
        choice = self._services.choice(body, spark_header)
        _, made = self._services.stand_in(name, version)
        deployment = self._add(made, body, choice, None)
        self._streams.start(deployment.id)
        return deployment

    def _add(
        self, version: Version, body: Mapping[str, Any], choice: Choice | None, service: dict[str, Any] | None
    ) -> Deployment:
        now, kind = self._clock(), body["type"]
        deployment = Deployment(
            id=new_id(),
            model_id=version.model_id,
            version_id=version.id,
            kind=kind,
            name=body["name"],
            description=body.get("description"),
            desired="running",
            status="DEPLOY_IN_PROGRESS" if kind == "online" else "INITIALIZING",
            created_at=now,
            modified_at=now,
            body={key: body[key] for key in ("input", "output", "dead_letter") if key in body}
            | (choice.to_body() if choice else {}),
            spark_service=service,
            engine=choice.engine if choice else None,
            engine_reason=choice.reason if choice else None,
        )
        try:
            self._store.deployments.add(deployment)
        except Referenced:  # the model was deleted meanwhile
            raise NotFound() from None
        return deployment

    def get(self, id: str, model_id: str | None = None) -> Deployment:
        """One deployment.

        Args:
            id: Its id.
            model_id: The model in the request's path, or None on the flat path.

        Raises:
            NotFound: There is none, or not of this model.
        """
        deployment = self._store.deployments.get(id)
        if (
            deployment is None
            or deployment.desired == "deleted"
            or model_id not in (None, deployment.model_id)
        ):
            raise NotFound()
        return deployment

    def page(
        self, limit: int, start: int | None, *, model_id: str | None, status: str | None, kind: str | None
    ) -> Page[Deployment]:
        """Deployments, oldest first, of a model or of all."""
        if model_id is not None:
            self._version(model_id)
        return self._store.deployments.page(limit, start, model_id=model_id, status=status, kind=kind)

    def counts(self) -> dict[str, int]:
        """Number of deployments by model."""
        return self._store.deployments.counts()

    def ready(self, id: str) -> Future[Live]:
        """Done when an online deployment has a scorer or has failed."""
        return self._scorers.find(id, None).ready

    def change(self, id: str, model_id: str | None, operations: Any) -> Deployment | None:
        """Apply a JSON Patch: the name or description of an online deployment, the status of a stream.

        Returns:
            The changed online deployment, or None for a stream, whose call has an empty answer. STOPPED returns when
            the stream's query is gone.

        Raises:
            NotFound: There is none.
            Invalid: With the codes of :mod:`wmlclient.runner.engine.patches`.
        """
        deployment = self.get(id, model_id)
        if deployment.kind == "batch":
            self._change_batch(deployment, patches.stream_status(operations))
            return None
        if deployment.kind == "online":
            current = {"name": deployment.name, "description": deployment.description}
            changed = patches.online_changes(operations, current)
            self._store.deployments.update(id, **changed, modified_at=self._clock())
            return self.get(id)
        if patches.stream_status(operations) == "STOPPED":
            self._stop(deployment)
        elif deployment.desired != "running" or deployment.status == "FAILED":
            self._store.deployments.update(
                id, desired="running", status="INITIALIZING", failure=None, modified_at=self._clock()
            )
            self._streams.start(id)
        return None

    def move(self, id: str, model_id: str | None, operations: Any) -> Future[None] | None:
        """Move an online deployment or a stream to another version, where that is what a JSON Patch asks for.

        Returns:
            Done when the version scores, or has failed; None where the patch asks for something else.

        Raises:
            NotFound: There is no such deployment.
            Invalid: With the codes of :mod:`wmlclient.runner.engine.patches`.
        """
        deployment = self.get(id, model_id)
        if deployment.kind == "batch" or not patches.names_version(operations):
            return None
        version = self._named(deployment.model_id, operations)
        if deployment.kind == "stream":
            return self._streams.update(deployment, version)
        return self._online.move(deployment, version.id)

    def move_all(self, model_id: str, operations: Any) -> list[Future[None]]:
        """Move all online deployments of a model to the version that a JSON Patch of it names.

        Raises:
            NotFound: No such published model.
            Invalid: With the codes of :mod:`wmlclient.runner.engine.patches`.
        """
        self._version(model_id)
        version = self._named(model_id, operations)
        return [self._online.move(deployment, version.id) for deployment in self._all_online(model_id)]

    def newest_online(self, model_id: str) -> Deployment | None:
        """The newest online deployment of a model, or None."""
        found = self._all_online(model_id)
        return found[-1] if found else None

    def _all_online(self, model_id: str) -> Sequence[Deployment]:
        return self._store.deployments.page(_ALL, model_id=model_id, kind="online").items

    def delete(self, id: str, model_id: str | None = None, ignore_spark_errors: bool = False) -> None:
        """Take a deployment down: stop its stream, forget its checkpoint, remove it.

        Raises:
            NotFound: There is none.
            Conflict: ``underlying_api_error``: its stream cannot be stopped, and that is not to be ignored.
        """
        deployment = self.get(id, model_id)
        # From here on a restart finishes the job instead of starting the stream again.
        self._store.deployments.update(id, desired="deleted")
        try:
            self._take_down(deployment, ignore_spark_errors)
        except PortError as error:
            self._store.deployments.update(id, desired=deployment.desired)
            raise _not_stopped(error) from None

    def delete_all(self, model_id: str, ignore_spark_errors: bool = False) -> None:
        """Take all deployments of a model down."""
        while found := self._store.deployments.page(1000, model_id=model_id).items:
            for deployment in found:
                try:
                    self.delete(deployment.id, model_id, ignore_spark_errors)
                except NotFound:  # somebody else was faster
                    continue

    def service_changed(self, service: WebService) -> None:
        """Have the streams of a web service run it as it is now, or end with it; that is done behind.

        From here on no stream is `RUNNING` that does not run the service as it is.
        """
        named = {"name": service.name, "version": service.version}
        stand_ins = self._store.models.of_service(named)
        if stand_ins:
            for deployment in self._streams_of(stand_ins):
                if deployment.status == "RUNNING":
                    self._store.deployments.update(deployment.id, status="INITIALIZING")
            work = threading.Thread(
                target=self._follow, args=(stand_ins, named), name="service-streams", daemon=True
            )
            work.start()

    def _follow(self, stand_ins: list[str], named: Mapping[str, str]) -> None:
        for deployment in self._streams_of(stand_ins):
            try:
                if self._services.known(named):
                    self._streams.stop(deployment.id)
                    # Whoever stops it meanwhile is heard: the start asks for what is wanted.
                    self._streams.start(deployment.id)
                else:
                    self.delete(deployment.id, ignore_spark_errors=True)
            except (EngineError, PortError) as error:
                logger.warning("stream %s does not follow its web service: %s", deployment.id, error)

    def _streams_of(self, stand_ins: list[str]) -> list[Deployment]:
        pages = (self._store.deployments.page(_ALL, model_id=model_id) for model_id in stand_ins)
        return [deployment for page in pages for deployment in page.items]

    def finish_deletions(self) -> None:
        """After a restart: take down what was being taken down."""
        for deployment in self._store.deployments.all():
            if deployment.desired == "deleted":
                self._take_down(deployment, ignore_spark_errors=True)

    def resume(self) -> None:
        """After a restart: load online deployments, resume streams."""
        for deployment in self._store.deployments.all():
            if deployment.kind == "online":
                self._store.deployments.update(deployment.id, status="DEPLOY_IN_PROGRESS")
                self._online.load(deployment)
            elif deployment.kind == "batch":
                if deployment.desired == "running" and deployment.status in RUNNING:
                    self._batches.start(deployment.id)
            elif deployment.desired == "running":
                self._store.deployments.update(deployment.id, status="INITIALIZING", failure=None)
                self._streams.start(deployment.id, resumed=True)

    def close(self) -> None:
        """Load nothing more."""
        self._online.close()
        self._batches.close()

    def _version(self, model_id: str) -> Version:
        version = self._store.models.latest_version(model_id, with_content=True)
        if version is None or self._store.models.get(model_id) is None:
            raise NotFound()
        return version

    def _change_batch(self, deployment: Deployment, status: str) -> None:
        """Cancel a job, or run one again that has ended."""
        if status == "STOPPED":
            if deployment.status not in RUNNING:
                return
            self._store.deployments.update(deployment.id, desired="stopped", modified_at=self._clock())
            self._batches.cancel(deployment.id)
            self._store.deployments.update(deployment.id, status="CANCELED", modified_at=self._clock())
        elif deployment.status not in RUNNING:
            self._store.deployments.update(
                deployment.id,
                desired="running",
                status="INITIALIZING",
                failure=None,
                progress=None,
                modified_at=self._clock(),
            )
            self._batches.start(deployment.id)

    def _named(self, model_id: str, operations: Any) -> Version:
        version = self._store.models.version(patches.model_version(operations, model_id))
        if version is None or version.model_id != model_id or version.digest is None:
            raise field_error("value", "The model has no such version with content.")
        return version

    def _stop(self, deployment: Deployment) -> None:
        self._store.deployments.update(deployment.id, desired="stopped", modified_at=self._clock())
        try:
            self._streams.stop(deployment.id)
        except PortError as error:
            self._store.deployments.update(deployment.id, desired=deployment.desired)
            raise _not_stopped(error) from None
        self._store.deployments.update(
            deployment.id, status="STOPPED", failure=None, modified_at=self._clock()
        )

    def _take_down(self, deployment: Deployment, ignore_spark_errors: bool) -> None:
        if deployment.kind == "online":
            self._scorers.drop(deployment.id)
        elif deployment.kind == "batch":
            self._batches.cancel(deployment.id)
        else:
            try:
                self._streams.stop(deployment.id)
            except PortError as error:
                if not ignore_spark_errors:
                    raise
                logger.warning("stream %s: %s; deleted all the same", deployment.id, error.message)
            self._streams.forget(deployment.id)
        self._store.deployments.delete(deployment.id)
        behind = self._store.models.behind(deployment.model_id)
        if behind is not None and behind.service is not None:
            self._store.models.delete(behind.id)


def _not_stopped(error: PortError) -> Conflict:
    return Conflict("underlying_api_error", f"The stream cannot be stopped: {error.message}")
