"""``wmlclient replay``."""

from __future__ import annotations

import click

from wmlclient import envelope
from wmlclient.cli import common


@click.command("replay")
@click.argument("deployment_id", metavar="DEPLOYMENT")
@click.option(
    "--stage",
    "stages",
    multiple=True,
    type=click.Choice(envelope.STAGES),
    help="Only dead letters of this stage; may be given more than once.",
)
@click.pass_context
def command(ctx: click.Context, deployment_id: str, stages: tuple[str, ...]) -> None:
    """Send a stream's dead letters to its source topic again, each once."""
    with common.client(ctx) as client:
        deployment = client.deployments.get(deployment_id)
        sent = deployment.replay(stages=stages or None, connection=client.kafka)
        if common.as_json(ctx):
            common.echo_json({"sent": sent})
        else:
            click.echo(f"{sent} dead letters sent to {deployment.source} again")
