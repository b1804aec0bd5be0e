"""Waits: look, pause, look again, with a deadline and a progress bar."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

from attrs import frozen

from wmlclient.errors import ConfigError

T = TypeVar("T")

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0


@frozen
class Clock:
    """Time, so that a test can hand in its own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


CLOCK = Clock()


def progress_bar(progress: bool | None, **arguments: Any) -> Any:
    """A ``tqdm.auto`` bar.

    Args:
        progress: True shows it, False does not, None shows it on a terminal or in a notebook.
            ``WMLCLIENT_PROGRESS=0`` turns off what None leaves open.
        arguments: for tqdm.
    """
    from tqdm.auto import tqdm

    if progress is None and os.environ.get("WMLCLIENT_PROGRESS") == "0":
        progress = False
    # None is tqdm's own word for: not where nobody looks
    return tqdm(disable=None if progress is None else not progress, leave=False, **arguments)


def poll(
    look: Callable[[], T],
    done: Callable[[T], bool],
    *,
    timeout: float | None,
    late: Callable[[T, float], Exception],
    text: Callable[[T], str] = str,
    label: str = "waiting",
    progress: bool | None = None,
    clock: Clock | None = None,
) -> T:
    """Looks until it is done.

    Args:
        look: gets the present state.
        done: tells whether it is the one waited for; may raise.
        timeout: seconds until the deadline; None waits for ever.
        late: makes the error of a wait that took too long, from the last state and the timeout.
        text: what the progress bar says about a state.
        label: what the progress bar says it waits for.
        progress: as for :func:`progress_bar`.
        clock: for tests.
    """
    if timeout is not None and timeout < 0:
        raise ConfigError(f"timeout={timeout!r}: give seconds, or None.")
    clock = clock or CLOCK
    deadline = None if timeout is None else clock.now() + timeout
    state = look()
    if done(state):
        return state
    pause = FIRST_PAUSE
    with progress_bar(progress, desc=label, bar_format="{desc}: {elapsed}{postfix}") as bar:
        while True:
            left = None if deadline is None else deadline - clock.now()
            if left is not None and left <= 0:
                raise late(state, timeout or 0.0)
            bar.set_postfix_str(text(state))
            clock.sleep(pause if left is None else min(pause, left))
            pause = min(pause * 1.5, LONGEST_PAUSE)
            state = look()
            if done(state):
                return state
