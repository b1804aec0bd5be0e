"""``wmlclient serve``: the options are the runner's own, see ``wmlclient/runner/__main__.py``."""

from __future__ import annotations

import click

from wmlclient.errors import LocalModeError


@click.command(
    "serve",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    add_help_option=False,
)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Run the scoring service in the foreground."""
    try:
        from wmlclient.runner.__main__ import serve
    except ImportError as error:
        raise LocalModeError(
            f"The runner needs {error.name or 'more packages'}. Run: pip install 'wmlclient[local]'"
        ) from None
    serve.main(list(ctx.args), prog_name=ctx.command_path)
