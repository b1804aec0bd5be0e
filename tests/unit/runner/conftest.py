"""An engine in a temporary home with fake Spark and Kafka."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import saved_models
from attrs import define, field
from runner_fakes import Clock, FakeSpark, FakeStreams, FakeTopics, ManualDelay

from wmlclient.runner.engine.service import Engine
from wmlclient.runner.store import Version, database


@pytest.fixture(autouse=True)
def unhurt_by_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits until a disk has it: no test here pulls the plug, and a disk takes longer than most of them."""
    durable = database._durable

    def quick(connection: Any, record: Any) -> None:
        durable(connection, record)
        connection.execute("PRAGMA synchronous=OFF").close()

    monkeypatch.setattr(database, "_durable", quick)
    monkeypatch.setattr(os, "fsync", lambda _: None)


@define
class World:
    """An engine and all that it touches."""

    home: Path
    spark: FakeSpark = field(factory=FakeSpark)
    native: FakeStreams = field(factory=FakeStreams)
    topics: FakeTopics = field(factory=FakeTopics)
    delay: ManualDelay = field(factory=ManualDelay)
    clock: Clock = field(factory=Clock)
    foreign: bool = False
    uncertified: bool = False
    engine: Engine = field(init=False)

    def start(self) -> Engine:
        """The engine, on what is in the home."""
        self.engine = Engine(
            self.home,
            self.spark,
            self.topics,
            clock=self.clock,
            delay=self.delay,
            allow_foreign_classes=self.foreign,
            allow_uncertified=self.uncertified,
            native_streams=self.native,
        )
        self.engine.start()
        return self.engine

    def restart(self) -> Engine:
        """The engine after a restart of the process."""
        self.engine.close()
        self.spark, self.native = FakeSpark(), FakeStreams()
        return self.start()

    def upload(self, content: bytes, **request: Any) -> Version:
        """Publish this content."""
        model, version = self.engine.models.create(saved_models.request(**request))
        self.put(model.id, version.id, content)
        return version

    def put(self, model_id: str, version_id: str, content: bytes) -> None:
        """Upload a version's content."""
        pending = self.engine.contents.receive()
        pending.write(content)
        self.engine.models.upload(model_id, version_id, pending)

    def files(self) -> set[str]:
        """Everything in the home's folders for archives."""
        found = set()
        for folder in ("archives", "unpacked"):
            top = self.home / folder
            found |= {str(path.relative_to(self.home)) for path in top.rglob("*") if path.is_file()}
        return found


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of tweets."""
    return saved_models.text_pipeline(tmp_path_factory.mktemp("model") / "text")


@pytest.fixture(scope="session")
def content(pipeline: Path) -> bytes:
    """The same as an archive."""
    return saved_models.archive(pipeline)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A started engine."""
    home = tmp_path / "home"
    home.mkdir()
    world = World(home)
    world.start()
    yield world
    world.engine.close()
