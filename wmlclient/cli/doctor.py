"""``wmlclient doctor``: what a runner needs, what is there, and the one thing to do where something is missing."""

from __future__ import annotations

import importlib.metadata
import os
import socket
import sys
from collections.abc import Callable, Iterator

import click
from attrs import frozen

from wmlclient.cli import common

# Distribution, and what does not work without it.
PACKAGES = (
    ("pyspark", "Spark"),
    ("kafka-python", "Kafka"),
    ("numpy", "the native engine"),
    ("pyarrow", "the native engine"),
    ("starlette", "the embedded runner"),
    ("SQLAlchemy", "the embedded runner"),
    ("uvicorn", "the embedded runner"),
)
DEFAULT_PORT = 12800


@frozen
class Finding:
    """One thing that was looked at: ok is None where it does no harm to miss it."""

    what: str
    ok: bool | None
    text: str


@click.command("doctor")
@click.option(
    "--fetch",
    is_flag=True,
    help="Get the jars for Kafka and Spark's Kafka connector now, and keep Spark's classes so that it starts in 0.6 of "
    "the time (half a minute, 230 MB).",
)
@click.pass_context
def command(ctx: click.Context, fetch: bool) -> None:
    """Look for all that a runner needs, and say what is missing."""
    findings = []
    for look in (
        _python,
        _packages,
        _java,
        lambda: _jars(fetch),
        lambda: _classes(fetch),
        lambda: _service(ctx),
        _port,
    ):
        findings += list(_careful(look))
    if common.as_json(ctx):
        common.echo_json([{"what": f.what, "ok": f.ok, "text": f.text} for f in findings])
    else:
        words = {True: "ok", False: "missing", None: "-"}
        common.echo_table(("", "WHAT", "FOUND"), [(words[f.ok], f.what, f.text) for f in findings])
    if any(f.ok is False for f in findings):
        ctx.exit(1)


def _careful(look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What one look finds; a look that breaks is a finding, too."""
    try:
        yield from look()
    except Exception as error:
        yield Finding("doctor", False, f"{type(error).__name__}: {error}")


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python", sys.version_info >= (3, 10), f"{version}, {sys.executable}")


def _packages() -> Iterator[Finding]:
    for name, purpose in PACKAGES:
        try:
            yield Finding(name, True, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, False, f"needed for {purpose}: pip install 'wmlclient[local]'")


def _java() -> Iterator[Finding]:
    from wmlclient.runner.java import find_java

    try:
        java = find_java()
    except Exception as error:
        yield Finding("Java", False, str(error))
    else:
        yield Finding("Java", True, f"{java.full_version}, {java.executable}")


def _jars(fetch: bool) -> Iterator[Finding]:
    from wmlclient.runner import jars

    for what, name in _jar_sets():
        if fetch:
            try:
                jars.jar_set(name)
            except Exception as error:
                yield Finding(what, False, str(error))
                continue
        cached = jars.is_cached(name)
        where = (
            f"in {jars.set_dir(name)}" if cached else "not fetched yet; wmlclient doctor --fetch gets them"
        )
        yield Finding(what, True if cached else None, where)


def _jar_sets() -> Iterator[tuple[str, str]]:
    """The sets of jars that this machine can use, as (text, name)."""
    from wmlclient.runner import jars
    from wmlclient.runner.java import find_pyspark

    yield "jars of the Kafka broker", "broker"
    try:
        connector = f"connector-{find_pyspark().minor}"
    except Exception:
        return  # no pyspark: said above
    if connector in jars.lock():
        yield "jars of Spark's Kafka connector", connector


def _classes(fetch: bool) -> Iterator[Finding]:
    from wmlclient.runner.engine.ports import PortError
    from wmlclient.runner.java import find_java, find_pyspark
    from wmlclient.runner.spark import class_archive

    try:
        file = class_archive.kept(find_java(), find_pyspark())
    except PortError:
        return  # no Java, or no pyspark: said above
    what = "Spark's classes"
    if fetch and file is None:
        try:
            file = class_archive.make()
        except PortError as error:
            yield Finding(what, None, str(error))
            return
    if file is not None:
        yield Finding(what, True, f"in {file}")
    else:
        yield Finding(
            what,
            None,
            "not kept; with wmlclient doctor --fetch they are, and Spark starts in 0.6 of the time",
        )


def _service(ctx: click.Context) -> Iterator[Finding]:
    from wmlclient.client import Client
    from wmlclient.errors import ConfigError, WmlError

    try:
        found = common.credentials(ctx)
    except ConfigError as error:
        yield Finding("credentials", None, str(error))
        return
    kafka = ", with Kafka" if found.kafka else ""
    yield Finding(
        "credentials", True, f"from {found.origin}: {found.url}, user {found.username}, password ***{kafka}"
    )
    try:
        with Client._from_credentials(found, timeout=5, max_retries=0) as client:
            instance = client.instance
    except WmlError as error:
        yield Finding("service", False, str(error))
    else:
        yield Finding("service", True, f"instance {instance.id}, plan {instance.plan}, {instance.status}")


def _port() -> Iterator[Finding]:
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", DEFAULT_PORT))
        except OSError:
            yield Finding(f"port {DEFAULT_PORT}", None, "in use; wmlclient serve --port 0 takes another")
        else:
            yield Finding(f"port {DEFAULT_PORT}", True, "free")
