"""The pipe between a runner and the process that started it: JSON lines in on stdin, out on stdout.

When the parent ends, however it ends, the pipe ends, and so does the runner.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

logger = logging.getLogger("wmlclient.runner")

Action = Callable[[], "dict[str, Any]"]


class Control:
    """The runner's end of the pipe.

    It takes stdin and stdout for itself: what else is printed in this process goes to stderr.
    """

    def __init__(self) -> None:
        self._in = os.dup(0)
        self._out = os.dup(1)
        self._lock = threading.Lock()
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        sys.stdout.flush()
        os.dup2(2, 1)

    def say(self, line: Mapping[str, Any]) -> None:
        """Tell the parent. A parent that has gone is no error: the end of the pipe says so."""
        data = json.dumps(line).encode() + b"\n"
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._out, data) :]
            except BrokenPipeError:
                pass

    def listen(self, actions: Mapping[str, Action], stop: Callable[[], None]) -> None:
        """Answer the parent from now on, on a thread.

        Args:
            actions: What is done for ``{"op": name}``; the result is the answer.
            stop: Called at ``{"op": "stop"}`` and at the end of the pipe.
        """
        threading.Thread(target=self._listen, args=(actions, stop), name="control", daemon=True).start()

    def _listen(self, actions: Mapping[str, Action], stop: Callable[[], None]) -> None:
        for line in self._lines():
            try:
                op = json.loads(line)["op"]
            except (ValueError, TypeError, KeyError):
                logger.warning("the control pipe holds a line that is no command")
                continue
            if op == "stop":
                break
            self.say({"op": op, **_outcome(actions.get(op))})
        logger.info("ending: the control pipe says so")
        stop()

    def _lines(self) -> Iterator[bytes]:
        # Not sys.stdin: a thread that waits there would hold a lock that the interpreter wants at its end.
        waiting = b""
        while piece := os.read(self._in, 65536):
            *whole, waiting = (waiting + piece).split(b"\n")
            yield from whole


def _outcome(action: Action | None) -> dict[str, Any]:
    if action is None:
        return {"ok": False, "code": "unknown_op", "message": "There is no such command."}
    try:
        return {"ok": True, **action()}
    except Exception as error:
        if not hasattr(error, "code"):
            logger.exception("a command of the control pipe failed")
        return {"ok": False, "code": getattr(error, "code", "internal_error"), "message": str(error)}
