"""Whole pipelines beside Spark's: the tweets, and columns of all kinds."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest
from harness import prove

from wmlclient import scoring

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def tweets(spark: Any) -> Any:
    """All 4,200 tweets, with a label."""
    from tweets import load_tweets

    rows = [
        (number, text, "positive" if rating > 0 else "negative") for number, rating, text in load_tweets()
    ]
    assert len(rows) == 4200
    return spark.createDataFrame(rows, "id bigint, text string, sentiment string").cache()


def text_stages(name: str) -> list[Any]:
    from pyspark.ml.feature import (
        IDF,
        CountVectorizer,
        HashingTF,
        NGram,
        RegexTokenizer,
        StopWordsRemover,
        Tokenizer,
    )

    words = {"inputCol": "text", "outputCol": "words"}
    idf = IDF(inputCol="tf", outputCol="features")
    if name == "tokenizer":
        return [Tokenizer(**words), HashingTF(inputCol="words", outputCol="tf", numFeatures=1 << 16), idf]
    if name == "regex":
        return [
            RegexTokenizer(pattern=r"\W", **words),
            StopWordsRemover(inputCol="words", outputCol="kept"),
            HashingTF(inputCol="kept", outputCol="tf", numFeatures=1 << 16),
            idf,
        ]
    return [
        RegexTokenizer(pattern=r"[a-z']+|[^\w\s]", gaps=False, **words),
        NGram(inputCol="words", outputCol="pairs"),
        CountVectorizer(inputCol="pairs", outputCol="tf", vocabSize=5000),
        idf,
    ]


@pytest.mark.parametrize("name", ["tokenizer", "regex", "pairs"])
def test_all_tweets(spark: Any, tweets: Any, tmp_path: Path, name: str) -> None:
    """The labels of all tweets are Spark's, and the probabilities are within 1e-12."""
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import StringIndexer

    index = StringIndexer(inputCol="sentiment", outputCol="label")
    model = Pipeline(stages=[index, *text_stages(name), LogisticRegression(maxIter=5)]).fit(tweets)
    rows = [list(row) for row in tweets.collect()]
    proof = prove(spark, model, tweets.schema, tmp_path, values=rows, rows=0)
    assert proof.rows == 4200
    assert proof.scorer.required == ("text",)
    print(f"largest difference: {proof.comparison.columns}")  # noqa: T201 - pytest shows it with -rP

    # The label that a payload lacks is filled in, or left out, and the answers are the same.
    filled = scoring.load(tmp_path / "model", tweets.schema.jsonValue(), label_col="sentiment")
    fields, values = filled.score_table(["text"], [[row[1]] for row in rows[:50]])
    assert fields[:3] == ["text", "sentiment", "label"]
    assert {tuple(row[1:3]) for row in values} == {(model.stages[0].labels[0], 0.0)}
    plain = scoring.load(tmp_path / "model", tweets.schema.jsonValue())
    fields, without = plain.score_table(["text"], [[row[1]] for row in rows[:50]])
    assert fields[:2] == ["text", "words"]
    assert [row[3:] for row in values] == [row[1:] for row in without]


def people(spark: Any, rows: int = 400) -> Any:
    chance = random.Random(11)
    data = []
    for _ in range(rows):
        age, income = chance.randint(18, 90), chance.lognormvariate(10, 1)
        colour = chance.choice(["red", "green", "blue", "straße"])
        member = chance.random() < 0.5
        score = age / 50 + member - (colour == "red") + chance.gauss(0, 0.5)
        label = "low" if score < 0.8 else "mid" if score < 1.8 else "high"
        data.append((age, income, colour, member, chance.choice([1.0, 2.5, 3.0]), label))
    return spark.createDataFrame(
        data, "age int, income double, colour string, member boolean, kind double, product string"
    )


@pytest.mark.parametrize("invalid", ["error", "keep", "skip"])
def test_columns_of_all_kinds(spark: Any, tmp_path: Path, invalid: str) -> None:
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import (
        IndexToString,
        OneHotEncoder,
        StandardScaler,
        StringIndexer,
        VectorAssembler,
    )

    train = people(spark)
    label = StringIndexer(inputCol="product", outputCol="label").fit(train)
    index = StringIndexer(
        inputCols=["colour", "kind"], outputCols=["colour_ix", "kind_ix"], handleInvalid=invalid
    )
    inner = Pipeline(
        stages=[index, OneHotEncoder(inputCols=["colour_ix", "kind_ix"], outputCols=["colour_v", "kind_v"])]
    )
    columns = ["age", "income", "member", "colour_v", "kind_v"]
    stages = [
        label,
        inner,
        VectorAssembler(inputCols=columns, outputCol="raw", handleInvalid=invalid),
        StandardScaler(inputCol="raw", outputCol="features", withMean=True),
        LogisticRegression(maxIter=10),
        IndexToString(inputCol="prediction", outputCol="predicted", labels=label.labels),
    ]
    model = Pipeline(stages=stages).fit(train)
    proof = prove(spark, model, train.drop("product").schema, tmp_path, nulls=True, least=0.3)
    assert set(proof.scorer.required) == {"age", "income", "member", "colour", "kind"}
    assert bool(proof.dropped) == (invalid == "skip")


def test_one_binomial_model_of_numbers(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import VectorAssembler
    from pyspark.sql.functions import col

    names = [f"x{i}" for i in range(5)]
    chance = random.Random(3)
    rows = [[chance.gauss(0, 1) for _ in names] for _ in range(200)]
    train = spark.createDataFrame(rows, ", ".join(f"{n} double" for n in names))
    train = train.withColumn("label", (col("x0") + col("x1") * col("x2") > 0).cast("double"))
    stages = [VectorAssembler(inputCols=names, outputCol="features"), LogisticRegression(maxIter=10)]
    prove(spark, Pipeline(stages=stages).fit(train), train.drop("label").schema, tmp_path)
