"""Binarizer, Bucketizer, Imputer and the scalers, without Spark."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from feature_cases import DROPPED, load_feature, outputs
from scoring_models import dense

from wmlclient.scoring import ArchiveError, UnsupportedModel

NAN, INF = math.nan, math.inf
ONE = {"inputCol": "a", "outputCol": "o"}


def test_a_binarizer_takes_what_is_above(tmp_path: Path) -> None:
    model = load_feature(tmp_path, "Binarizer", ONE | {"threshold": 0.5}, {"a": "double"})
    rows = [[0.5], [0.50001], [None], ["NaN"], ["Infinity"], [-0.0]]
    assert outputs(model, rows) == [0.0, 1.0, 0.0, 0.0, 1.0, 0.0]


def test_a_binarizer_of_vectors_gives_the_smaller_form(tmp_path: Path) -> None:
    above = load_feature(tmp_path / "a", "Binarizer", ONE | {"threshold": 0.0}, {"a": "vector"})
    rows: list[Any] = [[[1.0, -1.0, 0.0]], [[9, [1, 2], [3.0, -3.0]]], [[0.0] * 3], [[1.0] * 9]]
    assert outputs(above, rows) == [[1.0, 0.0, 0.0], [9, [1], [1.0]], [3, [], []], [1.0] * 9]
    below = load_feature(tmp_path / "b", "Binarizer", ONE | {"threshold": -1.0}, {"a": "vector"})
    assert outputs(below, [[[0.0, -1.0, "NaN", -0.5]], [[2, [1], [-3.0]]]]) == [
        [1.0, 0.0, 1.0, 1.0],
        [1.0, 0.0],
    ]


def test_a_binarizer_needs_one_threshold_for_each_column(tmp_path: Path) -> None:
    names = {"inputCols": ["a", "b"], "outputCols": ["o", "p"]}
    types = {"a": "double", "b": "double"}
    model = load_feature(tmp_path / "1", "Binarizer", names | {"thresholds": [1.0, -1.0]}, types)
    assert outputs(model, [[0.0, 0.0]], "p") == [1.0]
    with pytest.raises(UnsupportedModel, match="1 thresholds for 2 columns"):
        load_feature(tmp_path / "2", "Binarizer", names | {"thresholds": [1.0]}, types)
    with pytest.raises(UnsupportedModel, match="NaN"):
        load_feature(tmp_path / "3", "Binarizer", ONE | {"threshold": "NaN"}, {"a": "vector"})


SPLITS = ["-Inf", -1.0, 0.0, 0.5, "Inf"]


@pytest.mark.parametrize(
    ("invalid", "nan", "null"),
    [("keep", 4.0, None), ("skip", DROPPED, DROPPED), ("error", "it is NaN; handleInvalid", None)],
)
def test_buckets_are_closed_on_the_left(tmp_path: Path, invalid: str, nan: Any, null: Any) -> None:
    params = ONE | {"splits": SPLITS, "handleInvalid": invalid}
    model = load_feature(tmp_path, "Bucketizer", params, {"a": "double"})
    rows = [["-Infinity"], [-1.0], [-0.1], [-0.0], [0.0], [0.5], ["Infinity"], ["NaN"], [None]]
    found = outputs(model, rows)
    assert found[:7] == [0.0, 1.0, 1.0, 1.0, 2.0, 3.0, 3.0]
    assert found[7] == nan or found[7].startswith(nan)
    assert found[8] == null


def test_the_last_bucket_holds_its_border_and_nothing_is_beyond(tmp_path: Path) -> None:
    model = load_feature(tmp_path, "Bucketizer", ONE | {"splits": [0.0, 1.0, 2.0]}, {"a": "double"})
    assert outputs(model, [[0.0], [1.0], [2.0]]) == [0.0, 1.0, 1.0]
    for outside in (-0.0, -1e-9, 2.1, "Infinity"):
        assert "outside the splits" in outputs(model, [[outside]])[0]


def test_a_row_is_skipped_for_any_of_its_columns(tmp_path: Path) -> None:
    params = {"inputCols": ["a", "b"], "outputCols": ["o", "p"], "splitsArray": [SPLITS, SPLITS]}
    model = load_feature(
        tmp_path, "Bucketizer", params | {"handleInvalid": "skip"}, {"a": "double", "b": "int"}
    )
    assert outputs(model, [[0.0, 1], [0.0, None], ["NaN", 1]]) == [2.0, DROPPED, DROPPED]


def test_splits_that_do_not_ascend_are_damage(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="do not ascend"):
        load_feature(tmp_path, "Bucketizer", ONE | {"splits": [0.0, 0.0, 1.0]}, {"a": "double"})


@pytest.mark.parametrize(
    ("kind", "missing", "rows", "expected"),
    [
        ("double", "NaN", [["NaN"], [None], [1.5]], [2.75, 2.75, 1.5]),
        ("double", 0.0, [[-0.0], ["NaN"], [None]], [2.75, "NaN", 2.75]),
        ("float", "NaN", [[0.1], [None]], [0.10000000149011612, 2.75]),
        ("int", 7.0, [[7], [None], [-7]], [2, 2, -7]),
        ("bigint", "NaN", [[2**53 + 1], [2**63 - 1], [None]], [2**53, 2**63 - 1, 2]),
    ],
)
def test_an_imputer_fills_what_is_missing(
    tmp_path: Path, kind: str, missing: Any, rows: list[list[Any]], expected: list[Any]
) -> None:
    model = load_feature(tmp_path, "ImputerModel", ONE | {"missingValue": missing}, {"a": kind}, {"a": 2.75})
    assert outputs(model, rows) == expected


def test_an_imputer_is_checked(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="no surrogate"):
        load_feature(tmp_path / "1", "ImputerModel", ONE, {"a": "double"}, {"b": 1.0})
    with pytest.raises(UnsupportedModel, match="does not fit tinyint"):
        load_feature(tmp_path / "2", "ImputerModel", ONE, {"a": "tinyint"}, {"a": 128.0})
    with pytest.raises(UnsupportedModel, match=r"decimal\(5,2\)"):
        load_feature(tmp_path / "3", "ImputerModel", ONE, {"a": "decimal(5,2)"}, {"a": 1.0})


def test_a_max_abs_scaler_leaves_what_was_always_zero(tmp_path: Path) -> None:
    data = {"maxAbs": dense([2.0, 0.0])}
    model = load_feature(tmp_path, "MaxAbsScalerModel", ONE, {"a": "vector"}, data)
    assert outputs(model, [[[1.0, 3.0]], [[2, [1], [3.0]]]]) == [[0.5, 3.0], [2, [1], [3.0]]]


def test_a_min_max_scaler_stretches(tmp_path: Path) -> None:
    data = {"originalMin": dense([0.0, 1.0, 5.0]), "originalMax": dense([4.0, 3.0, 5.0])}
    params = ONE | {"min": -1.0, "max": 1.0}
    model = load_feature(tmp_path, "MinMaxScalerModel", params, {"a": "vector"}, data)
    rows: list[Any] = [[[4.0, 1.0, 9.0]], [["NaN", 3.0, "NaN"]], [[2.0, 2.0, 1.0]], [[1.0, 2.0]]]
    found = outputs(model, rows)
    assert found[:3] == [[1.0, -1.0, 0.0], ["NaN", 1.0, "NaN"], [3, [], []]]
    assert "fitted on 3" in found[3]


def test_a_robust_scaler_centres_and_scales(tmp_path: Path) -> None:
    data = {"range": dense([2.0, 0.0]), "median": dense([1.0, 1.0])}
    for centring, scaling, dense_out, sparse_out in [
        (True, True, [1.0, 0.0], [-0.5, 0.0]),
        (True, False, [2.0, 4.0], [-1.0, 1.0]),
        (False, True, [1.5, 0.0], [2, [1], [0.0]]),
        (False, False, [3.0, 5.0], [2, [1], [2.0]]),
    ]:
        params = ONE | {"withCentering": centring, "withScaling": scaling}
        folder = tmp_path / f"{centring}{scaling}"
        model = load_feature(folder, "RobustScalerModel", params, {"a": "vector"}, data)
        assert outputs(model, [[[3.0, 5.0]], [[2, [1], [2.0]]]]) == [dense_out, sparse_out]


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (1.0, [3 / 7, -4 / 7]),
        (2.0, [0.6, -0.8]),
        ("Inf", [0.75, -1.0]),
        (3.0, [3 / 91 ** (1 / 3), -4 / 91 ** (1 / 3)]),
    ],
)
def test_a_normalizer_divides_by_the_norm(tmp_path: Path, p: Any, expected: list[float]) -> None:
    model = load_feature(tmp_path, "Normalizer", ONE | {"p": p}, {"a": "vector"})
    found = outputs(model, [[[3.0, -4.0]], [[5, [1, 4], [3.0, -4.0]]], [[0.0, -0.0]], [[3, [1], [0.0]]]])
    assert found[0] == pytest.approx(expected, rel=1e-15)
    assert found[1][:2] == [5, [1, 4]]
    assert found[1][2] == found[0]
    assert found[2:] == [[0.0, -0.0], [3, [1], [0.0]]]
    assert outputs(model, [[["NaN", 1.0]]])[0] == (["NaN", 1.0] if p == "Inf" else ["NaN", "NaN"])


def test_an_elementwise_product_wants_the_very_size(tmp_path: Path) -> None:
    by = {"type": 0, "size": 3, "indices": [0, 2], "values": [2.0, "-Infinity"]}
    model = load_feature(tmp_path, "ElementwiseProduct", ONE | {"scalingVec": by}, {"a": "vector"})
    found = outputs(model, [[[1.0, 5.0, 1.0]], [[3, [1], [4.0]]], [[1.0]]])
    assert found[:2] == [[2.0, 0.0, "-Infinity"], [3, [1], [0.0]]]
    assert "scalingVec has 3" in found[2]


def test_a_vector_param_is_checked(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="scalingVec"):
        load_feature(tmp_path, "ElementwiseProduct", ONE | {"scalingVec": [1.0]}, {"a": "vector"})


def test_two_surrogates_are_kept_apart(tmp_path: Path) -> None:
    params = {"inputCols": ["a", "b"], "outputCols": ["o", "p"]}
    data = {"b": pa.array([2.0]), "a": pa.array([1.0])}
    model = load_feature(tmp_path, "ImputerModel", params, {"a": "double", "b": "double"}, data)
    assert outputs(model, [[None, None]], "o") == [1.0]
    assert outputs(model, [[None, None]], "p") == [2.0]
