"""Parquet files, read here or in a process of their own.

A server reads them apart: the library that reads them takes 40 MB that scoring needs for nothing, leaves holes in the
memory around what it reads, and has been seen to end its whole process over a damaged file. The process comes with the
first file and goes when there has been none for some seconds, or when the server goes.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import pickle
import select
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

from wmlclient.scoring.errors import ArchiveError
from wmlclient.scoring.footer import Unreadable

__all__ = ["Form", "ReadingProcess", "read", "read_apart"]

Form: TypeAlias = Literal["rows", "columns"]
"""As :func:`wmlclient.scoring.cells.read_rows` gives them, or as ``read_columns`` does."""

IDLE_SECONDS = 5.0
_LENGTH = struct.Struct("<Q")
_ERRORS: dict[str, type[Exception]] = {"Unreadable": Unreadable, "ArchiveError": ArchiveError}
_OURS = ("wmlclient.scoring.cells", "Matrix"), ("wmlclient.scoring.values", "Sparse")


def _read_here(form: Form, files: list[Path]) -> Any:
    from wmlclient.scoring import cells  # a server that has no model yet needs no NumPy

    return cells.read_rows(files) if form == "rows" else cells.read_columns(files)


_reader: Callable[[Form, list[Path]], Any] = _read_here


def read(form: Form, files: list[Path]) -> Any:
    """What stands in some Parquet files.

    Raises:
        Unreadable: They are damaged, or hold more than is read.
        ArchiveError: A vector or a matrix of theirs cannot be.
    """
    return _reader(form, files)


def read_apart() -> None:
    """From now on this process reads Parquet files of models in another one."""
    global _reader
    _reader = ReadingProcess().read


class ReadingProcess:
    """The process that reads, as the one that asks sees it. Threads take turns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, form: Form, files: list[Path]) -> Any:
        """As :func:`read`."""
        question = json.dumps([form, [str(file.absolute()) for file in files]]).encode()
        with self._lock:
            answer = self._asked(question)
        kind, found = _Unpickler(io.BytesIO(answer)).load()
        if kind is not None:
            raise _ERRORS[kind](found)
        return found

    def _asked(self, question: bytes) -> bytes:
        if self._process is not None:
            try:
                return self._answer(self._process, question)
            except _Gone as gone:
                if gone.code:  # not one that had nothing to do any more
                    raise Unreadable(str(gone)) from None
        command = [sys.executable, "-m", __name__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            return self._answer(self._process, question)
        except _Gone as gone:
            raise Unreadable(str(gone)) from None

    def _answer(self, process: subprocess.Popen[bytes], question: bytes) -> bytes:
        try:
            _send(process.stdin, question)
            answer = _received(process.stdout)
        except BrokenPipeError:
            answer = None
        if answer is None:
            self._process = None
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]
            raise _Gone(process.wait())
        return answer


class _Gone(Exception):
    def __init__(self, code: int) -> None:
        how = signal.Signals(-code).name if code < 0 else f"the code {code}"
        super().__init__(f"is not readable Parquet: the process that read it ended with {how}")
        self.code = code


def _send(pipe: Any, message: bytes) -> None:
    pipe.write(_LENGTH.pack(len(message)))
    pipe.write(message)
    pipe.flush()


def _received(pipe: Any) -> bytes | None:
    """The next message; None where the other end is gone."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    message: bytes = pipe.read(length)
    return message if len(message) == length else None


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        import numpy as np

        return (obj.dtype.str, obj.tobytes()) if isinstance(obj, np.ndarray) else None


class _Unpickler(pickle.Unpickler):
    """Takes plain values, arrays and our own two classes, and runs nothing else."""

    def persistent_load(self, pid: Any) -> Any:
        import numpy as np

        kind, content = pid
        return np.frombuffer(content, np.dtype(kind))

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _OURS:
            raise pickle.UnpicklingError(f"{module}.{name} is not expected here")
        return getattr(importlib.import_module(module), name)


def _serve(questions: BinaryIO, answers: BinaryIO) -> None:
    while select.select([questions], [], [], IDLE_SECONDS)[0]:
        question = _received(questions)
        if question is None:
            return
        form, files = json.loads(question)
        out = io.BytesIO()
        try:
            answer: tuple[str | None, Any] = (None, _read_here(form, [Path(file) for file in files]))
        except (Unreadable, ArchiveError) as error:
            answer = (type(error).__name__, str(error))
        _Pickler(out, pickle.HIGHEST_PROTOCOL).dump(answer)
        del answer
        _send(answers, out.getbuffer())  # type: ignore[arg-type]


if __name__ == "__main__":
    # What a library prints must not stand among the answers.
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _serve(sys.stdin.buffer, channel)
