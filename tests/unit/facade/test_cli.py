"""The command line against the stand-in: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from facade_stub import INSTANCE, PASSWORD, USER, Answer, Stub, error

from wmlclient.cli import main
from wmlclient.cli import tail as tail_module
from wmlclient.records import KafkaRecord

Run = Callable[..., Result]


@pytest.fixture
def credentials(stub: Stub, tmp_path: Path) -> Path:
    path = tmp_path / "credentials.json"
    values = {"url": stub.url, "username": USER, "password": PASSWORD, "instance_id": INSTANCE}
    path.write_text(json.dumps(values))
    return path


@pytest.fixture
def run(credentials: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("WMLCLIENT_CREDENTIALS", str(credentials))
    for name in ("URL", "USERNAME", "PASSWORD", "INSTANCE_ID"):
        monkeypatch.delenv(f"WMLCLIENT_{name}", raising=False)

    def run(*arguments: str, input: str | None = None) -> Result:
        result = CliRunner().invoke(main, arguments, input=input, prog_name="wmlclient")
        assert PASSWORD not in result.output
        assert "Traceback" not in result.output
        return result

    return run


@pytest.fixture
def model(stub: Stub) -> str:
    return stub.add_model("sentiment")


def test_models(run: Run, stub: Stub, model: str, saved_model: Path) -> None:
    listed = run("models", "list")
    assert listed.exit_code == 0
    assert listed.stdout.splitlines()[0].split() == ["ID", "NAME", "TYPE", "CREATED"]
    assert model in listed.stdout

    shown = json.loads(run("--output", "json", "models", "show", model).stdout)
    assert (shown["id"], shown["name"]) == (model, "sentiment")

    published = run(
        "models", "publish", str(saved_model), "--name", "mine", "--schema", "text string, sentiment int"
    )
    assert published.exit_code == 0
    assert "label_col   sentiment" in published.stdout
    assert len(json.loads(run("--output", "json", "models", "list").stdout)) == 2

    assert run("models", "delete", model).exit_code == 0
    assert model not in stub.models


def test_deployments(run: Run, stub: Stub, model: str) -> None:
    created = run("deployments", "create", model, "--name", "d")
    assert created.exit_code == 0
    assert "DEPLOY_SUCCESS" in created.stdout
    (deployment,) = stub.deployments

    assert deployment in run("deployments", "list", "--status", "ready", "--kind", "online").stdout
    assert deployment not in run("deployments", "list", "--status", "failed").stdout
    assert json.loads(run("--output", "json", "deployments", "show", deployment).stdout)["state"] == "ready"
    assert json.loads(run("--output", "json", "deployments", "stop", deployment).stdout)["state"] == "stopped"
    assert json.loads(run("--output", "json", "deployments", "start", deployment).stdout)["state"] == "ready"
    assert run("deployments", "delete", deployment).exit_code == 0
    assert stub.deployments == {}


def test_a_stream_takes_the_kafka_of_the_credentials(
    run: Run, stub: Stub, model: str, credentials: Path
) -> None:
    refused = run("deployments", "create", model, "--name", "s", "--source", "a", "--target", "b")
    assert refused.exit_code == 1
    assert "no Kafka service" in refused.stderr
    assert run("deployments", "create", model, "--name", "s", "--source", "a").exit_code == 2

    kafka = {"kafka_brokers_sasl": ["k:1"], "user": "u", "password": "kafka-secret"}
    credentials.write_text(json.dumps({**json.loads(credentials.read_text()), "kafka": kafka}))
    created = run(
        "deployments",
        "create",
        model,
        "--name",
        "s",
        "--source",
        "a",
        "--target",
        "b",
        "--master",
        "local[3]",
    )

    assert created.exit_code == 0
    assert "kafka-secret" not in created.output
    (sent,) = [r for r in stub.calls("POST", "deployments") if r.json["type"] == "stream"]
    assert sent.json["input"]["source"]["topic"] == "a"
    assert "x-spark-service-instance" in sent.headers


@pytest.mark.parametrize(
    "text",
    ['{"x": 1}', '[{"x": 1}, {"x": 2}]', '{"fields": ["x"], "values": [[1]]}', '{"x": 1}\n{"x": 2}\n'],
)
def test_score(run: Run, stub: Stub, model: str, tmp_path: Path, text: str) -> None:
    run("deployments", "create", model, "--name", "d")
    (deployment,) = stub.deployments

    table = run("score", deployment, input=text)
    assert table.stdout.splitlines() == ["x  prediction", "1  0.5"]
    path = tmp_path / "rows.json"
    path.write_text(text)
    answer = run("score", deployment, str(path), "--output", "json")
    assert json.loads(answer.stdout) == stub.scores
    assert json.loads(run("--output", "json", "score", deployment, str(path)).stdout) == stub.scores


def test_errors_are_one_line_on_stderr(run: Run, stub: Stub, model: str) -> None:
    run("deployments", "create", model, "--name", "d")
    (deployment,) = stub.deployments
    stub.script(
        "GET", "published_models", Answer(403, error("not_matching_authorization_token", "Not yours."))
    )

    for arguments, said in (
        (("models", "list"), "Not yours"),
        (("models", "show", "nope"), "could not be found"),
        (("score", deployment), "not JSON"),
        (("--credentials", "/none.json", "models", "list"), "cannot be read"),
        (("--profile", "none", "models", "list"), "profile"),
        (("tail", "t"), "no Kafka service"),
        (("tail", "t", "--brokers", "127.0.0.1:9"), "Connection refused"),
    ):
        failed = run(*arguments, input="{")
        assert failed.exit_code == 1, arguments
        assert failed.stdout == ""
        assert said in failed.stderr
        assert failed.stderr.startswith("Error: ")
        assert len(failed.stderr.splitlines()) == 1
    for arguments in ((), ("models",), ("--help",), ("score", "--help"), ("--version",)):
        assert run(*arguments).exit_code in (0, 2)
    for arguments in (
        ("nonsense",),
        ("models", "show"),
        ("--credentials", "a", "--profile", "b", "models", "list"),
    ):
        assert run(*arguments).exit_code == 2


def test_no_service_named_lists_where_to_name_one(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("WMLCLIENT_CREDENTIALS")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WMLCLIENT_PROFILES", raising=False)
    assert "profiles.toml" in run("models", "list").stderr

    monkeypatch.setenv("WMLCLIENT_URL", "http://h")
    assert "username, password, instance_id" in run("models", "list").stderr


class FakeTail:
    """Stands for a topic's records."""

    def __init__(self, records: list[KafkaRecord]) -> None:
        self.records = records

    def topic(self, _name: str) -> FakeTail:
        return self

    def tail(self, **_options: Any) -> FakeTail:
        return self

    def __enter__(self) -> Any:
        return iter(self.records)

    def __exit__(self, *_error: object) -> None: ...


