# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Some values of a vector: slicers, selectors, size hints, and categories by value. All equal to the last bit.

Source: the classes of the same name in ``org.apache.spark.ml.feature`` of Spark 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, DenseBlock, Floats, SparseBlock, vectors_of
from wmlclient.scoring.columns import Column, Drop, Frame, Invalid
from wmlclient.scoring.hints import MOST, Back, picked
from wmlclient.scoring.registry import Params, Stage, integer, loads, text, texts, training
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.values import Sparse, vector_size

Row = Callable[[Any], Any]
Batch = Callable[[Block], "tuple[Block] | None"]


def _integers(value: Any) -> list[int]:
    if not isinstance(value, list):
        raise ValueError("is not an array")
    return [integer(item) for item in value]


def _picker(chosen: list[int]) -> Callable[[list[float]], list[float]]:
    """Picks these values of a dense vector."""
    if len(chosen) == 1:
        only = chosen[0]
        return lambda values: [values[only]]
    if not chosen:
        return lambda values: []
    pick = itemgetter(*chosen)
    return lambda values: list(pick(values))


def _picked(chosen: list[int], keep_zeros: bool) -> tuple[Row, Batch]:
    """Row and batch function for a selection of indices; sparse vectors stay sparse.

    Args:
        chosen: The indices, in the order of the output.
        keep_zeros: Whether a stored zero stays stored.
    """
    size = len(chosen)
    most = max(chosen, default=-1)
    place = {index: at for at, index in enumerate(chosen)}
    ascending = chosen == sorted(chosen)
    pick = _picker(chosen)

    def row(vector: Any) -> list[float] | Sparse:
        if vector.__class__ is list:
            if most >= len(vector):
                raise Invalid(f"the vector has {len(vector)} values, but its value at {most} is selected")
            return pick(vector)
        pairs = [
            (place[index], value)
            for index, value in zip(vector.indices, vector.values)
            if index in place and (keep_zeros or value)
        ]
        if not ascending:
            pairs.sort(key=itemgetter(0))
        return Sparse(size, [index for index, _ in pairs], [value for _, value in pairs])

    def batch(column: Block) -> tuple[Block] | None:
        block = vectors_of(column)
        if isinstance(block, DenseBlock):
            if most >= len(block.features):
                return None
            return (DenseBlock([block.features[index] for index in chosen], len(block)),)
        if isinstance(block, SparseBlock) and ascending and most < block.size:
            places = np.full(block.size, -1, dtype=np.int64)
            places[chosen] = np.arange(size)
            indices = places[block.indices]
            kept = indices >= 0
            if not keep_zeros:
                kept &= block.values != 0.0
            ends = np.concatenate([[0], np.cumsum(kept)])[block.ends]
            return (SparseBlock(size, ends, indices[kept], block.values[kept]),)
        return None

    return row, batch


# -- selectors --------------------------------------------------------------------------------------------------

_FITTED = {
    "labelCol": training,
    "selectorType": training,
    "numTopFeatures": training,
    "percentile": training,
    "fpr": training,
    "fdr": training,
    "fwe": training,
    "featureType": training,
    "labelType": training,
    "selectionMode": training,
    "selectionThreshold": training,
    "varianceThreshold": training,
}


@loads(
    "org.apache.spark.ml.feature.ChiSqSelectorModel",
    "org.apache.spark.ml.feature.UnivariateFeatureSelectorModel",
    "org.apache.spark.ml.feature.VarianceThresholdSelectorModel",
    featuresCol=text,
    outputCol=text,
    **_FITTED,
)
def selector_model(saved: SavedStage, params: Params) -> Stage:
    """The models of the three selectors: the chosen values, in ascending order of their indices."""
    (chosen,) = saved.only("data", "selectedFeatures")
    if any(index < 0 for index in chosen) or len(set(chosen)) != len(chosen):
        raise saved.damaged("its selected features are not distinct indices")
    row, batch = _picked(sorted(chosen), keep_zeros=True)

    def bind(frame: Frame) -> None:
        frame.vector(params.featuresCol, saved.uid)
        output = Column(params.outputCol, "vector", size=len(chosen))
        frame.add(saved.uid, [params.featuresCol], [output], row, batch)

    return Stage(
        saved.uid,
        saved.java_class,
        bind,
        hints=_wide_enough(params.featuresCol, chosen),
        back=picked(params.featuresCol, params.outputCol, sorted(chosen)),
    )


