"""Seconds of CPU: what a request costs, whoever else is at work on the machine."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil


def seconds(pid: int) -> float:
    """CPU that a process and those below it have used so far, with those that have ended and were waited for."""
    total = 0.0
    top = psutil.Process(pid)
    for process in [top, *top.children(recursive=True)]:
        try:
            used = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system + used.children_user + used.children_system
    return total


def milliseconds_a_call(pid: int, call: Callable[[], object], calls: int) -> float:
    """Milliseconds of CPU of a server and all below it for each of some calls, what is done behind them included."""
    before = seconds(pid)
    for _ in range(calls):
        call()
    # What is left of the last ones.
    time.sleep(0.5)
    return (seconds(pid) - before) * 1000 / calls


def child(word: str) -> psutil.Process:
    """The process below us that has a word in its command line.

    Raises:
        RuntimeError: There is none.
    """
    for process in psutil.Process().children(recursive=True):
        if any(word in part for part in process.cmdline()):
            return process
    raise RuntimeError(f"no process of {word!r}")
