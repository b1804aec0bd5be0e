"""The engine as one thing: its services put together, started and ended."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from ..store import ArchiveStore, Referenced, Store
from .batches import BatchService, NoBatches
from .certificates import CertificateService
from .clock import Later, later, now_ms
from .consuming import Consumption
from .consuming import Settings as ServiceSettings
from .contents import Contents
from .definitions import DefinitionService
from .deployments import DeploymentService
from .errors import EngineError
from .executions import ExecutionService
from .feedback import Feedback
from .iterations import Iterations
from .kernels import Kernels, NoKernels
from .learning import LearningService
from .models import ModelService
from .online import OnlineService
from .places import Folders
from .ports import BatchRunner, NativeStreamEngine, NoStreams, SparkPool, TopicAdmin
from .realtime import RealtimeService
from .scorers import OnlineScorers
from .service_streams import ServiceStreams
from .sessions import SessionService, Settings
from .snapshots import SnapshotService
from .streams import StreamService
from .webservices import WebServiceService
from .workers import WorkerFactory

_PREDICTIONS = "prediction_count"


class Engine:
    """What the service does.

    Args:
        home: The runner's folder.
        spark: Where Spark is.
        topics: Looks at topics.
        clock: Milliseconds since 1970.
        delay: Calls a function later.
        allow_foreign_classes: Whether models may hold stages that are not Spark's own.
        allow_uncertified: Whether models that cannot be compared with Spark are scored natively all the same.
        kernels: Where sessions run; None where they cannot.
        session_settings: How sessions are kept.
        workers: Where web services run; None where they cannot.
        service_settings: How web services are kept.
        native_streams: Streams without Spark; None where they cannot be.
        batches: Runs batch jobs; None where they cannot run.
        folders: What batches may use of this machine.

    Attributes:
        store: Rows.
        contents: Archives.
        certificates: Parity checks.
        definitions: Training definitions.
        models: Models.
        scorers: Loaded online deployments.
        streams: Streams.
        deployments: Deployments.
        learning: How models learn.
        sessions: Sessions.
        snapshots: Snapshots of sessions.
        web_services: Web services.
        consumption: Their processes.
        executions: Their batch executions.
        realtime: Those that are a model.
    """

    def __init__(
        self,
        home: Path,
        spark: SparkPool,
        topics: TopicAdmin,
        clock: Callable[[], int] = now_ms,
        delay: Later = later,
        allow_foreign_classes: bool = False,
        allow_uncertified: bool = False,
        kernels: Kernels | None = None,
        session_settings: Settings | None = None,
        workers: WorkerFactory | None = None,
        service_settings: ServiceSettings | None = None,
        native_streams: NativeStreamEngine | None = None,
        batches: BatchRunner | None = None,
        folders: Folders | None = None,
    ) -> None:
        self._spark = spark
        self._native_streams = native = native_streams or NoStreams()
        self.store = Store(home / "runner.db")
        self.contents = Contents(self.store, ArchiveStore(home), allow_foreign_classes)
        self.certificates = CertificateService(
            self.store, self.contents, spark, clock, allow_uncertified=allow_uncertified
        )
        self.definitions = DefinitionService(self.store, self.contents, clock)
        self.models = ModelService(self.store, self.contents, self.certificates, clock)
        self.scorers = OnlineScorers()
        kernels = kernels or NoKernels("Sessions need more packages. Run: pip install 'wmlclient[sessions]'")
        self.sessions = SessionService(kernels, home / "sessions", session_settings, clock)
        zips = ArchiveStore(home, "snapshots", ".zip")
        self.snapshots = SnapshotService(self.store, zips, self.sessions, clock)
        self.web_services = WebServiceService(self.store, zips, self.snapshots, kernels, clock)
        self.consumption = Consumption(self.web_services, zips, workers, home / "services", service_settings)
        service_streams = ServiceStreams(
            self.store, self.web_services, zips, self.consumption.settings.workers, clock
        )
        self.streams = StreamService(
            self.store,
            self.contents,
            self.certificates,
            spark,
            native,
            topics,
            home / "checkpoints",
            service_streams,
            delay,
            clock,
        )
        online = OnlineService(self.store, self.contents, self.certificates, spark, self.scorers, clock)
        jobs = BatchService(
            self.store, self.contents, self.certificates, batches or NoBatches(), folders or Folders(), clock
        )
        self.deployments = DeploymentService(
            self.store, online, self.scorers, self.streams, jobs, service_streams, clock
        )
        self.web_services.on_change.append(self.deployments.service_changed)
        self.learning = self._learning(home, folders or Folders(), clock)
        self.realtime = RealtimeService(self.web_services, self.contents, clock)
        self.executions = ExecutionService(
            self.store, self.web_services, self.consumption, self.realtime.run, clock
        )
        self._predictions = int(self.store.setting(_PREDICTIONS) or 0)
        self._predictions_lock = threading.Lock()

    def start(self) -> None:
        """Take up what the last run left: finish deletions, load, resume, check. What takes time is background."""
        self.deployments.finish_deletions()
        for model_id in self.store.models.being_deleted():
            self._take_down(model_id, ignore_spark_errors=True)
        self.contents.sweep()
        self.snapshots.sweep()
        self.deployments.resume()
        self.certificates.resume()
        self.learning.start()
        self.sessions.start()
        self.executions.start()
        self.consumption.start()

    def close(self) -> None:
        """End everything that runs. Streams keep their desired state and go on after the next start."""
        self.predictions()
        self.sessions.close()
        self.executions.close()
        self.consumption.close()
        self.learning.close()
        self.deployments.close()
        self.streams.close()
        self.certificates.close()
        self._native_streams.close()
        self._spark.close()
        self.store.close()

    def _learning(self, home: Path, folders: Folders, clock: Callable[[], int]) -> LearningService:
        feedback = Feedback(self.store, folders)
        scratch = home / "learning"
        iterations = Iterations(
            self.store,
            self.contents,
            self.models,
            self.deployments,
            feedback,
            self._spark,
            folders,
            scratch,
            clock,
        )
        return LearningService(self.store, self.models, feedback, iterations, folders, clock)

    def delete_model(self, id: str, ignore_spark_errors: bool = False) -> None:
        """Take a model's deployments down and remove it.

        Raises:
            NotFound: There is none.
        """
        self.models.get(id)
        # From here on nobody finds it, so that no new deployment gets between, and a restart finishes the job.
        self.store.models.set_deleted(id, True)
        try:
            self._take_down(id, ignore_spark_errors)
        except EngineError:
            self.store.models.set_deleted(id, False)
            raise

    def _take_down(self, model_id: str, ignore_spark_errors: bool) -> None:
        while True:
            self.deployments.delete_all(model_id, ignore_spark_errors)
            try:
                return self.models.delete(model_id)
            except Referenced:  # a deployment whose making had begun before
                continue

    def count_predictions(self, rows: int) -> None:
        """Rows were scored."""
        with self._predictions_lock:
            self._predictions += rows

    def predictions(self) -> int:
        """Rows scored online since the home was made; kept across restarts, but for what a crash takes."""
        with self._predictions_lock:
            self.store.keep_setting(_PREDICTIONS, str(self._predictions))
            return self._predictions
