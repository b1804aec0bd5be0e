"""``wmlclient deployments watch``: streams as they run, on the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
from attrs import define, field

from wmlclient.cli import common

if TYPE_CHECKING:
    from wmlclient.client import Client
    from wmlclient.deployment import Deployment

_HEADS = (
    *("STREAM", "ENGINE", "STATE", "IN", "IN/S", "OUT/S", "DEAD", "DEAD/S", "LAG", "P50 ms", "P99 ms"),
    *("RESTARTS", "LAST ERROR"),
)
_COLOURS = {"ready": "green", "pending": "yellow", "failed": "red", "stopped": "dim"}


@define
class Rates:
    """Records a second, from one look to the next.

    Args:
        clock: Seconds.
    """

    _clock: Callable[[], float] = time.monotonic
    _last: dict[str, tuple[float, int, int]] = field(factory=dict, init=False)

    def of(self, id: str, out: int, dead: int) -> tuple[float | None, float | None]:
        """Scored records and dead letters a second since the last look; None at the first, and after a new start."""
        now = self._clock()
        before, self._last[id] = self._last.get(id), (now, out, dead)
        if before is None or now <= before[0] or out < before[1] or dead < before[2]:
            return None, None
        seconds = now - before[0]
        return (out - before[1]) / seconds, (dead - before[2]) / seconds


def row(deployment: Deployment, rates: Rates) -> tuple[Any, ...]:
    """One stream's line, by :data:`_HEADS`; the texts of numbers that are not known are empty."""
    progress, state = deployment.progress, str(deployment.state)
    errors = "; ".join(str(each.get("message")) for each in deployment.errors)
    if progress is None:
        return (deployment.name, deployment.engine or "", state, *[""] * 9, errors)
    out, dead = rates.of(deployment.id, progress.records_out, progress.dead_letters)
    return (
        deployment.name,
        deployment.engine or "",
        state,
        f"{progress.records_in:,}",
        _number(progress.records_per_second),
        _number(out),
        f"{progress.dead_letters:,}",
        _number(dead),
        f"{sum(progress.lag.values()):,}" if progress.lag else "",
        _number(progress.latency_ms.get("p50")),
        _number(progress.latency_ms.get("p99")),
        str(progress.restarts),
        progress.last_error or errors,
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _table(rows: Sequence[tuple[Any, ...]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for head in _HEADS:
        plain = head in ("STREAM", "ENGINE", "STATE", "LAST ERROR")
        table.add_column(head, justify="left" if plain else "right", no_wrap=head != "LAST ERROR")
    for each in rows:
        # Text, not markup: a name or an error may hold brackets.
        cells = [Text(str(cell)) for cell in each]
        cells[2].stylize(_COLOURS.get(each[2], ""))
        if each[-1]:
            cells[-1].stylize("red")
        table.add_row(*cells)
    return table


def _found(client: Client, ids: Sequence[str]) -> list[Deployment]:
    if ids:
        return [client.deployments.get(id) for id in ids]
    return list(client.deployments.list(kind="stream"))


@click.command("watch")
@click.argument("deployment_ids", nargs=-1, metavar="[DEPLOYMENT]...")
@click.option("--every", type=click.FloatRange(0.1), default=1.0, show_default=True, metavar="SECONDS")
@click.option("--n", "count", type=click.IntRange(1), help="End after so many looks.")
@click.pass_context
def watch(ctx: click.Context, deployment_ids: Sequence[str], every: float, count: int | None) -> None:
    """Follow streams, all or some: state, rates, lag, latency, restarts and the last error. Ctrl-C ends it."""
    try:
        from rich.console import Console
        from rich.live import Live
    except ImportError:
        from wmlclient.errors import ConfigError

        raise ConfigError("Watching needs rich. Run: pip install 'wmlclient[watch]'") from None
    rates, console, looks = Rates(), Console(), 0
    with common.client(ctx) as client, Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(_table([row(each, rates) for each in _found(client, deployment_ids)]), refresh=True)
            looks += 1
            if looks == count:
                return
            try:
                time.sleep(every)
            except KeyboardInterrupt:
                return
