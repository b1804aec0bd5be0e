"""HTML for notebooks: small tables, everything escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

CELL_LENGTH = 120


def short(value: Any, length: int = CELL_LENGTH) -> str:
    """A value on one line, cut where it is long."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], note: str = "") -> str:
    """An HTML table with a line of text below it."""
    head = "".join(f"<th>{html.escape(short(name))}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(short(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    below = f"<p>{html.escape(note)}</p>" if note else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"


def card(title: str, pairs: Iterable[tuple[str, Any]]) -> str:
    """One thing and its properties; those that are None are left out."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(short(value))}</td></tr>"
        for name, value in pairs
        if value is not None and value != ""
    )
    return f"<table><caption>{html.escape(short(title))}</caption><tbody>{rows}</tbody></table>"
