"""The facade against a stand-in of the service: fast, and able to misbehave."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from facade_stub import INSTANCE, PASSWORD, USER, Stub

from wmlclient.client import Client


@pytest.fixture
def stub() -> Iterator[Stub]:
    service = Stub()
    yield service
    service.close()


@pytest.fixture
def connect(stub: Stub) -> Iterator[Callable[..., Client]]:
    """Makes clients of the stand-in."""
    made: list[Client] = []

    def connect(**options: Any) -> Client:
        settings = {"username": USER, "password": PASSWORD, "instance_id": INSTANCE, **options}
        made.append(Client(stub.url, **settings))
        return made[-1]

    yield connect
    for client in made:
        client.close()


@pytest.fixture
def client(connect: Callable[..., Client]) -> Client:
    return connect()


class FakeClock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0
        self.pauses: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def saved_model(tmp_path: Path) -> Path:
    """The folder of a saved pipeline, as far as the facade looks into it: the JSON of its stages."""
    folder = tmp_path / "saved"
    stages = [
        (
            "StringIndexer_1",
            "feature.StringIndexerModel",
            {"inputCol": "sentiment", "outputCol": "label"},
            {},
        ),
        ("Tokenizer_2", "feature.Tokenizer", {"inputCol": "text", "outputCol": "words"}, {}),
        ("LogisticRegression_3", "classification.LogisticRegressionModel", {}, {"labelCol": "label"}),
    ]
    _metadata(folder, "PipelineModel_0", "PipelineModel", {"stageUids": [s[0] for s in stages]}, {})
    for number, (uid, name, given, defaults) in enumerate(stages):
        _metadata(folder / "stages" / f"{number}_{uid}", uid, name, given, defaults)
    return folder


def _metadata(folder: Path, uid: str, name: str, given: dict[str, Any], defaults: dict[str, Any]) -> None:
    (folder / "metadata").mkdir(parents=True)
    text = {
        "class": f"org.apache.spark.ml.{name}",
        "timestamp": 1,
        "sparkVersion": "4.2.0",
        "uid": uid,
        "paramMap": given,
        "defaultParamMap": defaults,
    }
    (folder / "metadata" / "part-00000").write_text(json.dumps(text) + "\n")
    (folder / "metadata" / "_SUCCESS").touch()
