"""The connection to a service's sessions and web services: Machine Learning Server's contract, logged in when asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests
from azure.core.pipeline.policies import ContentDecodePolicy
from azure.core.pipeline.transport import RequestsTransport

from wmlclient._generated.ml_server import MlServer, models
from wmlclient.auth import Tokens
from wmlclient.errors import ConfigError, api_error
from wmlclient.service import CallPolicy, Service
from wmlclient.translate import translate, transport_error

if TYPE_CHECKING:
    from collections.abc import Sequence


class MlService:
    """Logs in with the user and the password of a scoring service, and shares its connections.

    Args:
        service: the scoring service.

    Attributes:
        api: the generated client.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._tokens = service.shared_tokens or Tokens(self._login)
        self.api = MlServer(
            service.url,
            policies=[
                ContentDecodePolicy(),
                CallPolicy(self._tokens, service.timeout, service.check_open),
            ],
            transport=RequestsTransport(session=service.session, session_owner=False),
        )

    @property
    def url(self) -> str:
        """Base URL."""
        return self._service.url

    @property
    def scoring(self) -> Service:
        """The scoring service, whose user and connections these are."""
        return self._service

    def call(
        self,
        method: str,
        parts: Sequence[str],
        body: Any = None,
        query: Mapping[str, Any] | None = None,
    ) -> requests.Response:
        """A call of a web service's own document, which no client was generated from.

        Args:
            method: HTTP method.
            parts: parts of the path.
            body: JSON, or None for no body.
            query: parameters.

        Raises:
            ApiError: it was refused.
        """
        self._service.check_open()
        url = "/".join([self.url, *(quote(part, safe="") for part in parts)])
        content = None if body is None else json.dumps(body, allow_nan=False).encode()
        token = self._tokens.get()
        response = self._send(method, url, content, query, token)
        if response.status_code == 401:
            response = self._send(method, url, content, query, self._tokens.replace(token))
        if response.status_code >= 400:
            raise api_error(
                response.status_code, response.content, method=method, url=url, headers=response.headers
            )
        return response

    def _send(
        self, method: str, url: str, content: bytes | None, query: Mapping[str, Any] | None, token: str
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            return self._service.session.request(
                method, url, data=content, params=query, headers=headers, timeout=self._service.timeout
            )
        except requests.RequestException as error:
            raise transport_error(error) from None

    def _login(self) -> str:
        user = self._service.user
        if user is None:
            raise ConfigError(
                "Sessions and web services log in with user and password: make the client with username= and "
                "password=, or with login=, not with token=.",
                tried=("arguments",),
            )
        request = models.LoginRequest(username=user[0], password=user[1])
        # The header keeps the policy from asking for the token that is being fetched.
        with translate():
            answer = self.api.login(request, headers={"Authorization": self._service.authorization})
        return str(answer.access_token)

    def __repr__(self) -> str:
        return f"MlService({self.url!r})"


__all__ = ["MlService", "models"]