def test_tail(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import datetime as dt

    at = dt.datetime(2026, 11, 21, tzinfo=dt.timezone.utc)
    records = [
        KafkaRecord("k", {"id": 1}, {"h": b"v"}, 0, 7, at, b'{"id": 1}'),
        KafkaRecord(None, b"\xff", {}, 0, 8, at, b"\xff"),
        KafkaRecord(None, None, {}, 0, 9, at, None),
    ]
    monkeypatch.setattr(tail_module, "_connection", lambda *_: FakeTail(records))

    assert run("tail", "t").stdout.splitlines() == ['{"id": 1}', "\\xff", ""]
    assert run("tail", "t", "--n", "1").stdout.splitlines() == ['{"id": 1}']
    lines = [json.loads(line) for line in run("--output", "json", "tail", "t").stdout.splitlines()]
    assert lines[0] == {
        "key": "k",
        "value": {"id": 1},
        "headers": {"h": "v"},
        "partition": 0,
        "offset": 7,
        "timestamp": "2026-11-21T00:00:00+00:00",
    }
    assert lines[1]["value"] == "\\xff"


def test_doctor_finds_the_service_and_hides_the_password(run: Run, stub: Stub) -> None:
    result = run("--output", "json", "doctor")

    findings = {f["what"]: f for f in json.loads(result.stdout)}
    assert findings["Python"]["ok"]
    assert findings["pyspark"]["ok"]
    assert "password ***" in findings["credentials"]["text"]
    assert INSTANCE in findings["service"]["text"]
    assert findings["Java"]["ok"] in (True, False)
    assert result.exit_code == (1 if any(f["ok"] is False for f in findings.values()) else 0)

    stub.script("GET", "identity/token", Answer(401, error("x", "Nobody.")))
    failed = run("doctor")
    assert failed.exit_code == 1
    assert "Nobody" in failed.stdout


def test_doctor_names_what_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from wmlclient.cli import doctor

    monkeypatch.setattr(doctor, "PACKAGES", (("no-such-package", "tests"),))

    result = run("doctor")

    assert result.exit_code == 1
    assert "missing  no-such-package" in result.stdout
    assert "pip install 'wmlclient[local]'" in result.stdout


def test_serve_hands_its_options_to_the_runner(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from wmlclient.runner import __main__ as runner

    seen: list[Any] = []
    monkeypatch.setattr(runner, "run", lambda settings, control=False: seen.append(settings))

    assert run("serve", "--home", str(tmp_path), "--port", "0", "--kafka").exit_code == 0
    assert (seen[0].home, seen[0].port, seen[0].kafka) == (tmp_path, 0, True)
    assert run("serve").exit_code == 2
    assert "--home" in run("serve", "--help").stdout


@pytest.mark.parametrize(
    "options",
    [
        ["--version", "v"],
        ["--to", "t"],
        ["--label", "mood"],
        ["--version", "v", "--to", "t", "--stage", "score"],
        ["--version", "v", "--to", "t", "--since", "yesterday"],
    ],
)
def test_a_replay_of_both_kinds_at_once_is_refused(run: Run, options: list[str]) -> None:
    result = run("replay", "id", *options)
    assert result.exit_code == 2
    assert "Usage" in result.stderr
