"""The garbage collector is paused for a table, and runs again afterwards, whatever happens."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from wmlclient.scoring.pauses import collector_paused


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    assert gc.isenabled()
    yield
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_paused_inside_and_on_again_after_an_error() -> None:
    def work() -> None:
        with collector_paused():
            assert not gc.isenabled()
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        work()


def test_pauses_inside_pauses() -> None:
    with collector_paused():
        with collector_paused():
            pass
        assert not gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_objects_of_the_pause_are_collected_later() -> None:
    class Node:
        pass

    gone: list[bool] = []
    with collector_paused():
        node = Node()
        node.me = node  # type: ignore[attr-defined]
        import weakref

        weakref.finalize(node, gone.append, True)
        del node
    gc.collect()
    assert gone == [True]


def test_what_others_have_frozen_stays_frozen() -> None:
    mine: list[object] = [[]]
    gc.freeze()
    try:
        with collector_paused():
            pass
        assert not any(known is mine for known in gc.get_objects())
    finally:
        gc.unfreeze()


def test_many_threads() -> None:
    def work() -> None:
        for _ in range(200):
            with collector_paused():
                assert not gc.isenabled()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
