# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Words, categories and sets as numbers: Word2Vec, TargetEncoder, FeatureHasher, MinHashLSH. Equal to the last bit.

Source: the classes of the same name in ``org.apache.spark.ml.feature`` of Spark 4.2.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, DenseBlock, SparseBlock, doubles_of, listed, vectors_of
from wmlclient.scoring.columns import Column, Frame, Invalid, is_numeric
from wmlclient.scoring.java.hashing import hash_text
from wmlclient.scoring.registry import Params, Stage, integer, loads, number, text, texts, training
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.stages.hashing import TermIndex
from wmlclient.scoring.stages.logistic import divide
from wmlclient.scoring.stages.numeric import binary_number
from wmlclient.scoring.values import Sparse

Row = Callable[..., Any]
Batch = Callable[[Block], "tuple[Block] | None"]

# -- Word2Vec ---------------------------------------------------------------------------------------------------


@loads(
    "org.apache.spark.ml.feature.Word2VecModel",
    inputCol=text,
    outputCol=text,
    vectorSize=integer,
    maxIter=training,
    maxSentenceLength=training,
    minCount=training,
    numPartitions=training,
    seed=training,
    stepSize=training,
    windowSize=training,
)
def word2vec_model(saved: SavedStage, params: Params) -> Stage:
    """``Word2VecModel``: the mean of the words' vectors, an unknown word counting as zeros; sparse for no words."""
    rows = saved.rows()
    size = 100 if params.vectorSize is None else params.vectorSize
    if any(learned.get("vector") is None or len(learned["vector"]) != size for learned in rows):
        raise saved.refuse(f"its vectors have not the size {size}")
    vectors = np.zeros((len(rows) + 1, size))
    for at, learned in enumerate(rows):
        vectors[at] = learned["vector"]
    index = {learned.get("word"): at for at, learned in enumerate(rows)}
    row, batch = _mean(index, vectors)

    def bind(frame: Frame) -> None:
        frame.words(params.inputCol, saved.uid)
        output = Column(params.outputCol, "vector", size=size)
        frame.add(saved.uid, [params.inputCol], [output], row, batch)

    words = [word for word in index if word is not None]
    return Stage(saved.uid, saved.java_class, bind, hints={params.inputCol: [words[:1000]]})


def _mean(index: dict[Any, int], vectors: Any) -> tuple[Row, Batch]:
    """Sums from the first word to the last, then multiplies by 1/words.

    Args:
        vectors: One vector a row, float64; the last one is that of unknown words, all zeros.
    """
    unknown, size = len(vectors) - 1, vectors.shape[1]
    lookup = index.get

    def row(words: list[Any]) -> list[float] | Sparse:
        if not words:
            if words is None:
                raise Invalid("the words are null")
            return Sparse(size, [], [])
        # accumulate adds one row after the other, which reduce need not; 0.0 turns a sum of -0.0 into Spark's.
        sums = np.add.accumulate(vectors[[lookup(word, unknown) for word in words]], axis=0)
        mean: list[float] = ((sums[-1] + 0.0) * (1.0 / len(words))).tolist()
        return mean

    def batch(column: Block) -> tuple[Block] | None:
        rows = listed(column)
        if rows is None or None in rows:
            return None
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        if not lengths.all():
            return None
        ends = np.cumsum(lengths)
        flat = np.fromiter(
            (lookup(word, unknown) for words in rows for word in words), dtype=np.int64, count=int(ends[-1])
        )
        starts = ends - lengths
        # The longest sentences first: those that have a k-th word are then the first so many.
        order = np.argsort(-lengths, kind="stable")
        starts, sorted_lengths = starts[order], lengths[order]
        total = np.zeros((len(rows), size))
        for place in range(int(sorted_lengths[0])):
            having = int(np.searchsorted(-sorted_lengths, -place, side="left"))
            total[:having] += vectors[flat[starts[:having] + place]]
        total *= (1.0 / sorted_lengths)[:, None]
        out = np.empty_like(total)
        out[order] = total
        return (DenseBlock(list(np.ascontiguousarray(out.T)), len(column)),)

    return row, batch


# -- TargetEncoder ----------------------------------------------------------------------------------------------

