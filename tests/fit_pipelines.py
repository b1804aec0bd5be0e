"""Fits the pipelines of the Spark and Kafka tests, and asks plain Spark what they answer.

A program of its own, so that the tests' process holds no Spark: ``python fit_pipelines.py FOLDER``. It leaves
``FOLDER/<name>/`` for each pipeline, and ``expected.json`` with ``PipelineModel.transform(rows).toJSON()``.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

TEXTS = ["what a lovely day", "awful, just awful", "so good, love it", "bad bad news", "café ÜBER 😀 ok", ""]


def field(name: str, kind: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "nullable": True, "metadata": {}}


VECTOR = {
    "type": "udt",
    "class": "org.apache.spark.ml.linalg.VectorUDT",
    "pyClass": "pyspark.ml.linalg.VectorUDT",
    "sqlType": {
        "type": "struct",
        "fields": [
            {"name": "type", "type": "byte", "nullable": False, "metadata": {}},
            field("size", "integer"),
            field("indices", {"type": "array", "elementType": "integer", "containsNull": False}),
            field("values", {"type": "array", "elementType": "double", "containsNull": False}),
        ],
    },
}
SCHEMAS = {
    "text": [field("id", "integer"), field("text", "string")],
    "strict": [field("id", "integer"), field("x", "double"), field("kind", "string")],
    "skipping": [field("id", "integer"), field("x", "double"), field("kind", "string")],
    "vectors": [field("id", "integer"), field("features", VECTOR)],
    "distinct": [field("id", "integer"), field("x", "double")],
    "narrow": [field("id", "integer"), field("x", "double")],
    "fragile": [field("id", "integer"), field("text", "string"), field("features", VECTOR)],
}


def schema(name: str) -> dict[str, Any]:
    """``StructType.jsonValue()`` of a pipeline's input."""
    return {"type": "struct", "fields": SCHEMAS[name]}


def main(folder: Path) -> None:
    warnings.simplefilter("ignore")
    from pyspark.ml import Pipeline, PipelineModel
    from pyspark.ml.classification import LogisticRegression, RandomForestClassifier
    from pyspark.ml.feature import IDF, HashingTF, SQLTransformer, StringIndexer, Tokenizer, VectorAssembler
    from pyspark.ml.linalg import Vectors
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .config("spark.local.dir", str(folder / "local"))
        .getOrCreate()
    )
    expected: dict[str, list[Any]] = {}

    def keep(name: str, model: Any, rows: Any) -> None:
        model.write().overwrite().save(str(folder / name))
        again = PipelineModel.load(str(folder / name))
        expected[name] = [json.loads(line) for line in again.transform(rows).toJSON().collect()]

    texts = spark.createDataFrame(
        [(i, TEXTS[i % len(TEXTS)], float(i % 2)) for i in range(40)], "id int, text string, label double"
    ).coalesce(1)
    stages = [
        Tokenizer(inputCol="text", outputCol="words"),
        HashingTF(inputCol="words", outputCol="hash", numFeatures=256),
        IDF(inputCol="hash", outputCol="features"),
        LogisticRegression(maxIter=5),
    ]
    keep("text", Pipeline(stages=stages).fit(texts), texts.drop("label"))

    mixed = spark.createDataFrame(
        [(i, float(i % 7), "abc"[i % 3], float(i % 2)) for i in range(42)],
        "id int, x double, kind string, label double",
    ).coalesce(1)
    for name, invalid in (("strict", "error"), ("skipping", "skip")):
        stages = [
            StringIndexer(inputCol="kind", outputCol="code", handleInvalid=invalid),
            VectorAssembler(inputCols=["x", "code"], outputCol="features", handleInvalid=invalid),
            RandomForestClassifier(numTrees=3, maxDepth=3, seed=1),
        ]
        keep(name, Pipeline(stages=stages).fit(mixed), mixed.drop("label"))

    vectors = spark.createDataFrame(
        [
            (i, Vectors.dense([float(i % 5), 1.0, 0.0]) if i % 2 else Vectors.sparse(3, [0], [2.0]))
            for i in range(20)
        ],
        ["id", "features"],
    )
    vectors = vectors.selectExpr("cast(id as int) id", "features", "cast(id % 2 as double) label").coalesce(1)
    keep("vectors", Pipeline(stages=[LogisticRegression(maxIter=3)]).fit(vectors), vectors.drop("label"))

    narrow = Pipeline(stages=[SQLTransformer(statement="SELECT id, x * 2 AS y FROM __THIS__")])
    numbers = mixed.select("id", "x")
    keep("narrow", narrow.fit(numbers), numbers)
    distinct = Pipeline(stages=[SQLTransformer(statement="SELECT DISTINCT *, x * 2 AS y FROM __THIS__")])
    keep("distinct", distinct.fit(numbers), numbers)

    fragile = Pipeline(stages=[Tokenizer(inputCol="text", outputCol="words"), LogisticRegression(maxIter=2)])
    both = vectors.withColumn("text", texts.select("text").first()[0] and vectors.id.cast("string"))
    keep("fragile", fragile.fit(both), both.select("id", "text", "features"))

    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
