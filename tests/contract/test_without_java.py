"""A machine without Java: certified models are deployed and scored, others are refused with what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import saved_models
from certificate_maker import made
from process_service import TIMEOUT, credentials

from wmlclient import Certificate, Client, KafkaConnection, errors
from wmlclient.runner.java import JavaNotFound, find_java

TRAINING = saved_models.TEXT_SCHEMA
INPUT = {"type": "struct", "fields": TRAINING["fields"][:2]}
ROWS = [{"id": 1, "text": "what a day"}, {"id": 2, "text": "so sad"}]
NO_JAVA = {"PATH": os.devnull, "JAVA_HOME": os.devnull}

Start = Callable[..., Client]


@pytest.fixture(name="start")
def start_fixture(tmp_path: Path) -> Iterator[Start]:
    """Starts runners that find no Java, and gives their clients."""
    started: list[tuple[subprocess.Popen[bytes], Client]] = []

    def start(*options: str, **env: str) -> Client:
        home = tmp_path / f"home{len(started)}"
        command = [sys.executable, "-m", "wmlclient.runner", "--home", str(home), "--port", "0", *options]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, **NO_JAVA, **env})
        found = credentials(home, process)
        client = Client(
            found["url"],
            username=found["username"],
            password=found["password"],
            instance_id=found["instance_id"],
        )
        started.append((process, client))
        return client

    yield start
    for process, client in started:
        client.close()
        process.terminate()
        process.communicate(timeout=TIMEOUT)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return saved_models.text_pipeline(tmp_path / "sentiment")


def certified(folder: Path) -> dict[str, Any]:
    return made(folder, INPUT, label="label", training=TRAINING, rows=40)


def test_there_is_no_java_with_this_environment() -> None:
    with pytest.raises(JavaNotFound):
        find_java(NO_JAVA)


def test_a_certified_model_is_scored_and_its_certificate_goes_on(
    start: Start, model: Path, tmp_path: Path
) -> None:
    client = start()
    path = tmp_path / "certificate.json"
    Certificate.from_json(certified(model)).save(path)

    published = client.models.publish(
        model, "m", training_schema=TRAINING, label_col="label", certificate=path
    )
    online = published.deploy("d")

    assert published.wait_parity() == Certificate.load(path)
    assert online.score(ROWS).engine == "native"
    # What the service shows is as good as what was made.
    parity = published.parity
    assert parity is not None
    again = start().models.publish(
        model, "m", training_schema=TRAINING, label_col="label", certificate=parity
    )
    assert again.wait_parity() == parity
    assert again.deploy("d").score(ROWS).column("prediction") == online.score(ROWS).column("prediction")


def test_other_models_are_refused_with_what_to_do(start: Start, model: Path, tmp_path: Path) -> None:
    client = start()
    other = certified(saved_models.text_pipeline(tmp_path / "other", weight=0.5))
    for certificate in (None, other):
        published = client.models.publish(
            model, "m", training_schema=TRAINING, label_col="label", certificate=certificate
        )
        with pytest.raises(errors.DeploymentFailedError) as caught:
            published.deploy("d")
        for part in ("No Java", "certificate=", "--allow-uncertified"):
            assert part in str(caught.value)
        assert ("another model" in str(caught.value)) == (certificate is not None)


def test_a_history_is_scored_by_certified_versions_alone(start: Start, model: Path, tmp_path: Path) -> None:
    published = start().models.publish(
        model, "m", training_schema=TRAINING, label_col="label", certificate=certified(model)
    )
    kafka = KafkaConnection(brokers=["127.0.0.1:9"])
    stream = published.deploy("s", source=kafka.topic("in"), target=kafka.topic("out"))
    other = published.publish_version(saved_models.text_pipeline(tmp_path / "other", weight=0.5))
    for version, against in ((other, None), (list(published.versions)[0], other)):
        with pytest.raises(errors.PayloadError, match=rf"{other.id} is not certified.* No Java") as caught:
            stream.replay(version, to="side", against=against)
        assert caught.value.code == "model_not_native"


@pytest.mark.parametrize(
    ("options", "env"), [(["--allow-uncertified"], {}), ([], {"WMLCLIENT_ALLOW_UNCERTIFIED": "1"})]
)
def test_uncertified_models_where_that_is_allowed(
    start: Start, model: Path, options: list[str], env: dict[str, str]
) -> None:
    published = start(*options, **env).models.publish(model, "m", training_schema=TRAINING, label_col="label")
    assert published.deploy("d").score(ROWS).engine == "native"
    parity = published.refresh().parity
    assert parity is not None
    assert (parity.state, parity.engine, parity.exact) == ("unavailable", "native", False)
    assert published.version.parity == parity
    assert "uncertified" in str(parity)
