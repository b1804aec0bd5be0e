# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Labels and their indices: StringIndexer, IndexToString, OneHotEncoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, SparseBlock, doubles_of, rows_of
from wmlclient.scoring.columns import Column, Drop, Frame, Invalid, is_numeric
from wmlclient.scoring.errors import InputError
from wmlclient.scoring.java.numbers import is_double_text, to_float
from wmlclient.scoring.registry import Params, Stage, boolean, loads, text, texts, training
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.values import Sparse


@loads(
    "org.apache.spark.ml.feature.StringIndexerModel",
    inputCol=text,
    outputCol=text,
    inputCols=texts,
    outputCols=texts,
    handleInvalid=text,
    stringOrderType=training,
)
def string_indexer_model(saved: SavedStage, params: Params) -> Stage:
    """``StringIndexerModel``, for one column or several. It leaves out an input column that is not there."""
    (all_labels,) = saved.only("data", "labelsArray")
    pairs = params.pairs()
    if len(all_labels) != len(pairs):
        raise saved.damaged(f"it has labels for {len(all_labels)} columns, but {len(pairs)} columns")
    invalid = params.handleInvalid or "error"
    if invalid not in ("error", "skip", "keep"):
        raise saved.refuse(f"handleInvalid is {invalid!r}")
    labels = {source: tuple(some) for (source, _), some in zip(pairs, all_labels)}

    def bind(frame: Frame) -> None:
        present = [pair for pair in pairs if invalid == "skip" or frame.has(pair[0])]
        for source, _ in present:
            frame.find(
                source, saved.uid, lambda t: t == "string" or is_numeric(t), "a string or a number", "string"
            )
        for source, target in present:
            known = labels[source]
            kept = (*known, "__unknown") if invalid == "keep" else known
            row = _indexer(known, invalid, frame.type_of(source))
            batch = _text_indexer(known, row) if frame.type_of(source) == "string" else _each(row)
            frame.add(saved.uid, [source], [Column(target, "double", labels=kept)], row, batch)

    return Stage(saved.uid, saved.java_class, bind, labels=labels, hints=labels)


def _indexer(labels: tuple[str, ...], invalid: str, type: str) -> Callable[[Any], float]:
    index: dict[Any, float] = {label: float(at) for at, label in enumerate(labels)}
    if type in ("double", "float"):
        index = {
            written[label]: at for label, at in index.items() if label in (written := _doubles(labels, type))
        }
    unseen = float(len(labels))
    get = index.get
    key = _key(type)

    def at(value: Any) -> float:
        found = get(value if key is None else key(value))
        if found is not None:
            return found
        if invalid == "keep":
            return unseen
        what = "a null" if value is None else f"the label {value!r:.80}, which was not seen in training"
        if invalid == "skip":
            raise Drop(f"it has {what}")
        raise Invalid(f"it has {what}; train with handleInvalid='keep' to score such rows")

    return at


def _text_indexer(
    labels: tuple[str, ...], row: Callable[[Any], float]
) -> Callable[[Block], tuple[Block] | None]:
    """The batch function for strings: a look into a dictionary each; what is not there is left to the row function."""
    get = {label: float(at) for at, label in enumerate(labels)}.get

    def batch(column: Block) -> tuple[Block] | None:
        if not isinstance(column, list):
            return None
        # None becomes NaN.
        found = np.array(list(map(get, column)), dtype=np.float64)
        for at in np.flatnonzero(np.isnan(found)).tolist():
            found[at] = row(column[at])
        return (found,)

    return batch


def _key(type: str) -> Callable[[Any], Any] | None:
    """What a value is looked up by: text, or for floats the value itself, with -0.0 and NaN told apart."""
    if type == "string":
        return None
    if type in ("double", "float"):
        return lambda value: value if value is None or (value and value == value) else str(value)
    return lambda value: value if value is None else str(value)


def _doubles(labels: tuple[str, ...], type: str) -> dict[str, Any]:
    """The floats that Java writes as these labels.

    Spark compares the texts. ``Double.toString`` gives more digits than needed for some values up to Java 18, and
    the fewest that will do since; comparing the values is right with both.
    """
    found: dict[str, Any] = {}
    for label in labels:
        if is_double_text(label):
            value = to_float(float(label)) if type == "float" else float(label)
            found[label] = value if value and value == value else str(value)
    return found


