"""Generated rows: the model's own edges, led back to the columns of its input."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from scoring_models import (
    FEATURE,
    VECTOR,
    assembler,
    dense,
    indexer,
    logistic,
    schema,
    write_pipeline,
    write_stage,
)

from wmlclient import scoring
from wmlclient.scoring import check_table
from wmlclient.scoring.columns import Column
from wmlclient.scoring.hints import affine, assembled, picked, same
from wmlclient.scoring.parity import edge_rows, generate_rows
from wmlclient.scoring.values import Sparse

EVERY = schema(
    s="string", i="int", d="double", o="boolean", w="array<string>", v="vector", t="timestamp", a="date"
)


def columns_of(fields: list[str], rows: list[list[Any]]) -> dict[str, list[Any]]:
    return {name: [row[at] for row in rows] for at, name in enumerate(fields)}


def test_edge_rows_fit_their_schema_and_are_the_same_each_time() -> None:
    fields, rows = edge_rows(EVERY, 600, 7)
    check_table(EVERY, fields, rows)
    json.dumps(rows, allow_nan=False)
    assert edge_rows(EVERY, 600, 7) == (fields, rows)
    assert edge_rows(EVERY, 600, 8) != (fields, rows)


def test_each_row_has_one_edge_and_all_edges_come() -> None:
    fields, rows = edge_rows(EVERY, 900, 7)
    found = columns_of(fields, rows)
    for name in fields:
        assert 0 < sum(value is None for value in found[name]) <= len(rows) // len(fields)
    assert max(sum(value is None for value in row) for row in rows) == 1
    assert {"", " "} <= set(found["s"]) - {None}
    assert {"NaN", "Infinity", "-Infinity", 1.7976931348623157e308} <= set(found["d"])
    assert {(1 << 31) - 1, -(1 << 31)} <= set(found["i"])
    elements = [v[2] if len(v) == 3 and isinstance(v[1], list) else v for v in found["v"] if v]
    assert {"NaN", "Infinity"} <= {element for vector in elements for element in vector}


def test_no_null_where_there_can_be_none() -> None:
    strict = {"type": "struct", "fields": [{**f, "nullable": False} for f in EVERY["fields"]]}
    _, rows = edge_rows(strict, 300, 7)
    assert all(value is not None for row in rows for value in row)


def test_every_label_has_its_turn() -> None:
    labels = [f"label {number}" for number in range(40)]
    fields, rows = edge_rows(schema(s="string", d="double"), 400, 1, hints={"s": labels})
    assert set(labels) <= set(columns_of(fields, rows)["s"])


@pytest.mark.parametrize("make", [generate_rows, edge_rows])
def test_borders_and_their_neighbours_in_scalars_and_vectors(make: Any) -> None:
    border = 0.123
    near = {border, math.nextafter(border, -1.0), math.nextafter(border, 1.0)}
    hints = {"d": [border], "v": [Sparse(5, [], []), Sparse(5, [3], [border])], "i": [2.5]}
    fields, rows = make(schema(d="double", v="vector", i="int"), 900, 3, hints=hints)
    found = columns_of(fields, rows)
    assert near <= set(found["d"])
    at_3 = {v[3] if len(v) == 5 else dict(zip(v[1], v[2], strict=True)).get(3) for v in found["v"] if v}
    assert near <= at_3
    assert {2, 3} <= set(found["i"])
    assert {len(v) if len(v) == 5 else v[0] for v in found["v"] if v} == {5}


def test_positive_rows() -> None:
    fields, rows = generate_rows(schema(d="double", i="int", v="vector"), 300, 3, positive=True)
    found = columns_of(fields, rows)
    assert min(found["d"]) >= 0.0
    assert min(found["i"]) >= 0


# -- hints led back

SIZES = {"a": Column("a", "double"), "v": Column("v", "vector", size=2), "b": Column("b", "int")}


def test_through_an_assembler() -> None:
    back = assembled(["a", "v", "b"], "features")
    hints = {"features": [Sparse(4, [0, 2], [0.5, 7.0]), Sparse(4, [3], [1.5]), Sparse(4, [], [])]}
    assert back(hints, SIZES) == {"a": [0.5], "v": [Sparse(2, [1], [7.0])], "b": [1.5]}
    assert back({}, SIZES) == {}


def test_no_further_than_the_sizes_are_known() -> None:
    back = assembled(["a", "u", "b"], "features")
    hints = {"features": [Sparse(9, [0, 8], [0.5, 1.5])]}
    assert back(hints, {**SIZES, "u": Column("u", "vector")}) == {"a": [0.5]}


def test_through_scalers_and_selections() -> None:
    hints = {"out": [Sparse(3, [0, 1, 2], [1.0, 2.0, 3.0])]}
    undone = affine("in", "out", [2.0, 0.0, 4.0], [10.0, 0.0, 0.0], 1.0)(hints, {})
    assert undone == {"in": [Sparse(3, [0], [10.0]), Sparse(3, [2], [0.5])]}
    chosen = picked("in", "out", [5, 1, 4])(hints, {"in": Column("in", "vector", size=8)})
    assert chosen == {"in": [Sparse(8, [5], [1.0]), Sparse(8, [1], [2.0]), Sparse(8, [4], [3.0])]}
    assert same([("in", "out")])(hints, {}) == {"in": hints["out"]}


def test_a_models_thresholds_reach_the_columns_of_its_input(tmp_path: Path) -> None:
    known = pa.table(
        {
            "numFeatures": pa.array([2], pa.int32()),
            "categoryMaps": pa.array(
                [[(0, [(-3.5, 0), (8.25, 1)])]],
                pa.map_(pa.int32(), pa.map_(pa.float64(), pa.int32())),
            ),
        }
    )
    spread = pa.table(
        {"std": pa.array([dense([2.0, 4.0])], VECTOR), "mean": pa.array([dense([1.0, 1.0])], VECTOR)}
    )
    stages = [
        assembler(["x", "y"], "raw"),
        (
            FEATURE + "StandardScalerModel",
            {"inputCol": "raw", "outputCol": "scaled", "withMean": False},
            spread,
        ),
        (FEATURE + "VectorIndexerModel", {"inputCol": "scaled", "outputCol": "features"}, known),
    ]
    model = scoring.load(write_pipeline(tmp_path / "m", stages), schema(x="double", y="double"))
    assert set(model.hints["x"]) == {-7.0, 16.5}
    assert "y" not in model.hints
    fields, rows = edge_rows(model.schema, 200, 1, hints=model.hints)
    assert {-7.0, 16.5, math.nextafter(16.5, 99.0)} <= {row[0] for row in rows}


def test_a_tuned_model_shows_the_stages_of_its_best(tmp_path: Path) -> None:
    inner = [indexer(["a", "b"], "kind", "code"), assembler(["code", "x"]), logistic([[1.0, 2.0]], [0.0])]
    folder = write_stage(tmp_path / "m", "org.apache.spark.ml.tuning.CrossValidatorModel", "cv_0", {})
    write_pipeline(folder / "bestModel", inner)
    model = scoring.load(folder)
    names = [stage.java_class.rpartition(".")[2] for stage in model.stages]
    assert names == ["StringIndexerModel", "VectorAssembler", "LogisticRegressionModel"]
    assert model.stages[1].inputs == ("code", "x")
    assert model.hints["kind"] == ["a", "b"]
