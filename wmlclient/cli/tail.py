"""``wmlclient tail``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from wmlclient.cli import common

if TYPE_CHECKING:
    from wmlclient.connections import KafkaConnection
    from wmlclient.records import KafkaRecord


@click.command("tail")
@click.argument("topic")
@click.option("--from-beginning", is_flag=True, help="The records that are there already, first.")
@click.option("--n", "count", type=click.IntRange(1), help="End after so many records.")
@click.option("--idle", type=float, metavar="SECONDS", help="End after so long without a record.")
@click.option(
    "--brokers", metavar="HOST:PORT,...", help="Brokers without login, instead of the service's Kafka."
)
@click.pass_context
def command(
    ctx: click.Context,
    topic: str,
    from_beginning: bool,
    count: int | None,
    idle: float | None,
    brokers: str | None,
) -> None:
    """Print the records of a Kafka topic as they come, one line each."""
    with _connection(ctx, brokers).topic(topic).tail(from_beginning=from_beginning, idle=idle) as records:
        for number, record in enumerate(records, 1):
            click.echo(_line(record, whole=common.as_json(ctx)))
            if number == count:
                break


def _connection(ctx: click.Context, brokers: str | None) -> KafkaConnection:
    from wmlclient.connections import KafkaConnection
    from wmlclient.errors import ConfigError

    if brokers:
        return KafkaConnection(brokers=brokers)
    found = common.credentials(ctx)
    if not found.kafka:
        raise ConfigError(f"{found.origin}: no Kafka service in these credentials. Give --brokers HOST:PORT.")
    return KafkaConnection.from_credentials(found.kafka)


def _line(record: KafkaRecord, *, whole: bool) -> str:
    """The value as it was sent; or, as JSON, the record with all that belongs to it."""
    if not whole:
        return "" if record.raw is None else record.raw.decode("utf-8", "backslashreplace")
    return json.dumps(
        {
            "key": record.key,
            "value": record.value,
            "headers": {
                name: value.decode("utf-8", "backslashreplace") for name, value in record.headers.items()
            },
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp.isoformat(),
        },
        ensure_ascii=False,
        default=lambda raw: raw.decode("utf-8", "backslashreplace"),
    )
