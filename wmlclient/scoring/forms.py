# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Dense or sparse: the form that Spark gives a vector, for whole columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, DenseBlock
from wmlclient.scoring.stages.vectors import most_stored
from wmlclient.scoring.values import Sparse


def compress_block(block: DenseBlock) -> Block:
    """``Vector.compressed`` for each row of a block: the block itself where every row stays dense."""
    size = len(block.features)
    most = most_stored(size)
    if most < 0:
        return block
    stored = np.zeros(len(block), dtype=np.int64)
    for feature in block.features:
        stored += feature != 0.0
    if not (stored <= most).any():
        return block
    out: list[Any] = []
    for values, count in zip(block.rows(), stored.tolist()):
        if count > most:
            out.append(values)
        else:
            indices = [index for index, value in enumerate(values) if value]
            out.append(Sparse(size, indices, [values[index] for index in indices]))
    return out