def _each(row: Callable[[Any], Any]) -> Callable[[Block], tuple[Block] | None]:
    def batch(column: Block) -> tuple[Block] | None:
        return ([row(value) for value in rows_of(column)],)

    return batch


@loads("org.apache.spark.ml.feature.IndexToString", inputCol=text, outputCol=text, labels=texts)
def index_to_string(saved: SavedStage, params: Params) -> Stage:
    """``IndexToString``: its own labels, or those that the input column got from a ``StringIndexerModel``."""

    def bind(frame: Frame) -> None:
        column = frame.numeric(params.inputCol, saved.uid)
        labels = tuple(params.labels or column.labels or ())
        if not labels:
            raise saved.refuse(f"it has no labels, and the column {params.inputCol!r} brings none")
        row = _label_of(labels)
        frame.add(saved.uid, [params.inputCol], [Column(params.outputCol, "string")], row, _each(row))

    hints = {params.inputCol: range(len(params.labels or ()))}
    return Stage(saved.uid, saved.java_class, bind, hints=hints)


def _label_of(labels: tuple[str, ...]) -> Callable[[Any], str]:
    count = len(labels)

    def label(value: Any) -> str:
        # Spark casts to a 32-bit integer, towards zero; in ANSI mode, which Spark 4 is in, what does not fit fails.
        if value is None or value - value != 0.0:
            raise Invalid(f"the index {value} is not seen")
        index = int(value)
        if not 0 <= index < count:
            raise Invalid(f"the index {index} is not seen: there are {count} labels")
        return labels[index]

    return label


@loads(
    "org.apache.spark.ml.feature.OneHotEncoderModel",
    inputCol=text,
    outputCol=text,
    inputCols=texts,
    outputCols=texts,
    dropLast=boolean,
    handleInvalid=text,
)
def one_hot_encoder_model(saved: SavedStage, params: Params) -> Stage:
    """``OneHotEncoderModel``, for one column or several."""
    (sizes,) = saved.only("data", "categorySizes")
    pairs = params.pairs()
    if len(sizes) != len(pairs):
        raise saved.damaged(f"it has sizes for {len(sizes)} columns, but {len(pairs)} columns")
    invalid = params.handleInvalid or "error"
    if invalid not in ("error", "keep"):
        raise saved.refuse(f"handleInvalid is {invalid!r}")
    keep = invalid == "keep"
    width = (1 if keep else 0) - (0 if params.dropLast is False else 1)

    def bind(frame: Frame) -> None:
        for (source, _), categories in zip(pairs, sizes):
            column = frame.numeric(source, saved.uid)
            if column.labels is not None and len(column.labels) != categories:
                raise InputError(
                    "wrong_type",
                    source,
                    None,
                    f"the column {source!r} has {len(column.labels)} labels, but stage {saved.uid} was fitted on "
                    f"{categories}",
                )
        for (source, target), categories in zip(pairs, sizes):
            size = categories + width
            row, batch = _one_hot(categories, size, keep), _one_hot_batch(categories, size)
            made = Column(target, "vector", size=size, kinds=((1, size),))
            frame.add(saved.uid, [source], [made], row, batch)

    hints = {source: range(categories) for (source, _), categories in zip(pairs, sizes)}
    return Stage(saved.uid, saved.java_class, bind, hints=hints)


def _one_hot(categories: int, size: int, keep: bool) -> Callable[[Any], Sparse | None]:
    hot = [
        Sparse(size, [index], [1.0]) if index < size else Sparse(size, [], [])
        for index in range(categories + 1)
    ]

    def encode(value: Any) -> Sparse | None:
        if value is None:
            return None
        if 0.0 <= value < categories:
            return hot[int(value)]
        if keep:
            return hot[categories]
        if value < 0.0:
            raise Invalid(f"the index {value} is negative; handleInvalid='keep' would take it")
        raise Invalid(f"the index {value} was not seen in training; handleInvalid='keep' would take it")

    return encode


def _one_hot_batch(categories: int, size: int) -> Callable[[Block], tuple[Block] | None]:
    """The same for whole columns, where every row has a category that training has seen."""

    def batch(column: Block) -> tuple[Block] | None:
        values = doubles_of(column)
        if values is None or not ((values >= 0.0) & (values < categories)).all():
            return None
        indices = values.astype(np.int64)
        hot = indices < size
        ends = np.cumsum(hot, dtype=np.int64)
        indices = indices[hot]
        return (SparseBlock(size, ends, indices, np.ones(len(indices))),)

    return batch
