"""Who gives way to whom on a busy processor: sessions to requests, requests that calculate for long to short ones.

Loaded by its path beside :mod:`guard`; the standard library only. Where the system has no such means, all are equal.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
import time
from collections.abc import Callable

#: The priority of what gives way: on a busy processor 1 part in 70 of what others get.
NICE = 19
#: A service gives way when a request has used so many seconds of CPU, and for so many seconds after.
LONG_SECONDS, HELD_SECONDS = 0.25, 60.0
# Turns of this length: what asks for longer turns than others do is interrupted by any of them (Linux from 6.12 on).
_TURN_NS = 100_000_000
_SET_ATTRIBUTES = {"x86_64": 314, "aarch64": 274}
_FORM = "=IIQiIQQQ"


def background() -> None:
    """Have this process give way, and whatever it starts."""
    os.nice(NICE)
    _long_turns(0, NICE)


class Sharing:
    """What the processes of one guard are to others.

    Args:
        always: Whether all of them give way; else they do when one has calculated for long, and a while after.
        spared: Processes that requests are copied from.
        clock: Seconds.
    """

    def __init__(self, always: bool, spared: set[int], clock: Callable[[], float] = time.monotonic) -> None:
        self._always, self._spared, self._clock = always, spared, clock
        self._seen: set[int] = set()
        self._until: float | None = None

    def look(self, pids: list[int]) -> None:
        """Look at all processes that there are now. A process may begin a group at any time, so over and over."""
        if self._always:
            _groups(pids, NICE)
            return
        now = self._clock()
        long = {pid for pid in pids if pid not in self._spared and seconds(pid) > LONG_SECONDS}
        for pid in long - self._seen:
            _long_turns(pid, NICE)
        self._seen = long
        if long:
            if self._until is None:
                # Whoever comes next is most likely the same again.
                for pid in self._spared:
                    _long_turns(pid)
            self._until = now + HELD_SECONDS
        if self._until is not None:
            over = now > self._until
            if _groups(pids, 0 if over else NICE) and over:
                self._until = None
                for pid in self._spared:
                    _long_turns(pid, turn=0)


def _long_turns(pid: int, nice: int | None = None, turn: int = _TURN_NS) -> None:
    number = _SET_ATTRIBUTES.get(platform.machine())
    if sys.platform == "linux" and number is not None:
        try:
            # Both are set at once.
            nice = os.getpriority(os.PRIO_PROCESS, pid) if nice is None else nice
        except OSError:  # it has ended
            return
        given = struct.pack(_FORM, struct.calcsize(_FORM), 0, 0, nice, 0, turn, 0, 0)
        ctypes.CDLL(None).syscall(number, pid, given, 0)


def _groups(pids: list[int], nice: int) -> bool:
    """Set the priority of groups, among which Linux shares its time before it does among their processes.

    Returns:
        False where one is to be asked again: Linux takes few changes at a time.
    """
    done = True
    for pid in pids:
        try:
            with open(f"/proc/{pid}/autogroup", "r+", encoding="ascii") as file:
                if not file.read().endswith(f" nice {nice}\n"):
                    file.write(str(nice))
        except BlockingIOError:
            done = False
        except OSError:  # no groups, or it has ended
            continue
    return done


def seconds(pid: int, own: bool = True, ended: bool = False) -> float:
    """Of CPU, in the system and beside it.

    Args:
        pid: A process.
        own: What it has used itself.
        ended: What those of its children have that it has taken leave of.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            words = file.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    ticks = sum(int(word) for word in words[11 if own else 13 : 15 if ended else 13])
    return ticks / os.sysconf("SC_CLK_TCK")
