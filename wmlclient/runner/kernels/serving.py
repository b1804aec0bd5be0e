"""The process of a web service: warmed once, then copied for each request.

It loads the snapshot and imports what the code imports, and keeps some copies of itself (forks) waiting. Each copy
runs one request and ends, so no request sees what another has left in memory or in the working directory.

A program of its own: ``python serving.py CONTROL_FD SPEC_FILE``. Over the control socket the runner gets a socket to
each copy; a request and its answer are JSON after eight bytes with their length.
"""

from __future__ import annotations

import ast
import base64
import gc
import importlib
import importlib.util
import io
import json
import os
import resource
import select
import shutil
import signal
import socket
import struct
import sys
import traceback
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

#: Before each message: its length.
LENGTH = struct.Struct("!Q")
#: On the control socket: what, which copy, and with ``ENDED`` how it ended.
CONTROL = struct.Struct("!BIi")
READY, ENDED, KILL, COPIES = range(4)

#: Seconds after which processes are looked for that a request has left behind.
SWEEP_SECONDS = 1.0
#: The exit code of a copy that has answered, or was not asked.
DONE = 77
_PR_SET_CHILD_SUBREAPER = 36

State = dict[str, tuple[int, int, int]]


def _workspace() -> Any:
    """The module with the words for values, which stands beside this one."""
    spec = importlib.util.spec_from_file_location(
        "_wmlclient_workspace", Path(__file__).with_name("workspace.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Service:
    """The code of a service, ready to be run.

    Args:
        about: What to run: ``code``, ``initCode``, ``inputs``, ``outputs``, ``files``, ``workspace`` (a file or None).
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

    def answer(self, request: bytes, before: State) -> bytes:
        """Run the code for a request; once."""
        console = _Console(self._most)
        sys.stdout = sys.stderr = console
        outputs: dict[str, Any] = {}
        error = self._broken
        if error is None:
            space = vars(self._module)
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


def received(connection: socket.socket) -> bytes:
    """A message.

    Raises:
        EOFError: The other end has gone.
    """
    (length,) = LENGTH.unpack(_exactly(connection, LENGTH.size))
    return _exactly(connection, length)


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts, missing = [], size
    while missing:
        part = connection.recv(min(missing, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


class Nursery:
    """Keeps copies of this process.

    Args:
        control: The socket to the runner.
        copies: How many there are at once, waiting or at work.
        folder: Where each has its folder.
        template: What each finds in its working directory.
        run: What a copy does with its socket.
    """

    def __init__(
        self,
        control: socket.socket,
        copies: int,
        folder: Path,
        template: Path,
        run: Callable[[socket.socket], None],
    ) -> None:
        self._control = control
        self._copies = copies
        self._folder = folder
        self._template = template if any(template.iterdir()) else None
        self._run = run
        self._next = 0
        self._alive: dict[int, int] = {}
        self._wake, self._woken = os.pipe()

    def keep(self) -> None:
        """Keep copies until the runner lets go of the control socket."""
        for end in (self._wake, self._woken):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        control = self._control.fileno()
        while True:
            while len(self._alive) < self._copies:
                self._copy()
            ready, _, _ = select.select([control, self._wake], [], [], SWEEP_SECONDS)
            if control in ready and not self._heard():
                return
            if self._wake in ready:
                try:
                    os.read(self._wake, 4096)
                except BlockingIOError:
                    pass
            self._bury()
            if not ready:
                self._sweep()

    def _copy(self) -> None:
        id = self._next = self._next + 1
        here, there = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            there.close()
            self._be_copy(here, self._folder / str(id))
        here.close()
        self._alive[pid] = id
        try:
            socket.send_fds(self._control, [CONTROL.pack(READY, id, 0)], [there.fileno()])
        except OSError:  # the runner has gone
            os._exit(0)
        there.close()

    def _be_copy(self, connection: socket.socket, folder: Path) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            self._control.close()
            os.close(self._wake)
            os.close(self._woken)
            work, temporary = folder / "work", folder / "tmp"
            os.mkdir(folder, 0o700)
            os.mkdir(temporary, 0o700)
            if self._template is None:
                os.mkdir(work, 0o700)
            else:
                shutil.copytree(self._template, work, symlinks=True)
            os.chdir(work)
            os.environ["TMPDIR"] = str(temporary)
            self._run(connection)
            code = DONE
        except EOFError:  # no request came
            code = DONE
        finally:
            os._exit(code)

    def _heard(self) -> bool:
        try:
            message = _exactly(self._control, CONTROL.size)
        except (EOFError, OSError):
            return False
        what, id, value = CONTROL.unpack(message)
        if what == COPIES:
            self._copies = value
        for pid, known in self._alive.items():
            if what == KILL and known == id:
                _kill_group(pid)
        return True

    def _bury(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            id = self._alive.pop(pid, None)
            if id is None:
                continue
            # What it has started ends with it.
            _kill_group(pid)
            code = os.waitstatus_to_exitcode(status)
            if code != DONE:
                try:
                    self._control.sendall(CONTROL.pack(ENDED, id, code))
                except OSError:
                    os._exit(0)
            shutil.rmtree(self._folder / str(id), ignore_errors=True)

    def _sweep(self) -> None:
        """Kill what left its group and lost its parent: it is ours now, and no copy."""
        try:
            with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
                children = [int(word) for word in file.read().split()]
        except OSError:
            return
        for pid in children:
            if pid not in self._alive:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    continue


def _kill_group(pid: int) -> None:
    # A copy has a group of its own from its first moment on; a moment before, it has ours.
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except OSError:
            continue


def main(control: int, about_file: str) -> None:
    """Be the process of a service until the end."""
    about = json.loads(Path(about_file).read_text(encoding="utf-8"))
    words = _workspace()
    # The service's modules are looked for where its files are, and ours are not in the way.
    sys.path[0] = ""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    service = Service(about, words)
    warnings.filterwarnings("ignore", message=".*multi-threaded.*fork", category=DeprecationWarning)

    def run(connection: socket.socket) -> None:
        before = state()
        request = received(connection)
        seconds, memory = about["seconds"], about["memory"]
        for what, value in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_DATA, memory)):
            most = resource.getrlimit(what)[1]
            soft = value if most == resource.RLIM_INFINITY else min(value, most)
            resource.setrlimit(what, (soft, most))
        answer = service.answer(request, before)
        connection.sendall(LENGTH.pack(len(answer)) + answer)

    # What is there now is never looked through again, so copies share it.
    gc.collect()
    gc.freeze()
    Nursery(socket.socket(fileno=control), about["copies"], Path(about["requests"]), Path.cwd(), run).keep()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
    os._exit(0)
