"""The SQL of SQLTransformer beside Spark's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import prove

pytest.importorskip("sqlglot")
pytestmark = pytest.mark.spark

SCHEMA = "a double, b double, i int, l bigint, n smallint, s string, u string, t boolean, f float"
ODD = [0.0, -0.0, 1.0, -1.5, 2.5, "NaN", "Infinity", "-Infinity", None, 1e300, 5e-324]
WHOLE = [0, 1, -1, 7, 2**31 - 1, -(2**31), None]

EXACT = {
    "arithmetic": "a + b AS c1, a - b AS c2, a * 0.5 AS c3, -a AS c4, (a + 1) * (b - 2) AS c5, i + 1.5e0 AS c6, "
    "a + i AS c7, a * l AS c8",
    "whole": "i - n AS c1, i + 1 AS c2, l * 2 AS c3, -n AS c4, n * n AS c5, i + l AS c6",
    "division": "a / b AS c1, i / n AS c2, i / 2 AS c3, l / i AS c4, "
    "a % b AS c5, i % n AS c6, l % 7 AS c7, 1 / a AS c8",
    "comparison": "a < b AS c1, a <= b AS c2, a = b AS c3, a <> b AS c4, a > 0.5 AS c5, a >= i AS c6, i > 0.5 AS c7, "
    "i = l AS c8, s < u AS c9, s = 'a' AS c10, t = true AS c11, a == b AS c12, i <= -0.5 AS c13, l != 7 AS c14",
    "truth": "a > 0 AND b > 0 AS c1, a > 0 OR t AS c2, NOT t AS c3, a IS NULL AS c4, s IS NOT NULL AS c5, "
    "isnan(a) AS c6, a BETWEEN -1 AND b AS c7, i IN (1, 7, -1) AS c8, s IN ('a', 'é') AS c9, a NOT IN (1, 2) AS c10, "
    "i BETWEEN 0.5 AND 7.5 AS c11, isnull(a) AS c12, isnotnull(i) AS c13",
    "choice": "CASE WHEN a > b THEN 'x' WHEN a < b THEN s END AS c1, "
    "CASE i WHEN 1 THEN a WHEN 7 THEN 0.5 ELSE l END AS c2, "
    "if(t, 1, 0) AS c3, coalesce(a, b, 0) AS c4, nvl(s, 'none') AS c5, ifnull(i, l) AS c6, greatest(a, b, 0) AS c7, "
    "least(a, b) AS c8, greatest(i, n) AS c9, coalesce(l, 2147483648) AS c10",
    "functions": "abs(a) AS c1, sqrt(a) AS c2, sign(a) AS c3, floor(a) AS c4, ceil(b) AS c5, abs(n) AS c6, "
    "length(s) AS c7, concat(s, '-', u) AS c8, s || u AS c9, sqrt(n) AS c10, signum(i) AS c11, floor(-a) AS c12",
    "casts": "CAST(i AS DOUBLE) AS c1, CAST(n AS BIGINT) AS c2, CAST(t AS INT) AS c3, CAST(t AS DOUBLE) AS c4, "
    "CAST(i AS STRING) AS c5, CAST(t AS STRING) AS c6, double(l) AS c7, CAST(a AS DOUBLE) AS c8, 3L + i AS c9",
    "narrowing": "CAST(a AS INT) AS c1, CAST(b AS BIGINT) AS c2, CAST(l AS SMALLINT) AS c3",
}


def rows() -> list[list[Any]]:
    texts = ["a", "", "é", "😀", "A", None, "ab", "\uffff"]
    made = []
    for number in range(len(ODD) * len(ODD)):
        a, b = ODD[number % len(ODD)], ODD[number // len(ODD)]
        whole = WHOLE[number % len(WHOLE)]
        long = [0, 7, 2**53 + 1, -(2**63), 2**63 - 1, None][number % 6]
        small = [1, 0, -3, 2**15 - 1, -(2**15), None][number // 7 % 6]
        truth = [True, False, None][number % 3]
        made.append([a, b, whole, long, small, texts[number % 8], texts[number // 8 % 8], truth, 0.1])
    return made


@pytest.mark.parametrize("name", EXACT)
def test_expressions(spark: Any, tmp_path: Path, name: str) -> None:
    from pyspark.ml.feature import SQLTransformer

    stage = SQLTransformer(statement=f"SELECT *, {EXACT[name]} FROM __THIS__")
    proof = prove(
        spark, stage, SCHEMA, tmp_path, values=rows(), rows=1000, nulls=True, invalid=True, least=0.1
    )
    assert proof.bit_equal


def test_powers_and_logarithms(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml.feature import SQLTransformer

    statement = (
        "SELECT exp(a) AS c1, ln(a) AS c2, log(b) AS c3, log2(a) AS c4, log10(a) AS c5, pow(a, b) AS c6, "
        "power(a, 2) AS c7, pow(n, -1) AS c8, row_number FROM __THIS__"
    )
    stage = SQLTransformer(statement=statement)
    proof = prove(spark, stage, SCHEMA, tmp_path, values=rows(), nulls=True, invalid=True, least=0.9)
    assert proof.comparison.largest_difference <= 1e-15


def test_columns(spark: Any, tmp_path: Path) -> None:
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import IndexToString, SQLTransformer, StringIndexer

    train = spark.createDataFrame([("a", 1.0), ("b", 2.0), ("a", 3.0)], "s string, a double")
    stages = [
        StringIndexer(inputCol="s", outputCol="x", handleInvalid="keep"),
        SQLTransformer(statement="SELECT row_number, t.x AS y, `a`, a + x AS z, t.s FROM __THIS__ AS t"),
        IndexToString(inputCol="y", outputCol="again"),
    ]
    from pyspark.sql.functions import lit

    model = Pipeline(stages=stages).fit(train.withColumn("row_number", lit(1)))
    proof = prove(spark, model, "s string, a double", tmp_path, rows=500)
    assert proof.scorer.output_fields() == ["row_number", "y", "a", "z", "s", "again"]
