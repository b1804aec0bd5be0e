"""What web services ask of the outside: warm processes, of which each request gets one to itself.

The engine knows these Protocols only; the real ones are handed in by :mod:`wmlclient.runner.compose`.
"""

from __future__ import annotations

import socket
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol

from attrs import frozen


class WorkersEnded(Exception):
    """The processes of a service have come to an end; the text says why."""


class WorkersBusy(Exception):
    """No process became free in time."""


@frozen
class Program:
    """What a service runs.

    Attributes:
        code: Run for each request.
        init: Run before it, or None.
        inputs: Its inputs: ``{"name", "type"}``.
        outputs: Its outputs.
        files: Names of files that go into the answer.
        workspace: The saved workspace that it starts from, or None.
        stateless: Whether a process may run many requests, and ``init`` only once.
    """

    code: str
    init: str | None
    inputs: list[dict[str, str]]
    outputs: list[dict[str, str]]
    files: list[str]
    workspace: Path | None = None
    stateless: bool = False


@frozen
class StreamProgram:
    """A service that a stream runs for each record; plain data, since it travels to the stream's workers.

    Attributes:
        code, init, inputs, outputs, stateless: As in :class:`Program`.
        snapshot: The zip of its snapshot, or None.
        copies: How many records of a worker are run at once.
        seconds: Seconds that one record may take, of the clock and of CPU.
    """

    code: str
    init: str | None
    inputs: list[dict[str, str]]
    outputs: list[dict[str, str]]
    snapshot: str | None
    copies: int
    seconds: float
    stateless: bool = False


class Worker(Protocol):
    """A process that runs one request and ends, or waits for another one where its service is stateless."""

    @property
    def connection(self) -> socket.socket:
        """Takes the request and gives the answer, each after its length; see :mod:`.exchange`. Does not block."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...

    def why(self) -> str:
        """Why it ended without an answer."""
        ...

    def release(self, again: bool = False) -> None:
        """Let go of it; always called, once.

        Args:
            again: Whether it has answered, and said that it can take another request.
        """
        ...


class Workers(Protocol):
    """The processes of one service."""

    @property
    def ended(self) -> str | None:
        """Why they are gone; None while they are there."""
        ...

    @property
    def count(self) -> int:
        """How many requests can run at once."""
        ...

    def lease(self) -> Worker | Future[Worker]:
        """A process, at once or as soon as one is there.

        The future fails with :class:`WorkersEnded`, as this does, or with :class:`WorkersBusy`.
        """
        ...

    def resize(self, count: int) -> None:
        """Let so many requests run at once."""
        ...

    def retire(self) -> None:
        """End them once the requests that run have ended."""
        ...

    def close(self) -> None:
        """End them now. Twice is fine."""
        ...


class WorkerFactory(Protocol):
    """Starts workers."""

    def start(self, program: Program, folder: Path, count: int, seconds: float) -> Workers:
        """Warm processes.

        Args:
            program: What they run.
            folder: A folder of their own; what is in its ``work`` is what each request finds in its working directory.
            count: How many requests run at once.
            seconds: Seconds of CPU that a request may use.

        Raises:
            KernelError: They cannot be started; the reason.
        """
        ...

    def close(self) -> None:
        """End all that was started. Twice is fine."""
        ...
