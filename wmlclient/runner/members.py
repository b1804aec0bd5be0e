"""Settings in a JSON file, whose members are the attributes of a class."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from attrs import fields

T = TypeVar("T")


def read(path: Path, refused: type[Exception]) -> Any:
    """What a file holds.

    Args:
        path: The file.
        refused: What to raise where it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        # The text of a JSON error quotes nothing of the file.
        raise refused(f"{path} cannot be read: {error}") from None


def settings(
    kind: type[T], members: Any, types: Mapping[str, Any], refused: type[Exception], needed: Mapping[str, str]
) -> T:
    """The members as settings.

    Args:
        kind: An attrs class.
        members: What was read.
        types: What members are that are no texts; any member may be null.
        refused: What to raise where a member is unknown, missing or of another type.
        needed: Members that have to be there, and what they are.
    """
    given: Mapping[str, Any] = members if isinstance(members, dict) else {}
    for name, what in needed.items():
        if name not in given:
            raise refused(f"`{name}` is missing: {what}")
    known = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise refused(f"Unknown: {', '.join(unknown)}. Known are: {', '.join(known)}.")
    for name, value in given.items():
        if value is not None and not isinstance(value, types.get(name, str)):
            raise refused(f"`{name}` is of another type.")
    return kind(**given)
