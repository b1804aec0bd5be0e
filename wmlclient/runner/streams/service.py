"""A web service at work in a stream: a fresh guarded process runs each record, as it would run a request.

The code is a user's, so it never runs in the worker, which has the logins of Kafka: the worker keeps processes of the
service beside it, under the guard, with the limits and the isolation that requests have.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import Any

import orjson

from wmlclient.runner import verdicts
from wmlclient.runner.engine import exchange, parameters, snapshots
from wmlclient.runner.engine.errors import EngineError, Invalid
from wmlclient.runner.engine.kernels import KernelError, Limits
from wmlclient.runner.engine.ports import StreamSetupError, StreamSpec
from wmlclient.runner.engine.workers import Program, StreamProgram, WorkerFactory, Workers, WorkersEnded
from wmlclient.runner.streams.decoder import Verdict, members, undecodable
from wmlclient.runner.streams.model import OneByOne, Outcome

logger = logging.getLogger("wmlclient.runner.streams")

#: Records of a batch, at most; a batch is as large as what was run in :data:`SHORT_SECONDS`.
MOST = 1_000
SHORT_SECONDS = 1.0
#: A batch that has not begun its last record after so many seconds is given up, and run record by record.
LONG_SECONDS = 40.0
#: Ends of all its processes in a row, without a result between them, after which a stream has failed.
MOST_ENDS = 5

Isolation = Mapping[str, Any]


class ServiceModel:
    """Runs values of records through a web service.

    Args:
        program: The service.
        scores: Whether outputs alone are written, and not what came in.
        factory: Starts processes of services.
        folder: A folder of its own for them; emptied.

    Attributes:
        most: How many records to give it at once.

    Raises:
        StreamSetupError: Its processes cannot be started.
    """

    def __init__(self, program: StreamProgram, scores: bool, factory: WorkerFactory, folder: Path) -> None:
        self._program = program
        self._scores = scores
        self._factory = factory
        self._folder = folder
        self._inputs = [each["name"] for each in program.inputs]
        self._threads = ThreadPoolExecutor(program.copies, "record")
        self._starts = 0
        self._ends = 0
        self.most = program.copies
        self.fast = False
        shutil.rmtree(folder, ignore_errors=True)
        self._workers = self._started()

    def close(self) -> None:
        """End its processes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._factory.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, values: Sequence[bytes | None]) -> Outcome:
        """Run some records. Never raises for what a record holds, where there is one.

        Raises:
            OneByOne: One of several has ended the processes of all, or they take too long together.
            StreamSetupError: The processes cannot be started.
        """
        outcome = Outcome()
        taken: dict[int, tuple[dict[str, str], bytes]] = {}
        for place, value in enumerate(values):
            read = self._read(value)
            if isinstance(read, Verdict):
                outcome.verdicts[place] = read
            else:
                taken[place] = read
        begun = time.monotonic()
        if self._workers.ended is not None:
            self._workers = self._started()
        running = {
            place: self._threads.submit(self._ask, request, begun + LONG_SECONDS)
            for place, (_, request) in taken.items()
        }
        answers = {place: future.result() for place, future in running.items()}
        self._judge(answers, len(taken))
        for place, answer in answers.items():
            assert answer is not None
            if answer["success"]:
                outcome.scored[place] = self._written(taken[place][0], answer["outputParameters"])
            else:
                outcome.verdicts[place] = Verdict("score", answer["errorMessage"])
        self._pace(len(taken), time.monotonic() - begun)
        return outcome

    def _judge(self, answers: Mapping[int, dict[str, Any] | None], count: int) -> None:
        """Raise where the answers of several say nothing about each of them."""
        late, ended = None in answers.values(), self._workers.ended
        if ended is None or any(answer and answer["success"] for answer in answers.values()):
            self._ends = 0
        elif count == 1:
            self._ends += 1
            if self._ends >= MOST_ENDS:
                raise StreamSetupError(
                    "service_ended",
                    f"The processes of the service end again and again: {ended}.",
                    retriable=True,
                )
        if count == 1 and late:
            raise StreamSetupError(
                "service_ended",
                f"No process of the service is ready after {LONG_SECONDS:.0f} s.",
                retriable=True,
            )
        if count > 1 and (late or ended is not None):
            self.most = self._program.copies
            raise OneByOne(
                f"the processes of the service have ended ({ended})"
                if ended
                else "they take too long together"
            )

    def _pace(self, count: int, seconds: float) -> None:
        if seconds > SHORT_SECONDS:
            self.most = max(self._program.copies, self.most // 2)
        elif count >= self.most and seconds < SHORT_SECONDS / 2:
            self.most = min(MOST, self.most * 2)

    def _read(self, value: bytes | None) -> tuple[dict[str, str], bytes] | Verdict:
        """The members of a record, each as it was written, and the request that it is; or why it is none."""
        try:
            record = orjson.loads(value)  # type: ignore[arg-type]
        except (orjson.JSONDecodeError, TypeError):
            return Verdict("decode", undecodable(value))
        if not isinstance(record, dict):
            return Verdict("decode", verdicts.NOT_AN_OBJECT)
        assert value is not None
        texts = members(value.decode())
        if texts is None:
            return Verdict("decode", verdicts.TWICE)
        for name in self._inputs:
            if name not in record:
                return Verdict("schema", verdicts.missing(name))
        request = {name: record[name] for name in self._inputs}
        try:
            parameters.check(self._program.inputs, request)
        except Invalid as error:
            return Verdict("schema", error.message)
        return texts, orjson.dumps(request)

    def _ask(self, request: bytes, until: float) -> dict[str, Any] | None:
        """The result of one record; None where it was not begun in time, a failed one where there is none."""
        try:
            leased = self._workers.lease()
            worker = (
                leased.result(max(0.0, until - time.monotonic())) if isinstance(leased, Future) else leased
            )
        except FutureTimeout:
            leased.add_done_callback(_give_back)  # type: ignore[union-attr]
            return None
        except WorkersEnded as error:
            return exchange.failed(str(error), ())
        if time.monotonic() >= until:
            worker.release()
            return None
        found: dict[str, Any] = orjson.loads(exchange.ask(worker, request, self._program.seconds, ()))
        return found

    def _written(self, texts: dict[str, str], outputs: Mapping[str, Any]) -> bytes:
        """The record that goes out: what came in, as it was written, with the outputs in their places or after it."""
        made = {
            each["name"]: orjson.dumps(outputs.get(each["name"])).decode() for each in self._program.outputs
        }
        whole = made if self._scores else {**texts, **made}
        return (
            "{" + ",".join(f"{orjson.dumps(name).decode()}:{text}" for name, text in whole.items()) + "}"
        ).encode()

    def _started(self) -> Workers:
        self._starts += 1
        folder, program = self._folder / str(self._starts), self._program
        work, workspace = folder / "work", None
        work.mkdir(mode=0o700, parents=True)
        try:
            if program.snapshot is not None:
                workspace = folder / "workspace.dill"
                snapshots.unpack(Path(program.snapshot), work, workspace)
            return self._factory.start(
                Program(
                    program.code,
                    program.init,
                    program.inputs,
                    program.outputs,
                    [],
                    workspace,
                    program.stateless,
                ),
                folder,
                program.copies,
                program.seconds,
            )
        except (KernelError, EngineError, OSError) as error:
            raise StreamSetupError(
                "service_not_started",
                f"The processes of the service cannot be started: {error}",
                retriable=True,
            ) from None


def _give_back(leased: Future[Any]) -> None:
    if not leased.cancelled() and leased.exception() is None:
        leased.result().release()


def open_service(spec: StreamSpec, isolation: Isolation | None) -> ServiceModel:
    """The web service of a stream.

    Args:
        spec: The stream.
        isolation: ``limits``, ``hidden``, ``environment`` and ``folder``, as plain data.

    Raises:
        StreamSetupError: It cannot be started.
    """
    if isolation is None:
        raise StreamSetupError(
            "native_streams_not_found",
            "Streams of web services need more packages. Run: pip install 'wmlclient[sessions]'",
        )
    from wmlclient.runner.kernels.workers import ServiceWorkers

    assert spec.program is not None
    factory = ServiceWorkers(
        Limits(**isolation["limits"]), [Path(each) for each in isolation["hidden"]], isolation["environment"]
    )
    scores = (spec.target_format or {}).get("output") == "scores"
    return ServiceModel(spec.program, scores, factory, Path(isolation["folder"]))
