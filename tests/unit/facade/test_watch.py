"""What ``wmlclient deployments watch`` shows of a stream."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from wmlclient.cli.watch import _HEADS, _table, row
from wmlclient.streams import StreamProgress


def stream(progress: StreamProgress | None, **more: Any) -> Any:
    given = {"id": "1", "name": "tweets", "engine": "native", "state": "ready", "errors": [], **more}
    return SimpleNamespace(progress=progress, **given)


def test_a_line_says_it_all() -> None:
    told = StreamProgress(
        records_in=1_500,
        records_out=1_000,
        dead_letters=20,
        records_per_second=99.6,
        records_out_per_second=80.0,
        dead_letters_per_second=5.4,
        lag={0: 5, 1: 7},
        latency_ms={"p50": 4.0, "p99": 40.0},
        restarts=2,
        last_error="broker down",
    )
    numbers = ("1,500", "100", "80", "20", "5", "12 (0: 5, 1: 7)", "4", "40", "2")
    assert row(stream(told)) == ("tweets", "native", "ready", *numbers, "broker down")
    failed = row(stream(None, state="failed", errors=[{"message": "no [topic]"}]))
    assert (failed[2], failed[3], failed[12]) == ("failed", "", "no [topic]")
    assert len(failed) == len(row(stream(told))) == len(_HEADS)


def test_of_many_partitions_those_are_shown_for_which_most_waits() -> None:
    lag = {number: number for number in range(10)}
    assert row(stream(StreamProgress(lag=lag)))[8] == "45 (6: 6, 7: 7, 8: 8, 9: 9, ...)"


def test_the_table_shows_names_as_they_are() -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(_table([row(stream(None, name="[red]x[/red]", errors=[{"message": "no [topic]"}]))]))
    text = console.export_text()
    assert "[red]x[/red]" in text
    assert "no [topic]" in text
    assert "P99 ms" in text
