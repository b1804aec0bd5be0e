"""``python -m wmlclient.runner``: a runner in this process."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from pathlib import Path

import click

from . import issuer as issuers
from .control import Control
from .directory import DirectoryRefused, DirectorySettings, read_settings
from .engine import kernels, sessions
from .quotas import Quotas
from .server import main
from .settings import DEFAULT_PORT, Settings


@click.command()
@click.option(
    "--home",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder that keeps everything; made if missing.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="0: any free."
)
@click.option("--username", envvar="WMLCLIENT_USERNAME", help="User.  [default: generated once]")
@click.option(
    "--instance-id", envvar="WMLCLIENT_INSTANCE_ID", help="Service instance.  [default: generated once]"
)
@click.option("--kafka", is_flag=True, help="Start the embedded Kafka broker, too.")
@click.option(
    "--kafka-security",
    type=click.Choice(["sasl_plaintext", "plaintext"]),
    default="sasl_plaintext",
    show_default=True,
    help="How clients of the embedded broker log in.",
)
@click.option(
    "--spark-master", default="local[2]", show_default=True, help="Spark where a request names none."
)
@click.option(
    "--spark-conf",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings for Spark, a file as its own spark-defaults.conf.",
)
@click.option(
    "--allow-uncertified",
    is_flag=True,
    envvar="WMLCLIENT_ALLOW_UNCERTIFIED",
    help="Score natively what cannot be compared with Spark: no Java here, and no certificate with the model.",
)
@click.option(
    "--token-lifetime", type=click.FloatRange(min=1), default=3600.0, show_default=True, help="Seconds."
)
@click.option(
    "--allow-foreign-classes",
    is_flag=True,
    help="Take models with stages that are not Spark's own: whoever publishes runs code here.",
)
@click.option(
    "--session-idle",
    type=click.FloatRange(min=1),
    default=3600.0,
    show_default=True,
    help="Seconds without a call after which a session is closed.",
)
@click.option(
    "--session-memory",
    type=click.IntRange(min=256),
    default=4096,
    show_default=True,
    help="MiB of memory that a session may use.",
)
@click.option(
    "--session-disk",
    type=click.IntRange(min=1),
    default=4096,
    show_default=True,
    help="MiB that the files of a session may take.",
)
@click.option(
    "--session-network",
    is_flag=True,
    help="Let code in sessions and web services use the machine's network, this runner's port too.",
)
@click.option(
    "--one-row-predict",
    is_flag=True,
    help="scikit-learn in sessions and web services takes one row where it wants a table, as until 2017.",
)
@click.option(
    "--data-folder",
    "data_folders",
    type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
    multiple=True,
    help="Folder whose files batch deployments may read and write; may be given several times.  [default: none]",
)
@click.option("--max-models", type=click.IntRange(min=0), help="Models that are kept.  [default: no limit]")
@click.option(
    "--max-deployments", type=click.IntRange(min=0), help="Deployments that are kept.  [default: no limit]"
)
@click.option(
    "--deployment-calls",
    type=click.IntRange(min=0),
    help="Calls in a minute that make, change or delete a deployment.  [default: no limit]",
)
@click.option(
    "--prediction-calls", type=click.IntRange(min=0), help="Scoring calls in a minute.  [default: no limit]"
)
@click.option(
    "--other-calls", type=click.IntRange(min=0), help="Other calls in a minute.  [default: no limit]"
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    envvar="WMLCLIENT_DIRECTORY",
    help="JSON file about the LDAP directory whose users may log in.  [default: none]",
)
@click.option(
    "--issuer",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    envvar="WMLCLIENT_ISSUER",
    help="JSON file about the OpenID Connect issuer whose tokens are taken, too.  [default: none]",
)
@click.option("--control-stdin", is_flag=True, hidden=True, help="Obey the parent's pipe and end with it.")
def serve(
    home: Path,
    host: str,
    port: int,
    username: str | None,
    instance_id: str | None,
    kafka: bool,
    kafka_security: str,
    spark_master: str,
    spark_conf: Path | None,
    allow_uncertified: bool,
    token_lifetime: float,
    allow_foreign_classes: bool,
    session_idle: float,
    session_memory: int,
    session_disk: int,
    session_network: bool,
    one_row_predict: bool,
    data_folders: tuple[Path, ...],
    max_models: int | None,
    max_deployments: int | None,
    deployment_calls: int | None,
    prediction_calls: int | None,
    other_calls: int | None,
    directory: Path | None,
    issuer: Path | None,
    control_stdin: bool,
) -> None:
    """Serve the APIs of Watson ML v3 and of Machine Learning Server.

    The password is taken from WMLCLIENT_PASSWORD, or generated once.
    """
    settings = Settings(
        home=home,
        host=host,
        port=port,
        username=username,
        # Never a flag: everybody on the machine can read a command line.
        password=os.environ.get("WMLCLIENT_PASSWORD") or None,
        instance_id=instance_id,
        kafka=kafka,
        kafka_security="plaintext" if kafka_security == "plaintext" else "sasl_plaintext",
        spark_master=spark_master,
        spark_conf=spark_conf,
        allow_uncertified=allow_uncertified,
        token_lifetime=token_lifetime,
        allow_foreign_classes=allow_foreign_classes,
        data_folders=data_folders,
        quotas=Quotas(max_models, max_deployments, deployment_calls, prediction_calls, other_calls),
        sessions=sessions.Settings(idle=session_idle),
        session_limits=kernels.Limits(
            memory=session_memory << 20, disk=session_disk << 20, network=session_network
        ),
        directory=None if directory is None else _directory(directory),
        issuer=None if issuer is None else _issuer(issuer),
        one_row_predict=one_row_predict,
    )
    run(settings, control=control_stdin)


def _directory(path: Path) -> DirectorySettings:
    try:
        return read_settings(path)
    except DirectoryRefused as error:
        raise click.BadParameter(str(error), param_hint="--directory") from None


def _issuer(path: Path) -> issuers.IssuerSettings:
    try:
        return issuers.read_settings(path)
    except issuers.IssuerRefused as error:
        raise click.BadParameter(str(error), param_hint="--issuer") from None


def run(settings: Settings, control: bool = False) -> None:
    """Be the runner until it ends, then end this process with its exit code."""
    faulthandler.enable()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for name in ("uvicorn", "uvicorn.error", "kafka"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # The embedded broker's clear text stays on loopback.
    logging.getLogger("kafka.net.sasl.plain").setLevel(logging.ERROR)
    code = main(settings, Control() if control else None)
    logging.shutdown()
    sys.stderr.flush()
    # Everything that was started has been ended; a worker that still waits for a dead child must not keep us.
    os._exit(code)


if __name__ == "__main__":
    serve()
