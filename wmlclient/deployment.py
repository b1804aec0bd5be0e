"""One deployment: a model at work, online, as a stream, or in batch."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wmlclient import display, versions, wire
from wmlclient._sentinel import NOT_GIVEN, NotGiven
from wmlclient.errors import ConfigError, DeploymentFailedError, PayloadError, ResponseError, WaitTimeoutError
from wmlclient.payload import is_array, json_body, to_table, with_integers
from wmlclient.scores import Scores
from wmlclient.states import State, failures, progress_text, rows_of, state_of
from wmlclient.streams import StreamCalls
from wmlclient.translate import translate, utc
from wmlclient.waiting import Clock, poll

if TYPE_CHECKING:
    from wmlclient.service import Service
    from wmlclient.versions import ModelVersion

WAIT_TIMEOUT = 300.0


class Deployment(StreamCalls):
    """One deployment. What it knows is as of its last look at the service; ``refresh()`` looks again.

    Got from ``model.deploy(...)``, ``client.deployments.get(id)`` or ``client.deployments.list()``.

    Example:
        >>> online = model.deploy("sentiment")                       # doctest: +SKIP
        >>> online.score({"id": 1, "text": "what a day"})[0]["prediction"]   # doctest: +SKIP
        1.0
    """

    def __init__(self, service: Service, resource: Any) -> None:
        self._service = service
        self._integers: frozenset[str] | None = None
        self._take(resource)

    def _take(self, resource: Any) -> None:
        if resource is None or resource.entity is None or resource.metadata is None:
            raise ResponseError("The service's answer is not a deployment.")
        self._metadata = resource.metadata
        self._entity = resource.entity

    # What it is

    @property
    def id(self) -> str:
        """Its id at the service."""
        return str(self._metadata.guid)

    @property
    def name(self) -> str:
        """Its name; it need not be the only one of that name."""
        return str(self._entity.name)

    @property
    def description(self) -> str | None:
        """What it is for."""
        return self._entity.description  # type: ignore[no-any-return]

    @property
    def kind(self) -> str:
        """``"online"``, ``"stream"`` or ``"batch"``."""
        return str(self._entity.type)

    @property
    def status(self) -> str:
        """The service's own word for its state, such as ``"DEPLOY_SUCCESS"``."""
        return str(self._entity.status)

    @property
    def state(self) -> State:
        """Pending, ready, failed or stopped."""
        return state_of(self.status, self.kind)

    @property
    def errors(self) -> tuple[dict[str, Any], ...]:
        """Why it failed: dicts with ``code`` and ``message``; empty if it did not."""
        return failures(self._entity)

    @property
    def scoring_url(self) -> str | None:
        """Where it scores; None for kinds other than online."""
        return self._entity.scoring_url  # type: ignore[no-any-return]

    @property
    def engine(self) -> str | None:
        """``"native"`` or ``"spark"``; None until it is known."""
        return self._entity.engine  # type: ignore[no-any-return]

    @property
    def engine_reason(self) -> str | None:
        """Why that engine."""
        return self._entity.engine_reason  # type: ignore[no-any-return]

    @property
    def delivery(self) -> str | None:
        """What a stream promises: ``"exactly_once"`` or ``"at_least_once"``; None for other kinds."""
        return self._entity.delivery  # type: ignore[no-any-return]

    @property
    def model_id(self) -> str | None:
        """Id of the model it was made of."""
        asset = self._entity.published_model or self._entity.deployable_asset
        return str(asset.guid) if asset is not None else None

    @property
    def model_name(self) -> str | None:
        """Name of the model it was made of."""
        asset = self._entity.published_model or self._entity.deployable_asset
        return asset.name if asset is not None else None

    @property
    def version(self) -> str | None:
        """Id of the model's version that it runs."""
        link = self._entity.deployed_version
        return str(link.guid) if link is not None else None

    @property
    def previous_version(self) -> str | None:
        """Id of the version that it ran before, to which ``rollback()`` leads; None if there was none."""
        link = self._entity.previous_version
        return str(link.guid) if link is not None else None

    @property
    def source(self) -> str | None:
        """Where a stream reads: the topic's name."""
        found = getattr(self._entity.input, "source", None)
        return getattr(found, "topic", None) or getattr(found, "filename", None)

    @property
    def target(self) -> str | None:
        """Where a stream writes: the topic's name."""
        found = getattr(self._entity.output, "target", None)
        return getattr(found, "topic", None) or getattr(found, "filename", None)

    @property
    def dead_letter(self) -> str | None:
        """The topic of records that did not parse or score."""
        found = self._entity.dead_letter
        return found.topic if found is not None else None

    @property
    def rows(self) -> dict[str, int | None] | None:
        """Rows of a batch: ``rows_read``, ``rows_written``, ``rows_bad``, ``rows_total``; None before the first."""
        return rows_of(self._entity)

    @property
    def created_at(self) -> dt.datetime:
        """When it was made, UTC."""
        return utc(self._metadata.created_at)  # type: ignore[no-any-return]

    # What it does

    def refresh(self) -> Deployment:
        """Looks at the service again, and returns itself.

        Raises:
            NotFoundError: it was deleted.
        """
        service, model_id = self._service, self.model_id
        with translate():
            if model_id is not None:
                self._take(service.api.deployments.get(service.instance_id, model_id, self.id))
            else:
                self._take(service.api.instance_deployments.get(service.instance_id, self.id))
        return self

    def wait(
        self,
        timeout: float | None = WAIT_TIMEOUT,
        *,
        progress: bool | None = None,
        clock: Clock | None = None,
    ) -> Deployment:
        """Waits until it is ready, and returns itself.

        Args:
            timeout: seconds until the deadline; None waits for ever.
            progress: True shows a progress bar, False does not, None shows it on a terminal or in a notebook.
            clock: for tests.

        Raises:
            DeploymentFailedError: it failed, or it is stopped; with the service's reasons.
            WaitTimeoutError: the deadline passed. It may still become ready.
        """
        return self._wait_for(State.READY, timeout, progress, clock)

    def _wait_for(
        self, wanted: State, timeout: float | None, progress: bool | None, clock: Clock | None = None
    ) -> Deployment:
        def done(deployment: Deployment) -> bool:
            if deployment.state is wanted:
                return True
            if deployment.state is State.FAILED:
                raise deployment._failed()
            if deployment.state is State.STOPPED and wanted is State.READY:
                raise DeploymentFailedError(
                    f"Deployment {self.name!r} is stopped ({self.status}). Start it with .start().",
                    deployment_id=self.id,
                    last_status=self.status,
                )
            return False

        def late(deployment: Deployment, seconds: float) -> WaitTimeoutError:
            return WaitTimeoutError(
                f"Deployment {self.name!r} is not {wanted} after {seconds:g} s; its status is {deployment.status}. "
                "It may still come: wait again with a longer timeout=.",
                last_status=deployment.status,
            )

        return poll(
            self.refresh,
            done,
            timeout=timeout,
            late=late,
            text=lambda deployment: progress_text(deployment.status, deployment.rows),
            label=f"{self.kind} deployment {self.name}",
            progress=progress,
            clock=clock,
        )

    def _failed(self) -> DeploymentFailedError:
        reasons = "; ".join(str(e.get("message") or e.get("code")) for e in self.errors) or "no reason given"
        return DeploymentFailedError(
            f"Deployment {self.name!r} failed ({self.status}): {reasons}",
            deployment_id=self.id,
            last_status=self.status,
            errors=self.errors,
            code=self.errors[0].get("code") if self.errors else None,
        )

    def score(
        self,
        data: Any,
        *,
        fields: Sequence[str] | None = None,
        timeout: float | tuple[float | None, float | None] | None | NotGiven = NOT_GIVEN,
    ) -> Scores:
        """Scores rows.

        Args:
            data: one row as a dict; a list of dicts, or of lists with ``fields``; ``{"fields", "values"}``; a pandas
                or Spark DataFrame; a two-dimensional or structured numpy array. It is not changed; columns are
                matched by name.
            fields: names of the columns where ``data`` has none; else the columns to take.
            timeout: seconds, for this call.

        Returns:
            All columns of the model's output, rows in the order given. Where some rows cannot be scored and others
            can, the former are in ``errors``, and logged as a warning.

        Raises:
            PayloadError: the data cannot be sent; names column and row.
            BadRequestError: the service refuses it, for example for an unknown column, or because no row can be
                scored.
        """
        if self.scoring_url is None:
            raise PayloadError(
                f"Deployment {self.name!r} is of kind {self.kind}: only online ones score rows."
            )
        table = to_table(data, fields)
        if is_array(data):
            table = with_integers(table, self._integer_columns)
        service = self._service
        answer = service.post_json(service.reachable(self.scoring_url), table.encode(), timeout=timeout)
        texts = frozenset(n for n, v in zip(table.fields, table.values[0], strict=True) if isinstance(v, str))
        told = answer.headers
        engine, version = told.get(wire.SCORING_ENGINE_HEADER), told.get(wire.MODEL_VERSION_HEADER)
        return Scores._of(answer.content, engine, texts, version)

    def _integer_columns(self) -> frozenset[str]:
        """What the model reads as integers; asked for once."""
        if self._integers is None:
            service, model_id = self._service, self.model_id
            found: Any = {}
            if model_id is not None:
                with translate():
                    model = service.api.published_models.get(service.instance_id, model_id)
                found = getattr(model.entity, "input_data_schema", None) or {}
            self._integers = frozenset(
                field["name"]
                for field in found.get("fields", ())
                if field.get("type") in ("byte", "short", "integer", "long")
            )
        return self._integers

    def stop(self, timeout: float | None = 60.0) -> Deployment:
        """Stops a stream, and returns itself once it is stopped. It keeps its place in the source.

        Args:
            timeout: seconds to wait for it.
        """
        self._patch("/status", "STOPPED")
        return self._wait_for(State.STOPPED, timeout, False)

    def start(self) -> Deployment:
        """Starts a stopped stream where it left off, and returns itself; ``.wait()`` waits until it runs."""
        self._patch("/status", "RUNNING")
        return self.refresh()

    def update(
        self,
        version: ModelVersion | str | None = None,
        *,
        name: str | NotGiven = NOT_GIVEN,
        description: str | NotGiven = NOT_GIVEN,
        timeout: float | None = WAIT_TIMEOUT,
    ) -> Deployment:
        """Moves it to another version of its model, or changes its name or description; returns itself.

        An online deployment keeps its address, and scores with the old version until the new one is there. A native
        stream goes on: each record is scored by one of the two, and a stream that is stopped starts with the new one.

        Args:
            version: the version, or its id.
            name: its new name.
            description: its new description.
            timeout: seconds to wait until the version is there; None waits for ever.

        Raises:
            DeploymentFailedError, BadRequestError: it cannot have the version; the one before goes on.
            WaitTimeoutError: it took too long.
        """
        if version is None and name is NOT_GIVEN and description is NOT_GIVEN:
            raise ConfigError("Give a version, name= or description=: what is to change.")
        for path, value in (("/name", name), ("/description", description)):
            if value is not NOT_GIVEN:
                self._patch(path, value)  # one operation a call, which services of every year take
        if version is None:
            return self.refresh()
        url = f"{self._service.url}/v3/ml_assets/models/{self.model_id}/versions/{versions.id_of(version)}"
        self._patch("/deployed_version/url", url)
        if self.kind == "stream":
            return self._wait_for_version(versions.id_of(version), timeout)
        return self._wait_for(State.READY, timeout, False)

    def rollback(self, *, timeout: float | None = WAIT_TIMEOUT) -> Deployment:
        """Moves it back to the version that it ran before the last update, and returns itself.

        Called twice it is where it was. ``timeout`` is that of :meth:`update`.

        Raises:
            ConfigError: it never ran another version.
        """
        if self.refresh().previous_version is None:
            raise ConfigError(f"Deployment {self.name!r} never ran another version. Use .update(version).")
        return self.update(self.previous_version, timeout=timeout)

    def delete(self, *, ignore_spark_errors: bool = False) -> None:
        """Deletes it; a stream ends and forgets its place.

        Args:
            ignore_spark_errors: also if Spark fails to end its job.
        """
        service, model_id = self._service, self.model_id
        flag = True if ignore_spark_errors else None
        with translate():
            if model_id is not None:
                service.api.deployments.delete(
                    service.instance_id, model_id, self.id, ignore_spark_errors=flag
                )
            else:
                service.api.instance_deployments.delete(
                    service.instance_id, self.id, ignore_spark_errors=flag
                )

    def _patch(self, path: str, value: Any) -> None:
        service, model_id = self._service, self.model_id
        # As bytes: the generated client would drop a null.
        body = json_body([{"op": "replace", "path": path, "value": value}])
        with translate():
            if model_id is not None:
                service.api.deployments.update(service.instance_id, model_id, self.id, body)
            else:
                service.api.instance_deployments.update(service.instance_id, self.id, body)

    def __repr__(self) -> str:
        return f"<Deployment {self.name!r}: {self.kind}, {self.state} ({self.status}), id {self.id}>"

    def _repr_html_(self) -> str:
        return display.card(
            f"Deployment {self.name}",
            [
                ("kind", self.kind),
                ("state", f"{self.state} ({self.status})"),
                ("model", self.model_name),
                ("engine", f"{self.engine}: {self.engine_reason}" if self.engine_reason else self.engine),
                *self._glance(),
                ("scoring url", self.scoring_url),
                ("errors", "; ".join(str(e.get("message")) for e in self.errors)),
                ("id", self.id),
            ],
        )
