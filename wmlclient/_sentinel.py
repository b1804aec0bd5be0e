"""``NOT_GIVEN``: the default of an argument for which None means something."""

from __future__ import annotations

import enum


class NotGiven(enum.Enum):
    """Its only member stands for an argument that was not given."""

    NOT_GIVEN = "not given"

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN = NotGiven.NOT_GIVEN
