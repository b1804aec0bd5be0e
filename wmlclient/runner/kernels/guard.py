"""Starts a session's process, limits it, watches it, and takes everything it started along when it ends.

A program of its own, the standard library only: ``python -S -E guard.py JSON``. It hears ``interrupt`` lines on
stdin and ends with it; on stdout it tells ``{"pid"}`` and at the end ``{"ended": reason}``.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

WATCH_SECONDS = 0.25

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> None:
    # Linux alone has it; elsewhere the process group has to do.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def limited(limits: dict[str, int]) -> None:
    """Set this process's limits; for the child, before it becomes another program."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    wanted = {
        resource.RLIMIT_CPU: limits["cpu_seconds"],
        resource.RLIMIT_FSIZE: limits["file_size"],
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_CORE: 0,
        # What is reserved and never written to, as thread pools do, is not memory.
        resource.RLIMIT_DATA: limits["memory"],
        # Linux counts the threads of all the user's processes; the sessions' own are watched beside.
        resource.RLIMIT_NPROC: limits["processes"] + limits["tasks_of_user"],
    }
    for what, value in wanted.items():
        _, most = resource.getrlimit(what)
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        # One second more, so that the end of its time is told from being killed.
        resource.setrlimit(what, (value, value + 1 if what == resource.RLIMIT_CPU else value))


def tasks_of_user() -> int:
    """How many threads this user has now."""
    own, count = os.getuid(), 0
    for pid in _pids():
        try:
            if os.stat(f"/proc/{pid}").st_uid == own:
                count += len(os.listdir(f"/proc/{pid}/task"))
        except OSError:
            continue
    return count


def _pids() -> Iterator[int]:
    try:
        yield from (int(name) for name in os.listdir("/proc") if name.isdigit())
    except OSError:
        return


def descendants(top: int) -> list[int]:
    """Processes below this one, adopted ones too."""
    found: list[int] = []
    waiting = [top]
    while waiting:
        pid = waiting.pop()
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                    children = [int(word) for word in file.read().split()]
                found += children
                waiting += children
        except OSError:
            continue
    return found


def memory(pids: list[int]) -> int:
    """Bytes of memory that processes hold; what they share counts for each."""
    page, total = resource.getpagesize(), 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                total += int(file.read().split()[1]) * page
        except (OSError, IndexError):
            continue
    return total


def end_all(child: subprocess.Popen[bytes]) -> None:
    """Kill the child and everything below us, also what was started while we do."""
    for _ in range(200):
        _kill_group(child.pid)
        below = descendants(os.getpid())
        for pid in below:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        reap(child)
        if not below:
            break
        time.sleep(0.005)


def reap(child: subprocess.Popen[bytes]) -> None:
    """Take leave of the child and of adopted processes that have ended."""
    child.poll()
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None:
                return
            if found.si_pid == child.pid:
                child.poll()
                if child.returncode is None:
                    return
            else:
                os.waitpid(found.si_pid, os.WNOHANG)
        except (ChildProcessError, OSError):
            return


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass


def why(code: int, limits: dict[str, int]) -> str:
    """The reason of an exit code."""
    if code == -signal.SIGXCPU:
        return f"it used more than {limits['cpu_seconds']} s of CPU"
    if code < 0:
        return f"its process was killed by {signal.Signals(-code).name}"
    return f"its process exited with {code}"


def passed(below: list[int], limits: dict[str, int]) -> str | None:
    """The limit that is passed, or None."""
    if len(below) > limits["processes"]:
        return f"it had more than {limits['processes']} processes"
    if memory(below) > limits["memory"]:
        return f"it used more than {limits['memory'] >> 20} MiB of memory"
    return None


def tell(**line: Any) -> None:
    """A line for the runner, which may have gone."""
    try:
        os.write(1, json.dumps(line).encode() + b"\n")
    except OSError:
        pass


def main(order: dict[str, Any]) -> None:
    limits = {**order["limits"], "tasks_of_user": tasks_of_user()}
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    # Ctrl-C in a terminal is for the runner, which lets go of us when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(order["log"], "ab") as log:
        try:
            child = subprocess.Popen(
                order["command"],
                cwd=order["cwd"],
                env=order["env"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                restore_signals=True,
                preexec_fn=lambda: limited(limits),
            )
        except (OSError, subprocess.SubprocessError) as error:
            tell(ended=f"its process cannot be started: {error}")
            return
    tell(pid=child.pid)
    tell(ended=watch(child, limits))


def watch(child: subprocess.Popen[bytes], limits: dict[str, int]) -> str:
    """Wait for the end, bring everything down, and say why."""
    reason = None
    while reason is None:
        ready, _, _ = select.select([0], [], [], WATCH_SECONDS)
        if ready:
            order = os.read(0, 4096)
            if not order:
                reason = "it was closed"
            elif child.poll() is None:
                try:
                    os.killpg(child.pid, signal.SIGINT)
                except OSError:
                    pass
        reap(child)
        if reason is None:
            code = child.returncode
            reason = why(code, limits) if code is not None else passed(descendants(os.getpid()), limits)
    end_all(child)
    return reason


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
    # Not by sys.exit: nothing is left to be done.
    os._exit(0)
