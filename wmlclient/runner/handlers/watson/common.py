"""Small things that several handlers of the v3 API need."""

from __future__ import annotations

from ...engine.errors import Invalid
from ..registry import Call, Services
from . import page_tokens
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
    try:
        return page_tokens.decode(token, call.operation.path.rpartition("/")[2])
    except ValueError:
        raise Invalid(
            "invalid_query_parameter_value",
            "The parameter start is not the token of a `next` link.",
            {"type": "parameter", "name": "start"},
        ) from None
