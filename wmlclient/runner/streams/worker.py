"""A worker process: ``python -m wmlclient.runner.streams.worker``.

Its first line of stdin says what to run (passwords travel through the pipe, never on a command line), ``{"op":
"exit"}`` ends it after the batch that is under way. At the end of stdin, which is the death of its parent, it ends at
once: what it had under way was never committed. Its events go to stdout, see :mod:`wmlclient.runner.lines`.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
from typing import IO, TYPE_CHECKING, Any

from wmlclient.runner import lines
from wmlclient.runner.engine.ports import PortError, StreamSpec

if TYPE_CHECKING:
    from wmlclient.runner.streams.model import RecordModel

logger = logging.getLogger("wmlclient.runner.streams")


class Worker:
    """Runs one worker of one stream.

    Args:
        requests: Lines of the parent.
        answers: Takes its own.
    """

    def __init__(self, requests: IO[bytes], answers: IO[bytes]) -> None:
        self._requests, self._answers = requests, answers
        self._writing = threading.Lock()
        self._stopping = threading.Event()
        self._begun = threading.Event()
        self._loop: Any = None
        self._isolation: dict[str, Any] | None = None

    def run(self) -> int:
        """Work; returns the exit code."""
        first = self._requests.readline()
        if not first:
            return 0
        task = lines.decode(first)
        threading.Thread(target=self._listen, name="requests", daemon=True).start()
        try:
            self._isolation = task.get("isolation")
            self._work(lines.spec_from_json(task["spec"]), str(task["name"]), bool(task["lasting"]))
        except PortError as error:
            logger.error("%s: %s", error.code, error.message)
            self._tell("failed", {"code": error.code, "message": error.message, "retriable": error.retriable})
            return 1
        except Exception as error:
            logger.exception("the worker failed")
            message = f"Unexpected {type(error).__name__} in a worker; see its log."
            self._tell("failed", {"code": "stream_failed", "message": message, "retriable": True})
            return 1
        self._tell("stopped", {})
        return 0

    def _work(self, spec: StreamSpec, name: str, lasting: bool) -> None:
        from wmlclient.runner.streams.loop import StreamLoop

        model = self._model(spec)
        # What is loaded now stays, and a batch's thousands of values hold no cycles to look for.
        gc.freeze()
        gc.set_threshold(100_000, 20, 20)
        self._loop = StreamLoop(spec, model, name, lasting, self._tell)
        self._begun.set()
        if self._stopping.is_set():
            self._loop.stop()
        try:
            self._loop.run()
        finally:
            model.close()

    def _model(self, spec: StreamSpec) -> RecordModel:
        if spec.program is not None:
            from wmlclient.runner.streams.service import open_service

            return open_service(spec, self._isolation)
        from wmlclient.runner.streams.model import open_model

        return open_model(spec)

    def _listen(self) -> None:
        for line in self._requests:
            said = lines.decode(line)
            if said.get("op") == "exit":
                self._stopping.set()
                if self._loop is not None:
                    self._loop.stop()
            elif said.get("op") == "swap":
                self._swap(lines.spec_from_json(said["spec"]))
        os._exit(0)

    def _swap(self, spec: StreamSpec) -> None:
        """Load another model beside the one at work."""
        self._begun.wait()
        try:
            model = self._model(spec)
        except Exception as error:
            message = error.message if isinstance(error, PortError) else type(error).__name__
            logger.exception("the model %s cannot be loaded", spec.model_digest)
            self._tell("not_loaded", {"digest": spec.model_digest, "message": message})
            return
        self._loop.swap(spec, model)

    def _tell(self, kind: str, details: dict[str, Any]) -> None:
        line = lines.encode({"event": {"kind": kind, "details": details}})
        with self._writing:
            try:
                self._answers.write(line)
                self._answers.flush()
            except OSError:
                os._exit(0)


def main() -> None:
    """Entry point."""
    requests, answers = lines.own_pipes()
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)-5s %(name)s: %(message)s"
    )
    code = Worker(requests, answers).run()
    logging.shutdown()
    os._exit(code)


if __name__ == "__main__":
    main()
