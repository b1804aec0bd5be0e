"""The pipelines that are timed, and their rows: made up, from a fixed seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
from attrs import frozen

SEED = 20261121
WORDS = 5_000
"""Words of the vocabulary that texts are made of."""
TEXT_LENGTH = 12
NUMBERS = 10
KINDS = {"country": 50, "device": 8, "plan": 5}


@frozen
class Workload:
    """A pipeline with what it is fitted on and what it scores.

    Attributes:
        title: What it is, for the report.
        rows: Makes some rows, a column ``label`` among them.
        stages: The stages to fit.
        batch: Whether it is one of those whose batches have a goal.
        row_limit: Microseconds that one row may take, or None.
    """

    title: str
    rows: Callable[[int, int], pandas.DataFrame]
    stages: Callable[[], list[object]]
    batch: bool = True
    row_limit: float | None = None

    def inputs(self, count: int) -> pandas.DataFrame:
        """Rows to score: others than those it is fitted on, without the label."""
        return self.rows(count, SEED + 1).drop(columns="label")

    def fit(self, spark: object, folder: Path, rows: int = 4_000) -> object:
        """The fitted ``PipelineModel``, which is left in the folder, too."""
        from pyspark.ml import Pipeline

        train = spark.createDataFrame(self.rows(rows, SEED)).coalesce(1)
        model = Pipeline(stages=self.stages()).fit(train)
        model.write().overwrite().save(str(folder))
        return model


def texts(count: int, seed: int) -> pandas.DataFrame:
    """Twelve words each, frequent and rare ones as in a language, with a few in capitals."""
    random = np.random.default_rng(seed)
    vocabulary = np.array([f"word{number}" if number % 7 else f"Word{number}" for number in range(WORDS)])
    ranks = np.minimum(random.zipf(1.3, (count, TEXT_LENGTH)) - 1, WORDS - 1)
    label = (ranks.sum(axis=1) % 3 == 0).astype(np.float64)
    return pandas.DataFrame(
        {"id": np.arange(count), "text": [" ".join(words) for words in vocabulary[ranks]], "label": label}
    )


def numbers(count: int, seed: int, width: int = NUMBERS) -> pandas.DataFrame:
    """Normal numbers, and a label that is no straight line of them."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, width))
    score = (
        values[:, 0] * values[:, 1] + np.sin(3 * values[:, 2]) + values[:, 3] + random.normal(size=count) / 2
    )
    frame = pandas.DataFrame({f"x{at}": values[:, at] for at in range(width)})
    return frame.assign(label=(score > 0).astype(np.float64))


def few_numbers(count: int, seed: int) -> pandas.DataFrame:
    """Five of them."""
    return numbers(count, seed, 5)


def kinds(count: int, seed: int) -> pandas.DataFrame:
    """Three columns of categories and four numbers."""
    random = np.random.default_rng(seed)
    columns: dict[str, object] = {
        name: np.array([f"{name}-{at}" for at in range(size)])[random.integers(0, size, count)]
        for name, size in KINDS.items()
    }
    values = random.normal(size=(count, 4))
    columns |= {f"x{at}": values[:, at] for at in range(4)}
    score = values[:, 0] + (random.integers(0, 2, count) - 0.5)
    return pandas.DataFrame({**columns, "label": (score > 0).astype(np.float64)})


def _text() -> list[object]:
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import IDF, HashingTF, Tokenizer

    return [
        Tokenizer(inputCol="text", outputCol="words"),
        HashingTF(inputCol="words", outputCol="counts", numFeatures=1 << 16),
        IDF(inputCol="counts", outputCol="features"),
        LogisticRegression(maxIter=20),
    ]


def _kinds() -> list[object]:
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import OneHotEncoder, StringIndexer, VectorAssembler

    names = list(KINDS)
    indices, vectors = [f"{name}_index" for name in names], [f"{name}_vector" for name in names]
    return [
        StringIndexer(inputCols=names, outputCols=indices, handleInvalid="keep"),
        OneHotEncoder(inputCols=indices, outputCols=vectors),
        VectorAssembler(inputCols=[*vectors, "x0", "x1", "x2", "x3"], outputCol="features"),
        LogisticRegression(),
    ]


def _assembled(*stages: object, width: int = NUMBERS) -> list[object]:
    from pyspark.ml.feature import VectorAssembler

    return [VectorAssembler(inputCols=[f"x{at}" for at in range(width)], outputCol="features"), *stages]


def _logistic() -> list[object]:
    from pyspark.ml.classification import LogisticRegression

    return _assembled(LogisticRegression(), width=5)


def _forest() -> list[object]:
    from pyspark.ml.classification import RandomForestClassifier

    return _assembled(RandomForestClassifier(numTrees=50, maxDepth=8, seed=1))


def _boosted() -> list[object]:
    from pyspark.ml.classification import GBTClassifier

    return _assembled(GBTClassifier(maxIter=100, seed=1))


def _clusters() -> list[object]:
    from pyspark.ml.clustering import KMeans

    return _assembled(KMeans(k=10, seed=1))


WORKLOADS = {
    "logistic": Workload("logistic regression, 5 numbers", few_numbers, _logistic, batch=False, row_limit=10),
    "text": Workload("12 words, 2^16 counts, IDF, logistic", texts, _text, row_limit=50),
    "onehot": Workload("3 one-hot columns, 4 numbers, logistic", kinds, _kinds),
    "forest": Workload("forest, 50 trees of depth 8", numbers, _forest, row_limit=50),
    "gbt": Workload("boosted, 100 trees of depth 5", numbers, _boosted),
    "kmeans": Workload("k-means, 10 numbers, 10 clusters", numbers, _clusters),
}


def large_forest(spark: object, folder: Path) -> tuple[object, object]:
    """A forest of many nodes, which is left in the folder, and some rows that it scores."""
    from pyspark.ml.classification import RandomForestClassifier

    forest = RandomForestClassifier(numTrees=100, maxDepth=14, maxMemoryInMB=512, seed=1)
    workload = Workload("a large forest", numbers, lambda: _assembled(forest))
    return workload.fit(spark, folder, 20_000), spark.createDataFrame(numbers(200, 2))
