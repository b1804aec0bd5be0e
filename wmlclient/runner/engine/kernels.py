"""What sessions ask of the outside: processes that run code and keep a workspace.

The engine knows these Protocols only; the real ones are handed in by :mod:`wmlclient.runner.compose`, fakes by the
tests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Protocol

from attrs import field, frozen

Runtime = Literal["Python", "R"]


class KernelError(Exception):
    """A kernel refuses; the text is for the user."""


class RuntimeMissing(KernelError):
    """There is nothing here that runs this language."""


class NoSuchObject(KernelError):
    """The workspace has no object of this name."""


class KernelEnded(KernelError):
    """The process has come to an end; the text says why."""


@frozen
class Limits:
    """What a session may use.

    Attributes:
        cpu_seconds: Seconds of CPU of an execution, of all its processes together; of a request to a web service, of
            each of its processes.
        memory: Bytes of memory, of all its processes together.
        processes: Number of processes.
        file_size: Bytes of each file that it writes.
        disk: Bytes of all files in its folder together.
        open_files: Number of open files of each process.
        console: Characters that are kept of what an execution prints.
        network: Whether it has the machine's network; where it has not, it has a loopback of its own.
    """

    cpu_seconds: int = 3600
    memory: int = 4 << 30
    processes: int = 64
    file_size: int = 2 << 30
    disk: int = 4 << 30
    open_files: int = 1024
    console: int = 1 << 20
    network: bool = False


@frozen
class Execution:
    """What became of code.

    Attributes:
        error: Why it failed; None where it ran to its end.
        outputs: Names and JSON values, in the order asked.
        console: What it printed.
    """

    error: str | None = None
    outputs: list[tuple[str, Any]] = field(factory=list)
    console: str = ""


class Kernel(Protocol):
    """One running process with a workspace.

    All but :meth:`interrupt`, :meth:`console`, :meth:`end` and :attr:`ended` are called one after the other. All raise
    :class:`KernelEnded` once the process is gone, and :class:`KernelError` for what it refuses.
    """

    @property
    def ended(self) -> str | None:
        """Why the process is gone; None while it runs."""
        ...

    def execute(self, code: str, inputs: list[tuple[str, Any]], outputs: list[str]) -> Execution:
        """Set variables, run code, read variables."""
        ...

    def console(self) -> str:
        """What the current or last execution has printed so far."""
        ...

    def interrupt(self) -> None:
        """Interrupt the code that runs."""
        ...

    def names(self) -> list[str]:
        """Names of the objects in the workspace."""
        ...

    def put(self, name: str, source: Path) -> None:
        """Take an object from a file that holds it serialized."""
        ...

    def get(self, name: str, target: Path) -> None:
        """Write an object to a file."""
        ...

    def delete(self, name: str) -> None:
        """Remove an object."""
        ...

    def save(self, target: Path) -> None:
        """Write the whole workspace to a file."""
        ...

    def load(self, source: Path) -> None:
        """Add the workspace of a file."""
        ...

    def end(self) -> None:
        """End the process and all that it started. Twice is fine, from any thread."""
        ...


class Kernels(Protocol):
    """Starts kernels."""

    def check(self, runtime: Runtime) -> None:
        """Return where this language can be had.

        Raises:
            RuntimeMissing: What is missing and what to do.
        """
        ...

    def start(self, runtime: Runtime, folder: Path) -> Kernel:
        """A new kernel.

        Args:
            runtime: Its language.
            folder: A session's folder: the kernel works in ``work`` and may use the rest, too.

        Raises:
            KernelError: It does not start; the reason.
        """
        ...

    def close(self) -> None:
        """End all kernels. Twice is fine."""
        ...


class NoKernels:
    """Stands in where no session can run.

    Args:
        reason: What is missing and what to do.
    """

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def check(self, runtime: Runtime) -> None:
        """Say why not."""
        raise RuntimeMissing(self._reason)

    def start(self, runtime: Runtime, folder: Path) -> Kernel:
        """Say why not."""
        raise RuntimeMissing(self._reason)

    def close(self) -> None:
        """Nothing to end."""
