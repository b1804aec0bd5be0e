"""A service over a real socket for all tests of the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import saved_models
from contract_service import Service, start
from ml_service import MlUser, first_user, other_user

from wmlclient.runner.engine import native
from wmlclient.runner.settings import Limits, Settings


@pytest.fixture(scope="session")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The archive of a saved model of tweets."""
    return saved_models.archive(saved_models.text_pipeline(tmp_path_factory.mktemp("model") / "text"))


@pytest.fixture(scope="session")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> native.NativeScorer:
    """The scorer of such a model."""
    folder = saved_models.text_pipeline(tmp_path_factory.mktemp("model") / "text")
    schema = {"type": "struct", "fields": saved_models.TEXT_SCHEMA["fields"][:2]}
    return native.load(folder, schema, "label", saved_models.TEXT_SCHEMA)


@pytest.fixture(scope="session")
def pipeline_content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The archive of the unfitted pipeline."""
    folder = saved_models.text_pipeline(tmp_path_factory.mktemp("model") / "text", fitted=False)
    return saved_models.archive(folder)


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Service]]:
    """Starts services; settings may be given."""
    ends: list[Callable[[], None]] = []

    def serve(**changes: Any) -> Service:
        home = tmp_path_factory.mktemp("home")
        settings = Settings(home, port=0, **changes)
        service, end = start(home, settings)
        ends.append(end)
        return service

    yield serve
    for end in ends:
        end()


@pytest.fixture(scope="session")
def shared(serve: Callable[..., Service]) -> Service:
    return serve(
        limits=Limits(json=4 << 20, content=8 << 20, receive=5.0, receive_content=5.0), score_wait=0.3
    )


@pytest.fixture
def service(shared: Service) -> Iterator[Service]:
    """A service with nothing in it."""
    yield shared
    shared.clean()


@pytest.fixture
def no_java(tmp_path: Path) -> dict[str, str]:
    return {"JAVA_HOME": str(tmp_path / "nothing"), "PATH": str(tmp_path / "nothing")}


@pytest.fixture(scope="module")
def user(shared: Service) -> MlUser:
    return first_user(shared)


@pytest.fixture(scope="module")
def stranger(shared: Service) -> MlUser:
    return other_user(shared)


@pytest.fixture(scope="module")
def session(user: MlUser) -> Iterator[str]:
    """One session for the tests that leave it as it was."""
    id = user.start(name="Session 1")
    yield id
    user.operation("closeSessionByForce", id)


@pytest.fixture
def own(user: MlUser) -> Iterator[str]:
    """A session of a test's own."""
    id = user.start()
    yield id
    user.operation("closeSessionByForce", id)
