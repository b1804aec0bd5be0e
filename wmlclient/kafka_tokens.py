"""Tokens for Kafka's OAUTHBEARER: given, or asked for at an endpoint by the grant ``client_credentials``."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.parse
from typing import Any

from wmlclient.kafka_login import KafkaLogin
from wmlclient.plain_http import ask, host_of

#: What a token without a stated end is good for; brokers know better, and say so.
_UNKNOWN_SECONDS = 3600.0


class TokenRefused(Exception):
    """There is no token. The message names the endpoint, never a secret."""


def token_of(login: KafkaLogin) -> tuple[str, float]:
    """A token, and when it ends in seconds since 1970.

    Raises:
        TokenRefused: The endpoint does not answer, or gives none.
    """
    if login.token:
        return login.token, time.time() + _UNKNOWN_SECONDS
    address = login.token_endpoint or ""
    form = {"grant_type": "client_credentials"} | ({"scope": login.scope} if login.scope else {})
    names = (urllib.parse.quote(part or "", safe="") for part in (login.user, login.password))
    headers = {
        "Accept": "application/json",
        "Authorization": "Basic " + base64.b64encode(":".join(names).encode()).decode(),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    try:
        found = json.loads(ask(address, headers, urllib.parse.urlencode(form).encode()))
        token = found["access_token"]
        lasts = float(found.get("expires_in") or _UNKNOWN_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        raise TokenRefused(
            f"The token endpoint {host_of(address)} refuses this client: HTTP {error.code}."
        ) from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise TokenRefused(f"The token endpoint {host_of(address)} does not answer: {reason}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TokenRefused(f"The token endpoint {host_of(address)} answers without a token.") from None
    return str(token), time.time() + lasts


def token_provider(login: KafkaLogin) -> Any:
    """What kafka-python asks for tokens."""
    from kafka.net.sasl.oauth import AbstractTokenProvider

    class Provider(AbstractTokenProvider):  # type: ignore[misc]
        """Tokens of one login."""

        def token(self) -> str:
            """A token that is good now."""
            return token_of(login)[0]

    return Provider()
