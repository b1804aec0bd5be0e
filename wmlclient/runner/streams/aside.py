"""Calls with a limit that holds, of a client that forgets its own.

librdkafka's ``send_offsets_to_transaction`` waits for the broker that led the group, however long it is gone
(its issues 5456 and 5511).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent import futures
from queue import SimpleQueue
from typing import Any

from confluent_kafka import KafkaError, KafkaException


class Aside:
    """A thread of one producer, which makes such calls one after the other.

    One that is stuck stays behind with its producer: what it sends when that broker is back is the word of one who was
    fenced off. It takes no other call, and the thread ends with it.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # A thread for each call would bring each a memory pool of its own, in a worker that lives for weeks.
        threading.Thread(target=self._run, name="aside", daemon=True).start()

    def call(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Call, and wait for a second longer than its own limit.

        Args:
            call: What to call.
            arguments: Its arguments, the last of them its limit in seconds.

        Raises:
            KafkaException: Of the call; ``_TIMED_OUT`` where it does not come back.
        """
        done: futures.Future[None] = futures.Future()

        def run() -> None:
            try:
                done.set_result(call(*arguments))
            except BaseException as problem:
                done.set_exception(problem)

        self._calls.put(run)
        try:
            done.result(arguments[-1] + 1)
        except futures.TimeoutError:
            raise KafkaException(
                KafkaError(KafkaError._TIMED_OUT, f"no answer in {arguments[-1] + 1:.0f} s")
            ) from None

    def close(self) -> None:
        """End the thread, after the call that is under way."""
        self._calls.put(None)

    def _run(self) -> None:
        for call in iter(self._calls.get, None):
            call()
