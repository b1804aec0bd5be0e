"""``wmlclient replay``."""

from __future__ import annotations

import datetime as dt

import attrs
import click

from wmlclient import envelope
from wmlclient.cli import common


class _Since(click.ParamType):  # type: ignore[type-arg]
    name = "TIME|OFFSET|beginning"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> dt.datetime | int | str:
        text = str(value)
        if text == "beginning":
            return text
        if text.isascii() and text.isdigit():
            return int(text)
        try:
            found = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            self.fail(f"{text!r} is no time such as 2026-11-22T08:00:00Z, no offset, and not beginning.")
        return found if found.tzinfo is not None else found.astimezone()


@click.command("replay")
@click.argument("deployment_id", metavar="DEPLOYMENT")
@click.option(
    "--stage",
    "stages",
    multiple=True,
    type=click.Choice(envelope.STAGES),
    help="Only dead letters of this stage; may be given more than once.",
)
@click.option("--version", metavar="VERSION", help="Have this version score the history instead.")
@click.option(
    "--to",
    metavar="TOPIC",
    help="With --version: the side topic, written in the format of the stream's target.",
)
@click.option(
    "--since",
    type=_Since(),
    default="beginning",
    help="With --version: where the history begins. A time without a zone is local.",
)
@click.option(
    "--against", metavar="VERSION", help="With --version: compare with this one, not the one at work."
)
@click.option("--label", metavar="COLUMN", help="With --version: the column whose changes are flips.")
@click.pass_context
def command(
    ctx: click.Context,
    deployment_id: str,
    stages: tuple[str, ...],
    version: str | None,
    to: str | None,
    since: dt.datetime | int | str,
    against: str | None,
    label: str | None,
) -> None:
    """Send a stream's dead letters to its source topic again, each once.

    With --version and --to: score the source's history with another version of the model to a side topic, and print
    what would change. It runs here, and leaves the stream alone.
    """
    if (version is None) != (to is None):
        raise click.UsageError("--version and --to go together.")
    if version is None and (against or label):
        raise click.UsageError("--against and --label go with --version.")
    if version is not None and stages:
        raise click.UsageError("--stage is of dead letters, and goes without --version.")
    with common.client(ctx) as client:
        deployment = client.deployments.get(deployment_id)
        if version is not None and to is not None:
            found = deployment.replay(
                version,
                to=to,
                since=since,
                against=against,
                label=label,
                connection=client.kafka,
                registry=common.registries(ctx),
            )
            if common.as_json(ctx):
                common.echo_json({**attrs.asdict(found), "flip_rate": found.flip_rate})
            else:
                click.echo(str(found))
            return
        sent = deployment.replay(stages=stages or None, connection=client.kafka)
        if common.as_json(ctx):
            common.echo_json({"sent": sent})
        else:
            click.echo(f"{sent} dead letters sent to {deployment.source} again")
