"""Classifiers saved by hand, rows for them, and what Spark 4.2.0 answered.

``python tests/unit/scoring/classifier_cases.py`` asks Spark again and prints the answers.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from saved_by_hand import MATRIX, VECTOR, Leaf, Split, dense, matrix, save, tree

ROWS: list[Any] = [
    [0.0, 0.0, 0.0],
    [1.0, 0.0, 1.0],
    [3, [1], [1.0]],
    [3, [], []],
    [1.0, 1.0, 1.0],
]


def bayes(kind: str) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        theta = [[-1.5, -0.75, -2.25], [-0.5, -3.0, -1.0]]
        if kind == "gaussian":
            theta = [[0.5, -1.0, 2.0], [1.5, 0.25, -0.5]]
        return save(
            folder, "classification.NaiveBayesModel", {"modelType": kind, "smoothing": 1.0},
            {
                "pi": pa.array([dense([-0.4, -1.1])], VECTOR),
                "theta": pa.array([matrix(theta)], MATRIX),
                "sigma": pa.array([matrix([[1.0, 0.5, 2.0], [0.25, 3.0, 1.5]])], MATRIX),
            },
        )  # fmt: skip

    return build


def svc(folder: Path, threshold: float = 0.25, **params: Any) -> Path:
    """A support vector machine; the class has no column of probabilities."""
    return save(
        folder, "classification.LinearSVCModel", {"probabilityCol": None, "threshold": threshold, **params},
        {
            "coefficients": pa.array([dense([0.5, -1.25, 0.75])], VECTOR),
            "intercept": pa.array([-0.125], pa.float64()),
        },
    )  # fmt: skip


def machine(folder: Path) -> Path:
    """A factorization machine of two factors."""
    return save(
        folder, "classification.FMClassificationModel", {"factorSize": 2},
        {
            "intercept": pa.array([0.25], pa.float64()),
            "linear": pa.array([dense([0.5, -1.0, 0.125])], VECTOR),
            "factors": pa.array([matrix([[0.5, 0.1], [-0.25, 0.2], [1.5, -0.3]])], MATRIX),
        },
    )  # fmt: skip


def perceptron(folder: Path, hidden: int = 2) -> Path:
    """Three inputs, a hidden layer, and two classes."""
    layers = [3, hidden, 2]
    count = 4 * hidden + (hidden + 1) * 2
    weights = [((7 * at) % 11 - 5) / 8 for at in range(count)]
    return save(
        folder, "classification.MultilayerPerceptronClassificationModel", {"layers": layers},
        {"weights": pa.array([dense(weights)], VECTOR)},
    )  # fmt: skip


def rest(folder: Path) -> Path:
    """One against the rest: two support vector machines and a tree."""
    save(
        folder, "classification.OneVsRestModel", {"probabilityCol": None, "rawPredictionCol": "scores"},
        numClasses=3, labelMetadata="{}",
    )  # fmt: skip
    svc(folder / "model_0", featuresCol="other")
    svc(folder / "model_1", threshold=1.0, rawPredictionCol="mine", predictionCol="mine too")
    root = Split(0, Leaf(0.0, [3.0, 1.0]), Leaf(1.0, [0.0, 0.0625]), 0.5)
    tree(folder / "model_2", "classification.DecisionTreeClassificationModel", root, 3, leafCol="leaf")
    return folder


CASES: dict[str, Callable[[Path], Path]] = {
    "multinomial": bayes("multinomial"),
    "complement": bayes("complement"),
    "bernoulli": bayes("bernoulli"),
    "gaussian": bayes("gaussian"),
    "svc": svc,
    "machine": machine,
    "perceptron": perceptron,
    "wide": lambda folder: perceptron(folder, 48),
}

ANSWERS: dict[str, list[Any]] = {
    "multinomial": [
        [[-0.4, -1.1], [0.6681877721681662, 0.3318122278318339], 0.0],
        [[-4.15, -2.6], [0.17508626816403977, 0.8249137318359602], 1.0],
        [[-1.15, -4.1], [0.9502634884414431, 0.04973651155855673], 0.0],
        [[-0.4, -1.1], [0.6681877721681662, 0.3318122278318339], 0.0],
        [[-4.9, -5.6], [0.6681877721681659, 0.33181222783183406], 0.0],
    ],
    "complement": [
        [[-0.6931471805599453, -0.6931471805599453], [0.5, 0.5], 0.0],
        [[-2.350206558916747, -0.10020655891674712], [0.09534946489910949, 0.9046505351008906], 1.0],
        [[-0.10020655891674712, -2.350206558916747], [0.9046505351008906, 0.09534946489910949], 0.0],
        [[-0.6931471805599453, -0.6931471805599453], [0.5, 0.5], 0.0],
        [[-0.6931471805599454, -0.6931471805599454], [0.5, 0.5], 0.0],
    ],
    "bernoulli": [
        [[-1.403213645150852, -2.5424964558969725], [0.7575479378600591, 0.2424520621399408], 0.0],
        [[-4.789353465040354, -2.6510691809427023], [0.10543109841163653, 0.8945689015883634], 1.0],
        [[-1.5138601801104978, -5.491427274954271], [0.9816132499943083, 0.01838675000569171], 0.0],
        [[-1.403213645150852, -2.5424964558969725], [0.7575479378600591, 0.2424520621399408], 0.0],
        [[-4.9, -5.6], [0.6681877721681659, 0.33181222783183406], 0.0],
    ],
    "gaussian": [
        [[-2.525, -5.7526415178281916], [0.9618613282831904, 0.03813867171680957], 0.0],
        [[-1.775, -2.4193081844948585], [0.6557266812404486, 0.3442733187595514], 0.0],
        [[-5.525, -5.8359748511615255], [0.5771231933902012, 0.42287680660979876], 0.0],
        [[-2.525, -5.7526415178281916], [0.9618613282831904, 0.03813867171680957], 0.0],
        [[-4.775, -2.502641517828192], [0.09343823937208369, 0.9065617606279162], 1.0],
    ],
    "svc": [
        [[0.125, -0.125], 0.0],
        [[-1.125, 1.125], 1.0],
        [[1.375, -1.375], 0.0],
        [[0.125, -0.125], 0.0],
        [[0.125, -0.125], 0.0],
    ],
    "machine": [
        [[-0.25, 0.25], [0.43782349911420193, 0.5621765008857981], 1.0],
        [[-1.595, 1.595], [0.1686815943978195, 0.8313184056021805], 1.0],
        [[0.75, -0.75], [0.679178699175393, 0.320821300824607], 0.0],
        [[-0.25, 0.25], [0.43782349911420193, 0.5621765008857981], 1.0],
        [[-0.05499999999999999, 0.05499999999999999], [0.4862534650976451, 0.5137465349023549], 1.0],
    ],
    "perceptron": [
        [[-0.1237296656009273, -0.3290777507993045], [0.5511573811734793, 0.4488426188265207], 0.0],
        [[-0.05859882832828045, -0.35549414164140236], [0.5736833755023774, 0.42631662449762264], 0.0],
        [[-0.11250760852615582, -0.4462806025841096], [0.5826771202244374, 0.41732287977556254], 0.0],
        [[-0.1237296656009273, -0.3290777507993045], [0.5511573811734793, 0.4488426188265207], 0.0],
        [[-0.046719165957332776, -0.47485326983333337], [0.6054280217585353, 0.3945719782414648], 0.0],
    ],
    "wide": [
        [[-0.5499347667622287, 0.06761837839471885], [0.3503381547048709, 0.649661845295129], 1.0],
        [[0.3144186783566345, -0.11328322644305366], [0.605324771208385, 0.39467522879161504], 0.0],
        [[0.23193117012609804, -0.3139896418853152], [0.6331886714117523, 0.3668113285882478], 0.0],
        [[-0.5499347667622287, 0.06761837839471885], [0.3503381547048709, 0.649661845295129], 1.0],
        [[1.1651968744898709, -0.5620454311584864], [0.8490593409268476, 0.1509406590731523], 0.0],
    ],
}  # fmt: skip


def ask_spark() -> None:
    """Prints what Spark answers."""
    from pyspark.ml import classification
    from pyspark.ml.linalg import Vectors
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    vectors = [(Vectors.sparse(*row) if isinstance(row[1], list) else Vectors.dense(row),) for row in ROWS]
    frame = spark.createDataFrame(vectors, ["features"])
    answers = {}
    for name, build in CASES.items():
        with tempfile.TemporaryDirectory() as home:
            folder = build(Path(home) / name)
            java_class = (folder / "metadata" / "part-00000").read_text().split('"')[3].rpartition(".")[2]
            model = getattr(classification, java_class).load(str(folder))
            rows = model.transform(frame).drop("features").collect()
            answers[name] = [
                [list(map(float, v)) if hasattr(v, "toArray") else v for v in row] for row in rows
            ]
    sys.stdout.write(f"{answers!r}\n")
    spark.stop()


if __name__ == "__main__":
    ask_spark()
