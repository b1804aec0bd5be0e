"""Recommendations beside Spark's."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from harness import NUMBER, ROWS, SPARK_3, prove

from wmlclient import scoring

pytestmark = pytest.mark.spark

MANY = max(ROWS, 10_000)
LAST = 2**31 - 1


def in_order(model: Any) -> Any:
    """The model, its answers in the order of the rows: Spark joins them, and a join has no order."""
    from pyspark.ml import PipelineModel

    class InOrder(PipelineModel):
        def _transform(self, frame: Any) -> Any:
            return super()._transform(frame).orderBy(NUMBER)

    return InOrder([model])


def ratings(spark: Any) -> Any:
    chance = random.Random(3)
    rows = [
        (user, item, float(chance.randint(1, 5)))
        for user in [*range(-3, 25), LAST, -LAST - 1]
        for item in range(15)
        if chance.random() < 0.5
    ]
    return spark.createDataFrame(rows, "user int, item int, rating float")


@pytest.mark.parametrize("strategy", ["nan", "drop"])
@pytest.mark.parametrize(
    "kind", ["int"] if SPARK_3 else ["int", "bigint", "smallint"]
)  # 3 leaves columns their types
def test_als(spark: Any, tmp_path: Path, strategy: str, kind: str) -> None:
    from pyspark.ml.recommendation import ALS

    model = ALS(rank=7, maxIter=2, seed=1, coldStartStrategy=strategy).fit(ratings(spark))
    odd: list[list[Any]] = [[None, 1], [1, None], [99, 99], [0, 99], [99, 0], [0, 0]]
    if kind == "bigint":
        odd += [[LAST + 1, 1], [1, -LAST - 2], [2**63 - 1, 1]]
    if kind != "smallint":
        odd += [[LAST, 1], [-LAST - 1, 2]]
    hints = {"user": range(-4, 27), "item": range(17)} if kind == "smallint" else None
    proof = prove(
        spark, in_order(model), f"user {kind}, item {kind}", tmp_path, values=odd, rows=MANY, hints=hints
    )
    assert proof.bit_equal
    assert proof.refused >= 2
    assert bool(proof.dropped) == (strategy == "drop")


@pytest.mark.parametrize("rank", [1, 2, 33])
def test_als_adds_in_order(spark: Any, tmp_path: Path, rank: int) -> None:
    from pyspark.ml.recommendation import ALS

    model = ALS(rank=rank, maxIter=1, seed=2, userCol="item", itemCol="user").fit(ratings(spark))
    proof = prove(spark, in_order(model), "user int, item int, other string", tmp_path)
    assert proof.bit_equal


def test_what_has_no_order_is_refused(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml import PipelineModel
    from pyspark.ml.fpm import FPGrowth

    baskets = spark.createDataFrame([(["a", "b"],), (["a", "c"],), (["b", "c"],)], ["items"])
    PipelineModel([FPGrowth(minSupport=0.1).fit(baskets)]).write().save(str(tmp_path / "model"))
    with pytest.raises(scoring.UnsupportedModel, match="order of the items"):
        scoring.load(tmp_path / "model")
