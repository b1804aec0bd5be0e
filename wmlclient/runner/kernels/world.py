"""A world of its own for a session's process: what it sees, and where it can write.

Loaded by its path beside :mod:`guard`; the standard library only. Namespaces hide other processes, the network and the
runner's folders. Landlock refuses to write anywhere but in the session's folders, also where there are no namespaces.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
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

#: Bytes of the shared memory of a world of its own, which is memory and no folder.
_SHARED = 64 << 20
_SHARED_FOLDER = "/dev/shm"  # noqa: S108 - where shared memory is

# linux/landlock.h; the numbers of the calls are the same on all machines.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
#: The first that can refuse to truncate.
_LEAST_VERSION = 3
_WRITE, _TRUNCATE = 1 << 1, 1 << 14
#: Write, remove, make (devices, folders, files, sockets, pipes, links), move, truncate: the bits 1 and 4 to 14.
_CHANGES = _WRITE | sum(1 << bit for bit in range(4, 15))
#: What programs write to that is no storage.
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts")


def prctl(option: int, value: int) -> None:
    """Ask the system for something; only Linux has it, and elsewhere the process group has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


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


def hide(hidden: Sequence[str], shown: Sequence[str]) -> None:
    """Cover folders, but for some that are in them, and the shared memory of others by a small one."""
    kept = [(path, os.open(path, os.O_PATH | os.O_DIRECTORY)) for path in shown]
    for path in hidden:
        about = f"mode=0755,size=256k,uid={os.getuid()},gid={os.getgid()}"
        _mount("tmpfs", path, "tmpfs", _MS_NOSUID | _MS_NODEV, about)
    for path, descriptor in kept:
        os.makedirs(path, exist_ok=True)
        _mount(f"/proc/self/fd/{descriptor}", path, None, _MS_BIND | _MS_REC)
        os.close(descriptor)
    if os.path.isdir(_SHARED_FOLDER):
        _mount("tmpfs", _SHARED_FOLDER, "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode=1777,size={_SHARED}")


def powerless() -> None:
    """Give up all that the owner of a namespace may do in it, for good."""
    for capability in range(64):
        _libc().prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def fences() -> bool:
    """Whether this system can refuse a process to write outside of some folders."""
    return (
        sys.platform == "linux" and int(_libc().syscall(_CREATE_RULESET, None, 0, _VERSION)) >= _LEAST_VERSION
    )


def fence(folders: Sequence[str]) -> None:
    """Let this process, and all that it starts, change nothing but what is in some folders, for good.

    Memory that is shared, and what processes say of themselves in ``/proc``, can be written all the same.
    """
    handled = struct.pack("Q", _CHANGES)
    rules = int(_libc().syscall(_CREATE_RULESET, handled, len(handled), 0))
    _checked(min(rules, 0))
    for path in (*folders, _SHARED_FOLDER):
        _allow(rules, path, _CHANGES)
    for path in ("/proc", *(f"/dev/{name}" for name in _DEVICES)):
        _allow(rules, path, _WRITE | _TRUNCATE)
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _checked(_libc().syscall(_RESTRICT_SELF, rules, 0))
    os.close(rules)


def _allow(rules: int, path: str, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not every system has each of them
        return
    try:
        _checked(_libc().syscall(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", access, place), 0))
    finally:
        os.close(place)


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _mount(source: str | None, target: str, kind: str | None, flags: int, about: str | None = None) -> None:
    words = [None if word is None else word.encode() for word in (source, target, kind, about)]
    _checked(_libc().mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]))
