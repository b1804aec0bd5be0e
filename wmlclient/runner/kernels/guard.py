"""Starts a session's process, limits it, watches it, and takes everything it started along when it ends.

Where the system allows (Linux with user namespaces), the process gets a world of its own: it sees no other process, no
network, and of the runner's folders only its session's. What it may write is what is in its folders (:mod:`world`).

A program of its own, the standard library only: ``python -S -E guard.py JSON``. On stdin it hears lines, ``begin``
where an execution begins and ``interrupt``, and ends with it; on stdout it tells ``{"pid"}`` and at the end
``{"ended": reason}``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

WATCH_SECONDS = 0.25
#: The folder is looked at once in so many turns, and so many files are a reason by themselves.
DISK_TURNS, MOST_FILES = 4, 200_000
#: Whether the system tells what processes use.
_COUNTED = sys.platform == "linux"


def _beside(name: str) -> Any:
    """A module that stands beside this one: where this program runs, there is no package."""
    file = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"_wmlclient_{name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sharing, world = _beside("sharing"), _beside("world")


def limited(limits: dict[str, int]) -> None:
    """Set this process's limits; for the child, before it becomes another program."""
    world.prctl(world.PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    wanted = {
        # Counted by the guard, for each execution, where the system tells it.
        resource.RLIMIT_CPU: resource.RLIM_INFINITY if _COUNTED else limits["cpu_seconds"],
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
        if most != resource.RLIM_INFINITY:
            value = most if value == resource.RLIM_INFINITY else min(value, most)
        # One second more, so that the end of its time is told from being killed.
        more = what == resource.RLIMIT_CPU and value not in (most, resource.RLIM_INFINITY)
        resource.setrlimit(what, (value, value + 1 if more else value))


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
        children = _children(pid)
        found += children
        waiting += children
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += [int(word) for word in file.read().split()]
    except OSError:
        pass
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
        below = descendants(os.getpid())
        for kill, pid in [(os.killpg, child.pid), *((os.kill, each) for each in below)]:
            try:
                kill(pid, signal.SIGKILL)
            except OSError:
                pass
        reap(child)
        if not below:
            break
        time.sleep(0.005)


def reap(child: subprocess.Popen[bytes]) -> None:
    """Take leave of the child and of adopted processes that have ended."""
    child.poll()
    while hasattr(os, "waitid"):
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


def why(code: int, limits: dict[str, int]) -> str:
    """The reason of an exit code."""
    if code == -signal.SIGXCPU:
        return too_long(limits)
    if code < 0:
        return f"its process was killed by {signal.Signals(-code).name}"
    return f"its process exited with {code}"


def too_long(limits: dict[str, int]) -> str:
    """What is said of an execution that has used too much."""
    return f"it used more than {limits['cpu_seconds']} s of CPU"


def processor(below: list[int]) -> float:
    """Seconds of CPU that processes below us have used so far, those that have ended too."""
    ended = sharing.seconds(os.getpid(), own=False, ended=True)
    return float(sum(sharing.seconds(pid, ended=True) for pid in below) + ended)


def passed(below: list[int], limits: dict[str, int]) -> str | None:
    """The limit that is passed, or None."""
    if len(below) > limits["processes"]:
        return f"it had more than {limits['processes']} processes"
    if memory(below) > limits["memory"]:
        return f"it used more than {limits['memory'] >> 20} MiB of memory"
    return None


def full(folder: str, limits: dict[str, int]) -> str | None:
    """The limit that the files of a folder pass, or None. What is sparse counts as what it takes."""
    taken, files = 0, 0
    for top, folders, names in os.walk(folder):
        files += len(names) + len(folders)
        for name in names:
            try:
                taken += os.lstat(os.path.join(top, name)).st_blocks * 512
            except OSError:
                continue
        if files > MOST_FILES:
            return f"it had more than {MOST_FILES} files"
    return f"its files took more than {limits['disk'] >> 20} MiB" if taken > limits["disk"] else None


def tell(**line: Any) -> None:
    """A line for the runner, which may have gone."""
    try:
        os.write(1, json.dumps(line).encode() + b"\n")
    except OSError:
        pass


def main(order: dict[str, Any]) -> None:
    limits = {**order["limits"], "tasks_of_user": tasks_of_user()}
    world.prctl(world.PR_SET_CHILD_SUBREAPER, 1)
    # Ctrl-C in a terminal is for the runner, which lets go of us when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    apart = bool(order["hidden"]) and world.possible()
    with open(order["log"], "ab") as log:
        try:
            if apart:
                world.separate(bool(limits["network"]))
                world.hide(order["hidden"], order["shown"])
                child = first_process(order, limits, log)
            else:
                child = program(order, log, lambda: before(order, limits))
        except (OSError, subprocess.SubprocessError) as error:
            tell(ended=f"its process cannot be started: {error}")
            return
    pid = program_of(child) if apart else child.pid
    if pid is None:
        end_all(child)
        tell(ended="its process cannot be started; its log says why")
        return
    tell(pid=pid, apart=apart, fenced=world.fences())
    tell(ended=watch(child, pid, {**order, "limits": limits}, apart))


def before(order: dict[str, Any], limits: dict[str, int]) -> None:
    """Bind this process; for the child, before it becomes the program."""
    limited(limits)
    if order["background"]:
        sharing.background()
    if world.fences():
        world.fence(order["writable"])


def program(order: dict[str, Any], log: Any, first: Callable[[], None]) -> subprocess.Popen[bytes]:
    """Start the program itself."""
    return subprocess.Popen(
        order["command"],
        cwd=order["cwd"],
        env=order["env"],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        preexec_fn=first,
        pass_fds=order["descriptors"],
    )


def first_process(order: dict[str, Any], limits: dict[str, int], log: Any) -> subprocess.Popen[bytes]:
    """Start process 1 of a world of its own, which starts the program."""
    more = {"first": {**order, "limits": limits}}
    return subprocess.Popen(
        [sys.executable, "-S", "-E", __file__, json.dumps(more)],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        preexec_fn=lambda: world.prctl(world.PR_SET_PDEATHSIG, signal.SIGKILL),
        pass_fds=order["descriptors"],
    )


def be_first(order: dict[str, Any]) -> int:
    """Be process 1: start the program, take leave of orphans, end with the program and all that is left of it."""
    world.own_processes()

    def bound() -> None:
        world.powerless()
        before(order, order["limits"])

    child = program(order, None, bound)
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def program_of(first: subprocess.Popen[bytes]) -> int | None:
    """The program that process 1 has started, as we see it; None where it could not."""
    for _ in range(3000):
        children = _children(first.pid)
        if children:
            return children[0]
        if first.poll() is not None:
            return None
        time.sleep(0.005)
    return None


def interrupt(pid: int) -> None:
    """Do what Ctrl-C would."""
    try:
        os.killpg(pid, signal.SIGINT)
    except OSError:
        pass


def watch(child: subprocess.Popen[bytes], pid: int, order: dict[str, Any], apart: bool) -> str:
    """Wait for the end, bring everything down, and say why."""
    limits, folder = order["limits"], os.path.dirname(order["cwd"])
    shared = sharing.Sharing(order["background"], {child.pid, pid})
    reason, turn, since = None, 0, 0.0
    while reason is None:
        turn += 1
        ready, _, _ = select.select([0], [], [], WATCH_SECONDS)
        if ready:
            heard = os.read(0, 4096)
            if not heard:
                reason = "it was closed"
            for word in heard.split():
                if word == b"begin":
                    since = processor(descendants(os.getpid()))
                elif child.poll() is None:
                    interrupt(pid)
        reap(child)
        if reason is None and child.returncode is not None:
            code = child.returncode
            reason = why(128 - code if apart and code > 128 else code, limits)
        elif reason is None:
            below = descendants(os.getpid())
            shared.look(below)
            # Process 1 is ours.
            reason = passed([each for each in below if not apart or each != child.pid], limits)
            if reason is None and processor(below) - since > limits["cpu_seconds"]:
                reason = too_long(limits)
            if reason is None and turn % DISK_TURNS == 0:
                reason = full(folder, limits)
    end_all(child)
    return reason


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    # Not by sys.exit: nothing is left to be done.
    if "first" in given:
        os._exit(be_first(given["first"]))
    main(given)
    os._exit(0)
