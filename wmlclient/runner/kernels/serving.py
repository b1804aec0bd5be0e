"""The process of a web service: warmed once, then copied for each request.

It loads the snapshot and imports what the code imports, and keeps some copies of itself (forks) waiting. Each copy
runs one request and ends, so no request sees what another has left in memory or in the working directory. Copies of a
service that is said to be stateless run many, until one of them leaves something behind.

A program of its own: ``python serving.py CONTROL_FD SPEC_FILE``. Over the control socket the runner gets a socket to
each copy; a request and its answer are JSON after eight bytes with their length.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import gc
import importlib
import importlib.util
import io
import json
import os
import resource
import socket
import sys
import traceback
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PR_SET_CHILD_SUBREAPER = 36
#: The interpreter fits code to what it is used for in its first runs.
_REHEARSALS = 20
#: Requests that a copy of a stateless service runs at most: what leaks comes to an end, too.
_MOST_RUNS = 10_000

State = dict[str, tuple[int, int, int]]


def _beside(name: str) -> Any:
    """A module that stands beside this one."""
    spec = importlib.util.spec_from_file_location(
        f"_wmlclient_{name}", Path(__file__).with_name(f"{name}.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Service:
    """The code of a service, ready to be run.

    Args:
        about: What to run: ``code``, ``initCode``, ``inputs``, ``outputs``, ``files``, ``workspace`` (a file or None),
            ``stateless``.
        words: The module :mod:`workspace`.
    """

    def __init__(self, about: dict[str, Any], words: Any) -> None:
        self._words = words
        self._most = int(about["console"])
        self._inputs: dict[str, str] = {each["name"]: each["type"] for each in about["inputs"]}
        self._outputs: list[str] = [each["name"] for each in about["outputs"]]
        self._files: list[str] = about["files"]
        # Objects of a snapshot look for their module by this name, and dill keeps what it finds when it is imported.
        self._module = types.ModuleType("__main__")
        sys.modules["__main__"] = self._module
        self._programs: list[types.CodeType] = []
        self._names: dict[str, Any] | None = None
        self._broken: str | None = None
        try:
            for name in ("initCode", "code"):
                if about[name]:
                    self._programs.append(compile(about[name], f"<{name}>", "exec", dont_inherit=True))
            if about["workspace"]:
                self._load(about["workspace"])
        except BaseException as error:
            self._broken = _said(error)
        self._import("\n".join(about[name] or "" for name in ("initCode", "code")))

    def _load(self, workspace: str) -> None:
        import dill

        try:
            vars(self._module).update(dill.loads(Path(workspace).read_bytes()))  # noqa: S301 - its publisher's process
        except BaseException as error:
            raise RuntimeError(f"the snapshot cannot be loaded: {_said(error)}") from None

    def _import(self, code: str) -> None:
        """Import what the code will import, so that no request waits for it."""
        kinds = set(self._inputs.values())
        names = {"numpy"} if kinds & {"vector", "matrix"} else set()
        names |= {"pandas"} if "data.frame" in kinds else set()
        try:
            for node in ast.walk(ast.parse(code)):
                if isinstance(node, ast.Import):
                    names.update(alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names.add(node.module)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            pass
        for name in sorted(names):
            try:
                importlib.import_module(name)
            except BaseException:  # noqa: S112 - said where the code itself imports it
                continue

    def rehearse(self) -> None:
        """Do all but the code, while no request waits: memory that is written to for the first time is slow."""
        self._broken, broken = "a rehearsal", self._broken
        self.answer(b"{}", state())
        self._broken = broken
        # Copies would all draw the same numbers; Python's own generator sees to that by itself.
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            numpy.random.seed()

    def warm(self, run: Callable[[socket.socket], None], request: bytes) -> None:
        """Do what copies do, but the code, until it changes nothing any more: what a copy changes it has to copy.

        Args:
            run: What a copy does with its socket.
            request: A request as it comes.
        """
        broken, streams = self._broken, (sys.stdout, sys.stderr)
        limits = {what: resource.getrlimit(what) for what in (resource.RLIMIT_CPU, resource.RLIMIT_DATA)}
        self._broken = "a rehearsal"
        for _ in range(_REHEARSALS):
            here, there = socket.socketpair()
            with here, there, contextlib.suppress(EOFError):
                there.sendall(request)
                there.shutdown(socket.SHUT_WR)
                run(here)
        self._broken, self._names, (sys.stdout, sys.stderr) = broken, None, streams
        for what, value in limits.items():
            resource.setrlimit(what, value)

    def begin(self) -> None:
        """Run the ``initCode`` of a stateless service, before any request; each then finds the names that it left."""
        if self._broken is None and len(self._programs) > 1:
            try:
                exec(self._programs.pop(0), vars(self._module))  # noqa: S102 - what a service is
            except BaseException as problem:
                self._broken = _said(problem)
        self._names = dict(vars(self._module))

    def answer(self, request: bytes, before: State) -> bytes:
        """Run the code for a request; once, where the service is not stateless."""
        console = _Console(self._most)
        sys.stdout = sys.stderr = console
        outputs: dict[str, Any] = {}
        error = self._broken
        if error is None:
            space = vars(self._module)
            if self._names is not None:
                space.clear()
                space.update(self._names)
            try:
                space.update(self._given(json.loads(request)))
                for program in self._programs:
                    exec(program, space)  # noqa: S102 - what a service is
                outputs = {name: self._output(space, name) for name in self._outputs}
            except BaseException as problem:
                outputs, error = {}, _said(problem, self._words.Refused)
                console.write(_where(problem))
        result = {
            "success": error is None,
            "errorMessage": self._words.plain(error or ""),
            "consoleOutput": self._words.plain(console.getvalue()),
            "changedFiles": [self._words.plain(name) for name in _changed(before, state())],
            "outputFiles": {name: _encoded(name) for name in self._files},
            "outputParameters": outputs,
        }
        return json.dumps(result, allow_nan=False, separators=(",", ":")).encode()

    def _given(self, request: dict[str, Any]) -> dict[str, Any]:
        return {name: decoded(request.get(name), kind) for name, kind in self._inputs.items()}

    def _output(self, space: dict[str, Any], name: str) -> Any:
        if name not in space:
            raise NameError(f"name {name!r} is not defined")
        return self._words.plain(space[name], name)


def decoded(value: Any, kind: str) -> Any:
    """A value of a request as the code sees it: arrays, matrices and data frames are numpy's and pandas's."""
    if value is None:
        return None
    if kind == "numeric":
        return float(value)
    if kind == "integer":
        return int(value)
    if kind in ("vector", "matrix"):
        try:
            import numpy as np
        except ImportError:
            return value
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            return np.array(value) if kind == "vector" else np.asmatrix(np.array(value))
    if kind == "data.frame":
        try:
            import pandas as pd
        except ImportError:
            return value
        return pd.DataFrame(value)
    return value


class _Console(io.StringIO):
    """What code prints, as much as is kept."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._room = most

    def write(self, text: str) -> int:
        if self._room > 0:
            kept = text if len(text) <= self._room else text[: self._room] + "\n... (the rest is not kept)\n"
            super().write(kept)
        self._room -= len(text)
        return len(text)


