"""A module of the user's own, which the service cannot import."""

from __future__ import annotations

FACTOR = 3


def scaled(value: float) -> float:
    return FACTOR * value
