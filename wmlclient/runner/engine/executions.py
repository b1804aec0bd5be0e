"""Batch executions: a web service run for many inputs, with results that outlive the runner.

One that is at work when the runner ends, however it ends, has failed; what it had finished by then is kept.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

import orjson
from attrs import define, field

from ..store import Execution, Referenced, Store, WebService
from . import exchange, parameters
from .clock import new_id, now_ms
from .consuming import Consumption
from .errors import EngineError, Invalid, NotFound
from .webservices import WebServiceService
from .workers import Worker, WorkersBusy, WorkersEnded

logger = logging.getLogger("wmlclient.runner.services")

#: Requests of all executions that are under way at once.
THREADS = 16
#: Seconds after which results are written down.
FLUSH = 0.25
FINISHED = ("Complete", "Failed")


@define(eq=False)
class _Live:
    """An execution at work.

    Attributes:
        id: Identity.
        service: What it runs.
        left: The requests that nobody has taken.
        crews: How many threads are at it.
        started: Whether one has begun.
        unwritten: Results that are not in the store yet.
        failed: Whether no further request can be run.
        cancelled: Whether it is not wanted any more.
        workers: The processes of its requests.
    """

    id: str
    service: WebService
    left: Iterator[tuple[int, bytes]]
    crews: int
    started: bool = False
    unwritten: dict[int, bytes] = field(factory=dict)
    written_at: float = field(factory=time.monotonic)
    failed: bool = False
    cancelled: bool = False
    workers: set[Worker] = field(factory=set)
    lock: threading.Lock = field(factory=threading.Lock)


class ExecutionService:
    """All batch executions.

    Args:
        store: Rows.
        services: Web services; those that are deleted take their executions along.
        consumption: Runs requests.
        realtime: Runs a request of a realtime service.
        clock: Milliseconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        services: WebServiceService,
        consumption: Consumption,
        realtime: Callable[[WebService, bytes], bytes],
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._services = services
        self._consumption = consumption
        self._realtime = realtime
        self._clock = clock
        self._lock = threading.Lock()
        self._live: dict[str, _Live] = {}
        self._threads = ThreadPoolExecutor(THREADS, "batch")
        services.on_change.append(self._changed)

    def start(self) -> None:
        """Say of those that the last run left unfinished that they have failed."""
        count = self._store.executions.fail_unfinished()
        if count:
            logger.info("%d batch executions were under way when the runner ended: they have failed", count)

    def close(self) -> None:
        """Leave off. What is under way has failed, as the next start says. Twice is fine."""
        with self._lock:
            live = list(self._live.values())
        for each in live:
            self._cancel(each)
        self._threads.shutdown(wait=True, cancel_futures=True)

    def begin(self, service: WebService, owner: str, records: list[Any], parallel: int) -> str:
        """Start one.

        Args:
            service: What to run.
            owner: User.
            records: The inputs of each request.
            parallel: How many requests to run at once; a process is left for single requests, where there are two.

        Returns:
            Its identity.

        Raises:
            Invalid: A record does not fit the service.
            NotFound: The service is gone.
        """
        for number, record in enumerate(records):
            try:
                parameters.check(service.body["inputParameterDefinitions"], record)
            except Invalid as error:
                raise Invalid(error.code, f"Record {number}: {error.message}", error.target) from None
        made = Execution(new_id(), service.id, owner, "Pending", len(records), self._clock())
        try:
            self._store.executions.add(made)
        except Referenced:
            raise NotFound("service_not_found", "The web service was deleted.") from None
        crews = max(1, min(parallel, len(records), self._consumption.count(service) - 1, THREADS))
        work = iter([(number, orjson.dumps(record)) for number, record in enumerate(records)])
        live = _Live(made.id, service, work, crews)
        with self._lock:
            self._live[made.id] = live
        for _ in range(crews):
            self._threads.submit(self._crew, live)
        return made.id

    def list(self, service: WebService, owner: str) -> list[str]:
        """Identities of a user's own, oldest first."""
        return self._store.executions.of(service.id, owner)

    def get(self, service: WebService, owner: str, id: str) -> Execution:
        """One of a user's own.

        Raises:
            NotFound: There is none.
        """
        found = self._store.executions.get(id)
        if found is None or found.service_id != service.id or found.owner != owner:
            raise NotFound("execution_not_found", "There is no such batch execution.")
        return found

    def results(self, execution: Execution) -> dict[int, bytes]:
        """Results so far, by the number of their request. What is shown is written down before."""
        live = self._live.get(execution.id)
        if live is not None:
            self._flush(live)
        return self._store.executions.results(execution.id)

    def result(self, execution: Execution, number: int) -> dict[str, Any] | None:
        """The result of one request; None while there is none.

        Raises:
            NotFound: It has no such request.
        """
        if not 0 <= number < execution.total:
            raise NotFound(
                "record_not_found", f"The batch execution has {execution.total} records, counted from 0."
            )
        live = self._live.get(execution.id)
        if live is not None:
            self._flush(live)
        raw = self._store.executions.result(execution.id, number)
        found: dict[str, Any] | None = None if raw is None else orjson.loads(raw)
        return found

    def delete(self, execution: Execution) -> None:
        """Cancel it where it is at work, and forget it."""
        with self._lock:
            live = self._live.pop(execution.id, None)
        if live is not None:
            self._cancel(live)
        self._store.executions.delete(execution.id)

    # -- the work

    def _crew(self, live: _Live) -> None:
        """Run one request after the other until none is left."""
        try:
            self._write(live, "InProgress", once=True)
            while not (live.cancelled or live.failed):
                with live.lock:
                    number, request = next(live.left, (None, b""))
                if number is None:
                    break
                self._one(live, number, request)
        except Exception:
            logger.exception("the batch execution %s has failed", live.id)
            live.failed = True
        finally:
            with live.lock:
                live.crews -= 1
                last = live.crews == 0
            if last:
                self._finish(live)

    def _one(self, live: _Live, number: int, request: bytes) -> None:
        result = self._result(live, request)
        if result is None or live.cancelled:
            return
        with live.lock:
            live.unwritten[number] = result
            due = time.monotonic() - live.written_at >= FLUSH
        if due:
            self._write(live, "InProgress")

    def _result(self, live: _Live, request: bytes) -> bytes | None:
        """The result of a request; None where there is to be none."""
        files = live.service.body["outputFileNames"]
        if live.service.runtime == "Realtime":
            try:
                return self._realtime(live.service, request)
            except Invalid as error:
                return orjson.dumps(exchange.failed(str(error), files))
        try:
            worker = self._leased(live)
        except EngineError as error:
            logger.info("the batch execution %s has failed: %s", live.id, error)
            live.failed = True
            return None
        if worker is None:
            return None
        with live.lock:
            live.workers.add(worker)
            if live.cancelled:
                worker.kill()
        try:
            return exchange.ask(worker, request, self._consumption.settings.seconds, files)
        finally:
            with live.lock:
                live.workers.discard(worker)

    def _leased(self, live: _Live) -> Worker | None:
        """A process for one request; None where it is not wanted any more."""
        for _ in range(3):
            leased = self._consumption.lease(live.service)
            if not isinstance(leased, Future):
                return leased
            try:
                while not live.cancelled:
                    try:
                        return leased.result(0.5)
                    except FutureTimeout:
                        continue
                leased.cancel()
                return None
            except (WorkersBusy, WorkersEnded) as error:
                logger.info("a request of the batch execution %s is tried again: %s", live.id, error)
        live.failed = True
        return None

    def _write(self, live: _Live, state: str, once: bool = False, more: bool = False) -> None:
        """Write down what is not yet.

        Args:
            live: The execution.
            state: Its state now.
            once: Whether only the first call counts.
            more: Whether only a call with results counts: one that comes after the last must not change the state.
        """
        with live.lock:
            if live.cancelled or (once and live.started) or (more and not live.unwritten):
                return
            live.started = True
            try:
                self._store.executions.set_state(live.id, state, live.unwritten)
            except Referenced:  # deleted meanwhile
                live.cancelled = True
            live.unwritten = {}
            live.written_at = time.monotonic()

    def _flush(self, live: _Live) -> None:
        if live.unwritten:
            self._write(live, "InProgress", more=True)

    def _finish(self, live: _Live) -> None:
        try:
            self._write(live, "Failed" if live.failed else "Complete")
        except Exception:
            # In the store it is as it was, and the next start says that it has failed.
            logger.exception("the results of the batch execution %s are not kept", live.id)
        with self._lock:
            self._live.pop(live.id, None)

    @staticmethod
    def _cancel(live: _Live) -> None:
        with live.lock:
            live.cancelled = True
            workers = list(live.workers)
        for worker in workers:
            worker.kill()

    def _changed(self, service: WebService) -> None:
        """A service that is deleted takes its executions along; the store has forgotten them."""
        try:
            if self._services.get(service.name, service.version).id == service.id:
                return
        except NotFound:
            pass
        with self._lock:
            gone = [each for each in self._live.values() if each.service.id == service.id]
            for live in gone:
                del self._live[live.id]
        for live in gone:
            self._cancel(live)
