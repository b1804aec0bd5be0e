"""The command line: ``wmlclient serve | models | deployments | score | tail | worker | replay | doctor``, and more.

Commands are loaded when they are asked for, so that ``--help`` and completion are quick.
"""

from __future__ import annotations

import importlib
from typing import Any

import click

_COMMANDS = {
    "serve": ("serve", "Run the scoring service in the foreground."),
    "users": ("users", "Add, list and remove users of a runner."),
    "models": ("models", "List, show, publish and delete models."),
    "describe": ("describe", "Say what a saved model is made of; no service is needed."),
    "deployments": ("deployments", "List, show, create, watch, stop, start and delete deployments."),
    "parity": ("parity", "Compare the native scorer with Spark on a saved model."),
    "score": ("score", "Score JSON rows with an online deployment."),
    "tail": ("tail", "Print the records of a Kafka topic."),
    "worker": ("worker", "Share the work of a native stream."),
    "replay": ("replay", "Send a stream's dead letters to its source again."),
    "doctor": ("doctor", "Look for all that a runner needs, and say what is missing."),
}


class _Commands(click.Group):
    """Subcommands by name; one module each."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"wmlclient.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        from wmlclient.errors import WmlError

        try:
            return super().invoke(ctx)
        except WmlError as error:
            raise click.ClickException(str(error)) from None
        except BrokenPipeError:
            raise SystemExit(0) from None  # as after: wmlclient tail t | head


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wmlclient", prog_name="wmlclient")
@click.option("--credentials", metavar="FILE", help="credentials.json of the service.")
@click.option("--profile", metavar="NAME", help="Profile in the user's profiles.toml.")
@click.option(
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How results are printed.",
)
@click.pass_context
def main(ctx: click.Context, credentials: str | None, profile: str | None, output: str) -> None:
    """Publish Spark ML pipelines, and score with them.

    The service is the one that --credentials or --profile name; else that of the WMLCLIENT_* variables; else that of
    the default profile.
    """
    if credentials and profile:
        raise click.UsageError("Give --credentials or --profile, not both.")
    ctx.obj = {"credentials": credentials, "profile": profile, "output": output}
