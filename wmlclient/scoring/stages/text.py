# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""Words: tokenizers, stop words, n-grams, counts over a vocabulary."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from wmlclient.scoring.blocks import Block, WordsBlock, listed
from wmlclient.scoring.columns import Column, Frame
from wmlclient.scoring.java import regex
from wmlclient.scoring.java.strings import lower, utf16_length
from wmlclient.scoring.registry import Params, Stage, boolean, integer, loads, number, text, texts, training
from wmlclient.scoring.saved import SavedStage
from wmlclient.scoring.stages.hashing import MEMO_SIZE, count_block
from wmlclient.scoring.values import Sparse

MAX_TRAILING = 64
"""Rows that end in more white space than this are split one by one."""
_WORDS = "array<string>"
_ODD_SPACE = re.compile("[\t\n\x0b\f\r]").search
_SPACE_SPLIT = re.compile("[ \t\n\x0b\f\r]").split


def each(row: Callable[[Any], Any]) -> Callable[[Block], tuple[Block] | None]:
    """A batch function that calls a row function for each row, where no row is null."""

    def batch(column: Block) -> tuple[Block] | None:
        values = listed(column)
        return None if values is None else ([row(value) for value in values],)

    return batch


def tokens(sentence: str) -> list[str]:
    """``toLowerCase().split("\\\\s")``: single white space splits, trailing empty strings go, others stay."""
    sentence = lower(sentence)
    parts = sentence.split(" ") if _ODD_SPACE(sentence) is None else _SPACE_SPLIT(sentence)
    if not parts[-1] and len(parts) > 1:
        while parts and not parts[-1]:
            parts.pop()
    return parts


def split_block(column: Block) -> tuple[Block] | None:
    """:func:`tokens` of all rows at once, which leaves the strings to be made by who wants them."""
    if not isinstance(column, list) or not column or set(map(type, column)) != {str}:
        return None
    texts: list[str] = column
    joined = " ".join(texts)
    try:
        if joined.isascii():
            text = joined.lower().encode()
            lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        else:
            encoded = [lower(each).encode() for each in texts]
            text = b" ".join(encoded)
            lengths = np.fromiter(map(len, encoded), np.int64, len(texts))
    except UnicodeEncodeError:
        return None
    letters = np.frombuffer(text + b" ", np.uint8)
    # The white space of ASCII is 32 and 9 to 13; a byte below 9 becomes a large one.
    ends = np.flatnonzero((letters == 32) | (letters - np.uint8(9) < 5))
    starts = np.concatenate([[0], ends[:-1] + 1])
    last = ends.searchsorted(np.cumsum(lengths + 1) - 1)
    counts = np.diff(last, prepend=-1)
    empty = starts == ends
    rows = np.flatnonzero((counts > 1) & empty[last])
    if len(rows):
        kept = np.ones(len(ends), np.bool_)
        for _ in range(MAX_TRAILING):
            kept[last[rows]] = False
            counts[rows] -= 1
            last[rows] -= 1
            rows = rows[counts[rows] > 0]
            rows = rows[empty[last[rows]]]
            if not len(rows):
                break
        else:
            return None
        starts, ends = starts[kept], ends[kept]
    return (WordsBlock(letters, starts, ends, counts, lambda: list(map(tokens, texts))),)


@loads("org.apache.spark.ml.feature.Tokenizer", inputCol=text, outputCol=text)
def tokenizer(saved: SavedStage, params: Params) -> Stage:
    """``Tokenizer``."""

    def bind(frame: Frame) -> None:
        frame.text(params.inputCol, saved.uid)
        frame.add(saved.uid, [params.inputCol], [Column(params.outputCol, _WORDS)], tokens, split_block)

    return Stage(saved.uid, saved.java_class, bind)


@loads(
    "org.apache.spark.ml.feature.RegexTokenizer",
    inputCol=text,
    outputCol=text,
    gaps=boolean,
    minTokenLength=integer,
    pattern=text,
    toLowercase=boolean,
)
def regex_tokenizer(saved: SavedStage, params: Params) -> Stage:
    r"""``RegexTokenizer``: Spark's defaults are gaps of ``\s+``, tokens of 1 and more, lower case."""
    pattern = r"\s+" if params.pattern is None else params.pattern
    least = 1 if params.minTokenLength is None else params.minTokenLength
    try:
        gaps = params.gaps is not False
        find = regex.splitter(pattern, keep_empty=least < 1) if gaps else regex.finder(pattern)
    except regex.Unsupported as error:
        raise saved.refuse(f"its pattern uses {error}") from None
    if least > 1:
        found = find

        def find(sentence: str) -> list[str]:
            return [word for word in found(sentence) if utf16_length(word) >= least]

    if params.toLowercase is False:
        row = find
    else:

        def row(sentence: str) -> list[str]:
            return find(lower(sentence))

    def bind(frame: Frame) -> None:
        frame.text(params.inputCol, saved.uid)
        frame.add(saved.uid, [params.inputCol], [Column(params.outputCol, _WORDS)], row, each(row))

    return Stage(saved.uid, saved.java_class, bind)


