"""Pages that are written from the code: the routes of the contract, the stages of the
native scorer, the help of the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
PARITY = REFERENCE / "parity.json"
SWAGGER = Path(__file__).resolve().parents[2] / "swagger"
CONTRACTS = {"watson_ml_v3": "_contract.md", "ml_server": "_contract_ml_server.md"}
VERBS = ("get", "post", "put", "patch", "delete")


def write_if_changed(path: Path, lines: list[str]) -> None:
    """Leave an unchanged page alone, so that an incremental build stays one."""
    text = "\n".join(lines) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def contract_lines(document: dict[str, Any]) -> list[str]:
    lines = ["| Method and path | Operation | Success | Source |", "|---|---|---|---|"]
    for path, item in document["paths"].items():
        for verb in VERBS:
            if verb in item:
                operation = item[verb]
                codes = ", ".join(code for code in operation["responses"] if code != "default")
                lines.append(
                    f"| `{verb.upper()} {path}` | {cell(operation['summary'])} (`{operation['operationId']}`) "
                    f"| {codes} | {cell(operation['x-source'])} |"
                )
    return lines


def stage_lines() -> list[str]:
    """Each stage, what its loader says of it, and what its comparison with Spark found."""
    from wmlclient.scoring.registry import described

    known = json.loads(PARITY.read_text(encoding="utf-8"))
    versions = sorted(known, reverse=True)
    heads = [f"Spark {version}: rows, largest difference" for version in versions]
    lines = [f"| Stage | What is done | {' | '.join(heads)} |", "|---|---" + "|---" * len(heads) + "|"]
    for java_class, text in described().items():
        if java_class.startswith("pyspark."):
            continue  # the same stage, as Python saves it
        found = [compared(known[version]["stages"].get(java_class)) for version in versions]
        name = java_class.removeprefix("org.apache.spark.ml.")
        lines.append(f"| `{name}` | {cell(text).replace('``', '`')} | {' | '.join(found)} |")
    return lines


def compared(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    largest = found["largest_difference"]
    apart = "" if largest is None else ", equal to the last bit" if largest == 0 else f", {largest:.0e}"
    return f"{found['rows']:,}{apart}"


def cli_lines() -> list[str]:
    """The help of each command, as it prints it."""
    import click

    from wmlclient.cli import main
    from wmlclient.runner.__main__ import serve

    def walk(command: click.Command, context: click.Context, depth: int) -> list[str]:
        if context.command_path == "wmlclient serve":
            command = serve  # it hands its options on unread
        lines = [f"{'#' * depth} {context.command_path}", "", "```text", command.get_help(context), "```", ""]
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                if child is not None and not child.hidden:
                    lines += walk(child, click.Context(child, info_name=name, parent=context), depth + 1)
        return lines

    return walk(main, click.Context(main, info_name="wmlclient", max_content_width=100), 2)


def generate(app: Sphinx) -> None:
    for name, page in CONTRACTS.items():
        document = json.loads((SWAGGER / f"{name}.json").read_text(encoding="utf-8"))
        write_if_changed(REFERENCE / page, contract_lines(document))
    write_if_changed(REFERENCE / "_stages.md", stage_lines())
    write_if_changed(REFERENCE / "_cli.md", cli_lines())


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", generate)
    return {"parallel_read_safe": True}
