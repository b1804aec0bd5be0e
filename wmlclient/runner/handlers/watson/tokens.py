"""Tokens."""

from __future__ import annotations

from ..registry import Answer, Call, Services
from . import operation


@operation("Token_Get", "Token_GetV2")
def get(services: Services, call: Call) -> Answer:
    """User and password for a token."""
    header = call.authorization.decode("latin-1") if call.authorization is not None else None
    return Answer(body={"token": services.auth.login(header)})


@operation("Token_Refresh")
def refresh(services: Services, call: Call) -> Answer:
    """An old token for a new one."""
    return Answer(body={"token": services.auth.refresh(call.body["token"])})
