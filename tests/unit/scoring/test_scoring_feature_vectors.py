"""Projections, products and selections of vectors, without Spark."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from feature_cases import DROPPED, load_feature, outputs
from scoring_models import FEATURE, MATRIX, indexer, matrix, schema, write_pipeline

from wmlclient import scoring
from wmlclient.scoring import ArchiveError, InputError, UnsupportedModel
from wmlclient.scoring.stages import projection

ONE = {"inputCol": "a", "outputCol": "o"}
VECTOR = {"a": "vector"}


def by_column(rows: list[list[float]]) -> dict[str, Any]:
    """A matrix as PCA and the random projections of Spark 3 save it."""
    return matrix(rows) | {
        "values": [v for column in zip(*rows, strict=True) for v in column],
        "isTransposed": False,
    }


def test_principal_components_are_multiplied_by_the_transposed_matrix(tmp_path: Path) -> None:
    data = {"pc": pa.array([by_column([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])], MATRIX)}
    model = load_feature(tmp_path, "PCAModel", ONE | {"k": 2}, VECTOR, data)
    found = outputs(model, [[[1.0, 10.0, 100.0]], [[3, [2], [2.0]]], [[1.0]]])
    assert found[:2] == [[531.0, 642.0], [10.0, 12.0]]
    assert "fitted on 3" in found[2]


@pytest.mark.parametrize("size", [2, 3, 16, 17, 40])
def test_the_cosine_transform_is_orthogonal(tmp_path: Path, size: int) -> None:
    there = load_feature(tmp_path / "1", "DCT", ONE, VECTOR)
    back = load_feature(tmp_path / "2", "DCT", ONE | {"inverse": True}, VECTOR)
    row = [math.sin(j * j) for j in range(size)]
    turned = outputs(there, [[row]])[0]
    wanted = [
        math.sqrt((1 if k == 0 else 2) / size)
        * sum(value * math.cos(math.pi * (2 * n + 1) * k / (2 * size)) for n, value in enumerate(row))
        for k in range(size)
    ]
    assert turned == pytest.approx(wanted, abs=1e-13)
    assert outputs(back, [[turned]])[0] == pytest.approx(row, abs=1e-13)


def test_the_cosine_transform_of_one_value_and_of_none(tmp_path: Path) -> None:
    model = load_feature(tmp_path, "DCT", ONE, VECTOR)
    assert outputs(model, [[[7.5]], [[1, [], []]], [["Infinity"]]]) == [[7.5], [0.0], ["Infinity"]]
    assert outputs(model, [[[]]]) == ["the vector is empty"]


@pytest.mark.parametrize("size", [2, 5, 16, 17])
def test_the_cosine_transform_of_what_is_not_finite(tmp_path: Path, size: int) -> None:
    model = load_feature(tmp_path, "DCT", ONE, VECTOR)
    rest = [1.0] * (size - 2)
    assert outputs(model, [[["NaN", "Infinity", *rest]]]) == [["NaN"] * size]
    for odd in ("Infinity", "-Infinity"):
        assert "too large to be transformed" in outputs(model, [[[1.0, odd, *rest]]])[0]


def test_the_cosine_transform_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "MAX_DCT", 100)
    model = load_feature(tmp_path, "DCT", ONE, VECTOR)
    assert outputs(model, [[[101, [], []]]]) == ["the vector has 101 values; up to 100 are transformed"]


@pytest.mark.parametrize("saved", [matrix, by_column])
def test_random_projections_are_cut_into_buckets(tmp_path: Path, saved: Any) -> None:
    data = {"randUnitVectors": pa.array([saved([[0.6, 0.8], [1.0, 0.0]])], MATRIX)}
    params = ONE | {"bucketLength": 0.5}
    model = load_feature(tmp_path, "BucketedRandomProjectionLSHModel", params, VECTOR, data)
    rows: list[Any] = [[[1.0, -2.0]], [[2, [1], [1.0]]], [["NaN", 0.0]], [[0.0, 0.0]]]
    assert outputs(model, rows) == [[[-2.0], [2.0]], [[1.0], [0.0]], [["NaN"], ["NaN"]], [[0.0], [0.0]]]


def test_polynomials_come_in_sparks_order(tmp_path: Path) -> None:
    model = load_feature(tmp_path, "PolynomialExpansion", ONE | {"degree": 2}, VECTOR)
    dense, sparse = outputs(model, [[[2.0, 3.0, 5.0]], [[3, [0, 2], [2.0, 5.0]]]])
    assert dense == [2.0, 4.0, 3.0, 6.0, 9.0, 5.0, 10.0, 15.0, 25.0]
    assert sparse == [9, [0, 1, 5, 6, 8], [2.0, 4.0, 5.0, 10.0, 25.0]]


def test_a_product_with_zero_stays_zero(tmp_path: Path) -> None:
    model = load_feature(tmp_path, "PolynomialExpansion", ONE | {"degree": 2}, VECTOR)
    found = outputs(model, [[["NaN", -0.0]], [["Infinity", 0.0]], [[2, [0, 1], ["Infinity", 0.0]]]])
    assert repr(found[0]) == repr(["NaN", "NaN", 0.0, 0.0, 0.0])
    assert found[1] == ["Infinity", "Infinity", 0.0, 0.0, 0.0]
    assert found[2] == [5, [0, 1], ["Infinity", "Infinity"]]


def test_polynomials_of_many_values_need_no_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wmlclient.scoring.stages import expansion

    model = load_feature(tmp_path, "PolynomialExpansion", ONE | {"degree": 3}, VECTOR)
    row = [0.5, 0.0, -1.5, 3.0]
    planned = outputs(model, [[row]])
    monkeypatch.setattr(expansion, "MAX_PLANNED", 1)
    assert outputs(model, [[row]]) == planned
    wide = outputs(model, [[[1 << 20, [1], [1.0]]]])[0]
    assert wide == f"a vector of {1 << 20} values has more than {(1 << 31) - 1} products of degree 3"


def interaction(folder: Path, sources: list[str], **types: str) -> Any:
    stages = [
        indexer(["x", "y", "z"], "s", "i", handleInvalid="keep"),
        (FEATURE + "Interaction", {"inputCols": sources, "outputCol": "o"}, None),
    ]
    write_pipeline(folder / "model", stages)
    return scoring.load(folder / "model", schema(**types))


def test_a_category_counts_as_a_column_for_each_value(tmp_path: Path) -> None:
    model = interaction(tmp_path, ["a", "i", "b"], s="string", a="double", b="int")
    rows = [["x", 2.0, 3], ["z", 2.0, 3], ["new", 2.0, 3], ["x", 0.0, 3], ["x", 2.0, None]]
    found = outputs(model, rows)
    assert found[:4] == [[4, [0], [6.0]], [4, [2], [6.0]], [4, [3], [6.0]], [4, [], []]]
    assert found[4] == "the column 'b' is null"


def test_a_vector_is_interacted_by_what_its_values_are(tmp_path: Path) -> None:
    stages = [
        indexer(["x", "y", "z"], "s", "i"),
        (FEATURE + "VectorAssembler", {"inputCols": ["a", "i", "v"], "outputCol": "w"}, None),
        (FEATURE + "Interaction", {"inputCols": ["w", "b"], "outputCol": "o"}, None),
    ]
    write_pipeline(tmp_path / "m", stages)
    with pytest.raises(UnsupportedModel, match="'w' are categories"):
        scoring.load(tmp_path / "m", schema(s="string", a="double", b="double", v="vector"))

    stages[1] = (FEATURE + "VectorAssembler", {"inputCols": ["a", "i"], "outputCol": "w"}, None)
    write_pipeline(tmp_path / "n", stages)
    model = scoring.load(tmp_path / "n", schema(s="string", a="double", b="double"))
    rows = [["y", 2.0, 3.0], ["z", 0.0, 3.0], ["x", 2.0, "Infinity"], ["x", 2.0, None]]
    # Of 4 values, up to one is sparse. The x of the last row is a zero: of a dense vector it is a category.
    assert outputs(model, rows) == [
        [6.0, 0.0, 3.0, 0.0],
        [4, [3], [3.0]],
        ["Infinity", "Infinity", 0.0, 0.0],
        "the column 'b' is null",
    ]


def test_interactions_that_need_more_than_is_known_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="'a' are categories, as no VectorAssembler"):
        interaction(tmp_path / "1", ["a", "i"], s="string", a="vector")
    with pytest.raises(InputError, match="boolean"):
        interaction(tmp_path / "2", ["a", "i"], s="string", a="boolean")
    stages = [
        (FEATURE + "Binarizer", {"inputCol": "a", "outputCol": "b", "threshold": 0.0}, None),
        (FEATURE + "Interaction", {"inputCols": ["a", "b"], "outputCol": "o"}, None),
    ]
    write_pipeline(tmp_path / "3", stages)
    with pytest.raises(UnsupportedModel, match="whether the values of the column 'b' are categories"):
        scoring.load(tmp_path / "3", schema(a="double"))


@pytest.mark.parametrize(
    ("indices", "dense", "sparse"),
    [
        ([0, 2], [7.0, 9.0], [2, [1], [9.0]]),
        ([2, 0], [9.0, 7.0], [2, [0], [9.0]]),
        ([1], [8.0], [1, [], []]),
    ],
)
def test_a_slicer_keeps_the_given_order(tmp_path: Path, indices: list[int], dense: Any, sparse: Any) -> None:
    model = load_feature(tmp_path, "VectorSlicer", ONE | {"indices": indices, "names": []}, VECTOR)
    assert outputs(model, [[[7.0, 8.0, 9.0]], [[3, [0, 2], [0.0, 9.0]]]]) == [dense, sparse]


def test_a_slicer_needs_indices(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="by name"):
        load_feature(tmp_path / "1", "VectorSlicer", ONE | {"names": ["x"]}, VECTOR)
    with pytest.raises(UnsupportedModel, match="not distinct"):
        load_feature(tmp_path / "2", "VectorSlicer", ONE | {"indices": [1, 1]}, VECTOR)
    model = load_feature(tmp_path / "3", "VectorSlicer", ONE | {"indices": [2]}, VECTOR)
    assert outputs(model, [[[1.0]]]) == ["the vector has 1 values, but its value at 2 is selected"]


@pytest.mark.parametrize("name", ["ChiSqSelector", "UnivariateFeatureSelector", "VarianceThresholdSelector"])
def test_selectors_sort_what_they_select_and_keep_stored_zeros(tmp_path: Path, name: str) -> None:
    data = {"selectedFeatures": pa.array([[2, 0]], pa.list_(pa.int32()))}
    params = {"featuresCol": "a", "outputCol": "o"}
    model = load_feature(tmp_path, f"{name}Model", params, VECTOR, data)
    rows: list[Any] = [[[7.0, 8.0, 9.0]], [[3, [0, 1, 2], [0.0, 8.0, 9.0]]]]
    assert outputs(model, rows) == [[7.0, 9.0], [2, [0, 1], [0.0, 9.0]]]


@pytest.mark.parametrize(
    ("invalid", "small", "null"),
    [
        (
            "error",
            "the vector 'a' does not fit: it has 1 values, not 2",
            "the vector 'a' does not fit: it is null",
        ),
        ("skip", DROPPED, DROPPED),
        ("optimistic", [1.0], None),
    ],
)
def test_a_size_hint_only_checks(tmp_path: Path, invalid: str, small: Any, null: Any) -> None:
    params = {"inputCol": "a", "size": 2, "handleInvalid": invalid}
    model = load_feature(tmp_path, "VectorSizeHint", params, VECTOR | {"b": "int"})
    assert model.output_fields() == ["a", "b"]
    rows: list[Any] = [[[1.0, 2.0], 1], [[2, [], []], 1], [[1.0], 1], [None, 1]]
    assert outputs(model, rows, "a") == [[1.0, 2.0], [2, [], []], small, null]


@pytest.mark.parametrize(
    ("invalid", "unseen"),
    [("error", "its value 7.0 at 1 was not seen"), ("skip", DROPPED), ("keep", [5.0, 2.0])],
)
def test_categories_of_a_vector(tmp_path: Path, invalid: str, unseen: Any) -> None:
    kind = pa.map_(pa.int32(), pa.map_(pa.float64(), pa.int32()))
    data = {
        "numFeatures": pa.array([2], pa.int32()),
        "categoryMaps": pa.array([[(1, [(-1.0, 1), (0.0, 0)])]], kind),
    }
    model = load_feature(tmp_path, "VectorIndexerModel", ONE | {"handleInvalid": invalid}, VECTOR, data)
    rows: list[Any] = [[[5.0, -1.0]], [[5.0, -0.0]], [[2, [0], [5.0]]], [[2, [1], [-1.0]]], [[5.0, 7.0]]]
    found = outputs(model, rows)
    assert found[:4] == [[5.0, 1.0], [5.0, 0.0], [2, [0], [5.0]], [2, [1], [1.0]]]
    assert found[4] == unseen or found[4].startswith(unseen)
    assert "fitted on 2" in outputs(model, [[[1.0]]])[0]


def test_categories_beyond_the_vector_are_damage(tmp_path: Path) -> None:
    kind = pa.map_(pa.int32(), pa.map_(pa.float64(), pa.int32()))
    data = {"numFeatures": pa.array([1], pa.int32()), "categoryMaps": pa.array([[(1, [(0.0, 0)])]], kind)}
    with pytest.raises(ArchiveError, match="beyond the vector's size"):
        load_feature(tmp_path, "VectorIndexerModel", ONE, VECTOR, data)
