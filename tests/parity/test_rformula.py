"""R formulas beside Spark's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import prove

pytestmark = pytest.mark.spark

SCHEMA = "s string, a double, t boolean, i int, k string, y double"


def train(spark: Any) -> Any:
    rows = [("abc"[j % 3], j * 0.5, j % 2 == 0, j, "xyxz"[j % 4], float(j % 2)) for j in range(24)]
    return spark.createDataFrame(rows, SCHEMA)


@pytest.mark.parametrize("invalid", ["error", "keep", "skip"])
@pytest.mark.parametrize(
    "formula",
    [
        "y ~ .",
        "y ~ a + i",
        "y ~ s - 1",
        "y ~ s + k + t",
        "y ~ a + s + a:s + k:s",
        "y ~ a * s",
        "s ~ a + k",
        "t ~ a + s",
        "~ a + s",
    ],
)
def test_rformula(spark: Any, tmp_path: Path, formula: str, invalid: str) -> None:
    from pyspark.ml.feature import RFormula

    model = RFormula(formula=formula, handleInvalid=invalid).fit(train(spark))
    rows = [
        ["b", 1.0, True, 3, "x", 0.0],
        ["unseen", 1.0, True, 3, "x", 0.0],
        ["b", 1.0, False, 3, "unseen", 1.0],
    ]
    rows += [["a", "NaN", True, 3, "x", 0.0], ["a", None, True, 3, "x", 0.0], [None, 1.0, True, 3, "x", 0.0]]
    rows += [["a", 1.0, True, None, "x", None], ["c", -0.0, False, 0, "z", 1.0]]
    proof = prove(spark, model, SCHEMA, tmp_path, values=rows, rows=500, nulls=True, least=0.2)
    assert proof.bit_equal


def test_the_label_may_be_missing(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.feature import RFormula

    for number, formula in enumerate(["y ~ a + s", "s ~ a + i"]):
        model = RFormula(formula=formula, featuresCol="f", labelCol="l").fit(train(spark))
        schema = "s string, a double" if number == 0 else "a double, i int"
        proof = prove(spark, model, schema, tmp_path / str(number), rows=200)
        assert "l" not in proof.scorer.output_fields()


def test_the_label_is_indexed_when_forced(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.feature import RFormula

    model = RFormula(formula="y ~ a + s", forceIndexLabel=True).fit(train(spark))
    prove(spark, model, SCHEMA, tmp_path, rows=200)
