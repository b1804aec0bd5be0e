"""What ``wmlclient deployments watch`` shows of a stream."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from wmlclient.cli.watch import Rates, _table, row
from wmlclient.streams import StreamProgress


def stream(progress: StreamProgress | None, **more: Any) -> Any:
    given = {"id": "1", "name": "tweets", "engine": "native", "state": "ready", "errors": [], **more}
    return SimpleNamespace(progress=progress, **given)


def test_a_line_says_it_all() -> None:
    now = [0.0]
    rates = Rates(lambda: now[0])
    told = StreamProgress(
        records_in=1_500,
        records_out=1_000,
        dead_letters=20,
        records_per_second=99.6,
        lag={0: 5, 1: 7},
        latency_ms={"p50": 4.0, "p99": 40.0},
        restarts=2,
    )
    assert row(stream(told), rates)[3:] == ("1,500", "100", "", "20", "", "12", "4", "40", "2", "")
    now[0] = 2.0
    later = StreamProgress(records_out=1_400, dead_letters=30, last_error="broker down")
    found = row(stream(later), rates)
    assert (found[5], found[7], found[12]) == ("200", "5", "broker down")
    # Counted from its new start: a rate across it would be none.
    now[0] = 3.0
    assert row(stream(StreamProgress(records_out=10)), rates)[5] == ""
    failed = row(stream(None, state="failed", errors=[{"message": "no [topic]"}]), rates)
    assert (failed[2], failed[3], failed[12]) == ("failed", "", "no [topic]")


def test_the_table_shows_names_as_they_are() -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(
        _table([row(stream(None, name="[red]x[/red]", errors=[{"message": "no [topic]"}]), Rates())])
    )
    text = console.export_text()
    assert "[red]x[/red]" in text
    assert "no [topic]" in text
    assert "P99 ms" in text
