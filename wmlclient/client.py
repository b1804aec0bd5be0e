"""The client: one connection to one scoring service, embedded or remote."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from wmlclient import config, http
from wmlclient._sentinel import NOT_GIVEN, NotGiven
from wmlclient.connections import KafkaConnection, SparkService
from wmlclient.deployments import Deployments
from wmlclient.errors import ConfigError, LocalModeError
from wmlclient.instance import Instance
from wmlclient.models import Models
from wmlclient.service import Service
from wmlclient.translate import translate

if TYPE_CHECKING:
    from wmlclient._generated.watson_ml_v3 import WatsonMlV3
    from wmlclient.devicelogin import DeviceLogin
    from wmlclient.mlservice import MlService
    from wmlclient.sessions import Sessions
    from wmlclient.webservices import WebServices

LOCAL_MASTER = "local[2]"
Seconds = float | tuple[float | None, float | None] | None


class Client:
    """A scoring service at hand.

    Nothing is read from the environment, and nothing is sent before the first call; threads may share a client.

    Args:
        url: base URL of the service, such as ``"http://127.0.0.1:12800"``.
        username: its user.
        password: its password; never shown, logged or part of an error.
        instance_id: the instance that these credentials are for.
        token: a bearer token instead of user and password; it is never renewed.
        login: gets tokens of an issuer that the service trusts, instead of user and password.
        kafka: the Kafka service that belongs to it: a connection, or its credentials.
        timeout: seconds to wait for an answer, or (to connect, to read); None waits for ever. By default 5 s to connect
            and 60 s to read.
        max_retries: how often a safe call (GET, PUT, DELETE) is repeated on 429, 502, 503, 504 or a broken
            connection. A POST is only repeated if no connection could be made.

    Raises:
        ConfigError: something is missing.

    Example:
        >>> client = Client("http://127.0.0.1:12800", username="u", password="p", instance_id="i")
        >>> client
        Client('http://127.0.0.1:12800', instance_id='i')
    """

    def __init__(
        self,
        url: str,
        username: str | None = None,
        password: str | None = None,
        instance_id: str = "",
        *,
        token: str | None = None,
        login: DeviceLogin | None = None,
        kafka: KafkaConnection | Mapping[str, Any] | None = None,
        timeout: Seconds = (http.CONNECT_TIMEOUT, http.READ_TIMEOUT),
        max_retries: int = http.MAX_RETRIES,
    ) -> None:
        self._local: _Local | None = None
        self._kafka: KafkaConnection | Mapping[str, Any] | Callable[[], KafkaConnection] | None = kafka
        self._use(
            Service(
                url,
                instance_id,
                username=username,
                password=password,
                token=token,
                login=login,
                timeout=timeout,
                max_retries=max_retries,
            )
        )

    def _use(self, service: Service) -> None:
        self._service = service
        self._ml: MlService | None = None
        self.models = Models(service)
        self.deployments = Deployments(service)

    @classmethod
    def _from_credentials(cls, credentials: config.Credentials, **options: Any) -> Client:
        return cls(
            credentials.url,
            username=credentials.username,
            password=credentials.password,
            instance_id=credentials.instance_id,
            kafka=credentials.kafka,
            **options,
        )

    @classmethod
    def local(
        cls,
        home: str | os.PathLike[str] | None = None,
        *,
        kafka: bool = False,
        spark_master: str = LOCAL_MASTER,
        allow_uncertified: bool = False,
        timeout: Seconds = (http.CONNECT_TIMEOUT, http.READ_TIMEOUT),
        max_retries: int = http.MAX_RETRIES,
    ) -> Client:
        """A client of an embedded runner, which is started as a child process and ends with :meth:`close`.

        Args:
            home: folder that keeps models, deployments and topics, and finds them again; by default a temporary one
                that :meth:`close` deletes.
            kafka: start the embedded Kafka broker at once; else :attr:`kafka` starts it.
            spark_master: the Spark of streams, and of models that the native engine does not score.
            allow_uncertified: score natively what cannot be compared with Spark, as there is no Java here and no
                certificate came with the model.
            timeout: as for :class:`Client`.
            max_retries: as for :class:`Client`.

        Raises:
            LocalModeError: the runner cannot start; the text says what mends it.
        """
        runner = _Local(home, kafka=kafka, spark_master=spark_master, allow_uncertified=allow_uncertified)
        try:
            credentials = config.Credentials.from_mapping(runner.credentials, "the embedded runner")
            client = cls._from_credentials(credentials, timeout=timeout, max_retries=max_retries)
        except BaseException:
            runner.close()
            raise
        client._local = runner
        client._kafka = lambda: KafkaConnection.from_credentials(runner.kafka(), create_topics=True)
        client._service.default_spark = SparkService(cluster_master_url=spark_master)
        return client

    @classmethod
    def from_env(cls, **options: Any) -> Client:
        """A client of the service that the environment names.

        ``WMLCLIENT_URL``, ``WMLCLIENT_USERNAME``, ``WMLCLIENT_PASSWORD`` and ``WMLCLIENT_INSTANCE_ID``, or
        ``WMLCLIENT_CREDENTIALS``, the path of a ``credentials.json``; the single variables win.

        Args:
            options: ``timeout`` and ``max_retries``, as for :class:`Client`.

        Raises:
            ConfigError: something is missing; the text lists every place that was tried.
        """
        return cls._from_credentials(config.from_env(), **options)

    @classmethod
    def from_profile(
        cls, name: str = "default", path: str | os.PathLike[str] | None = None, **options: Any
    ) -> Client:
        """A client of the service that a profile names.

        Args:
            name: name of a table in the profile file, with ``url``, ``username``, ``password`` and ``instance_id``, or
                with ``credentials``, the path of a ``credentials.json``.
            path: the profile file, or a ``credentials.json`` itself. By default ``WMLCLIENT_PROFILES``, else
                ``profiles.toml`` in the user's configuration folder (``~/.config/wmlclient`` on Linux).
            options: ``timeout`` and ``max_retries``, as for :class:`Client`.

        Raises:
            ConfigError: no such file or profile, or something is missing in it.
        """
        return cls._from_credentials(config.from_profile(name, path), **options)

    @property
    def url(self) -> str:
        """Base URL of the service."""
        return self._service.url

    @property
    def instance_id(self) -> str:
        """The instance whose models and deployments these are."""
        return self._service.instance_id

    @property
    def instance(self) -> Instance:
        """Plan and usage of the instance, asked for at each access."""
        with translate():
            return Instance._of(self._service.api.instances.get(self._service.instance_id))

    @property
    def kafka(self) -> KafkaConnection:
        """The Kafka service that belongs to this one; an embedded runner's broker starts on first use.

        Raises:
            ConfigError: these credentials name none.
            LocalModeError: the embedded broker cannot start.
        """
        self._service.check_open()
        if self._kafka is None:
            raise ConfigError(
                "These credentials name no Kafka service. Give kafka=KafkaConnection(...), or 'kafka' in "
                "credentials.json."
            )
        if not isinstance(self._kafka, KafkaConnection):
            self._kafka = (
                self._kafka() if callable(self._kafka) else KafkaConnection.from_credentials(self._kafka)
            )
        return self._kafka

    @property
    def sessions(self) -> Sessions:
        """Sessions: Python processes on the service, with variables and files of their own."""
        from wmlclient.sessions import Sessions

        return Sessions(self._ml_service())

    @property
    def services(self) -> WebServices:
        """Web services: functions that the service answers for."""
        from wmlclient.webservices import WebServices

        return WebServices(self._ml_service())

    def _ml_service(self) -> MlService:
        if self._ml is None:
            from wmlclient.mlservice import MlService

            self._ml = MlService(self._service)
        return self._ml

    @property
    def raw(self) -> WatsonMlV3:
        """The generated client of the service's contract, for what this class does not offer.

        It shares token, retries and timeouts. Its errors are azure-core's and msrest's, and what it answers shows
        secrets when printed.
        """
        return self._service.api

    def with_options(
        self, *, timeout: Seconds | NotGiven = NOT_GIVEN, max_retries: int | NotGiven = NOT_GIVEN
    ) -> Client:
        """A light copy that waits or retries differently: ``client.with_options(timeout=5).models.list()``.

        It shares connections, token and embedded runner; closing either closes both.
        """
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._use(self._service.with_options(timeout=timeout, max_retries=max_retries))
        return copy

    def close(self) -> None:
        """Closes the connections, and ends an embedded runner. Safe to call twice."""
        self._service.close()
        if self._local is not None:
            self._local.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        kind = ", embedded" if self._local is not None else ""
        return f"Client({self.url!r}, instance_id={self.instance_id!r}{kind})"


class _Local:
    """The embedded runner of one client. It ends with the interpreter at the latest."""

    # What the child process cannot start without, by the names of the modules.
    NEEDS = ("jsonpatch", "jsonschema", "jwt", "sqlalchemy", "starlette", "uvicorn")

    def __init__(
        self, home: str | os.PathLike[str] | None, *, kafka: bool, spark_master: str, allow_uncertified: bool
    ) -> None:
        try:
            missing = [name for name in self.NEEDS if importlib.util.find_spec(name) is None]
            from wmlclient.runner.launch import LocalRunner
        except ImportError as error:
            missing = [error.name or "more packages"]
        if missing:
            raise LocalModeError(
                f"The embedded runner needs {', '.join(missing)}. Run: pip install 'wmlclient[local]'"
            )
        self._runner = LocalRunner(
            home=home, kafka=kafka, spark_master=spark_master, allow_uncertified=allow_uncertified
        )
        self._call(self._runner.start)
        self.credentials: Mapping[str, Any] = self._runner.credentials

    @property
    def home(self) -> os.PathLike[str] | None:
        """Where the runner keeps its data."""
        return self._runner.home

    def kafka(self) -> Mapping[str, Any]:
        """Credentials of the embedded broker; starts it."""
        found: Mapping[str, Any] = self._call(self._runner.kafka_credentials)
        return found

    def close(self) -> None:
        self._runner.stop()

    @staticmethod
    def _call(function: Callable[[], Any]) -> Any:
        try:
            return function()
        except Exception as error:  # whatever keeps the child process from working
            raise LocalModeError(str(error), code=getattr(error, "code", None)) from None
