"""A saved stage, bound to columns and asked for its answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import DenseBlock, SparseBlock
from wmlclient.scoring.columns import Column, Frame, Step
from wmlclient.scoring.registry import Stage, load_stage
from wmlclient.scoring.saved import read_stage
from wmlclient.scoring.values import Sparse

INFINITY, NAN = math.inf, math.nan
Make = Callable[[Path], Path]


def stage(folder: Path) -> Stage:
    return load_stage(read_stage(folder))


def step(folder: Path, kind: str = "vector", **more: str) -> Step:
    """The only step of a saved stage."""
    columns = [Column("features", kind), *(Column(name, type) for name, type in more.items())]
    frame = Frame(columns)
    stage(folder).bind(frame)
    (only,) = frame.steps
    return only


def outputs(only: Step, *values: Any) -> list[Any]:
    found = only.row(*values)
    return list(found) if len(only.names) > 1 else [found]


def vector(row: Any) -> Any:
    return Sparse(*row) if isinstance(row[1], list) else row


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit, NaN being NaN."""
    return repr(a) == repr(b)


def as_blocks(rows: list[list[float]]) -> tuple[DenseBlock, SparseBlock]:
    sparse = [[(at, value) for at, value in enumerate(row) if value != 0.0] for row in rows]
    ends = np.cumsum([len(row) for row in sparse])
    indices = np.array([at for row in sparse for at, _ in row], dtype=np.int64)
    values = np.array([value for row in sparse for _, value in row], dtype=np.float64)
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return DenseBlock(columns, len(rows)), SparseBlock(len(rows[0]), ends, indices, values)
