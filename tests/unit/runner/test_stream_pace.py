"""How many records a worker takes at once."""

from __future__ import annotations

from attrs import define

from wmlclient.runner.streams.pace import Pace


@define
class Model:
    """Says how many records it takes."""

    most: int = 100
    fast: bool = True


def test_full_batches_that_are_quick_grow_to_five_pieces() -> None:
    pace, model = Pace(), Model()
    sizes = []
    for _ in range(7):
        sizes.append(pace.most(model))
        pace.done(model, sizes[-1], 0.1)
    assert sizes == [100, 200, 300, 400, 500, 500, 500]


def test_batches_that_are_not_full_or_not_quick_stay() -> None:
    pace, model = Pace(), Model()
    pace.done(model, 99, 0.1)
    pace.done(model, 100, 3.0)
    assert pace.most(model) == 100
    pace.done(model, 100, 0.1)
    pace.done(model, 200, 3.0)
    assert pace.most(model) == 200


def test_slow_batches_and_trouble_begin_again_with_one_piece() -> None:
    pace, model = Pace(), Model()
    for _ in range(4):
        pace.done(model, pace.most(model), 0.1)
    pace.done(model, 500, 5.0)
    assert pace.most(model) == 100
    pace.done(model, 100, 0.1)
    pace.trouble()
    assert pace.most(model) == 100


def test_what_says_itself_how_much_it_takes_gets_that() -> None:
    pace, model = Pace(), Model(fast=False)
    pace.done(model, 100, 0.1)
    assert pace.most(model) == 100
