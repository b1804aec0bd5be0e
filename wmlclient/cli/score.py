"""``wmlclient score``."""

from __future__ import annotations

import json
from typing import IO, Any

import click

from wmlclient.cli import common


@click.command("score")
@click.argument("deployment_id", metavar="DEPLOYMENT")
@click.argument("file", type=click.File("r", encoding="utf-8"), default="-")
@click.option(
    "--output",
    type=click.Choice(["table", "json"]),
    help="As the option of the same name before the command.",
)
@click.pass_context
def command(ctx: click.Context, deployment_id: str, file: IO[str], output: str | None) -> None:
    """Score the rows in FILE, or in standard input.

    They are a JSON object, an array of objects, {"fields": [...], "values": [[...]]}, or one object a line.
    """
    rows = _rows(file.read())
    with common.client(ctx) as client:
        scores = client.deployments.get(deployment_id).score(rows)
    if output == "json" or (output is None and common.as_json(ctx)):
        common.echo_json({"fields": scores.fields, "values": scores.values})
    else:
        common.echo_table(scores.fields, ([_cell(value) for value in row] for row in scores.values))


def _rows(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        try:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError:
            raise click.ClickException(f"The input is not JSON: {error}") from None


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
