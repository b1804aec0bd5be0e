"""What the commands share: the client that the options name, and how results are printed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from wmlclient.certificate import Certificate
    from wmlclient.client import Client
    from wmlclient.config import Credentials
    from wmlclient.formats import SchemaRegistry


def credentials(ctx: click.Context) -> Credentials:
    """The service that options, environment or profile name, in this order."""
    from wmlclient import config
    from wmlclient.errors import ConfigError

    options = ctx.find_root().obj or {}
    if options.get("credentials"):
        return config.from_file(options["credentials"])
    if options.get("profile"):
        return config.from_profile(options["profile"])
    try:
        return config.from_env()
    except ConfigError as error:
        path = config.default_profile_path()
        if any(os.environ.get(config.PREFIX + name.upper()) for name in (*config.NAMES, "credentials")):
            raise  # the environment names a service, but not wholly
        if not path.exists():
            raise ConfigError(
                "No service is named. Give --credentials FILE, or set WMLCLIENT_CREDENTIALS; "
                f"there is no {path} either.",
                tried=(*error.tried, str(path)),
            ) from None
    return config.from_profile()


@contextmanager
def client(ctx: click.Context) -> Iterator[Client]:
    """A client of that service."""
    from wmlclient.client import Client

    with Client._from_credentials(credentials(ctx)) as connected:
        yield connected


def registries(ctx: click.Context) -> tuple[SchemaRegistry, ...]:
    """The registries of schemas that those credentials name."""
    from wmlclient.formats import SchemaRegistry

    return SchemaRegistry.from_credentials(credentials(ctx).schema_registry)


def as_json(ctx: click.Context) -> bool:
    """True if the user wants JSON."""
    return bool((ctx.find_root().obj or {}).get("output") == "json")


def echo_json(value: Any) -> None:
    """A value as JSON; what JSON has no form for, as text."""
    click.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def echo_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Columns side by side."""
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(header))]
    for row in cells:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def echo_pairs(pairs: Iterable[tuple[str, Any]]) -> None:
    """One thing and its properties."""
    shown = [(name, _cell(value)) for name, value in pairs if value not in (None, "", ())]
    width = max(len(name) for name, _ in shown)
    for name, text in shown:
        click.echo(f"{name.ljust(width)}  {text}")


def echo_examples(certificate: Certificate) -> None:
    """The rows that a comparison found to differ."""
    for example in certificate.examples:
        click.echo(
            f"  {example.get('origin') or ''} row {example['row']}, {example['column']}: "
            f"native {_short(example.get('native'))}, Spark {_short(example.get('spark'))}; "
            f"input {_short(example.get('input'))}"
        )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:199]}\u2026"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    text = value if isinstance(value, str) else str(value)
    return " ".join(text.split())
