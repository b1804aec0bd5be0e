"""Columns written at once: the same bytes as row by row."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import orjson
import pytest

from wmlclient.runner.streams import texts
from wmlclient.runner.streams.encoder import Encoder
from wmlclient.scoring.blocks import DenseBlock, SparseBlock

ROWS = texts.LEAST + 8
NUMBERS = [0.0, -0.0, 1.0, 0.1, 1e16, 1e22, 1.5e300, 5e-324, 1 / 3, -123456789.125, 2.0**53]


def doubles(chance: random.Random, count: int) -> np.ndarray[Any, Any]:
    return np.array([chance.choice([*NUMBERS, chance.uniform(-1e3, 1e3)]) for _ in range(count)])


def sparse(chance: random.Random, widths: list[int]) -> SparseBlock:
    indices = [sorted(chance.sample(range(1000), width)) for width in widths]
    flat = np.array([index for row in indices for index in row], dtype=np.int64)
    return SparseBlock(1000, np.cumsum(widths), flat, doubles(chance, len(flat)))


def columns(seed: int) -> dict[str, tuple[str, Any]]:
    """Columns by name, with their types."""
    chance = random.Random(seed)
    block = sparse(chance, [chance.choice([0, 0, 1, 5]) for _ in range(ROWS)])
    return {
        "id": ("int", [chance.randrange(-(2**31), 2**31) for _ in range(ROWS)]),
        "long%d": ("bigint", [chance.choice([2**63 - 1, -(2**63), 7]) for _ in range(ROWS)]),
        "yes": ("boolean", [chance.random() < 0.5 for _ in range(ROWS)]),
        'te"xt': (
            "string",
            [chance.choice(['a,b "c"', "100 %b %", "ü\n\u2028", "", "\\"]) for _ in range(ROWS)],
        ),
        "words": ("array<string>", [["a", "b,", "]"][: chance.randrange(4)] for _ in range(ROWS)]),
        "double": ("double", doubles(chance, ROWS)),
        "listed": ("double", doubles(chance, ROWS).tolist()),
        "single": ("float", [0.1, 16777216.0] * (ROWS // 2)),
        "counts": ("vector", block),
        "features": ("vector", block.with_values(doubles(chance, len(block.values)))),
        "others": ("vector", sparse(chance, [0] * (ROWS - 1) + [3])),
        "none": ("vector", sparse(chance, [0] * ROWS)),
        "dense": ("vector", DenseBlock([doubles(chance, ROWS), doubles(chance, ROWS)], ROWS)),
        "empty": ("vector", DenseBlock([], ROWS)),
    }


def written(given: dict[str, tuple[str, Any]], monkeypatch: pytest.MonkeyPatch, least: int) -> list[bytes]:
    monkeypatch.setattr(texts, "LEAST", least)
    encoder = Encoder(list(given), [type for type, _ in given.values()], 2)
    return encoder.write([column for _, column in given.values()], {})


@pytest.mark.parametrize("seed", range(5))
def test_the_same_as_row_by_row(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given = columns(seed)
    at_once = written(given, monkeypatch, 1)
    assert at_once == written(given, monkeypatch, ROWS + 1)
    assert len(at_once) == ROWS
    assert [orjson.loads(record)["id"] for record in at_once] == given["id"][1]


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_a_word(odd: float, monkeypatch: pytest.MonkeyPatch) -> None:
    given = columns(9)
    values = np.array([odd, *[1.0] * (ROWS - 1)])
    changes: dict[str, Any] = {
        "double": values,
        "listed": values.tolist(),
        "dense": DenseBlock([values], ROWS),
        "counts": SparseBlock(5, np.arange(1, ROWS + 1), np.zeros(ROWS, np.int64), values),
    }
    for name, column in changes.items():
        changed = {**given, name: (given[name][0], column)}
        at_once = written(changed, monkeypatch, 1)
        assert at_once == written(changed, monkeypatch, ROWS + 1)
        assert b'"NaN"' in at_once[0] or b'Infinity"' in at_once[0]


def test_a_null_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    given = columns(10)
    given["yes"][1][3] = None
    at_once = written(given, monkeypatch, 1)
    assert at_once == written(given, monkeypatch, ROWS + 1)
    assert "yes" not in orjson.loads(at_once[3])
    assert "yes" in orjson.loads(at_once[4])
