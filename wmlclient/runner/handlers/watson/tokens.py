"""Tokens."""

from __future__ import annotations

import anyio.to_thread

from ..common import guesses
from ..registry import Answer, Call, Services
from . import operation


@operation("Token_Get", "Token_GetV2")
async def get(services: Services, call: Call) -> Answer:
    """User and password for a token."""
    header = call.authorization.decode("latin-1") if call.authorization is not None else None
    token = await anyio.to_thread.run_sync(services.auth.login, header, limiter=guesses)
    return Answer(body={"token": token})


@operation("Token_Refresh")
def refresh(services: Services, call: Call) -> Answer:
    """An old token for a new one."""
    return Answer(body={"token": services.auth.refresh(call.body["token"])})