class _Kept(dict[Any, bool]):
    """Whether a word stays; decided once for each."""

    def __init__(self, decide: Callable[[Any], bool]) -> None:
        super().__init__()
        self._decide = decide

    def __missing__(self, word: Any) -> bool:
        if len(self) >= MEMO_SIZE:
            self.clear()
        kept = self[word] = self._decide(word)
        return kept


@loads(
    "org.apache.spark.ml.feature.StopWordsRemover",
    inputCol=text,
    outputCol=text,
    inputCols=texts,
    outputCols=texts,
    stopWords=training,
    caseSensitive=boolean,
    locale=text,
)
def stop_words_remover(saved: SavedStage, params: Params) -> Stage:
    """``StopWordsRemover``, for one column or several."""
    stop = saved.params().get("stopWords")
    if not isinstance(stop, list) or not all(word is None or isinstance(word, str) for word in stop):
        raise saved.damaged("its stop words are missing")
    if params.caseSensitive:
        words = frozenset(stop)

        def decide(word: Any) -> bool:
            return word not in words

    else:
        # Java's Locale("tr_TR") is no Turkish: only these three languages lower their letters otherwise.
        if (params.locale or "").lower() in ("tr", "az", "lt"):
            raise saved.refuse(f"its locale {params.locale!r} lowers letters in its own way")
        words = frozenset(word if word is None else lower(word) for word in stop)

        def decide(word: Any) -> bool:
            return (word if word is None else lower(word)) not in words

    kept = _Kept(decide).__getitem__

    def row(terms: list[Any]) -> list[Any]:
        return list(filter(kept, terms))

    def bind(frame: Frame) -> None:
        for source, target in params.pairs():
            frame.words(source, saved.uid)
            frame.add(saved.uid, [source], [Column(target, _WORDS)], row, each(row))

    hints = {source: [[word for word in stop if word]] for source, _ in params.pairs()}
    return Stage(saved.uid, saved.java_class, bind, hints=hints)


@loads("org.apache.spark.ml.feature.NGram", inputCol=text, outputCol=text, n=integer)
def ngram(saved: SavedStage, params: Params) -> Stage:
    """``NGram``: every n words in a row, joined by a space; none where there are fewer."""
    n = 2 if params.n is None else params.n
    if n < 1:
        raise saved.damaged("n is not positive")

    def row(terms: list[Any]) -> list[str]:
        if None in terms:
            terms = ["null" if term is None else term for term in terms]
        return [" ".join(words) for words in zip(*[terms[i:] for i in range(n)])]

    def bind(frame: Frame) -> None:
        frame.words(params.inputCol, saved.uid)
        frame.add(saved.uid, [params.inputCol], [Column(params.outputCol, _WORDS)], row, each(row))

    return Stage(saved.uid, saved.java_class, bind)


@loads(
    "org.apache.spark.ml.feature.CountVectorizerModel",
    inputCol=text,
    outputCol=text,
    binary=boolean,
    minTF=number,
    minDF=training,
    maxDF=training,
    vocabSize=training,
)
def count_vectorizer_model(saved: SavedStage, params: Params) -> Stage:
    """``CountVectorizerModel``: words that are not in the vocabulary count for ``minTF`` only."""
    (vocabulary,) = saved.only("data", "vocabulary")
    size = len(vocabulary)
    index = {word: at for at, word in enumerate(vocabulary)}
    least = 1.0 if params.minTF is None else params.minTF
    binary = bool(params.binary)

    def row(terms: list[Any]) -> Sparse:
        counts: dict[int, float] = {}
        for term in terms:
            at = index.get(term)
            if at is not None:
                counts[at] = counts.get(at, 0.0) + 1.0
        if least != 1.0:
            limit = least if least >= 1.0 else len(terms) * least
            counts = {at: count for at, count in counts.items() if count >= limit}
        indices = sorted(counts)
        return Sparse(size, indices, [1.0] * len(indices) if binary else [counts[at] for at in indices])

    def batch(column: Block) -> tuple[Block] | None:
        rows = listed(column)
        if rows is None or None in rows or not size or least != 1.0:
            return None
        get = index.get
        found = [[at for term in terms if (at := get(term)) is not None] for terms in rows]
        lengths = np.fromiter(map(len, found), dtype=np.int64, count=len(found))
        flat = np.fromiter((at for some in found for at in some), dtype=np.int64, count=int(lengths.sum()))
        block = count_block(flat, lengths, size)
        if binary:
            block.values = np.ones_like(block.values)
        return (block,)

    def bind(frame: Frame) -> None:
        frame.find(params.inputCol, saved.uid, lambda t: t == _WORDS, "an array of strings", _WORDS)
        frame.add(saved.uid, [params.inputCol], [Column(params.outputCol, "vector", size=size)], row, batch)

    return Stage(saved.uid, saved.java_class, bind, hints={params.inputCol: [vocabulary[:1000]]})