def _said(error: BaseException, refused: type[BaseException] | None = None) -> str:
    try:
        text = str(error)
    except Exception:
        text = ""
    if refused is not None and isinstance(error, refused):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _where(error: BaseException) -> str:
    """Where in the code an error was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if each.filename in ("<code>", "<initCode>")]
    return "".join(f"  {each.filename}, line {each.lineno}, in {each.name}\n" for each in own)


def state() -> State:
    """The files in the working directory, and what changes when one is written."""
    found: State = {}
    with os.scandir(".") as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                about = entry.stat(follow_symlinks=False)
                found[entry.name] = about.st_mtime_ns, about.st_size, about.st_ino
    return found


def _changed(before: State, after: State) -> list[str]:
    return sorted(name for name, now in after.items() if before.get(name) != now)


def _encoded(name: str) -> str | None:
    path = Path(name)
    if path.is_symlink() or not path.is_file():
        return None
    return base64.b64encode(path.read_bytes()).decode("ascii")


def limit(seconds: int, memory: int) -> None:
    """Let this process use so many more seconds of CPU, and so many bytes in all."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds += int(used.ru_utime + used.ru_stime)
    for what, value in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_DATA, memory)):
        most = resource.getrlimit(what)[1]
        soft = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(what, (soft, most))


def main(control: int, about_file: str) -> None:
    """Be the process of a service until the end."""
    about = json.loads(Path(about_file).read_text(encoding="utf-8"))
    words, nursery = _beside("workspace"), _beside("nursery")
    # The service's modules are looked for where its files are, and ours are not in the way.
    sys.path[0] = ""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _beside("older").install()
    service = Service(about, words)
    warnings.filterwarnings("ignore", message=".*multi-threaded.*fork", category=DeprecationWarning)

    def run(connection: socket.socket) -> None:
        service.rehearse()
        if about["stateless"]:
            return run_many(connection)
        before = state()
        request = nursery.received(connection)
        limit(about["seconds"], about["memory"])
        nursery.send(connection, service.answer(request, before), last=True)

    def run_many(connection: socket.socket) -> None:
        limit(about["seconds"], about["memory"])
        service.begin()
        before, traces = state(), nursery.traces()
        for left in reversed(range(_MOST_RUNS)):
            request = nursery.received(connection)
            answer = service.answer(request, before)
            last = not left or nursery.traces() != traces or state() != before
            if not last:
                limit(about["seconds"], about["memory"])
            nursery.send(connection, answer, last)
            if last:
                return

    service.warm(run, nursery.LENGTH.pack(2) + b"{}")
    # What is there now is never looked through again, so copies share it.
    gc.collect()
    gc.freeze()
    nursery.Nursery(
        socket.socket(fileno=control), about["copies"], Path(about["requests"]), Path.cwd(), run
    ).keep()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
    os._exit(0)
