"""Starts a session's process, limits it, watches it, and takes everything it started along when it ends.

Where the system allows (Linux with user namespaces), the process gets a world of its own: it sees no other process, no
network, and of the runner's folders only its session's.

A program of its own, the standard library only: ``python -S -E guard.py JSON``. It hears ``interrupt`` lines on
stdin and ends with it; on stdout it tells ``{"pid"}`` and at the end ``{"ended": reason}``.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

WATCH_SECONDS = 0.25
#: The folder is looked at once in so many turns, and so many files are a reason by themselves.
DISK_TURNS, MOST_FILES = 4, 200_000

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWNS = 0x00020000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP_RUNNING = 0x8914, 0x41
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_BIND, _MS_REC, _MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18


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


def possible() -> bool:
    """Whether this system lets a session have namespaces of its own. Tried out in a process that ends at once."""
    if sys.platform != "linux":
        return False
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            separate(network=False)
            inner = os.fork()
            if inner == 0:
                own_processes()
                os._exit(0)
            code = os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1])
        except OSError:
            pass
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def separate(network: bool) -> None:
    """Give this process mounts, perhaps a network, of its own and its next child a world in which that is process 1."""
    user, group = os.getuid(), os.getgid()
    kinds = _CLONE_NEWUSER | _CLONE_NEWNS | _CLONE_NEWPID | _CLONE_NEWIPC
    _checked(_libc().unshare(kinds if network else kinds | _CLONE_NEWNET))
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    if not network:
        # Libraries that talk to themselves over loopback, as Spark's do, find one.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP_RUNNING))


def own_processes() -> None:
    """Show this process, which is the first of its world, no processes but those below it."""
    _checked(_libc().unshare(_CLONE_NEWNS))
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)


def hide(hidden: list[str], shown: list[str]) -> None:
    """Cover folders, but for some that are in them."""
    kept = [(path, os.open(path, os.O_PATH | os.O_DIRECTORY)) for path in shown]
    for path in hidden:
        about = f"mode=0755,size=256k,uid={os.getuid()},gid={os.getgid()}"
        _mount("tmpfs", path, "tmpfs", _MS_NOSUID | _MS_NODEV, about)
    for path, descriptor in kept:
        os.makedirs(path, exist_ok=True)
        _mount(f"/proc/self/fd/{descriptor}", path, None, _MS_BIND | _MS_REC)
        os.close(descriptor)


def powerless() -> None:
    """Give up all that the owner of a namespace may do in it, for good."""
    for capability in range(64):
        _libc().prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _mount(source: str | None, target: str, kind: str | None, flags: int, about: str | None = None) -> None:
    words = [None if word is None else word.encode() for word in (source, target, kind, about)]
    _checked(_libc().mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]))


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
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    # Ctrl-C in a terminal is for the runner, which lets go of us when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    apart = bool(order["hidden"]) and possible()
    with open(order["log"], "ab") as log:
        try:
            if apart:
                separate(bool(limits["network"]))
                hide(order["hidden"], order["shown"])
                child = first_process(order, limits, log)
            else:
                child = program(order, log, lambda: limited(limits))
        except (OSError, subprocess.SubprocessError) as error:
            tell(ended=f"its process cannot be started: {error}")
            return
    pid = program_of(child) if apart else child.pid
    if pid is None:
        end_all(child)
        tell(ended="its process cannot be started; its log says why")
        return
    tell(pid=pid, apart=apart)
    tell(ended=watch(child, pid, limits, apart, os.path.dirname(order["cwd"])))


def program(order: dict[str, Any], log: Any, before: Callable[[], None]) -> subprocess.Popen[bytes]:
    """Start the program itself."""
    return subprocess.Popen(
        order["command"],
        cwd=order["cwd"],
        env=order["env"],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        preexec_fn=before,
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
        preexec_fn=lambda: _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
        pass_fds=order["descriptors"],
    )


def be_first(order: dict[str, Any]) -> int:
    """Be process 1: start the program, take leave of orphans, end with the program and all that is left of it."""
    own_processes()

    def before() -> None:
        limited(order["limits"])
        powerless()

    child = program(order, None, before)
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


def watch(child: subprocess.Popen[bytes], pid: int, limits: dict[str, int], apart: bool, folder: str) -> str:
    """Wait for the end, bring everything down, and say why."""
    reason, turn = None, 0
    while reason is None:
        turn += 1
        ready, _, _ = select.select([0], [], [], WATCH_SECONDS)
        if ready:
            order = os.read(0, 4096)
            if not order:
                reason = "it was closed"
            elif child.poll() is None:
                try:
                    os.killpg(pid, signal.SIGINT)
                except OSError:
                    pass
        reap(child)
        if reason is None and child.returncode is not None:
            code = child.returncode
            reason = why(128 - code if apart and code > 128 else code, limits)
        elif reason is None:
            below = descendants(os.getpid())
            # Process 1 is ours.
            reason = passed([each for each in below if not apart or each != child.pid], limits)
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
