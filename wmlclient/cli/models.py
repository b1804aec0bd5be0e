"""``wmlclient models``."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from wmlclient.cli import common

if TYPE_CHECKING:
    from wmlclient.models import Model


@click.group("models")
def command() -> None:
    """List, show, publish and delete models."""


def _described(model: Model) -> dict[str, Any]:
    certificate = model.parity
    return {
        "id": model.id,
        "name": model.name,
        "type": model.model_type,
        "label_col": model.label_col,
        "created_at": model.created_at.isoformat(),
        "input": {f["name"]: f["type"] for f in (model.input_schema or {}).get("fields", ())},
        "parity": str(certificate) if certificate is not None else None,
        "engine": certificate.engine if certificate is not None else None,
        "certificate": certificate.to_json() if certificate is not None else None,
    }


def _show(ctx: click.Context, model: Model, as_json: bool = False, materials: bool = False) -> None:
    from wmlclient.errors import NotSupportedError

    described = _described(model)
    bill = None
    if materials:
        with contextlib.suppress(
            NotSupportedError
        ):  # another service need not tell; the rest is worth showing
            bill = model.describe()
    if as_json or common.as_json(ctx):
        common.echo_json(described | ({"bill_of_materials": bill.to_dict()} if bill is not None else {}))
        return
    described["input"] = ", ".join(f"{name} {kind}" for name, kind in described["input"].items())
    del described["certificate"]
    common.echo_pairs(described.items())
    if model.parity is not None:
        common.echo_examples(model.parity)
    if bill is not None:
        click.echo(f"\n{bill}")


@command.command("list")
@click.pass_context
def list_(ctx: click.Context) -> None:
    """All published models."""
    with common.client(ctx) as client:
        models = list(client.models.list())
        if common.as_json(ctx):
            common.echo_json([_described(model) for model in models])
        else:
            rows = [(m.id, m.name, m.model_type, m.created_at.isoformat(timespec="seconds")) for m in models]
            common.echo_table(("ID", "NAME", "TYPE", "CREATED"), rows)


@command.command()
@click.argument("model_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="As --output json before the command.")
@click.pass_context
def show(ctx: click.Context, model_id: str, as_json: bool) -> None:
    """One model, with its parity certificate and what it is made of."""
    with common.client(ctx) as client:
        _show(ctx, client.models.get(model_id), as_json, materials=True)


@command.command()
@click.argument("path", type=click.Path(exists=True))
@click.option("--name", required=True, help="Name of the model.")
@click.option("--schema", required=True, help="Columns of the training data, such as 'id int, text string'.")
@click.option("--label-col", help="The column it predicts; by default found in the pipeline.")
@click.option("--description", help="What it is for.")
@click.option(
    "--certificate", metavar="FILE", help="Its parity certificate, or 'local' to make it with pyspark here."
)
@click.pass_context
def publish(
    ctx: click.Context,
    path: str,
    name: str,
    schema: str,
    label_col: str | None,
    description: str | None,
    certificate: str | None,
) -> None:
    """Publish a saved PipelineModel: PATH is its folder or its .tar.gz."""
    with common.client(ctx) as client:
        model = client.models.publish(
            path,
            name,
            training_schema=schema,
            label_col=label_col,
            description=description,
            certificate=certificate,
        )
        _show(ctx, model)


@command.command()
@click.argument("model_id", metavar="ID")
@click.pass_context
def delete(ctx: click.Context, model_id: str) -> None:
    """Delete a model and all its deployments."""
    with common.client(ctx) as client:
        client.models.get(model_id).delete()
