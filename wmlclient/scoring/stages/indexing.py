# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Labels and their indices: StringIndexer, IndexToString, OneHotEncoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wmlclient.scoring.blocks import Block, rows_of
from wmlclient.scoring.columns import Column, Drop, Frame, Invalid, is_numeric
from wmlclient.scoring.java.numbers import double_text, float_text
from wmlclient.scoring.registry import Params, Stage, loads, text, texts, training
from wmlclient.scoring.saved import SavedStage


def as_text(type: str) -> Callable[[Any], str] | None:
    """Spark's cast to string for a type, ``None`` for strings themselves."""
    if type == "double":
        return double_text
    if type == "float":
        return float_text
    return None if type == "string" else str


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
            row = _indexer(known, invalid, as_text(frame.type_of(source)))
            frame.add(saved.uid, [source], [Column(target, "double", labels=kept)], row, _indexer_batch(row))

    return Stage(saved.uid, saved.java_class, bind, labels=labels)


def _indexer(
    labels: tuple[str, ...], invalid: str, cast: Callable[[Any], str] | None
) -> Callable[[Any], float]:
    index = {label: float(at) for at, label in enumerate(labels)}
    unseen = float(len(labels))
    get = index.get

    def at(value: Any) -> float:
        if cast is not None and value is not None:
            value = cast(value)
        found = get(value)
        if found is not None:
            return found
        if invalid == "keep":
            return unseen
        what = "a null" if value is None else f"the label {value!r:.80}, which was not seen in training"
        if invalid == "skip":
            raise Drop(f"it has {what}")
        raise Invalid(f"it has {what}; train with handleInvalid='keep' to score such rows")

    return at


def _indexer_batch(row: Callable[[Any], float]) -> Callable[[Block], tuple[Block] | None]:
    def batch(column: Block) -> tuple[Block] | None:
        return ([row(value) for value in rows_of(column)],)

    return batch
