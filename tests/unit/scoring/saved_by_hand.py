"""Saved stages in the form Spark writes, made by hand: JSON and Parquet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

VECTOR = pa.struct(
    [
        ("type", pa.int8()),
        ("size", pa.int32()),
        ("indices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
    ]
)
MATRIX = pa.struct(
    [
        ("type", pa.int8()),
        ("numRows", pa.int32()),
        ("numCols", pa.int32()),
        ("colPtrs", pa.list_(pa.int32())),
        ("rowIndices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
        ("isTransposed", pa.bool_()),
    ]
)
CLASSIFIER = "classification.DecisionTreeClassificationModel"
REGRESSOR = "regression.DecisionTreeRegressionModel"
NODE = pa.struct(
    [
        ("id", pa.int32()),
        ("prediction", pa.float64()),
        ("impurity", pa.float64()),
        ("impurityStats", pa.list_(pa.float64())),
        ("rawCount", pa.int64()),
        ("gain", pa.float64()),
        ("leftChild", pa.int32()),
        ("rightChild", pa.int32()),
        (
            "split",
            pa.struct(
                [
                    ("featureIndex", pa.int32()),
                    ("leftCategoriesOrThreshold", pa.list_(pa.float64())),
                    ("numCategories", pa.int32()),
                ]
            ),
        ),
    ]
)


def dense(values: Sequence[float]) -> dict[str, Any]:
    """A dense vector."""
    return {"type": 1, "size": None, "indices": None, "values": list(values)}


def matrix(rows: Sequence[Sequence[float]], transposed: bool = True) -> dict[str, Any]:
    """A dense matrix, kept by rows as Spark's models mostly are, or by columns."""
    by_row = [value for row in rows for value in row]
    by_column = [value for column in zip(*rows, strict=True) for value in column]
    return {
        "type": 1, "numRows": len(rows), "numCols": len(rows[0]), "colPtrs": None, "rowIndices": None,
        "values": by_row if transposed else by_column, "isTransposed": transposed,
    }  # fmt: skip


def save(
    folder: Path,
    java_class: str,
    params: dict[str, Any],
    data: dict[str, pa.Array] | None = None,
    spark: str = "4.2.0",
    **metadata: Any,
) -> Path:
    """A stage: its metadata, and its data if it has some."""
    (folder / "metadata").mkdir(parents=True)
    (folder / "metadata" / "_SUCCESS").touch()
    document = {
        "class": f"org.apache.spark.ml.{java_class}",
        "timestamp": 1700000000000,
        "sparkVersion": spark,
        "uid": f"{java_class.rpartition('.')[2]}_0",
        "paramMap": params,
        "defaultParamMap": {
            "featuresCol": "features",
            "labelCol": "label",
            "predictionCol": "prediction",
            **(
                {"rawPredictionCol": "rawPrediction", "probabilityCol": "probability"}
                if "classification" in java_class
                else {}
            ),
        },
        **metadata,
    }
    for missing in [name for name, value in params.items() if value is None]:
        # ``None`` says that the class has no such param at all.
        del document["paramMap"][missing]
        document["defaultParamMap"].pop(missing, None)
    (folder / "metadata" / "part-00000").write_text(json.dumps(document) + "\n", encoding="utf-8")
    if data is not None:
        write(folder / "data", data)
    return folder


def write(folder: Path, columns: dict[str, pa.Array]) -> None:
    """A folder with one Parquet file."""
    folder.mkdir()
    table = pa.table(columns)
    fields = [
        {"name": field.name, "type": _spark_type(field.type), "nullable": True, "metadata": {}}
        for field in table.schema
    ]
    # Spark itself can read the file, because it finds here which structs are its vectors and matrices.
    known = {"org.apache.spark.sql.parquet.row.metadata": json.dumps({"type": "struct", "fields": fields})}
    parquet.write_table(table.replace_schema_metadata(known), folder / "part-00000.snappy.parquet")
    (folder / "_SUCCESS").touch()


def _spark_type(kind: pa.DataType) -> Any:
    if pa.types.is_struct(kind):
        fields = [
            {"name": field.name, "type": _spark_type(field.type), "nullable": True, "metadata": {}}
            for field in kind
        ]
        plain = {"type": "struct", "fields": fields}
        name = {VECTOR: "Vector", MATRIX: "Matrix"}.get(kind)
        if name is None:
            return plain
        fields[0]["nullable"] = False
        return {
            "type": "udt", "class": f"org.apache.spark.ml.linalg.{name}UDT",
            "pyClass": f"pyspark.ml.linalg.{name}UDT", "sqlType": plain,
        }  # fmt: skip
    if pa.types.is_list(kind):
        return {"type": "array", "elementType": _spark_type(kind.value_type), "containsNull": False}
    names = {"int8": "byte", "int32": "integer", "int64": "long", "bool": "boolean"}
    return names.get(str(kind), str(kind))


