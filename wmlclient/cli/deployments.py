"""``wmlclient deployments``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from wmlclient.cli import common
from wmlclient.cli.watch import watch

if TYPE_CHECKING:
    from wmlclient.deployment import Deployment


@click.group("deployments")
def command() -> None:
    """List, show, create, watch, stop, start and delete deployments."""


command.add_command(watch)


def _described(deployment: Deployment) -> dict[str, Any]:
    return {
        "id": deployment.id,
        "name": deployment.name,
        "kind": deployment.kind,
        "state": str(deployment.state),
        "status": deployment.status,
        "model_id": deployment.model_id,
        "engine": deployment.engine,
        "engine_reason": deployment.engine_reason,
        "delivery": deployment.delivery,
        "scoring_url": deployment.scoring_url,
        "source": deployment.source,
        "target": deployment.target,
        "dead_letter": deployment.dead_letter,
        "errors": deployment.errors,
    }


def _show(ctx: click.Context, deployment: Deployment) -> None:
    if common.as_json(ctx):
        common.echo_json(_described(deployment))
    else:
        common.echo_pairs(_described(deployment).items())


@command.command("list")
@click.option("--status", help="pending, ready, failed, stopped, or the service's own word.")
@click.option("--kind", type=click.Choice(["online", "stream", "batch"]))
@click.pass_context
def list_(ctx: click.Context, status: str | None, kind: str | None) -> None:
    """All deployments."""
    with common.client(ctx) as client:
        found = list(client.deployments.list(status=status, kind=kind))
        if common.as_json(ctx):
            common.echo_json([_described(deployment) for deployment in found])
        else:
            rows = [(d.id, d.name, d.kind, d.state, d.engine, d.model_id) for d in found]
            common.echo_table(("ID", "NAME", "KIND", "STATE", "ENGINE", "MODEL"), rows)


@command.command()
@click.argument("deployment_id", metavar="ID")
@click.pass_context
def show(ctx: click.Context, deployment_id: str) -> None:
    """One deployment."""
    with common.client(ctx) as client:
        _show(ctx, client.deployments.get(deployment_id))


@command.command()
@click.argument("model_id", metavar="MODEL")
@click.option("--name", required=True, help="Name of the deployment.")
@click.option("--source", metavar="TOPIC", help="Kafka topic to read: makes it a stream.")
@click.option("--target", metavar="TOPIC", help="Kafka topic to write.")
@click.option("--dead-letter", metavar="TOPIC", help="Kafka topic of records that do not parse or score.")
@click.option(
    "--master", metavar="URL", help="Spark that runs the stream, such as local[2] or spark://host:7077."
)
@click.option("--engine", type=click.Choice(["auto", "native", "spark"]), help="What runs the stream.")
@click.option(
    "--delivery", type=click.Choice(["exactly_once", "at_least_once"]), help="What the stream promises."
)
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that share the stream's partitions.")
@click.option("--receipts", is_flag=True, default=None, help="Scored records name their source in headers.")
@click.option(
    "--latency", type=click.Choice(["default", "realtime"]), help="How soon Spark scores: its Real-time Mode."
)
@click.option("--description", help="What it is for.")
@click.option(
    "--timeout", type=float, default=300.0, show_default=True, help="Seconds to wait until it is ready."
)
@click.pass_context
def create(
    ctx: click.Context,
    model_id: str,
    name: str,
    source: str | None,
    target: str | None,
    dead_letter: str | None,
    master: str | None,
    engine: str | None,
    delivery: str | None,
    workers: int | None,
    receipts: bool | None,
    latency: str | None,
    description: str | None,
    timeout: float,
) -> None:
    """Deploy a model online, or, with --source and --target, as a stream on the service's Kafka."""
    from wmlclient.connections import SparkService

    with common.client(ctx) as client:
        if (source is None) != (target is None):
            raise click.UsageError("Give --source and --target, or neither.")
        deployment = client.models.get(model_id).deploy(
            name,
            source=client.kafka.topic(source) if source else None,
            target=client.kafka.topic(target) if target else None,
            dead_letter=dead_letter,
            spark=SparkService(cluster_master_url=master) if master else None,
            engine=engine,
            delivery=delivery,
            workers=workers,
            receipts=receipts,
            latency=latency,
            description=description,
            wait=False,
        )
        _show(ctx, deployment.wait(timeout))


@command.command()
@click.argument("deployment_id", metavar="ID")
@click.pass_context
def stop(ctx: click.Context, deployment_id: str) -> None:
    """Stop a stream; it keeps its place in the source."""
    with common.client(ctx) as client:
        _show(ctx, client.deployments.get(deployment_id).stop())


@command.command()
@click.argument("deployment_id", metavar="ID")
@click.pass_context
def start(ctx: click.Context, deployment_id: str) -> None:
    """Start a stopped stream where it left off, and wait until it runs."""
    with common.client(ctx) as client:
        _show(ctx, client.deployments.get(deployment_id).start().wait())


@command.command()
@click.argument("deployment_id", metavar="ID")
@click.pass_context
def delete(ctx: click.Context, deployment_id: str) -> None:
    """Delete a deployment."""
    with common.client(ctx) as client:
        client.deployments.get(deployment_id).delete()