@loads(
    "org.apache.spark.ml.feature.VectorSlicer", inputCol=text, outputCol=text, indices=_integers, names=texts
)
def vector_slicer(saved: SavedStage, params: Params) -> Stage:
    """``VectorSlicer`` by indices, in the given order. A stored zero is dropped.

    Spark finds a value by name in the ML attributes of the input column, which are not kept here.
    """
    if params.names:
        raise saved.refuse("it selects values by name, and vectors have no names here")
    chosen = params.indices or []
    if not chosen or any(index < 0 for index in chosen) or len(set(chosen)) != len(chosen):
        raise saved.refuse("its indices are none, or not distinct")
    row, batch = _picked(chosen, keep_zeros=False)

    def bind(frame: Frame) -> None:
        column = frame.vector(params.inputCol, saved.uid)
        if column.size is not None and max(chosen) >= column.size:
            raise saved.refuse(f"its index {max(chosen)} is invalid for vectors of {column.size} values")
        output = Column(params.outputCol, "vector", size=len(chosen))
        frame.add(saved.uid, [params.inputCol], [output], row, batch)

    return Stage(
        saved.uid,
        saved.java_class,
        bind,
        hints=_wide_enough(params.inputCol, chosen),
        back=picked(params.inputCol, params.outputCol, chosen),
    )


def _wide_enough(name: str, chosen: list[int]) -> dict[str, list[list[float]]]:
    return {name: [[0.0] * (max(chosen, default=0) + 1)]}


# -- VectorSizeHint ---------------------------------------------------------------------------------------------


@loads("org.apache.spark.ml.feature.VectorSizeHint", inputCol=text, size=integer, handleInvalid=text)
def vector_size_hint(saved: SavedStage, params: Params) -> Stage:
    """``VectorSizeHint``: adds no column; a vector of another size, or null, is refused, dropped or let through."""
    name, size = params.inputCol, params.size
    invalid = params.handleInvalid or "error"
    if invalid not in ("error", "skip", "optimistic"):
        raise saved.refuse(f"handleInvalid is {invalid!r}")
    if size is None:
        raise saved.damaged("its size is missing")

    def row(vector: Any) -> None:
        if vector is not None and vector_size(vector) == size:
            return
        what = "it is null" if vector is None else f"it has {vector_size(vector)} values, not {size}"
        if invalid == "skip":
            raise Drop(what)
        raise Invalid(f"the vector {name!r} does not fit: {what}")

    def batch(column: Block) -> tuple[Block] | None:
        block = vectors_of(column)
        fits = isinstance(block, DenseBlock) and len(block.features) == size
        fits = fits or (isinstance(block, SparseBlock) and block.size == size)
        return ([None] * len(block),) if fits and block is not None else None

    def bind(frame: Frame) -> None:
        column = frame.vector(name, saved.uid)
        if column.size not in (None, size):
            raise saved.refuse(f"its size is {size}, but the vectors in {name!r} have {column.size} values")
        frame.replace(name, size=size)
        if invalid != "optimistic":
            # The check needs a column to write to; nobody sees it.
            checked = Column(f"{name} is checked by {saved.uid}", "void")
            order = [visible.name for visible in frame.columns]
            frame.add(saved.uid, [name], [checked], row, batch)
            frame.select(order)

    return Stage(saved.uid, saved.java_class, bind, hints={name: [[0.0] * size]})


# -- VectorIndexer ----------------------------------------------------------------------------------------------