class Leaf:
    """A leaf: what it predicts, and the statistics of the rows that reached it in training."""

    def __init__(self, prediction: float, stats: Sequence[float] = (1.0, 0.0, 0.0)) -> None:
        self.prediction = prediction
        self.stats = list(stats)

    def nodes(self, first: int) -> list[dict[str, Any]]:
        """The nodes in pre-order, numbered from ``first``."""
        split = {"featureIndex": -1, "leftCategoriesOrThreshold": [], "numCategories": -1}
        return [_node(first, self.prediction, self.stats, -1, -1, split)]

    def reached(self, values: Sequence[float]) -> Leaf:
        """The leaf that the values reach."""
        return self

    def leaves(self) -> list[Leaf]:
        """The leaves from left to right."""
        return [self]


class Split:
    """An inner node: a threshold, or a list of categories that go left and how many there are."""

    def __init__(self, feature: int, left: Any, right: Any, threshold: Any, categories: int = -1) -> None:
        self.feature, self.left, self.right = feature, left, right
        self.threshold, self.categories = threshold, categories

    def nodes(self, first: int) -> list[dict[str, Any]]:
        """The nodes in pre-order, numbered from ``first``."""
        left = self.left.nodes(first + 1)
        right = self.right.nodes(first + 1 + len(left))
        values = [self.threshold] if self.categories < 0 else list(self.threshold)
        split = {
            "featureIndex": self.feature, "leftCategoriesOrThreshold": values, "numCategories": self.categories,
        }  # fmt: skip
        stats = self.leaves()[0].stats
        return [_node(first, 0.0, stats, first + 1, first + 1 + len(left), split), *left, *right]

    def reached(self, values: Sequence[float]) -> Leaf:
        """The leaf that the values reach, by the rules of Spark's two kinds of split, as they are written there."""
        value = values[self.feature]
        if self.categories < 0:
            go_left = value <= self.threshold
        elif len(self.threshold) <= self.categories // 2:
            go_left = value in self.threshold
        else:
            go_left = value not in [float(c) for c in range(self.categories) if c not in self.threshold]
        leaf: Leaf = (self.left if go_left else self.right).reached(values)
        return leaf

    def leaves(self) -> list[Leaf]:
        """The leaves from left to right."""
        return [*self.left.leaves(), *self.right.leaves()]


def _node(
    number: int, prediction: float, stats: list[float], left: int, right: int, split: dict[str, Any]
) -> dict[str, Any]:
    return {
        "id": number, "prediction": prediction, "impurity": 0.0, "impurityStats": stats, "rawCount": 1, "gain": 0.0,
        "leftChild": left, "rightChild": right, "split": split,
    }  # fmt: skip


def node_columns(nodes: list[dict[str, Any]]) -> dict[str, pa.Array]:
    """The columns of a single tree's data."""
    return {field.name: pa.array([node[field.name] for node in nodes], field.type) for field in NODE}


def tree(folder: Path, java_class: str, root: Leaf | Split, features: int, **params: Any) -> Path:
    """A decision tree model."""
    more = _more(java_class, [root])
    return save(
        folder, java_class, {"impurity": "variance", "leafCol": "", **params}, node_columns(root.nodes(0)),
        numFeatures=features, **more,
    )  # fmt: skip


def ensemble(
    folder: Path,
    java_class: str,
    roots: Sequence[Leaf | Split],
    features: int,
    weights: Sequence[float] = (),
    spark: str = "4.2.0",
    **params: Any,
) -> Path:
    """A forest or boosted trees, with the columns named as that Spark names them."""
    save(
        folder, java_class, {"impurity": "variance", "leafCol": "", **params}, spark=spark,
        numFeatures=features, numTrees=len(roots), **_more(java_class, roots),
    )  # fmt: skip
    nodes = [(number, node) for number, root in enumerate(roots) for node in root.nodes(0)]
    write(
        folder / "data",
        {
            "treeID": pa.array([number for number, _ in nodes], pa.int32()),
            "nodeData": pa.array([node for _, node in nodes], NODE),
        },
    )
    inner = "org.apache.spark.ml."
    inner += CLASSIFIER if "RandomForestClassification" in java_class else REGRESSOR
    about = json.dumps(
        {
            "class": inner, "timestamp": 1, "sparkVersion": spark, "uid": "dt_0", "paramMap": {},
            "defaultParamMap": {"impurity": "variance"},
        }
    )  # fmt: skip
    names = ("treeID", "metadata", "weights") if spark.startswith("3") else ("_1", "_2", "_3")
    given = list(weights) or [1.0] * len(roots)
    write(
        folder / "treesMetadata",
        {
            names[0]: pa.array(range(len(roots)), pa.int32()),
            names[1]: pa.array([about] * len(roots), pa.string()),
            names[2]: pa.array(given, pa.float64()),
        },
    )
    return folder


def _more(java_class: str, roots: Sequence[Leaf | Split]) -> dict[str, Any]:
    if "Classification" in java_class and "GBT" not in java_class:
        return {"numClasses": len(roots[0].leaves()[0].stats)}
    return {}
