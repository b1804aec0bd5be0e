"""A web service whose processes end again and again: it has new ones at once a few times, and then waits for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field

from wmlclient.runner.engine import consuming
from wmlclient.runner.engine.consuming import Consumption
from wmlclient.runner.engine.errors import NotReady
from wmlclient.runner.engine.workers import Program, WorkersEnded
from wmlclient.runner.store import ArchiveStore, WebService

BODY = {
    **dict.fromkeys(("code", "initCode"), "pass"),
    **{name: [] for name in ("inputParameterDefinitions", "outputParameterDefinitions", "outputFileNames")},
}
SERVICE = WebService("id", "name", "1", "owner", "Python", 1, BODY)


@define
class Services:
    """One service."""

    on_change: list[Callable[[WebService], None]] = field(factory=list)

    def get(self, name: str, version: str) -> WebService:
        return SERVICE


class Dead:
    """Processes that have ended."""

    ended = "it had more than 64 processes"
    count = 4

    def lease(self) -> Any:
        raise WorkersEnded(self.ended)

    def retire(self) -> None:
        pass


@define
class Factory:
    starts: int = 0

    def start(self, program: Program, folder: Path, count: int, seconds: float) -> Any:
        self.starts += 1
        return Dead()

    def close(self) -> None:
        pass


@pytest.fixture
def factory() -> Factory:
    return Factory()


@pytest.fixture
def consumption(tmp_path: Path, factory: Factory) -> Iterator[Consumption]:
    services: Any = Services()
    made = Consumption(services, ArchiveStore(tmp_path), factory, tmp_path / "services")
    yield made
    made.close()


def ask(consumption: Consumption) -> Exception:
    """A request; why it was not run."""
    try:
        leased = consumption.lease(SERVICE)
    except NotReady as error:
        return error
    assert isinstance(leased, Future)
    found = leased.exception(20)
    assert isinstance(found, WorkersEnded)
    return found


def test_starts_are_counted(
    consumption: Consumption, factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(consuming, "_now", lambda: now[0])
    while factory.starts < 4:
        ask(consumption)
    for _ in range(3):
        found = ask(consumption)
        assert isinstance(found, NotReady)
        assert "end again and again" in str(found)
    assert factory.starts == 4
    now[0] += 2.1
    ask(consumption)
    assert factory.starts == 5
    # Longer each time.
    now[0] += 3.0
    assert isinstance(ask(consumption), NotReady)
    now[0] += 4.1
    ask(consumption)
    assert factory.starts == 6
    # Once it is another one, it has its starts again.
    consumption._changed(evolve(SERVICE, body={**BODY, "code": "better"}))
    ask(consumption)
    assert factory.starts >= 7
