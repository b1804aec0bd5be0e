"""Waits and their progress bars."""

from __future__ import annotations

from typing import Any

import pytest

from wmlclient.errors import ConfigError
from wmlclient.waiting import LONGEST_PAUSE, poll, progress_bar


class Late(Exception):
    """The deadline passed."""


def late(state: int, seconds: float) -> Late:
    return Late(f"{state} after {seconds}")


def test_it_ends_as_soon_as_it_is_done(clock: Any) -> None:
    states = iter(range(10))

    assert poll(lambda: next(states), lambda s: s == 3, timeout=60, late=late, clock=clock) == 3
    assert len(clock.pauses) == 3


def test_what_is_done_at_once_costs_no_pause_and_no_bar(
    clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert poll(lambda: 1, bool, timeout=0, late=late, clock=clock, progress=True) == 1
    assert clock.pauses == []
    assert capsys.readouterr().err == ""


def test_pauses_grow_to_a_limit_and_the_last_one_meets_the_deadline(clock: Any) -> None:
    with pytest.raises(Late, match="0 after 20"):
        poll(lambda: 0, bool, timeout=20, late=late, clock=clock)

    assert clock.time == pytest.approx(20)
    assert clock.pauses[0] < clock.pauses[1] < clock.pauses[2]
    assert max(clock.pauses) == LONGEST_PAUSE


def test_none_waits_for_ever(clock: Any) -> None:
    with pytest.raises(StopIteration):
        poll(iter(range(500)).__next__, lambda _: False, timeout=None, late=late, clock=clock)
    assert clock.time > 900


def test_a_timeout_below_zero_is_refused(clock: Any) -> None:
    with pytest.raises(ConfigError, match="timeout=-1"):
        poll(lambda: 1, bool, timeout=-1, late=late, clock=clock)


def test_what_the_look_raises_gets_out(clock: Any) -> None:
    with pytest.raises(LookupError):
        poll(lambda: {}["x"], bool, timeout=1, late=late, clock=clock)


@pytest.mark.parametrize(
    ("progress", "environment", "shown"),
    [(True, None, True), (True, "0", True), (False, None, False), (None, None, False), (None, "0", False)],
)
def test_the_bar_shows_where_it_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    progress: bool | None,
    environment: str | None,
    shown: bool,
) -> None:
    """None shows it on a terminal; there is none in a test."""
    monkeypatch.delenv("WMLCLIENT_PROGRESS", raising=False)
    if environment:
        monkeypatch.setenv("WMLCLIENT_PROGRESS", environment)

    with progress_bar(progress, desc="uploading", total=2) as bar:
        bar.update(2)

    captured = capsys.readouterr()
    assert ("uploading" in captured.err) is shown
    assert captured.out == ""
