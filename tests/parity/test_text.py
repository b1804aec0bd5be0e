"""Text stages beside Spark's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import prove, rows_each

pytestmark = pytest.mark.spark

PATTERNS = [
    (r"\s+", {}),
    (r"\W", {}),
    (r"\W+", {"minTokenLength": 3}),
    (r"\w+", {"gaps": False}),
    (r"[^a-zA-Z']+", {"toLowercase": False}),
    (r"[a-z]+(?:'[a-z]+)?", {"gaps": False}),
    (r"\S+", {"gaps": False, "minTokenLength": 0}),
    (r"\s", {"minTokenLength": 0}),
    (r",|\.\.\.|\s", {"minTokenLength": 0}),
    (r"[\s,.!?]+?", {"minTokenLength": 2}),
    (r"\p{Punct}|\p{Space}", {}),
    (r".", {"gaps": False}),
    (r"\d+(?:\.\d+)?|#\w+|@\w+", {"gaps": False}),
    (r"(?<=\s)\S+|^\S+", {"gaps": False}),
    (r"\S+\s*$", {"gaps": False}),
    (r"(?!the)\w+", {"gaps": False}),
    (r"[\x{1F600}-\x{1F64F}]|[^\x00-\x7f]", {"gaps": False}),
    (r"\h+|\v+", {}),
    (r"a{2,3}|o{2}|l+", {"gaps": False}),
    (r"e", {"minTokenLength": 0}),
]


def test_tokenizer(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.feature import Tokenizer

    odd = [
        [text] for text in ("", " ", "  a  b ", "\u0130I\u0131", "ΟΔΟΣ ΣΑΣ.Α", "\x1c\x85\u2003x", "A\r\nB")
    ]
    stage = Tokenizer(inputCol="text", outputCol="words")
    prove(spark, stage, "text string", tmp_path, values=odd, nulls=True, rows=rows_each(1))


@pytest.mark.parametrize(("pattern", "params"), PATTERNS)
def test_regex_tokenizer(spark: Any, tmp_path: Path, pattern: str, params: dict[str, Any]) -> None:
    from pyspark.ml.feature import RegexTokenizer

    stage = RegexTokenizer(inputCol="text", outputCol="words", pattern=pattern, **params)
    prove(spark, stage, "text string", tmp_path)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"caseSensitive": True},
        {"stopWords": ["THE", "İstanbul", "ΣΑΣ", "café", "😀"]},
        {"stopWords": ["The", "a"], "caseSensitive": True},
        {"stopWords": ["ı", "I"], "locale": "tr_TR"},
    ],
)
def test_stop_words_remover(spark: Any, tmp_path: Path, params: dict[str, Any]) -> None:
    from pyspark.ml.feature import StopWordsRemover

    stage = StopWordsRemover(inputCol="words", outputCol="kept", **params)
    odd = [[["a", None, "", "THE", "The", "ΣΑΣ"]], [[]]]
    prove(spark, stage, "words array<string>", tmp_path, values=odd, nulls=True)


def test_stop_words_of_several_columns(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.feature import StopWordsRemover

    stage = StopWordsRemover(inputCols=["a", "b"], outputCols=["c", "d"], stopWords=["the", "a"])
    prove(spark, stage, "a array<string>, b array<string>", tmp_path)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_ngram(spark: Any, tmp_path: Path, n: int) -> None:
    from pyspark.ml.feature import NGram

    odd = [[["a", None, "b"]], [[]], [["a"]]]
    stage = NGram(inputCol="words", outputCol="out", n=n)
    prove(spark, stage, "words array<string>", tmp_path, values=odd, rows=rows_each(3))


@pytest.mark.parametrize(
    ("element", "params"),
    [
        ("string", {"numFeatures": 1 << 16}),
        ("string", {"numFeatures": 1009}),
        ("string", {"numFeatures": 7, "binary": True}),
        ("string", {}),
        ("int", {"numFeatures": 1009}),
        ("bigint", {"numFeatures": 1009}),
        ("double", {"numFeatures": 1009}),
        ("boolean", {"numFeatures": 1009}),
        ("tinyint", {"numFeatures": 1009}),
    ],
)
def test_hashing_tf(spark: Any, tmp_path: Path, element: str, params: dict[str, Any]) -> None:
    from pyspark.ml.feature import HashingTF

    odd = [[[]]] + ([[["a", None, "a", "", "😀", "e\u0301"]]] if element == "string" else [])
    odd += [[[0.0, -0.0, "NaN", "Infinity", 1.5]]] if element == "double" else []
    stage = HashingTF(inputCol="terms", outputCol="tf", **params)
    prove(spark, stage, f"terms array<{element}>", tmp_path, values=odd, nulls=True)


@pytest.mark.parametrize(
    "params", [{}, {"binary": True}, {"minTF": 2.0}, {"minTF": 0.1}, {"minTF": 2.0, "binary": True}]
)
def test_count_vectorizer(spark: Any, tmp_path: Path, params: dict[str, Any]) -> None:
    from pyspark.ml.feature import CountVectorizer

    words = ["the", "a", "and", "not", "is", "good", "bad", "great", "😀", "café", "é"]
    train = spark.createDataFrame(
        [(words[i:] + words[:3],) for i in range(len(words))], "words array<string>"
    )
    model = CountVectorizer(inputCol="words", outputCol="counts", **params).fit(train)
    odd = [[["the", None, "the", "zebra"]], [[]]]
    prove(spark, model, "words array<string>", tmp_path, values=odd, nulls=True)


@pytest.mark.parametrize("least", [0, 3])
def test_idf(spark: Any, tmp_path: Path, least: int) -> None:
    from pyspark.ml import PipelineModel
    from pyspark.ml.feature import IDF, HashingTF, Tokenizer

    sentences = ["the good day", "a bad day", "the the a", "great", "not good at all", "a good friend"]
    tokens = Tokenizer(inputCol="text", outputCol="words")
    counts = HashingTF(inputCol="words", outputCol="tf", numFeatures=64)
    train = counts.transform(
        tokens.transform(spark.createDataFrame([(s,) for s in sentences], "text string"))
    )
    idf = IDF(inputCol="tf", outputCol="features", minDocFreq=least).fit(train)
    prove(spark, PipelineModel([tokens, counts, idf]), "text string", tmp_path / "sparse")
    prove(spark, idf, train.select("tf").schema, tmp_path / "dense", invalid=True)


def test_lower_case_of_every_character(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.feature import RegexTokenizer

    codes = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
    rows = [["".join(f"{chr(c)}x" for c in codes[i : i + 100])] for i in range(0, len(codes), 100)]
    stage = RegexTokenizer(inputCol="text", outputCol="words", pattern="xyzzy")
    prove(spark, stage, "text string", tmp_path, values=rows, rows=0)


def test_lower_case_of_sigma(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.feature import RegexTokenizer

    near = ["", *"Αα\ta1 .:'\u2019-_\u0301\u00ad😀Ⓐªʰ\u0345!,\u00b7中Àͺ^#%$\u0964カ\u309b\r\n\u2028"]
    rows = [[f"{a}{b}Σ{c}{d}"] for a in near for b in near for c in near for d in ("", "Α", ".Σ")]
    stage = RegexTokenizer(inputCol="text", outputCol="words", pattern="xyzzy")
    prove(spark, stage, "text string", tmp_path, values=rows, rows=0)
