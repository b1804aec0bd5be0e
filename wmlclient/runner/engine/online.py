"""Online deployments: their scorers loaded in the background, and changed for others while they score."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ..store import Deployment, Model, Store, Version
from . import native
from .certificates import CertificateService
from .clock import now_ms
from .contents import Contents
from .errors import EngineError, Invalid, NotFound
from .ports import PortError, SparkPool
from .schemas import input_schema, label_column
from .scorers import Live, OnlineScorers, Scorer, Slot
from .spark_scorer import SparkScorer

logger = logging.getLogger("wmlclient.runner.engine")

_LOAD_TIMEOUT = 300.0
_SCORING = frozenset(("DEPLOY_SUCCESS", "UPDATE_IN_PROGRESS", "UPDATE_SUCCESS", "UPDATE_FAILURE"))


class OnlineService:
    """Loads the scorers of online deployments.

    Args:
        store: Rows.
        contents: Archives.
        certificates: Says which engine scores a version.
        spark: Where Spark is.
        scorers: Takes the loaded scorers.
        clock: Milliseconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        contents: Contents,
        certificates: CertificateService,
        spark: SparkPool,
        scorers: OnlineScorers,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._contents = contents
        self._certificates = certificates
        self._spark = spark
        self._scorers = scorers
        self._clock = clock
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="deploy")
        self._closing = False

    def load(self, deployment: Deployment) -> None:
        """Load the version that a deployment runs."""
        self._begin(deployment, deployment.version_id, "DEPLOY")

    def move(self, deployment: Deployment, version_id: str) -> Future[None]:
        """Bring another version to a deployment, which goes on with the present one until that is there.

        Returns:
            Done when it is there, or has failed.
        """
        scoring = deployment.status in _SCORING
        self._store.deployments.update(
            deployment.id,
            status="UPDATE_IN_PROGRESS" if scoring else "DEPLOY_IN_PROGRESS",
            failure=None,
            modified_at=self._clock(),
        )
        return self._begin(deployment, version_id, "UPDATE" if scoring else "DEPLOY")

    def close(self) -> None:
        """Load nothing more."""
        self._closing = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, deployment: Deployment, version_id: str, word: str) -> Future[None]:
        slot, wish = self._scorers.open(deployment.id, deployment.model_id)
        return self._pool.submit(self._load, deployment, version_id, slot, wish, word)

    def _load(self, deployment: Deployment, version_id: str, slot: Slot, wish: int, word: str) -> None:
        try:
            model = self._store.models.get(deployment.model_id)
            version = self._store.models.version(version_id)
            if model is None or version is None:  # deleted meanwhile
                return
            certificate = self._certificates.checked(version)
            if certificate["engine"] is None:
                raise Invalid(
                    "model_not_checked",
                    f"The model could not be checked against Spark: {certificate['reason']}",
                )
            live = Live(self._scorer(version.of(model), version, certificate["engine"]), version_id)
            if self._scorers.loaded(
                deployment.id,
                slot,
                wish,
                live,
                lambda: self._keep(deployment.id, version_id, certificate),
            ):
                logger.info(
                    "deployment %s scores version %s, engine %s",
                    deployment.id,
                    version_id,
                    certificate["engine"],
                )
        except NotFound:  # deleted meanwhile
            self._scorers.drop(deployment.id)
        except (EngineError, PortError) as error:
            self._failed(deployment, slot, wish, word, error.code, error.message)
        except Exception as error:
            if self._closing:
                return
            logger.exception("deployment %s cannot be loaded", deployment.id)
            message = f"Unexpected {type(error).__name__}; see the service's log."
            self._failed(deployment, slot, wish, word, "load_model_failure", message)

    def _keep(self, id: str, version_id: str, certificate: dict[str, Any]) -> None:
        present = self._store.deployments.get(id)
        if present is None or present.desired == "deleted":
            raise NotFound()
        changes: dict[str, Any] = {}
        if present.version_id != version_id:
            changes = {"version_id": version_id, "previous_id": present.version_id}
        self._store.deployments.update(
            id,
            # After an update, too: clients of before July 2018 take UPDATE_SUCCESS for a failure.
            status="DEPLOY_SUCCESS",
            failure=None,
            engine=certificate["engine"],
            engine_reason=certificate["reason"],
            modified_at=self._clock(),
            **changes,
        )

    def _failed(
        self, deployment: Deployment, slot: Slot, wish: int, word: str, code: str, message: str
    ) -> None:
        logger.error("deployment %s has failed: %s (%s)", deployment.id, message, code)
        failure = [{"code": code, "message": message}]

        def keep(scoring: bool) -> None:
            self._store.deployments.update(
                deployment.id,
                status="UPDATE_FAILURE" if scoring else f"{word}_FAILURE",
                failure=failure,
                modified_at=self._clock(),
            )

        self._scorers.failed(deployment.id, slot, wish, message, keep)

    def _scorer(self, model: Model, version: Version, engine: str) -> Scorer:
        schema = input_schema(model.body)
        assert version.digest is not None
        assert schema is not None  # a model without one is never checked
        folder = self._contents.folder(version.digest)
        label, training = label_column(model.body), model.body.get("training_data_schema")
        if engine == "native":
            return native.load(folder, schema, label, training)
        scorer = SparkScorer(self._spark, folder, schema, native.label_filler(folder, training, label))
        scorer.probe(_LOAD_TIMEOUT)
        return scorer
