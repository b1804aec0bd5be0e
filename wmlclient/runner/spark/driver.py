"""The Spark driver process: ``python -m wmlclient.runner.spark.driver --dir home/spark/<id>``.

It speaks JSON lines (see :mod:`wmlclient.runner.lines`) over the stdin and stdout that it was started with. At the
end of stdin, which is the death of its parent, it kills its JVM and ends.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import attrs

from wmlclient.runner import lines
from wmlclient.runner.engine.ports import PortError
from wmlclient.runner.spark.failures import root_cause
from wmlclient.runner.spark.files import FileScorer
from wmlclient.runner.spark.learner import Learner
from wmlclient.runner.spark.models import ModelCache
from wmlclient.runner.spark.session import Session
from wmlclient.runner.spark.streaming import Streams
from wmlclient.runner.spark.transform import Transformer

logger = logging.getLogger("wmlclient.runner.spark.driver")

_STOP_SECONDS = 20.0
_TRANSFORMS = 4


class Driver:
    """Takes requests and answers them, several at once."""

    def __init__(self, folder: Path, requests: IO[bytes], answers: IO[bytes], foreign: bool = False) -> None:
        self._requests, self._answers = requests, answers
        self._writing = threading.Lock()
        self._session = Session(folder)
        self._foreign = foreign
        self._transforms = ThreadPoolExecutor(_TRANSFORMS, thread_name_prefix="transform")
        # A stream's start and stop may take long; they must not wait for each other, nor a request for them.
        self._controls = ThreadPoolExecutor(32, thread_name_prefix="control")
        self._ready = threading.Event()
        self._exiting = threading.Event()

    def run(self) -> None:
        """Work until told to exit, or until the parent is gone."""
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        try:
            self._session.start()
            models = ModelCache(self._session, self._foreign)
            self._transformer = Transformer(self._session, models)
            self._files = FileScorer(self._session, models)
            self._learner = Learner(self._session, models, self._foreign)
            self._streams = Streams(self._session, models, self._event)
            ready = {"version": self._session.version, "jvm_pid": self._session.jvm_pid}
        except BaseException as error:
            logger.exception("Spark does not start")
            self._send(
                {"failed": {"code": "spark_start_failed", "message": f"Spark does not start: {_say(error)}"}}
            )
            self._die(1)
        threading.Thread(target=self._watch_jvm, name="jvm", daemon=True).start()
        self._send({"ready": ready})
        self._ready.set()
        threading.Event().wait()

    def _read(self) -> None:
        for line in self._requests:
            try:
                message = lines.decode(line)
                number, op, args = message["id"], message["op"], message["args"]
            except (ValueError, KeyError):
                logger.error("a request could not be read")
                continue
            if op == "exit":
                threading.Thread(target=self._exit, name="exit").start()
                continue
            pool = self._transforms if op == "transform" else self._controls
            pool.submit(self._answer, number, getattr(self, f"_op_{op}"), args)
        self._die(0)

    def _watch_jvm(self) -> None:
        """A JVM that dies alone (out of memory, killed) takes this process along, so that the parent sees it."""
        code = self._session.wait()
        logger.error("the JVM has ended with code %s", code)
        if not self._exiting.is_set():
            self._die(3)

    def _answer(self, number: int, operation: Callable[..., Any], args: dict[str, Any]) -> None:
        self._ready.wait()
        try:
            answer = {"id": number, "result": operation(**args)}
        except PortError as error:
            told = {"code": error.code, "message": error.message, "retriable": error.retriable}
            answer = {"id": number, "error": told}
        except BaseException as error:
            logger.exception("a request failed")
            answer = {"id": number, "error": {"code": "spark_failed", "message": _say(error)}}
        self._send(answer)

    def _op_transform(self, **args: Any) -> dict[str, Any]:
        return attrs.asdict(self._transformer.run(**args))

    def _op_score_files(self, **args: Any) -> dict[str, Any]:
        return self._files.run(**args)

    def _op_cancel_files(self, job_id: str) -> None:
        self._files.cancel(job_id)

    def _op_evaluate(self, **args: Any) -> dict[str, Any]:
        return self._learner.evaluate(**args)

    def _op_train(self, **args: Any) -> dict[str, Any]:
        return self._learner.train(**args)

    def _op_start_stream(self, spec: dict[str, Any]) -> None:
        self._streams.start(lines.spec_from_json(spec))

    def _op_check_stream(self, spec: dict[str, Any]) -> None:
        self._streams.check(lines.spec_from_json(spec))

    def _op_update_stream(self, spec: dict[str, Any]) -> None:
        self._streams.update(lines.spec_from_json(spec))

    def _op_stop_stream(self, stream_id: str) -> None:
        self._streams.stop(stream_id)

    def _event(self, stream_id: str, kind: str, details: dict[str, Any]) -> None:
        self._send({"event": {"stream_id": stream_id, "kind": kind, "details": details}})

    def _send(self, message: lines.Message) -> None:
        line = lines.encode(message)
        with self._writing:
            try:
                self._answers.write(line)
                self._answers.flush()
            except OSError:
                self._die(0)

    def _exit(self) -> None:
        self._exiting.set()
        if self._ready.is_set():
            self._streams.stop_all(_STOP_SECONDS)
            self._session.stop()
        self._die(0)

    def _die(self, code: int) -> None:
        """End at once, the JVM first: nothing must be left behind, and nothing here needs a farewell."""
        self._session.kill()
        os._exit(code)


def _say(error: BaseException) -> str:
    try:
        return root_cause(error)
    except Exception:
        # Asking a JVM that is gone for the cause fails itself.
        return f"{type(error).__name__}: {error}"


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="wmlclient-spark-driver")
    parser.add_argument("--dir", required=True, type=Path)
    parser.add_argument("--allow-foreign-classes", action="store_true")
    arguments = parser.parse_args()
    requests, answers = lines.own_pipes()
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)-5s %(name)s: %(message)s"
    )
    logging.getLogger("py4j").setLevel(logging.WARNING)
    Driver(arguments.dir, requests, answers, arguments.allow_foreign_classes).run()


if __name__ == "__main__":
    main()
