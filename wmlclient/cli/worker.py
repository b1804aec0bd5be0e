"""``wmlclient worker``: one more worker of a native stream, on any host that reaches the service and the brokers."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wmlclient.cli import common
from wmlclient.errors import LocalModeError, NotFoundError, PayloadError

if TYPE_CHECKING:
    from wmlclient.connections import KafkaConnection
    from wmlclient.deployment import Deployment
    from wmlclient.formats import SchemaRegistry

_PULSE_SECONDS = 0.5
#: A batch that is under way has so long to end after a signal.
_STOP_SECONDS = 15.0
#: A worker tells of itself twice a second, and waits for Kafka's client some 20 s at the most, if that does as it says.
_SILENT_SECONDS = 90.0
_LOOK_SECONDS = 5.0


@click.command("worker")
@click.argument("deployment_id", metavar="DEPLOYMENT")
@click.pass_context
def command(ctx: click.Context, deployment_id: str) -> None:
    """Share the work of a native stream, until it is stopped, or this is.

    The model comes from the service; the credentials name the stream's Kafka and, where its formats have one with a
    password, the registry of schemas (schema_registry), whose secrets the service never shows.
    """
    try:
        from wmlclient.runner.engine.ports import PortError
        from wmlclient.runner.streams.loop import StreamLoop
        from wmlclient.runner.streams.model import open_model
    except ImportError as error:
        raise LocalModeError(
            f"A worker needs {error.name or 'more packages'}. Run: pip install 'wmlclient[local]'"
        ) from None
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)-5s %(message)s")
    with common.client(ctx) as client, tempfile.TemporaryDirectory(prefix="wmlclient-worker-") as folder:
        deployment = client.deployments.get(deployment_id)
        _check(deployment)
        registries = common.registries(ctx)
        spec = _spec(deployment, client.kafka, registries, Path(folder))
        try:
            model = open_model(spec)
            # A name of its own each time: it leaves its partitions to the others when it ends.
            pulse = _Pulse()
            loop = StreamLoop(spec, model, uuid.uuid4().hex, False, pulse.tell)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: pulse.stop(loop))
            done = threading.Event()

            def swap() -> None:
                following = _spec(deployment, client.kafka, registries, Path(folder))
                loop.swap(following, open_model(following))
                click.echo(f"scoring version {deployment.version} from the next batch on")

            threading.Thread(target=_watch, args=(deployment, loop, swap, done), daemon=True).start()
            try:
                # Not in this thread: a call of Kafka's client that hangs would keep signals from being heard.
                work = ThreadPoolExecutor(1).submit(loop.run)
                while not wait([work], _PULSE_SECONDS).done:
                    pulse.check(folder)
                work.result()
            finally:
                done.set()
        except PortError as error:
            raise LocalModeError(error.message, code=error.code) from None
    click.echo(f"done: {loop.counts.records_in} records, {loop.counts.dead_letters} dead letters")


class _Pulse:
    """Whether the work goes on. Where it does not, this process ends: what is under way was never committed."""

    def __init__(self) -> None:
        self._heard = time.monotonic()
        self._stopped: float | None = None

    def tell(self, kind: str, details: dict[str, Any]) -> None:
        self._heard = time.monotonic()
        _tell(kind, details)

    def stop(self, loop: Any) -> None:
        loop.stop()
        self._stopped = self._stopped or time.monotonic()

    def check(self, folder: str) -> None:
        now = time.monotonic()
        if self._stopped is not None and now - self._stopped > _STOP_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(0)
        if now - self._heard > _SILENT_SECONDS:
            click.echo(
                f"Kafka's client has not answered for {_SILENT_SECONDS:.0f} s; giving up. The other workers have the "
                "partitions now. Start this command again.",
                err=True,
            )
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(1)


def _check(deployment: Deployment) -> None:
    if deployment.kind != "stream" or deployment.engine != "native":
        raise PayloadError(
            f"Deployment {deployment.name!r} is no native stream (kind {deployment.kind}, engine "
            f"{deployment.engine or 'not known yet'}); only those have workers."
        )
    if deployment.version is None:
        raise PayloadError(
            f"Deployment {deployment.name!r} runs a web service, whose code runs at the service alone. Deploy it with "
            "workers=N."
        )


def _spec(
    deployment: Deployment, kafka: KafkaConnection, registries: tuple[SchemaRegistry, ...], folder: Path
) -> Any:
    """The stream as a worker of the service gets it; the archive of its model is downloaded."""
    from wmlclient import streamspec
    from wmlclient.kafka_login import fields_of
    from wmlclient.runner.engine.formats import stream_formats
    from wmlclient.runner.engine.ports import KafkaEndpoint, StreamSpec
    from wmlclient.streams import since_of, topics_of

    version = str(deployment.version)
    schema = streamspec.input_schema(deployment, version)
    archive, digest = streamspec.fetch(deployment, version, folder)
    delivery: Any = deployment.delivery or "exactly_once"
    login = fields_of(kafka)
    ends = [KafkaEndpoint(kafka.brokers, topic.name, **login) for topic in topics_of(deployment, kafka)]
    formats = stream_formats(streamspec.formats_body(deployment, registries), schema)
    return StreamSpec(
        stream_id=deployment.id,
        model_dir=archive,
        input_schema=schema,
        source=ends[0],
        target=ends[1],
        dead_letter=ends[2],
        checkpoint_dir="",
        created_at_ms=since_of(deployment),
        model_digest=digest,
        delivery=delivery,
        receipts=bool(deployment._entity.receipts),
        source_format=formats.source,
        target_format=formats.target,
    )


def _watch(deployment: Deployment, loop: Any, swap: Callable[[], None], done: threading.Event) -> None:
    """End the work when the stream is no longer meant to run, and take its version when that has changed."""
    version = deployment.version
    while not done.wait(_LOOK_SECONDS):
        try:
            if deployment.refresh().version != version:
                swap()
                version = deployment.version
            if str(deployment.state) in ("stopped", "failed"):
                click.echo(f"the stream is {deployment.status}")
                return loop.stop()  # type: ignore[no-any-return]
        except NotFoundError:
            click.echo("the stream was deleted")
            return loop.stop()  # type: ignore[no-any-return]
        except Exception as error:
            # A service that is away for a while is no reason to stop: the work is between Kafka and here.
            logging.getLogger("wmlclient.cli").warning("the service cannot be asked: %s", error)


def _tell(kind: str, details: dict[str, Any]) -> None:
    if kind == "running":
        click.echo(f"running, partitions {', '.join(map(str, details['partitions'])) or 'none yet'}")
