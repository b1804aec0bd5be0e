"""Fixtures for pytest: a scoring service, its client, a Kafka broker and a Spark session.

Loaded by pytest through its entry point; nothing heavy is imported before a fixture is asked for. Each worker of
pytest-xdist has a service of its own, in its own temporary folder, on its own port.

* ``wml_server``: the service, one for the session; ``--wml-url`` or ``--wml-credentials`` use one that runs already.
* ``wml_client``: a client of it, which leaves the service as clean as it was.
* ``kafka_broker``: its Kafka broker; ``kafka_broker.topic()`` makes a topic for this test alone, and ``kill()``,
  ``pause()``, ``resume()`` and ``restart()`` show what becomes of a stream then.
* ``kafka_cluster``: three brokers that are one cluster, each of which a test may break.
* ``spark``: a small Spark session, one for the session.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from attrs import field, frozen

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from wmlclient.client import Client
    from wmlclient.connections import KafkaConnection
    from wmlclient.testing.brokers import KafkaBroker, KafkaCluster


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options to use a service that runs already."""
    group = parser.getgroup("wmlclient", "scoring service of the wml_* fixtures")
    group.addoption(
        "--wml-url",
        metavar="URL",
        help="use the service at URL; user, password and instance come from --wml-credentials or WMLCLIENT_* variables",
    )
    group.addoption(
        "--wml-credentials", metavar="FILE", help="use the service that this credentials.json is for"
    )
    parser.addini("wml_url", "default of --wml-url", default="")
    parser.addini("wml_credentials", "default of --wml-credentials", default="")


# kafka-python 3 drops the socket of a connection that was refused without closing it. Python closes it then, and
# complains in whichever test happens to run. Only a socket that was never connected has this address.
_DROPPED = r"ignore:unclosed <socket\.socket .*laddr=\('0\.0\.0\.0':ResourceWarning"


def pytest_configure(config: pytest.Config) -> None:
    """Keeps a warning that is nobody's fault here from failing a suite in which warnings are errors."""
    config.addinivalue_line("filterwarnings", _DROPPED)


@frozen
class WmlServer:
    """A scoring service for tests.

    Attributes:
        url: its base URL.
        credentials: ``url``, ``username``, ``password``, ``instance_id``, and ``kafka`` if it has one; never shown.
        embedded: True if these tests started it, and all that is in it is theirs.
    """

    url: str
    credentials: Mapping[str, Any] = field(repr=False)
    embedded: bool
    _owner: Any = field(repr=False)

    def connect(self, **options: Any) -> Client:
        """Another client of it. Close it, or use it in a with statement.

        Args:
            options: ``timeout`` and ``max_retries``, as for ``Client``.
        """
        from wmlclient.client import Client

        client = Client(
            self.url,
            username=self.credentials["username"],
            password=self.credentials["password"],
            instance_id=self.credentials["instance_id"],
            **options,
        )
        client._service.default_spark = self._owner._service.default_spark
        client._kafka = lambda: self._owner.kafka
        return client

    @property
    def kafka(self) -> KafkaConnection:
        """Its Kafka service; an embedded broker starts on first use."""
        found: KafkaConnection = self._owner.kafka
        return found


@pytest.fixture(scope="session")
def wml_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WmlServer]:
    """A scoring service: an embedded runner, or the one that ``--wml-url`` or ``--wml-credentials`` name."""
    from wmlclient.client import Client

    given = _given_credentials(request.config)
    if given is not None:
        with Client._from_credentials(given) as owner:
            values = {
                "url": given.url,
                "username": given.username,
                "password": given.password,
                "instance_id": given.instance_id,
                "kafka": given.kafka,
            }
            yield WmlServer(url=owner.url, credentials=values, embedded=False, owner=owner)
        return
    with Client.local(home=tmp_path_factory.mktemp("wml")) as owner:
        assert owner._local is not None
        yield WmlServer(url=owner.url, credentials=owner._local.credentials, embedded=True, owner=owner)


@pytest.fixture
def wml_client(wml_server: WmlServer) -> Iterator[Client]:
    """A client of ``wml_server``. What the test published and deployed is deleted after it."""
    with wml_server.connect() as client:
        made: list[tuple[str, str]] = []
        client._service.created = made
        yield client
        client._service.created = None
        _clean(client, None if wml_server.embedded else made)


@pytest.fixture
def kafka_broker(request: pytest.FixtureRequest) -> Iterator[KafkaBroker]:
    """A Kafka broker, one for the session; topics are made and deleted test by test.

    It is that of ``wml_server``, or, without a login, the one that ``KAFKA_URI`` (``host:port``) names.
    """
    from wmlclient.testing.brokers import KafkaBroker, embedded_node

    given = os.environ.get("KAFKA_URI")
    if given:
        from wmlclient.connections import KafkaConnection

        broker = KafkaBroker(KafkaConnection(brokers=given, create_topics=True))
    else:
        server: WmlServer = request.getfixturevalue("wml_server")
        broker = KafkaBroker(server.kafka, embedded_node(server._owner) if server.embedded else None)
    try:
        yield broker
    finally:
        broker.clean()


@pytest.fixture(scope="session")
def _kafka_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from wmlclient.runner.broker import Cluster

    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def kafka_cluster(_kafka_cluster: Any) -> Iterator[KafkaCluster]:
    """Three Kafka brokers that are one cluster, started once; what a test breaks is mended after it.

    Each topic has a copy on all three, and takes records while two are there.
    """
    from wmlclient.testing.brokers import cluster_of

    cluster = cluster_of(_kafka_cluster)
    try:
        yield cluster
    finally:
        cluster.clean()


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A small Spark session on this machine; one that is active already is used, and left as it is."""
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        yield active
        return
    folder = tmp_path_factory.mktemp("spark")
    session = (
        SparkSession.builder.master("local[2]")
        .appName("wmlclient tests")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.default.parallelism", "1")
        .config("spark.sql.warehouse.dir", str(folder))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


def _given_credentials(settings: pytest.Config) -> Any:
    """Credentials of a service that runs already, or None."""
    from wmlclient import config

    file = settings.getoption("--wml-credentials") or settings.getini("wml_credentials")
    url = settings.getoption("--wml-url") or settings.getini("wml_url")
    if file:
        found = config.from_file(file)
    elif url:
        found = config.from_env({**os.environ, "WMLCLIENT_URL": url})
    else:
        return None
    return config.Credentials(
        url=url or found.url,
        username=found.username,
        password=found.password,
        instance_id=found.instance_id,
        kafka=found.kafka,
    )


def _clean(client: Client, made: list[tuple[str, str]] | None) -> None:
    """Deletes what was made, the newest first; without a list, everything."""
    from wmlclient.errors import NotFoundError

    if made is None:
        for model in list(client.models.list()):
            model.delete(ignore_spark_errors=True)
        return
    for kind, made_id in reversed(made):
        try:
            if kind == "model":
                client.models.get(made_id).delete(ignore_spark_errors=True)
            else:
                client.deployments.get(made_id).delete(ignore_spark_errors=True)
        except NotFoundError:
            pass  # the test deleted it itself
