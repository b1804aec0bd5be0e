"""The pytest plugin, run by pytest itself. What needs Java is in the modules beside this one."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from facade_stub import INSTANCE, PASSWORD, USER, Stub

pytest_plugins = ("pytester",)

# The tests of a user, with every warning an error.
STRICT = ("-o", "filterwarnings=error", "-p", "no:cacheprovider")


@pytest.fixture
def stub() -> Iterator[Stub]:
    service = Stub()
    yield service
    service.close()


@pytest.fixture
def environment(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """User, password and instance of the stand-in."""
    monkeypatch.delenv("KAFKA_URI", raising=False)
    monkeypatch.setenv("WMLCLIENT_USERNAME", USER)
    monkeypatch.setenv("WMLCLIENT_PASSWORD", PASSWORD)
    monkeypatch.setenv("WMLCLIENT_INSTANCE_ID", INSTANCE)
    monkeypatch.delenv("WMLCLIENT_CREDENTIALS", raising=False)


def test_it_costs_nothing_when_it_is_not_used(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing_heavy_is_loaded(pytestconfig):
            assert pytestconfig.pluginmanager.hasplugin("wmlclient")
            heavy = {"pyspark", "pandas", "numpy", "kafka", "requests", "msrest"}
            assert not {*heavy, "wmlclient.client", "wmlclient.runner"} & set(sys.modules)
        """
    )

    # Others' plugins load what they like.
    others = ("-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:anyio")
    pytester.runpytest_subprocess(*STRICT, *others).assert_outcomes(passed=1)


def test_an_embedded_service_is_started_once(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import wmlclient

        urls = []

        def test_one(wml_client, wml_server):
            assert wml_server.embedded
            assert wml_client.instance.plan
            assert wml_client.url == wml_server.url
            assert str(wml_server.credentials["password"]) not in repr(wml_server) + repr(wml_client)
            urls.append(wml_server.url)

        def test_two(wml_client):
            assert list(wml_client.models.list()) == []
            urls.append(wml_client.url)
            assert len(set(urls)) == 1

        def test_another_client(wml_server):
            with wml_server.connect(timeout=5) as client:
                assert client.instance.id == wml_server.credentials["instance_id"]
        """
    )

    pytester.runpytest_subprocess(*STRICT).assert_outcomes(passed=3)


def test_each_worker_has_a_service_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pathlib
        import time

        import pytest

        @pytest.mark.parametrize("number", range(4))
        def test_it(wml_server, worker_id, number):
            with open("urls.txt", "a") as file:
                file.write(f"{worker_id} {wml_server.url}\\n")
            # No worker takes all the tests before the other one is there.
            deadline = time.monotonic() + 60
            seen = pathlib.Path("urls.txt")
            while len({s.split()[0] for s in seen.read_text().splitlines()}) < 2 and time.monotonic() < deadline:
                time.sleep(0.05)
        """
    )

    pytester.runpytest_subprocess("-n", "2", *STRICT).assert_outcomes(passed=4)
    lines = {tuple(line.split()) for line in (pytester.path / "urls.txt").read_text().splitlines()}
    assert len({worker for worker, _ in lines}) == 2
    assert len({url for _, url in lines}) == 2
    assert len(lines) == 2


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("how", ["option", "ini", "credentials"])
def test_a_service_that_runs_is_used_and_left_as_it_was(
    pytester: pytest.Pytester, stub: Stub, how: str
) -> None:
    kept = stub.add_model("kept")
    made = stub.add_model("made by the test")
    arguments = []
    if how == "option":
        arguments = ["--wml-url", stub.url]
    elif how == "ini":
        pytester.makeini(f"[pytest]\nwml_url = {stub.url}\n")
    else:
        path = pytester.path / "credentials.json"
        values = {"url": stub.url, "username": USER, "password": PASSWORD, "instance_id": INSTANCE}
        path.write_text(json.dumps(values))
        arguments = ["--wml-credentials", str(path)]
    pytester.makepyfile(
        f"""
        def test_it(wml_client, wml_server):
            assert wml_server.url == {stub.url!r}
            assert not wml_server.embedded
            deployment = wml_client.models.get({kept!r}).deploy("d", wait=False)
            gone = wml_client.models.get({kept!r}).deploy("deleted by the test", wait=False)
            gone.delete()
            wml_client._service.note("model", {made!r})

        def test_clean(wml_client):
            assert [m.name for m in wml_client.models.list()] == ["kept"]
            assert list(wml_client.deployments.list()) == []
        """
    )

    pytester.runpytest_subprocess(*STRICT, *arguments).assert_outcomes(passed=2)
    assert list(stub.models) == [kept]


@pytest.mark.usefixtures("environment")
def test_what_cannot_be_reached_is_an_error_in_one_line(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(wml_client): wml_client.instance")

    result = pytester.runpytest_subprocess("--wml-url", "http://127.0.0.1:9", "--tb=line")

    result.assert_outcomes(failed=1, errors=0)
    result.stdout.fnmatch_lines(["*TransportError*127.0.0.1:9*no answer*refused*"])
    assert PASSWORD not in result.stdout.str() + result.stderr.str()


@pytest.mark.usefixtures("environment")
def test_a_service_without_kafka_says_so(pytester: pytest.Pytester, stub: Stub) -> None:
    pytester.makepyfile("def test_it(kafka_broker): ...")

    result = pytester.runpytest_subprocess("--wml-url", stub.url, "--tb=line")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ConfigError*no Kafka service*"])


def test_a_broker_that_runs_is_used(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_URI", "broker-of-mine:9092")
    pytester.makepyfile(
        """
        def test_it(kafka_broker):
            assert kafka_broker.brokers == ("broker-of-mine:9092",)
            assert kafka_broker.connection.security_protocol == "PLAINTEXT"
        """
    )

    pytester.runpytest_subprocess(*STRICT).assert_outcomes(passed=1)


def test_the_fixtures_are_listed_with_their_help(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--fixtures", "-p", "no:cacheprovider")

    for name in ("wml_server", "wml_client", "kafka_broker", "spark"):
        result.stdout.fnmatch_lines([f"{name}*"])


def test_a_socket_that_was_never_connected_fails_no_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import gc, socket

        def drop(address):
            dropped = socket.socket()
            dropped.bind((address, 0))
            del dropped
            gc.collect()

        def test_as_kafka_python_does():
            drop("0.0.0.0")

        def test_as_nobody_should():
            drop("127.0.0.1")
        """
    )
    pytester.runpytest_subprocess(*STRICT).assert_outcomes(passed=1, failed=1)
