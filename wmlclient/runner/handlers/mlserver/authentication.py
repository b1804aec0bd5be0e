"""Tokens."""

from __future__ import annotations

from typing import Any

import anyio.to_thread

from ...logins import Tokens
from ..common import guesses
from ..registry import Answer, Call, Services
from . import operation


@operation("login")
async def login(services: Services, call: Call) -> Answer:
    """User and password for a pair of tokens."""
    given = call.body.get("username"), call.body.get("password")
    tokens = await anyio.to_thread.run_sync(services.logins.login, *given, limiter=guesses)
    return Answer(body=_shown(tokens))


@operation("renewToken")
def renew(services: Services, call: Call) -> Answer:
    """A refresh token for a new pair."""
    return Answer(body=_shown(services.logins.renew(call.body.get("refreshToken"))))


@operation("revokeRefreshToken")
def revoke(services: Services, call: Call) -> Answer:
    """No more new pairs for a refresh token."""
    services.logins.revoke(call.given["refreshToken"])
    return Answer(body={})


def _shown(tokens: Tokens) -> dict[str, Any]:
    return {
        "token_type": "Bearer",
        "access_token": tokens.access,
        "expires_in": tokens.lifetime,
        "expires_on": str(tokens.expires_on),
        "refresh_token": tokens.refresh,
    }
