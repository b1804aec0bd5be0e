"""Services that schemathesis may break, how many cases there were, and their seed."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # The workers of xdist inherit it.
    os.environ.setdefault("WMLCLIENT_FUZZ_SEED", str(random.randrange(1, 1 << 31)))


@pytest.fixture(scope="session")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """One service, as each contract sees it."""
    # Only now: the seed has been chosen.
    import fuzz_stock

    home = tmp_path_factory.mktemp("home")
    stock, end = fuzz_stock.stocked(home, tmp_path_factory.mktemp("model"))
    yield stock
    end()


_TOTAL: Counter[str] = Counter()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for name, value in report.user_properties:
        if report.when == "call" and name.startswith("fuzz "):
            _TOTAL[name] += int(str(value))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    seed = os.environ["WMLCLIENT_FUZZ_SEED"]
    total = sum(_TOTAL.values())
    told = ", ".join(f"{name.removeprefix('fuzz ')}: {count}" for name, count in sorted(_TOTAL.items()))
    terminalreporter.write_line(f"fuzz: {total} cases ({told}); again with WMLCLIENT_FUZZ_SEED={seed}")
    if total < _least():
        terminalreporter.write_line(f"fuzz: fewer than {_least()} cases", red=True)


def _least() -> int:
    return int(os.environ.get("WMLCLIENT_FUZZ_LEAST", "0"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput") or session.testsfailed:
        return
    if sum(_TOTAL.values()) < _least():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
