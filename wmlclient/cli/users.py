"""``wmlclient users``: who may log in to the runner of a home, beside its first user."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wmlclient.cli.common import as_json, echo_json, echo_table
from wmlclient.errors import LocalModeError

if TYPE_CHECKING:
    from wmlclient.runner.store import Store

_HOME = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The runner's folder; the runner may be at work in it.",
)


@contextmanager
def _store(home: Path) -> Iterator[Store]:
    """The store of a home that a runner has made."""
    try:
        from wmlclient.runner.store import Store
    except ImportError as error:
        raise LocalModeError(
            f"The runner needs {error.name or 'more packages'}. Run: pip install 'wmlclient[local]'"
        ) from None
    path = home.expanduser() / "runner.db"
    if not path.exists():
        raise click.ClickException(
            f"{home} is no runner's folder: start `wmlclient serve --home {home}` once first."
        )
    store = Store(path)
    try:
        yield store
    finally:
        store.close()


@click.group("users")
def command() -> None:
    """Add, list and remove users of a runner.

    The first user is the one that `wmlclient serve` was started for, and is not among these.
    """


@command.command("add")
@click.argument("name")
@_HOME
@click.option(
    "--role",
    type=click.Choice(["owner", "contributor", "reader"]),
    default="contributor",
    show_default=True,
    help="What the user may do.",
)
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of stdin.")
def add(name: str, home: Path, role: str, password_stdin: bool) -> None:
    """Add a user, or give one a new password and role. The password is asked for."""
    with _store(home) as store:
        from wmlclient.runner import users

        if password_stdin:
            # Never a flag: everybody on the machine can read a command line.
            password = sys.stdin.readline().rstrip("\r\n")
        else:
            password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        try:
            users.add(store, name, password, role, time.time_ns() // 1_000_000)
        except users.UserRefused as error:
            raise click.ClickException(str(error)) from None
    click.echo(f"{name} can log in as {role}.")


@command.command("list")
@_HOME
@click.pass_context
def list_(ctx: click.Context, home: Path) -> None:
    """List the users."""
    with _store(home) as store:
        found = [{"name": user.name, "role": user.role} for user in store.users.all()]
    if as_json(ctx):
        echo_json(found)
    else:
        echo_table(["name", "role"], [[user["name"], user["role"]] for user in found])


@command.command("remove")
@click.argument("name")
@_HOME
def remove(name: str, home: Path) -> None:
    """Remove a user. What it has logged in to ends within a second."""
    with _store(home) as store:
        if not store.users.delete(name):
            raise click.ClickException(f"There is no user {name!r}. `wmlclient users list` shows all.")
    click.echo(f"{name} is removed.")
