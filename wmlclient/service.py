"""One connection to one service: the generated client, its token, its session.

The nouns of the facade (models, deployments, ...) share an instance of :class:`Service` and call the generated
client through it. This is the only module that builds the generated client.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import ContentDecodePolicy, HTTPPolicy
from azure.core.pipeline.transport import RequestsTransport
from urllib3.exceptions import ProtocolError

from wmlclient import http
from wmlclient._generated.watson_ml_v3 import WatsonMlV3
from wmlclient._sentinel import NOT_GIVEN, NotGiven
from wmlclient.auth import Tokens, basic
from wmlclient.connections import SparkService
from wmlclient.devicelogin import DeviceLogin
from wmlclient.errors import ConfigError, api_error
from wmlclient.translate import translate, transport_error


class CallPolicy(HTTPPolicy[Any, Any]):
    """Timeouts, the bearer token, one more try with a new token, and the debug log."""

    def __init__(self, tokens: Tokens, timeout: http.Timeout, check_open: Callable[[], None]) -> None:
        super().__init__()
        self._check_open = check_open
        self._tokens = tokens
        self._timeout = timeout

    def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        self._check_open()
        options = request.context.options
        options.setdefault("connection_timeout", self._timeout[0])
        options.setdefault("read_timeout", self._timeout[1])
        sent = request.http_request
        if "Authorization" in sent.headers:  # the token call, with user and password
            return self._send(request)
        token = self._tokens.get()
        sent.headers["Authorization"] = f"Bearer {token}"
        body: Any = getattr(sent, "content", None)
        start = body.tell() if hasattr(body, "tell") else None
        kept = dict(options)
        response = self._send(request)
        if response.http_response.status_code != 401 or not self._tokens.renewable:
            return response
        if start is not None:
            body.seek(start)
        elif body is not None and not isinstance(body, bytes | str):
            return response  # an iterator that is used up
        response.http_response.close()
        sent.headers["Authorization"] = f"Bearer {self._tokens.replace(token)}"
        request.context.options.update(kept)
        return self._send(request)

    def _send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        started = time.perf_counter()
        response = self.next.send(request)
        if http.logger.isEnabledFor(10):
            answer = response.http_response
            http.log_exchange(
                request.http_request.method,
                request.http_request.url,
                answer.status_code,
                time.perf_counter() - started,
                answer.headers,
            )
        return response


class Service:
    """Where the models of one instance live, and how to talk to it.

    Args:
        url: base URL of the service.
        instance_id: its instance.
        username: its user; goes with password.
        password: its password.
        token: a bearer token instead of both; it is used as it is, and never renewed.
        login: gets tokens that are the service's own business in no way, instead of both.
        timeout: seconds to wait for an answer, or (to connect, to read); None waits for ever.
        max_retries: how often a safe call is repeated.

    Attributes:
        default_spark: the Spark service of a stream that needs one and names none; None leaves it to the service.
        created: where ("model" or "deployment", id) of all that is made is noted; None notes nothing.
    """

    default_spark: SparkService | None = None
    created: list[tuple[str, str]] | None = None

    def __init__(
        self,
        url: str,
        instance_id: str,
        *,
        username: str | None = None,
        password: str | None = None,
        token: str | None = None,
        login: DeviceLogin | None = None,
        timeout: float | tuple[float | None, float | None] | None = (http.CONNECT_TIMEOUT, http.READ_TIMEOUT),
        max_retries: int = http.MAX_RETRIES,
    ) -> None:
        self.url = _base_url(url)
        self.instance_id = instance_id
        if token is None and login is None and not (username and password):
            raise ConfigError("Give username= and password=, or token=, or login=.", tried=("arguments",))
        if login is not None and (token is not None or username or password):
            raise ConfigError("Give login= alone, without user, password and token.", tried=("arguments",))
        if not instance_id:
            raise ConfigError("Give instance_id=, the instance that these credentials are for.")
        self._authorization = basic(username, password) if username and password and token is None else None
        fetch = self._fetch_token if login is None else login.token
        self._tokens = Tokens(None if token is not None else fetch, token)
        #: The tokens of an issuer are good for all contracts of the service.
        self.shared_tokens = self._tokens if login is not None else None
        self._transport = http.Transport()
        self._templates: dict[str, requests.PreparedRequest] = {}
        self._set_options(http.check_timeout(timeout), max_retries)

    def _set_options(self, timeout: http.Timeout, max_retries: int) -> None:
        self.timeout = timeout
        self.max_retries = max_retries
        self.session = self._transport.session(max_retries)
        self.api = WatsonMlV3(
            self.url,
            policies=[ContentDecodePolicy(), CallPolicy(self._tokens, timeout, self.check_open)],
            transport=RequestsTransport(session=self.session, session_owner=False),
        )

    @property
    def user(self) -> tuple[str, str] | None:
        """User and password; None where a token was given."""
        if self._authorization is None:
            return None
        name, _, password = base64.b64decode(self._authorization.partition(" ")[2]).decode().partition(":")
        return name, password

    @property
    def authorization(self) -> str:
        """The header of user and password."""
        return self._authorization or ""

    def __repr__(self) -> str:
        return f"Service({self.url!r}, instance_id={self.instance_id!r})"

    def with_options(
        self,
        *,
        timeout: float | tuple[float | None, float | None] | None | NotGiven = NOT_GIVEN,
        max_retries: int | NotGiven = NOT_GIVEN,
    ) -> Service:
        """A light copy that shares token and connections."""
        copy = object.__new__(Service)
        copy.__dict__.update(self.__dict__)
        copy._set_options(
            self.timeout if isinstance(timeout, NotGiven) else http.check_timeout(timeout),
            self.max_retries if isinstance(max_retries, NotGiven) else max_retries,
        )
        return copy

    def close(self) -> None:
        """Closes the connections, also those of all copies. Safe to call twice."""
        self._transport.close()

    def note(self, kind: str, made_id: str) -> None:
        """Notes that something was made."""
        if self.created is not None:
            self.created.append((kind, made_id))

    def check_open(self) -> None:
        """Raises ConfigError once the client is closed."""
        if self._transport.closed:
            raise ConfigError("This client is closed. Make a new one.")

    def _fetch_token(self) -> str:
        with translate():
            return str(self.api.token.get(authorization=self._authorization).token)

    def reachable(self, url: str) -> str:
        """An address from an answer, on the host that the user named.

        Services behind a proxy answer with addresses only they can reach, and a token must not travel to a host
        that somebody else chose.
        """
        parts = urlsplit(url)
        base = urlsplit(self.url)
        if (parts.scheme, parts.netloc) == (base.scheme, base.netloc):
            return url
        path = base.path.rstrip("/") + "/" + parts.path.lstrip("/")
        return urlunsplit((base.scheme, base.netloc, path, parts.query, ""))

    def post_json(
        self, url: str, body: bytes, *, timeout: float | tuple[float | None, float | None] | None | NotGiven
    ) -> requests.Response:
        """POST of a scoring table, without the cost of azure-core's pipeline and of preparing a request anew.

        Same token, retries and errors as any other call. As scoring changes nothing at the service, it is also sent
        again, once, when a kept-alive connection turns out to be closed.

        Args:
            url: absolute address on the service.
            body: JSON.
            timeout: as for :class:`Service`, for this call.
        """
        limits = self.timeout if isinstance(timeout, NotGiven) else http.check_timeout(timeout)
        self.check_open()
        token = self._tokens.get()
        response = self._post(url, body, token, limits)
        if response.status_code == 401 and self._tokens.renewable:
            response = self._post(url, body, self._tokens.replace(token), limits)
        if response.status_code != 200:
            raise api_error(
                response.status_code, response.content, method="POST", url=url, headers=response.headers
            )
        return response

    def _post(self, url: str, body: bytes, token: str, limits: http.Timeout) -> requests.Response:
        started = time.perf_counter()
        request = self._template(url).copy()
        request.headers["Authorization"] = f"Bearer {token}"
        request.headers["Content-Length"] = str(len(body))
        request.body = body
        settings = {
            **self.session.merge_environment_settings(url, None, False, None, None),
            "timeout": limits,
        }
        for attempt in (1, 2):
            try:
                response = self.session.get_adapter(url).send(request, **settings)
                _ = response.content  # reads it, and gives the connection back
                break
            except requests.ConnectionError as error:
                dropped = bool(error.args) and isinstance(error.args[0], ProtocolError)
                if attempt == 2 or not dropped or self.max_retries == 0:
                    raise transport_error(error) from None
            except requests.RequestException as error:
                raise transport_error(error) from None
        if http.logger.isEnabledFor(10):
            elapsed = time.perf_counter() - started
            http.log_exchange("POST", url, response.status_code, elapsed, response.headers)
        return response

    def _template(self, url: str) -> requests.PreparedRequest:
        """A POST to this address that only lacks body and token."""
        template = self._templates.get(url)
        if template is None:
            headers = {"Content-Type": "application/json", "Accept": "application/json"}
            template = self.session.prepare_request(requests.Request("POST", url, headers=headers))
            if len(self._templates) >= 1000:  # deployments come and go
                self._templates.clear()
            self._templates[url] = template
        return template


def _base_url(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError("url: give http://host:port or https://host.", tried=("arguments",))
    if "@" in parts.netloc:
        raise ConfigError("url: leave user and password out of it, and give username= and password=.")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
