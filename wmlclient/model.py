"""One model: published once, in versions, and deployed as often as wanted."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wmlclient import deployments, display, versions
from wmlclient.bill import Description
from wmlclient.certificate import Certificate
from wmlclient.connections import SparkService
from wmlclient.deployment import WAIT_TIMEOUT, Deployment
from wmlclient.errors import NotSupportedError, PayloadError, ResponseError, WaitTimeoutError
from wmlclient.learning import Learning
from wmlclient.pages import Pages
from wmlclient.translate import translate, utc
from wmlclient.versions import ModelVersion
from wmlclient.waiting import Clock, poll

if TYPE_CHECKING:
    from wmlclient.service import Service
    from wmlclient.storage import StoredFile, StoredTable
    from wmlclient.topics import KafkaTopic


class Model:
    """One published model. What it knows is as of its last look at the service; ``refresh()`` looks again.

    Got from ``client.models.publish(...)``, ``.get(id)``, ``.find(name)`` or ``.list()``.
    """

    def __init__(self, service: Service, resource: Any) -> None:
        self._service = service
        self._take(resource)

    def _take(self, resource: Any) -> None:
        if resource is None or resource.entity is None or resource.metadata is None:
            raise ResponseError("The service's answer is not a published model.")
        self._metadata = resource.metadata
        self._entity = resource.entity

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
    def model_type(self) -> str:
        """Framework and version, such as ``"mllib-4.2"``."""
        return str(self._entity.model_type)

    @property
    def label_col(self) -> str | None:
        """The column it predicts, in the training data."""
        return self._entity.label_col  # type: ignore[no-any-return]

    @property
    def input_schema(self) -> dict[str, Any] | None:
        """What it reads: ``StructType.jsonValue()``, the label left out."""
        return self._entity.input_data_schema  # type: ignore[no-any-return]

    @property
    def training_schema(self) -> dict[str, Any] | None:
        """What it was trained on: ``StructType.jsonValue()``, the label marked as target."""
        return self._entity.training_data_schema  # type: ignore[no-any-return]

    @property
    def created_at(self) -> dt.datetime:
        """When it was published, UTC."""
        return utc(self._metadata.created_at)  # type: ignore[no-any-return]

    @property
    def parity(self) -> Certificate | None:
        """Which engine scores it, and the proof that its numbers are Spark's.

        Looks at the service again while the check is pending. None at a service that makes no certificates.
        """
        if self._entity.parity is not None and str(self._entity.parity.state) == "pending":
            self.refresh()
        return self._certificate()

    def _certificate(self) -> Certificate | None:
        return Certificate._of(self._entity.parity) if self._entity.parity is not None else None

    def wait_parity(
        self,
        timeout: float | None = WAIT_TIMEOUT,
        *,
        progress: bool | None = None,
        clock: Clock | None = None,
    ) -> Certificate | None:
        """Waits until the check against Spark is done, and returns the certificate.

        A deployment waits for it by itself.

        Args:
            timeout: seconds until the deadline; None waits for ever.
            progress: as for :meth:`Deployment.wait`.
            clock: for tests.

        Raises:
            WaitTimeoutError: the deadline passed.
        """
        return poll(
            lambda: self.refresh()._certificate(),
            lambda certificate: certificate is None or certificate.state != "pending",
            timeout=timeout,
            late=lambda _, seconds: WaitTimeoutError(
                f"Model {self.name!r}: the check against Spark is not done after {seconds:g} s. "
                "Wait again with a longer timeout=.",
                last_status="pending",
            ),
            text=lambda _: "checking",
            label=f"parity of {self.name}",
            progress=progress,
            clock=clock,
        )

    def describe(self) -> Description:
        """What it is made of: stages with their parameters, columns in and out, sizes, the Spark that trained it.

        The service reads that from the archive, with nothing run. :func:`wmlclient.scoring.describe` does the same
        for a saved model, without a service.

        Raises:
            NotSupportedError: the service does not tell.
        """
        if self._entity.bill_of_materials is None:
            self.refresh()  # a list of models leaves it out
        if self._entity.bill_of_materials is None:
            raise NotSupportedError(
                "This service does not tell what a model is made of. Use model.download(path), and then "
                "wmlclient.scoring.describe(path)."
            )
        return Description.from_dict(self._entity.bill_of_materials.as_dict(keep_readonly=True))

    @property
    def versions(self) -> Pages[ModelVersion]:
        """Its versions, oldest first, fetched as they are walked; one that has no content yet among them."""
        return versions.listing(self._service, self.id)

    @property
    def version(self) -> ModelVersion:
        """Its newest version: what is deployed from now on.

        Raises:
            ResponseError: the service names none.
        """
        link = self._entity.latest_version
        if link is None:
            raise ResponseError("The service's answer names no version of the model.")
        return ModelVersion(self._service, self.id, link)

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """What its versions were found to be worth, oldest first.

        Dicts with ``version`` (its id), ``phase`` (``"setup"`` for what came with a version, ``"monitoring"`` and
        ``"training"`` for what :attr:`learning` measured), ``at`` (UTC) and ``metrics``: dicts with ``name``,
        ``value`` and perhaps ``threshold``.
        """
        return versions.evaluations(self._service, self.id)

    def publish_version(
        self,
        pipeline_model: Any,
        *,
        sample: Any = None,
        label_col: str | None = None,
        training_schema: Any = None,
        description: str | None = None,
        metrics: Mapping[str, float] | None = None,
        certificate: Certificate | str | os.PathLike[str] | None = None,
        progress: bool | None = None,
    ) -> ModelVersion:
        """Publishes a further version: another fitted pipeline under the same model.

        Deployments stay with the version they have until :meth:`Deployment.update` moves them.

        Args:
            pipeline_model: as for :meth:`Models.publish`.
            sample: as for :meth:`Models.publish`.
            label_col: the column it predicts; by default as before.
            training_schema: the columns and their types; by default those of the sample, and without a sample those
                of the version before.
            description: what it is for; by default as before.
            metrics: as for :meth:`Models.publish`.
            certificate: as for :meth:`Models.publish`.
            progress: as for :meth:`Models.publish`.

        Returns:
            The version. The model itself is refreshed.

        Raises:
            NotAModelError: it is no fitted Spark ML pipeline.
            PayloadError: sample, schema or label do not go with it.
            ApiError: the service refuses it. An upload that failed leaves a version without content, which nothing
                uses.
        """
        from wmlclient.publishing import publish_version

        if sample is None and training_schema is None:
            training_schema = self.training_schema
        version = publish_version(
            self._service,
            self.id,
            pipeline_model,
            self.name,
            sample=sample,
            label_col=label_col if label_col is not None else self.label_col,
            training_schema=training_schema,
            description=description if description is not None else self.description,
            author=self._entity.author.as_dict() if self._entity.author is not None else None,
            metrics=metrics,
            certificate=certificate,
            progress=progress,
        )
        self.refresh()
        return ModelVersion(self._service, self.id, version)

    @property
    def learning(self) -> Learning:
        """How it learns from feedback."""
        return Learning(self._service, self.id)

    @property
    def deployments(self) -> Pages[Deployment]:
        """Its deployments, fetched as they are walked."""
        return deployments.listing(self._service, self.id)

    def refresh(self) -> Model:
        """Looks at the service again, and returns itself.

        Raises:
            NotFoundError: it was deleted.
        """
        service = self._service
        with translate():
            self._take(service.api.published_models.get(service.instance_id, self.id))
        return self

    def delete(self, *, ignore_spark_errors: bool = False) -> None:
        """Deletes it, with all its deployments.

        Args:
            ignore_spark_errors: also if Spark fails to end a job.
        """
        service = self._service
        with translate():
            service.api.published_models.delete(
                service.instance_id, self.id, ignore_spark_errors=True if ignore_spark_errors else None
            )

    def download(self, path: str | os.PathLike[str], *, version: ModelVersion | str | None = None) -> None:
        """Writes its archive, a ``.tar.gz`` of what Spark saved, to a file.

        Args:
            path: the file; it is replaced once all is there.
            version: a version or its id; by default the newest.
        """
        api = self._service.api.models
        with translate():
            # Not unpacked on the way, even if the service calls it Content-Encoding: gzip.
            if version is None:
                chunks = api.download_latest_content(self.id, decompress=False)
            else:
                chunks = api.download_content(self.id, versions.id_of(version), decompress=False)
        versions.write(chunks, path)

    def score_frame(self, frame: Any) -> Any:
        """Scores a data frame where it is, without a deployment.

        Args:
            frame: a pandas DataFrame, scored in this process by the native scorer; or one of Spark, transformed in its
                own session.

        Returns:
            A frame of the same kind with every column of the model's output; see
            :meth:`wmlclient.scoring.Scorer.transform`.

        Raises:
            NotSupportedError: a pandas frame, but the native scorer does not give Spark's numbers for this model.
            PayloadError: it is no data frame.
        """
        from wmlclient.frames import score_frame

        return score_frame(self, frame)

    def deploy(
        self,
        name: str,
        *,
        source: KafkaTopic | StoredFile | StoredTable | str | os.PathLike[str] | None = None,
        target: KafkaTopic | StoredFile | StoredTable | str | os.PathLike[str] | None = None,
        spark: SparkService | None = None,
        dead_letter: KafkaTopic | str | None = None,
        engine: str | None = None,
        delivery: str | None = None,
        workers: int | None = None,
        receipts: bool | None = None,
        latency: str | None = None,
        description: str | None = None,
        wait: bool = True,
        timeout: float | None = WAIT_TIMEOUT,
        progress: bool | None = None,
    ) -> Deployment:
        """Puts the model to work.

        Without ``source`` and ``target`` it is deployed online, and this waits until it is ready. With two Kafka
        topics it becomes a stream, and with two files or tables a batch; both return at once, and ``.wait()`` waits
        for them.

        Args:
            name: a name for the deployment.
            source: the topic to read; or a path on the service's machine, a file of an :class:`ObjectStorage` or a
                table of a :class:`Database`. A file's ending tells its format: CSV, JSON lines, Parquet, Delta.
            target: the topic to write, or the file or table.
            spark: the Spark service that runs a stream or scores a batch, instead of the native engine.
            dead_letter: topic, on the target's connection, for records that do not parse or score. By default the
                target's name and ``.dead-letters``.
            engine: of a stream: ``"native"``, ``"spark"``, or ``"auto"``, the default: native where it gives Spark's
                numbers and no ``spark=`` is named, else Spark. :attr:`Deployment.engine_reason` says why.
            delivery: of a stream: ``"exactly_once"``, the native engine's default, or ``"at_least_once"``.
            workers: processes that share a native stream's partitions; 1 by default.
            receipts: whether each scored record of a stream names its source and its model in its headers.
            latency: of a stream: ``"realtime"`` for Spark's Real-time Mode; ``"default"`` by default.
            description: what it is for.
            wait: False returns before an online deployment is ready.
            timeout: seconds to wait for it; None waits for ever.
            progress: as for :meth:`Deployment.wait`.

        Raises:
            DeploymentFailedError: it cannot become ready; with the service's reasons.
            WaitTimeoutError: it did not in time.
            NotSupportedError: the service does not offer this kind.
            PayloadError: source and target do not go together.
        """
        body: dict[str, Any] = {"name": name, "type": "online"}
        if description is not None:
            body["description"] = description
        wishes = deployments.wishes(engine, delivery, workers, receipts, latency)
        if source is not None or target is not None:
            body |= deployments.ends(source, target, dead_letter) | wishes
            if body["type"] == "batch":
                if wishes:
                    raise PayloadError(f"{next(iter(wishes))}= is for streams: give Kafka topics.")
                header = deployments.spark_header(spark)
                deployment = deployments.create(self._service, self.id, body, spark_header=header)
            else:
                deployment = deployments.create_stream(self._service, self.id, body, spark)
                deployment._remember(source, target)
        elif spark is not None or dead_letter is not None or wishes:
            given = ["spark"] * (spark is not None) + ["dead_letter"] * (dead_letter is not None) + [*wishes]
            raise PayloadError(f"{given[0]}= is for streams: give source= and target= too.")
        else:
            deployment = deployments.create(self._service, self.id, body)
        if body["type"] == "online" and wait:
            deployment.wait(timeout, progress=progress)
        return deployment

    def __repr__(self) -> str:
        certificate = self._certificate()
        engine = f", {certificate.engine} engine" if certificate is not None and certificate.engine else ""
        return f"<Model {self.name!r}: {self.model_type}{engine}, id {self.id}>"

    def _repr_html_(self) -> str:
        fields = (self.input_schema or {}).get("fields", ())
        return display.card(
            f"Model {self.name}",
            [
                ("type", self.model_type),
                ("reads", ", ".join(f"{f['name']} ({f['type']})" for f in fields)),
                ("predicts", self.label_col),
                ("parity", self._certificate()),
                ("description", self.description),
                ("created", self.created_at),
                ("id", self.id),
            ],
        )