@loads(
    "org.apache.spark.ml.feature.VectorIndexerModel",
    inputCol=text,
    outputCol=text,
    handleInvalid=text,
    maxCategories=training,
)
def vector_indexer_model(saved: SavedStage, params: Params) -> Stage:
    """``VectorIndexerModel``: categorical values become indices; values that a sparse vector lacks stay 0."""
    size, maps = saved.only("data", "numFeatures", "categoryMaps")
    categories = {feature: dict(known) for feature, known in maps}
    if any(not 0 <= feature < size for feature in categories):
        raise saved.damaged("it has categories for values beyond the vector's size")
    invalid = params.handleInvalid or "error"
    if invalid not in ("error", "skip", "keep"):
        raise saved.refuse(f"handleInvalid is {invalid!r}")
    index = {
        feature: {value: float(at) for value, at in known.items()} for feature, known in categories.items()
    }
    row = _categories(size, index, invalid)

    def bind(frame: Frame) -> None:
        column = frame.vector(params.inputCol, saved.uid)
        if column.size not in (None, size):
            raise saved.refuse(f"it takes vectors of {size} values, but those it gets have {column.size}")
        output = Column(params.outputCol, "vector", size=size)
        frame.add(saved.uid, [params.inputCol], [output], row, _categories_batch(size, index, invalid))

    known = [Sparse(size, [feature], [value]) for feature, values in index.items() for value in values]
    hints = {params.inputCol: [Sparse(size, [], []), *known]}
    return Stage(
        saved.uid,
        saved.java_class,
        bind,
        hints=hints,
        back=_indexed_back(params.inputCol, params.outputCol, index),
    )


def _indexed_back(source: str, target: str, index: dict[int, dict[float, float]]) -> Back:
    """Hints on indices lead to the categories of these; other values are handed on as they are."""
    categories = {feature: {at: value for value, at in known.items()} for feature, known in index.items()}

    def back(hints: Mapping[str, Sequence[Any]], columns: Mapping[str, Column]) -> dict[str, list[Any]]:
        found: list[Any] = []
        for hint in hints.get(target, ()):
            if isinstance(hint, Sparse):
                pairs = [
                    (at, categories[at].get(value) if at in categories else value)
                    for at, value in zip(hint.indices, hint.values)
                ]
                kept = [(at, value) for at, value in pairs if value is not None]
                found.append(Sparse(hint.size, [at for at, _ in kept], [value for _, value in kept]))
        return {source: found[:MOST]}

    return back


def _categories(size: int, index: dict[int, dict[float, float]], invalid: str) -> Row:
    ordered = sorted(index.items())

    def unseen(feature: int, value: float) -> float:
        if invalid == "keep":
            return float(len(index[feature]))
        what = f"its value {value} at {feature} was not seen in training"
        if invalid == "skip":
            raise Drop(what)
        raise Invalid(f"{what}; train with handleInvalid='keep' to score such rows")

    def row(vector: Any) -> list[float] | Sparse:
        if vector_size(vector) != size:
            raise Invalid(f"the vector has {vector_size(vector)} values, the model was fitted on {size}")
        if vector.__class__ is list:
            out = list(vector)
            for feature, known in ordered:
                value = out[feature]
                at = known.get(value)
                out[feature] = unseen(feature, value) if at is None else at
            return out
        values = []
        for feature, value in zip(vector.indices, vector.values):
            found = index.get(feature)
            if found is not None:
                at = found.get(value)
                value = unseen(feature, value) if at is None else at
            values.append(value)
        return Sparse(size, vector.indices, values)

    return row


def _categories_batch(size: int, index: dict[int, dict[float, float]], invalid: str) -> Batch:
    """For dense vectors: the categories of a feature, sorted, are searched for all its values."""
    sorted_maps: dict[int, tuple[Floats, Floats]] = {}
    for feature, known in index.items():
        items = sorted(known.items())
        sorted_maps[feature] = np.array([v for v, _ in items]), np.array([at for _, at in items])

    def batch(column: Block) -> tuple[Block] | None:
        block = vectors_of(column)
        if not isinstance(block, DenseBlock) or len(block.features) != size:
            return None
        features = list(block.features)
        for feature, (values, indices) in sorted_maps.items():
            if not len(values):
                return None
            places = np.minimum(np.searchsorted(values, features[feature]), len(values) - 1)
            seen = values[places] == features[feature]
            found = indices[places]
            if not seen.all():
                if invalid != "keep":
                    return None
                found = np.where(seen, found, float(len(values)))
            features[feature] = found
        return (DenseBlock(features, len(block)),)

    return batch
