# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Vectors shifted and scaled: StandardScaler."""

from __future__ import annotations

from typing import Any

from wmlclient.scoring.blocks import Block, DenseBlock, vectors_of
from wmlclient.scoring.columns import Column, Frame, Invalid
from wmlclient.scoring.hints import affine
from wmlclient.scoring.registry import Params, Stage, boolean, loads, text
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.stages.hashing import scaled, scaled_batch
from wmlclient.scoring.values import Sparse, to_dense


@loads(
    "org.apache.spark.ml.feature.StandardScalerModel",
    inputCol=text,
    outputCol=text,
    withMean=boolean,
    withStd=boolean,
)
def standard_scaler_model(saved: SavedStage, params: Params) -> Stage:
    """``StandardScalerModel``: a product with 1/std, 0 where std is 0; with the mean, every vector becomes dense."""
    std, mean = (to_dense(vector) for vector in saved.only("data", "std", "mean"))
    factors = [0.0 if value == 0.0 else 1.0 / value for value in std]
    with_std = params.withStd is not False
    row: Any
    batch: Any
    if params.withMean:
        row, batch = _centred(mean, factors if with_std else None)
    elif with_std:
        row, batch = scaled(factors), scaled_batch(factors)
    else:
        row, batch = _same, _same_batch

    def bind(frame: Frame) -> None:
        frame.vector(params.inputCol, saved.uid)
        frame.add(
            saved.uid, [params.inputCol], [Column(params.outputCol, "vector", size=len(mean))], row, batch
        )

    back = affine(
        params.inputCol,
        params.outputCol,
        factors if with_std else [1.0] * len(mean),
        mean if params.withMean else None,
    )
    hints = {params.inputCol: [Sparse(len(mean), [], [])]}
    return Stage(saved.uid, saved.java_class, bind, hints=hints, back=back)


def _same(vector: Any) -> Any:
    return vector


def _same_batch(column: Block) -> tuple[Block]:
    return (column,)


def _centred(mean: list[float], factors: list[float] | None) -> tuple[Any, Any]:
    size = len(mean)

    def row(vector: Any) -> list[float]:
        values = to_dense(vector)
        if len(values) > size:
            raise Invalid(f"the vector has {len(values)} values, the model was fitted on {size}")
        if factors is None:
            return [value - shift for value, shift in zip(values, mean)]
        return [(value - shift) * by for value, shift, by in zip(values, mean, factors)]

    def batch(column: Block) -> tuple[Block] | None:
        block = vectors_of(column)
        if not isinstance(block, DenseBlock) or len(block.features) != size:
            return None
        if factors is None:
            return (DenseBlock([f - shift for f, shift in zip(block.features, mean)], len(block)),)
        shifted = [(f - shift) * by for f, shift, by in zip(block.features, mean, factors)]
        return (DenseBlock(shifted, len(block)),)

    return row, batch