UNSEEN, NULL = 2147483647.0, -1.0
"""The categories under which a ``TargetEncoderModel`` keeps all rows together, and those that were null."""


@loads(
    "org.apache.spark.ml.feature.TargetEncoderModel",
    inputCol=text,
    outputCol=text,
    inputCols=texts,
    outputCols=texts,
    handleInvalid=text,
    targetType=text,
    smoothing=number,
    labelCol=training,
)
def target_encoder_model(saved: SavedStage, params: Params) -> Stage:
    """``TargetEncoderModel``: each category's smoothed mean of the target."""
    sources = [params.inputCol] if saved.is_set("inputCol") else params.inputCols or []
    if saved.is_set("outputCol"):
        targets = [params.outputCol]
    elif saved.is_set("outputCols"):
        targets = params.outputCols
    else:
        targets = [f"{source}_indexed" for source in sources]
    invalid, kind = params.handleInvalid or "error", params.targetType or "binary"
    if invalid not in ("error", "keep") or kind not in ("binary", "continuous"):
        raise saved.refuse(f"handleInvalid is {invalid!r} and targetType is {kind!r}")
    rows = sorted(saved.rows(), key=itemgetter("index"))
    if not sources or not len(sources) == len(targets) == len(rows):
        raise saved.refuse("it has not one output column and one encoding for each input column")
    smoothing = 0.0 if params.smoothing is None else params.smoothing
    encodings = [_encodings(saved, row, kind, smoothing) for row in rows]

    def bind(frame: Frame) -> None:
        for source in sources:
            binary_number(frame, source, saved)
        for source, target, known in zip(sources, targets, encodings):
            row, batch = _encoded(known, invalid)
            frame.add(saved.uid, [source], [Column(target, "double")], row, batch)

    hints = {
        source: [category for category in known if category not in (UNSEEN, NULL)]
        for source, known in zip(sources, encodings)
    }
    return Stage(saved.uid, saved.java_class, bind, hints=hints)


def _encodings(saved: SavedStage, row: dict[str, Any], kind: str, smoothing: float) -> dict[float, float]:
    statistics = dict(zip(row["categories"], zip(row["counts"], row["stats"])))
    if UNSEEN not in statistics:
        raise saved.damaged("it has no encoding for categories that were not seen")
    all_count, all_stat = statistics[UNSEEN]
    found = {}
    for category, (count, stat) in statistics.items():
        weight = divide(count, count + smoothing)
        if kind == "binary":
            found[category] = weight * divide(stat, count) + (1.0 - weight) * divide(all_stat, all_count)
        else:
            found[category] = weight * stat + (1.0 - weight) * all_stat
    return found


def _encoded(encodings: dict[float, float], invalid: str) -> tuple[Row, Batch]:
    known = {category: code for category, code in encodings.items() if category not in (UNSEEN, NULL)}
    fill = encodings[UNSEEN]
    null = encodings.get(NULL)
    keys = np.array(sorted(known), dtype=np.float64)
    codes = np.array([known[key] for key in keys.tolist()], dtype=np.float64)

    def row(value: Any) -> float:
        if value is None and null is not None:
            return null
        found = None if value is None else known.get(float(value))
        if found is not None:
            return found
        if invalid == "keep":
            return fill
        raise Invalid(f"the category {value} was not seen in training; handleInvalid='keep' would take it")

    def batch(column: Block) -> tuple[Block] | None:
        values = doubles_of(column)
        if values is None or not len(keys):
            return None
        places = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
        seen = keys[places] == values
        if invalid != "keep" and not seen.all():
            return None
        return (np.where(seen, codes[places], fill),)

    return row, batch


# -- FeatureHasher ----------------------------------------------------------------------------------------------


