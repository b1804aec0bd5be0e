"""Web services at work: warm processes for each, started when it is published or first asked, ended when it is idle."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from attrs import define, field, frozen

from ..store import ArchiveStore, WebService
from . import snapshots
from .clock import new_id
from .errors import EngineError, NotFound, NotReady
from .kernels import KernelError
from .webservices import WebServiceService
from .workers import Program, Worker, WorkerFactory, Workers, WorkersBusy, WorkersEnded

logger = logging.getLogger("wmlclient.runner.services")

#: A start costs others CPU, so a service whose processes have ended more often than this within some seconds waits for
#: its next ones, each time longer.
_FREE_ENDS, _ENDS_SECONDS, _MOST_PAUSE = 3, 60.0, 30.0
_now = time.monotonic


@frozen
class Settings:
    """How web services are kept.

    Attributes:
        workers: How many requests of one service run at once, where no pool says otherwise.
        seconds: Seconds that one request may take.
        wait: Seconds that a request waits for a free process.
        idle: Seconds without a request after which a service's processes end, where it has no pool.
        warm: Number of services that are kept warm at once, those with a pool besides.
    """

    workers: int = 4
    seconds: float = 300.0
    wait: float = 60.0
    idle: float = 900.0
    warm: int = 16


@define(eq=False)
class _Pool:
    service: WebService
    started: Future[Workers]
    used: float = field(factory=time.monotonic)

    @property
    def workers(self) -> Workers | None:
        """The processes, where they are there."""
        done = self.started.done() and self.started.exception() is None
        return self.started.result() if done else None


class Consumption:
    """Hands out processes of web services.

    Args:
        services: What there is; a service that changes gets new processes.
        archives: Where their snapshots are.
        factory: Starts processes; None where none can be.
        folder: Where they have their folders; emptied.
        settings: How they are kept.
    """

    def __init__(
        self,
        services: WebServiceService,
        archives: ArchiveStore,
        factory: WorkerFactory | None,
        folder: Path,
        settings: Settings | None = None,
    ) -> None:
        self._services = services
        self._archives = archives
        self._factory = factory
        self._folder = folder
        self.settings = settings if settings is not None else Settings()
        self._lock = threading.Lock()
        self._pools: dict[str, _Pool] = {}
        self._ends: dict[str, list[float]] = {}
        self._closing = threading.Event()
        self._starting = ThreadPoolExecutor(2, "service-start")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        services.on_change.append(self._changed)

    def start(self) -> None:
        """Warm those that have a pool, and look after the idle ones from now on."""
        for service in self._services.all():
            if service.pool is not None and service.runtime == "Python":
                self._pool(service)
        threading.Thread(target=self._look_after, name="services-idle", daemon=True).start()

    def close(self) -> None:
        """End all processes. Twice is fine."""
        self._closing.set()
        with self._lock:
            self._pools.clear()
        if self._factory is not None:
            self._factory.close()
        self._starting.shutdown(wait=True, cancel_futures=True)

    def lease(self, service: WebService) -> Worker | Future[Worker]:
        """A process for one request, at once or as soon as one is there.

        The future fails with :class:`EngineError` or :class:`WorkersBusy` or :class:`WorkersEnded`.

        Raises:
            NotReady: There are too many requests.
        """
        for _ in range(3):
            pool = self._pool(service)
            workers = pool.workers
            if workers is None and not pool.started.done():
                return self._later(pool)
            if workers is None:
                self._drop(pool)
                raise _translated(pool.started.exception())
            pool.used = time.monotonic()
            try:
                return self._grown(pool.service, workers, workers.lease())
            except WorkersEnded as error:
                logger.info("the processes of %s %s have ended: %s", service.name, service.version, error)
                self._ended(pool)
            except WorkersBusy as error:
                raise NotReady("service_busy", f"Try again later: {error}.") from None
        raise NotReady("service_busy", "The service's processes end as soon as they begin; its log says why.")

    def workers(self, service: WebService) -> Workers | None:
        """The processes of a service, where they are there."""
        with self._lock:
            pool = self._pools.get(service.id)
        return pool.workers if pool is not None else None

    def state(self, service: WebService) -> str:
        """``warm``, ``starting``, ``failed`` or ``none``."""
        with self._lock:
            pool = self._pools.get(service.id)
        if pool is None:
            return "none"
        if not pool.started.done():
            return "starting"
        return "warm" if pool.workers is not None and pool.workers.ended is None else "failed"

    def warm(self, service: WebService) -> Future[Workers]:
        """Begin to start a service's processes, where they are not there."""
        return self._pool(service).started

    # -- what is done behind

    def _pool(self, service: WebService) -> _Pool:
        pool = self._pools.get(service.id)
        if pool is not None:
            return pool
        if self._factory is None:
            raise NotReady(
                "runtime_not_available",
                "Web services need more packages. Run: pip install 'wmlclient[sessions]'",
            )
        # A batch may hold on to what was deleted or changed meanwhile.
        current = self._services.get(service.name, service.version)
        if current.id != service.id:
            raise NotFound("service_not_found", "The web service was deleted.")
        with self._lock:
            pool = self._pools.get(service.id)
            if pool is None:
                if self._closing.is_set():
                    raise NotReady("service_busy", "The service is ending.")
                self._check_ends(current.id)
                pool = _Pool(current, self._starting.submit(self._start, current, self._factory))
                self._pools[service.id] = pool
        return pool

    def _start(self, service: WebService, factory: WorkerFactory) -> Workers:
        folder, body = self._folder / new_id(), service.body
        work = folder / "work"
        work.mkdir(mode=0o700, parents=True)
        workspace = None
        try:
            if service.digest is not None:
                workspace = folder / "workspace.dill"
                snapshots.unpack(self._archives.path(service.digest), work, workspace)
            program = Program(
                body["code"],
                body["initCode"],
                body["inputParameterDefinitions"],
                body["outputParameterDefinitions"],
                body["outputFileNames"],
                workspace,
                bool(body.get("stateless")),
            )
            first = self.settings.workers if service.pool is None else max(1, service.pool["initial"])
            return factory.start(program, folder, first, self.settings.seconds)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def count(self, service: WebService) -> int:
        """How many requests of a service may run at once."""
        return self.settings.workers if service.pool is None else service.pool["most"]

    def _grown(
        self, service: WebService, workers: Workers, leased: Worker | Future[Worker]
    ) -> Worker | Future[Worker]:
        """What was leased; where that has to be waited for, a pool that may have more gets one more."""
        if isinstance(leased, Future) and workers.count < self.count(service):
            workers.resize(workers.count + 1)
        return leased

    def _later(self, pool: _Pool) -> Future[Worker]:
        """A process of a service that is being started."""
        answer: Future[Worker] = Future()

        def started(done: Future[Workers]) -> None:
            error = (
                done.exception() if not done.cancelled() else NotReady("service_busy", "The service ends.")
            )
            if error is not None:
                self._drop(pool)
                return _settle(answer, error=_translated(error))
            try:
                leased = self._grown(pool.service, done.result(), done.result().lease())
            except (WorkersEnded, WorkersBusy) as problem:
                return _settle(answer, error=problem)
            if isinstance(leased, Future):
                leased.add_done_callback(lambda one: _pass_on(one, answer))
            else:
                _settle(answer, leased)
            return None

        pool.started.add_done_callback(started)
        return answer

    def _ended(self, pool: _Pool) -> None:
        """Remember that all processes of a service have ended by themselves."""
        if self._drop(pool):
            now = _now()
            with self._lock:
                known = [at for at in self._ends.get(pool.service.id, ()) if now - at < _ENDS_SECONDS]
                self._ends = {id: ends for id, ends in self._ends.items() if now - ends[-1] < _ENDS_SECONDS}
                self._ends[pool.service.id] = [*known, now]

    def _check_ends(self, id: str) -> None:
        """Return where a service may have new processes; with the lock.

        Raises:
            NotReady: They end again and again.
        """
        ends, now = self._ends.get(id, []), _now()
        more = len([at for at in ends if now - at < _ENDS_SECONDS]) - _FREE_ENDS
        if more > 0 and now - ends[-1] < min(_MOST_PAUSE, 2.0**more):
            raise NotReady(
                "service_busy",
                "The service's processes end again and again; its requests use more than they may. Try again later.",
            )

    def _drop(self, pool: _Pool) -> bool:
        with self._lock:
            if self._pools.get(pool.service.id) is not pool:
                return False
            del self._pools[pool.service.id]
        _retire(pool)
        return True

    def _changed(self, service: WebService) -> None:
        with self._lock:
            pool = self._pools.pop(service.id, None)
            # What it is now may be better.
            self._ends.pop(service.id, None)
        if pool is not None:
            _retire(pool)
        try:
            there = self._services.get(service.name, service.version)
            if there.runtime == "Python" and self._factory is not None:
                self._pool(there)
        except (NotFound, NotReady):
            return

    def _look_after(self) -> None:
        while not self._closing.wait(min(30.0, max(0.2, self.settings.idle / 4))):
            self.sweep()

    def sweep(self) -> None:
        """End the processes of services that nobody has asked for some time."""
        before = time.monotonic() - self.settings.idle
        with self._lock:
            free = [each for each in self._pools.values() if each.service.pool is None]
            free.sort(key=lambda each: each.used)
            old = [
                each
                for each in free
                if each.used < before or len(free) - self.settings.warm > free.index(each)
            ]
            for pool in old:
                del self._pools[pool.service.id]
        for pool in old:
            _retire(pool)


def _retire(pool: _Pool) -> None:
    def retire(done: Future[Workers]) -> None:
        if not done.cancelled() and done.exception() is None:
            done.result().retire()

    # Not here: processes take a moment to end.
    threading.Thread(target=pool.started.add_done_callback, args=(retire,), daemon=True).start()


def _settle(answer: Future[Worker], worker: Worker | None = None, error: BaseException | None = None) -> None:
    if not answer.set_running_or_notify_cancel():
        if worker is not None:
            worker.release()
    elif error is not None:
        answer.set_exception(error)
    else:
        assert worker is not None
        answer.set_result(worker)


def _pass_on(one: Future[Worker], answer: Future[Worker]) -> None:
    error = one.exception()
    _settle(answer, None if error is not None else one.result(), error)


def _translated(error: BaseException | None) -> BaseException:
    if isinstance(error, KernelError):
        return NotReady("service_not_started", str(error))
    if isinstance(error, FileNotFoundError):
        return NotReady("service_not_started", "The service's snapshot is not on the disk; publish it again.")
    return error if error is not None else EngineError("service_not_started", "The service is not there.")
