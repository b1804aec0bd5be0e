"""The documents that both halves speak: the client is generated from them, the runner routes by them.

The files here are copies of those in ``swagger/`` of the repository, made by ``swagger/regenerate.py``.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def load(name: str) -> dict[str, Any]:
    """Read a contract document.

    Args:
        name: The document without its ending, such as ``"watson_ml_v3"``.

    Returns:
        The Swagger 2.0 document; a new copy at every call.

    Raises:
        FileNotFoundError: There is no such document.

    Example:
        >>> load("watson_ml_v3")["swagger"]
        '2.0'
    """
    text = resources.files(__name__).joinpath(f"{name}.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
