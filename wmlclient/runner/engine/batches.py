"""Batch deployments: one job each, run in the background until it is done, has failed or is cancelled."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from ..store import Deployment, Store
from .certificates import CertificateService
from .clock import now_ms
from .connections import spark_master
from .contents import Contents
from .errors import EngineError, Invalid
from .places import BatchPlaces, Folders, batch_places
from .ports import BatchEvent, BatchRunner, BatchSpec, PortError
from .schemas import input_schema

logger = logging.getLogger("wmlclient.runner.engine")

RUNNING = ("INITIALIZING", "RUNNING")


class NoBatches:
    """Stands in where jobs cannot be run."""

    def start(self, spec: BatchSpec, on_event: Callable[[BatchEvent], None]) -> None:
        """Say so."""
        raise PortError("not_supported", "This service was started without batches.")

    def stop(self, job_id: str) -> None:
        """Nothing to stop."""

    def sweep(self, job_id: str, places: Sequence[dict[str, Any]]) -> None:
        """Nothing to remove."""

    def close(self) -> None:
        """Nothing to end."""


class BatchService:
    """Batches.

    Args:
        store: Rows.
        contents: Archives.
        certificates: Says which engine scores a model.
        runner: Runs jobs.
        folders: What jobs may use of this machine.
        clock: Milliseconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        contents: Contents,
        certificates: CertificateService,
        runner: BatchRunner,
        folders: Folders,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._contents = contents
        self._certificates = certificates
        self._runner = runner
        self._folders = folders
        self._clock = clock
        # Jobs use all cores already.
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="batch")
        self._runs: dict[str, int] = {}
        self._lock = threading.Lock()
        self._closing = False

    def places(self, body: Mapping[str, Any]) -> BatchPlaces:
        """What a request names; see :func:`wmlclient.runner.engine.places.batch_places`."""
        return batch_places(body, self._folders)

    def start(self, id: str) -> None:
        """Run a job, in the background, from its first row on."""
        with self._lock:
            run = self._runs[id] = self._runs.get(id, 0) + 1
        with suppress(RuntimeError):  # closing
            self._pool.submit(self._start, id, run)

    def cancel(self, id: str) -> None:
        """End a job; returns when nothing of it runs, and nothing of it is left."""
        with self._lock:
            self._runs[id] = self._runs.get(id, 0) + 1
            self._runner.stop(id)
        self._sweep(id)

    def close(self) -> None:
        """Start nothing more and end what runs; it starts anew after the next start."""
        self._closing = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._runner.close()

    def _start(self, id: str, run: int) -> None:
        deployment = self._store.deployments.get(id)
        if self._closing or deployment is None or deployment.desired != "running":
            return
        self._sweep(id)
        try:
            spec = self._spec(deployment)
            with self._lock:
                if run == self._runs.get(id) and not self._closing:
                    self._store.deployments.update(
                        id,
                        status="RUNNING",
                        engine=spec.engine,
                        engine_reason=spec.reason,
                        modified_at=self._clock(),
                    )
                    self._runner.start(spec, lambda event: self._on_event(run, event))
        except (EngineError, PortError) as error:
            self._failed(id, run, error.code, error.message)
        except Exception as error:
            logger.exception("batch %s cannot be started", id)
            message = f"Unexpected {type(error).__name__}; see the service's log."
            self._failed(id, run, "underlying_api_error", message)

    def _spec(self, deployment: Deployment) -> BatchSpec:
        model = self._store.models.get(deployment.model_id)
        version = self._store.models.version(deployment.version_id)
        schema = input_schema(version.of(model).body) if model is not None and version is not None else None
        if schema is None or version is None or version.digest is None:
            raise Invalid(
                "missing_latest_model_version",
                "The model has no content or no input schema; publish it with training_data_schema.",
            )
        engine, reason = "spark", "the request names a Spark service"
        if deployment.spark_service is None:
            certificate = self._certificates.checked(version)
            if certificate["engine"] is None:
                raise Invalid(
                    "model_not_checked",
                    f"The model could not be checked against Spark: {certificate['reason']}",
                )
            engine, reason = certificate["engine"], certificate["reason"]
        places = self.places(deployment.body)
        return BatchSpec(
            job_id=deployment.id,
            model_dir=str(self._contents.folder(version.digest)),
            schema=schema,
            engine=engine,
            reason=reason,
            spark_master=spark_master(deployment.spark_service),
            source=places.source,
            target=places.target,
            bad_rows=places.bad_rows,
        )

    def _on_event(self, run: int, event: BatchEvent) -> None:
        if event.kind == "failed":
            self._failed(event.job_id, run, event.details["code"], event.details["message"])
            return
        with self._lock:
            if run != self._runs.get(event.job_id) or self._closing:
                return
            changes: dict[str, Any] = {"modified_at": self._clock()}
            if event.kind == "completed":
                present = self._store.deployments.get(event.job_id)
                before = (present.progress if present is not None else None) or {}
                changes |= {
                    "status": "COMPLETED",
                    "progress": {**before, **event.details, "rows_total": event.details["rows_read"]},
                }
                logger.info("batch %s is complete: %s", event.job_id, event.details)
            else:
                changes["progress"] = event.details
            self._store.deployments.update(event.job_id, **changes)

    def _failed(self, id: str, run: int, code: str, message: str) -> None:
        with self._lock:
            if run != self._runs.get(id) or self._closing:
                return
            logger.error("batch %s has failed: %s (%s)", id, message, code)
            failure = [{"code": code, "message": message}]
            self._store.deployments.update(id, status="FAILED", failure=failure, modified_at=self._clock())
        self._sweep(id)

    def _sweep(self, id: str) -> None:
        """Remove what a job that was killed has left of its files and uploads."""
        deployment = self._store.deployments.get(id)
        if deployment is None:
            return
        with suppress(EngineError):
            places = self.places(deployment.body)
            self._runner.sweep(id, (places.target, places.bad_rows))