@loads(
    "org.apache.spark.ml.feature.FeatureHasher",
    inputCols=texts,
    outputCol=text,
    categoricalCols=texts,
    numFeatures=integer,
)
def feature_hasher(saved: SavedStage, params: Params) -> Stage:
    """``FeatureHasher``: numbers at their column's place, categories at that of ``column=value``; nulls nowhere."""
    names = params.inputCols or []
    size = 1 << 18 if params.numFeatures is None else params.numFeatures
    if not names or len(set(names)) != len(names) or size <= 0:
        raise saved.refuse("its input columns are none, or not distinct, or it has no features")
    chosen = set(params.categoricalCols or ())
    index = TermIndex(hash_text, size)

    def bind(frame: Frame) -> None:
        kinds = {
            name: frame.find(name, saved.uid, _hashed, "a number, true or false, or a string", "string").type
            for name in names
        }
        real = {name for name, kind in kinds.items() if is_numeric(kind) and name not in chosen}
        for name, kind in kinds.items():
            if kind.startswith("decimal") or (name not in real and kind in ("double", "float")):
                raise saved.refuse(
                    f"it takes the {kind} column {name!r} by its text, which depends on the Java"
                )
        places = [index[name] for name in real]
        if len(names) > 4 and any(places.count(place) > 2 for place in places):
            raise saved.refuse(
                "more than two of its numeric columns share a place: their sum's order is not known"
            )
        row = _hasher([(name, name in real) for name in names], index, size)
        frame.add(saved.uid, names, [Column(params.outputCol, "vector", size=size)], row)

    return Stage(saved.uid, saved.java_class, bind)


def _hashed(type: str) -> bool:
    return type in ("string", "boolean") or is_numeric(type)


def _hasher(columns: list[tuple[str, bool]], index: TermIndex, size: int) -> Row:
    reals = [(at, index[name]) for at, (name, is_real) in enumerate(columns) if is_real]
    categories = [(at, f"{name}=") for at, (name, is_real) in enumerate(columns) if not is_real]

    def row(*values: Any) -> Sparse:
        sums: dict[int, float] = {}
        for at, place in reals:
            value = values[at]
            if value is not None:
                value = float(value)
                sums[place] = sums[place] + value if place in sums else value
        for at, name in categories:
            value = values[at]
            if value is not None:
                if value.__class__ is bool:
                    value = "true" if value else "false"
                place = index[f"{name}{value}"]
                sums[place] = sums.get(place, 0.0) + 1.0
        indices = sorted(sums)
        return Sparse(size, indices, [sums[place] for place in indices])

    return row


# -- MinHashLSH -------------------------------------------------------------------------------------------------

PRIME = 2038074743


@loads(
    "org.apache.spark.ml.feature.MinHashLSHModel",
    inputCol=text,
    outputCol=text,
    numHashTables=training,
    seed=training,
)
def min_hash_lsh_model(saved: SavedStage, params: Params) -> Stage:
    """``MinHashLSHModel``: for each hash table, the least hash of the indices of what is not zero, as a vector."""
    (flat,) = saved.only("data", "randCoefficients")
    if len(flat) % 2:
        raise saved.damaged("its coefficients are no pairs")
    pairs = list(zip(flat[::2], flat[1::2]))

    def row(vector: Any) -> list[list[float]]:
        if vector.__class__ is list:
            places = [at for at, value in enumerate(vector, 1) if value]
        else:
            places = [at + 1 for at, value in zip(vector.indices, vector.values) if value]
        if not places:
            raise Invalid("the vector has no value other than zero")
        return [[float(min([(at * a + b) % PRIME for at in places]))] for a, b in pairs]

    def batch(column: Block) -> tuple[Block] | None:
        block = vectors_of(column)
        if isinstance(block, SparseBlock):
            stored = block.values != 0.0
            rows, places = block.row_numbers()[stored], block.indices[stored]
        elif isinstance(block, DenseBlock) and block.features:
            rows, places = np.nonzero(np.column_stack(block.features))
        else:
            return None
        counts = np.bincount(rows, minlength=len(block))
        if not counts.all():
            return None
        starts = np.cumsum(counts) - counts
        # (2^31 - 1) * (2^31 - 1) and less: an int64 holds it
        tables = [np.minimum.reduceat(((places + 1) * a + b) % PRIME, starts).tolist() for a, b in pairs]
        return ([[[float(least)] for least in some] for some in zip(*tables)],)

    def bind(frame: Frame) -> None:
        frame.vector(params.inputCol, saved.uid)
        frame.add(saved.uid, [params.inputCol], [Column(params.outputCol, "array<vector>")], row, batch)

    return Stage(saved.uid, saved.java_class, bind)
