"""``wmlclient deployments watch``: streams as they run, on the terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from wmlclient.cli import common
from wmlclient.progress import lag_text

if TYPE_CHECKING:
    from wmlclient.client import Client
    from wmlclient.deployment import Deployment

_HEADS = (
    *("STREAM", "ENGINE", "STATE", "IN", "IN/S", "OUT/S", "DEAD", "DEAD/S", "LAG", "P50 ms", "P99 ms"),
    *("RESTARTS", "LAST ERROR"),
)
#: Of more partitions only those are shown for which the most records wait.
_PARTITIONS = 4
_COLOURS = {"ready": "green", "pending": "yellow", "failed": "red", "stopped": "dim"}


def row(deployment: Deployment) -> tuple[Any, ...]:
    """One stream's line, by :data:`_HEADS`; the texts of numbers that are not known are empty."""
    progress, state = deployment.progress, str(deployment.state)
    errors = "; ".join(str(each.get("message")) for each in deployment.errors)
    if progress is None:
        return (deployment.name, deployment.engine or "", state, *[""] * 9, errors)
    return (
        deployment.name,
        deployment.engine or "",
        state,
        f"{progress.records_in:,}",
        _number(progress.records_per_second),
        _number(progress.records_out_per_second),
        f"{progress.dead_letters:,}",
        _number(progress.dead_letters_per_second),
        lag_text(progress.lag, _PARTITIONS),
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
    """Follow streams, all or some: state, rates, lag by partition, latency, restarts and the last
    error. Ctrl-C ends it."""
    try:
        from rich.console import Console
        from rich.live import Live
    except ImportError:
        from wmlclient.errors import ConfigError

        raise ConfigError("Watching needs rich. Run: pip install 'wmlclient[watch]'") from None
    console, looks = Console(), 0
    with common.client(ctx) as client, Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(_table([row(each) for each in _found(client, deployment_ids)]), refresh=True)
            looks += 1
            if looks == count:
                return
            try:
                time.sleep(every)
            except KeyboardInterrupt:
                return
