"""Small things that several handlers of the v3 API need."""

from __future__ import annotations

import re

from ...engine.errors import Invalid
from ..registry import Call, Services
from .views import Views


def views(services: Services, call: Call) -> Views:
    """What makes this answer's JSON."""
    return Views(call.base, services.auth.instance_id)


def start_of(call: Call) -> int | None:
    """Where the page starts: the token of a ``next`` link.

    Raises:
        Invalid: ``invalid_query_parameter_value``.
    """
    token: str | None = call.given["start"]
    if token is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", token):
        raise Invalid(
            "invalid_query_parameter_value",
            "The parameter start is not the token of a `next` link.",
            {"type": "parameter", "name": "start"},
        )
    return int(token)
