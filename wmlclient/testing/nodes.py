"""A broker's process, in the hands of a test."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from attrs import define, field

from wmlclient.errors import LocalModeError

_SECONDS = 30.0


@define
class KafkaNode:
    """One broker that a test may break. What it breaks is mended after it.

    Attributes:
        number: its number in the cluster.
    """

    number: int
    _find: Callable[[], int | None] = field(repr=False)
    _start: Callable[[], object] = field(repr=False)
    _paused: int | None = field(default=None, init=False, repr=False)

    @property
    def pid(self) -> int | None:
        """Its process id; None while it does not run."""
        return self._find()

    def kill(self) -> None:
        """Ends it at once, as a crash would. :meth:`restart` brings it back."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Has it stand still: connections stay open, and nothing answers."""
        self._paused = self._running()
        os.kill(self._paused, signal.SIGSTOP)

    def resume(self) -> None:
        """Has it go on after :meth:`pause`; nothing to do where it runs."""
        paused, self._paused = self._paused, None
        if paused is not None:
            os.kill(paused, signal.SIGCONT)

    def restart(self) -> None:
        """Stops it in good order, where it runs, and starts it again at the same address, with its topics."""
        self.resume()
        if self.pid is not None:
            self._end(signal.SIGTERM)
        self._begin()

    def mend(self) -> None:
        """Has it run again, whatever was done to it."""
        self.resume()
        if self.pid is None:
            self._begin()

    def _begin(self) -> None:
        deadline = time.monotonic() + _SECONDS
        while True:
            self._start()
            # Who owns it may not have heard of the end of the last one, and have done nothing.
            if self.pid is not None:
                return
            if time.monotonic() > deadline:
                raise LocalModeError(f"Broker {self.number} does not start again.")
            time.sleep(0.1)

    def _running(self) -> int:
        pid = self.pid
        if pid is None:
            raise LocalModeError(f"Broker {self.number} does not run. restart() starts it.")
        return pid

    def _end(self, how: signal.Signals) -> None:
        pid = self._running()
        os.kill(pid, how)
        self._paused = None
        deadline = time.monotonic() + _SECONDS
        while self.pid == pid:
            if time.monotonic() > deadline:
                raise LocalModeError(f"Broker {self.number} (process {pid}) does not end.")
            time.sleep(0.02)
