"""``wmlclient describe``."""

from __future__ import annotations

import click

from wmlclient.cli import common
from wmlclient.errors import ConfigError, NotAModelError


@click.command("describe")
@click.argument("path", type=click.Path(exists=True))
@click.option("--json", "as_json", is_flag=True, help="As --output json before the command.")
@click.pass_context
def command(ctx: click.Context, path: str, as_json: bool) -> None:
    """Say what a saved model is made of: PATH is its folder or its .tar.gz.

    Stages with their parameters, which of them are scored without Spark, columns, sizes, the Spark that trained it.
    Nothing in the model is run, and no service is needed.
    """
    try:
        from wmlclient import scoring
    except ImportError as error:
        raise ConfigError(
            f"Reading a model needs {error.name or 'numpy'}. Run: pip install 'wmlclient[scoring]'"
        ) from None
    try:
        described = scoring.describe(path)
    except scoring.ArchiveError as error:
        raise NotAModelError(f"{path}: {error}.") from None
    if as_json or common.as_json(ctx):
        common.echo_json(described.to_dict())
    else:
        click.echo(str(described))
