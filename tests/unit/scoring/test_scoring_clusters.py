"""Clusters, mixtures, topics and recommendations, without Spark."""

from __future__ import annotations

import json
import logging
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from bound_steps import as_blocks, outputs, same, stage, step, vector
from regression_cases import (
    ANSWERS,
    CASES,
    CENTERS,
    COVARIANCES,
    PAIRS,
    RATINGS,
    ROWS,
    bisecting,
    glm,
    kmeans,
    linear,
    machine,
    mixture,
    recommender,
    survival,
    topics,
)
from saved_by_hand import VECTOR, save

from wmlclient.scoring import ArchiveError, InputError, UnsupportedModel, parity
from wmlclient.scoring.blocks import rows_of
from wmlclient.scoring.columns import Column, Drop, Frame, Invalid, Step
from wmlclient.scoring.values import Sparse

INFINITY, NAN = math.inf, math.nan
Make = Callable[[Path], Path]


CLUSTERS = ("kmeans", "kmeans, once cosine", "bisecting", "bisecting, cosine")


# -- clusters ---------------------------------------------------------------------------------------------------


def exhaustive(point: list[float]) -> int:
    gaps = [sum((a - b) ** 2 for a, b in zip(center, point, strict=True)) for center in CENTERS]
    return gaps.index(min(gaps))


def test_kmeans_finds_the_nearest_center(tmp_path: Path) -> None:
    chance = random.Random(4)
    only = step(kmeans()(tmp_path / "a"))
    for _ in range(500):
        point = [chance.uniform(-1.0, 6.0) for _ in range(3)]
        assert only.row(point) == only.row(Sparse(3, [0, 1, 2], point)) == exhaustive(point)


def test_of_two_equally_near_centers_the_first_wins(tmp_path: Path) -> None:
    only = step(kmeans([[0.0], [2.0], [4.0]])(tmp_path / "a"))
    assert [only.row([x]) for x in (1.0, 3.0)] == [0, 1]
    assert [only.row(Sparse(1, [0], [x])) for x in (1.0, 3.0)] == [0, 1]


def test_many_centers_have_no_shortcuts(tmp_path: Path) -> None:
    chance = random.Random(5)
    centers = [[chance.random() for _ in range(4)] for _ in range(501)]
    only = step(kmeans(centers)(tmp_path / "a"))
    points = [[chance.random() for _ in range(4)] for _ in range(50)]
    dense, sparse = as_blocks(points)
    assert only.batch is not None
    wanted = [
        min(range(501), key=lambda n: sum((a - b) ** 2 for a, b in zip(centers[n], p, strict=True)))
        for p in points
    ]
    assert [only.row(p) for p in points] == wanted
    assert only.batch(dense) == (wanted,)
    assert only.batch(sparse) == (wanted,)
    # Nor does Spark look at a distance then that a NaN has spoiled.
    assert only.row([NAN, 1.0, 1.0, 1.0]) == only.row(Sparse(4, [0], [NAN])) == 0


@pytest.mark.parametrize("name", CLUSTERS)
@pytest.mark.parametrize("point", [[NAN, 0.0, 0.0], Sparse(3, [1], [NAN])])
def test_a_nan_has_no_distance(tmp_path: Path, name: str, point: Any) -> None:
    only = step(CASES[name](tmp_path / "a"))
    with pytest.raises(Invalid, match="NaN"):
        only.row(point)
    dense, _ = as_blocks([[1.0, NAN, 1.0], [1.0, 1.0, 1.0]])
    assert only.batch is not None
    assert only.batch(dense) is None


@pytest.mark.parametrize("point", [[0.0, -0.0, 0.0], Sparse(3, [], []), Sparse(3, [1], [0.0])])
def test_zeros_have_no_angle(tmp_path: Path, point: Any) -> None:
    only = step(bisecting("cosine")(tmp_path / "a"))
    with pytest.raises(Invalid, match="zeros"):
        only.row(point)


def test_arrays_will_do_for_clusters(tmp_path: Path) -> None:
    for number, name in enumerate([*CLUSTERS, "mixture", "topics"]):
        folder = CASES[name](tmp_path / str(number))
        assert same(outputs(step(folder, kind="array<float>"), ROWS[0]), outputs(step(folder), ROWS[0]))
        with pytest.raises(InputError, match="a vector or an array of doubles"):
            step(folder, kind="array<int>")


def test_kmeans_says_that_spark_forgets_the_cosine(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "wmlclient.scoring"):
        stage(kmeans()(tmp_path / "a"))
        assert not caplog.records
        stage(kmeans(distanceMeasure="cosine")(tmp_path / "b"))
    assert "distanceMeasure='cosine'" in caplog.text


def test_a_broken_tree_is_damaged(tmp_path: Path) -> None:
    for number, (key, value) in enumerate([("rootId", 77), ("rootId", None), ("distanceMeasure", "far")]):
        folder = bisecting("euclidean")(tmp_path / str(number))
        path = folder / "data" / "metadata" / "part-00000"
        path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
        with pytest.raises((ArchiveError, UnsupportedModel), match="root|distance measure"):
            stage(folder)
    folder = bisecting("euclidean")(tmp_path / "none")
    (folder / "data" / "metadata" / "part-00000").write_text("{")
    with pytest.raises(ArchiveError, match="not readable"):
        stage(folder)


def test_a_tree_of_another_version(tmp_path: Path) -> None:
    folder = bisecting("cosine")(tmp_path / "a")
    path = folder / "data" / "metadata" / "part-00000"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({"class": document["class"], "version": "1.0", "rootId": -1}))
    assert [step(folder).row(vector(row)) for row in ROWS] == [each for (each,) in ANSWERS["bisecting"]]


# -- mixtures and topics ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("probability", "prediction"), [("", "prediction"), ("probability", "")])
def test_a_mixture_may_show_less(tmp_path: Path, probability: str, prediction: str) -> None:
    only = step(mixture(probabilityCol=probability, predictionCol=prediction)(tmp_path / "a"))
    assert only.names == ((prediction or probability),)
    wanted = ANSWERS["mixture"][0][1 if prediction else 0]
    assert parity._same(only.row(ROWS[0]), wanted, parity._Largest())
    dense, _ = as_blocks([ROWS[0]] * 9)
    assert only.batch is not None
    (column,) = only.batch(dense)
    assert same(rows_of(column), [only.row(ROWS[0])] * 9)


def test_a_wide_mixture_scores_rows_and_columns_alike(tmp_path: Path) -> None:
    chance = random.Random(6)
    size = 14
    root = np.array([[chance.gauss(0.0, 1.0) for _ in range(size)] for _ in range(size)])
    covariance = (root @ root.T / size + np.eye(size)).tolist()
    from saved_by_hand import MATRIX, dense, matrix

    data = {
        "weights": pa.array([[1.0]], pa.list_(pa.float64())),
        "mus": pa.array([[dense([0.5] * size)]], pa.list_(VECTOR)),
        "sigmas": pa.array([[matrix(covariance)]], pa.list_(MATRIX)),
    }
    folder = save(
        tmp_path / "a", "clustering.GaussianMixtureModel", {"labelCol": None, "probabilityCol": "p"}, data
    )
    only = step(folder)
    rows = [[chance.gauss(0.0, 1.0) for _ in range(size)] for _ in range(40)]
    dense_block, sparse_block = as_blocks(rows)
    assert only.batch is not None
    columns = only.batch(dense_block)
    assert same(
        [outputs(only, row) for row in rows], [list(r) for r in zip(*map(rows_of, columns), strict=True)]
    )
    for row, other in zip(rows, sparse_block.rows(), strict=True):
        assert parity._same(outputs(only, row), outputs(only, other), parity._Largest())


def test_a_singular_covariance_has_a_density_where_it_has_some(tmp_path: Path) -> None:
    flat = [[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 0.0]]
    only = step(mixture([flat, flat])(tmp_path / "a"))
    probability, prediction = only.row([1.0, 1.0, 1.0])
    assert prediction == 0 or probability[1] > probability[0]
    assert sum(probability) == pytest.approx(1.0)


def test_a_document_without_terms_has_no_topics(tmp_path: Path) -> None:
    only = step(topics()(tmp_path / "a"))
    for empty in ([0.0, -0.0, 0.0], Sparse(3, [], []), Sparse(3, [1], [0.0])):
        assert only.row(empty) == [0.0, 0.0]
    _, sparse = as_blocks([[0.0, 0.0, 0.0]] * 9)
    assert only.batch is not None
    assert only.batch(sparse) == ([[0.0, 0.0]] * 9,)


def test_topics_look_at_indices_not_at_sizes(tmp_path: Path) -> None:
    only = step(topics()(tmp_path / "a"))
    assert only.row(Sparse(99, [0], [1.0])) == only.row(Sparse(3, [0], [1.0]))
    assert len(only.row([2.0])) == 2
    _, sparse = as_blocks([[0.0, 0.0, 0.0, 1.0]] * 9)
    assert only.batch is not None
    assert only.batch(sparse) is None


def test_topics_of_a_nan(tmp_path: Path) -> None:
    assert same(step(topics()(tmp_path / "a")).row([NAN, 1.0, 0.0]), [NAN, NAN])


# -- recommendations --------------------------------------------------------------------------------------------


def ratings(folder: Path, user: str = "int", item: str = "int") -> Step:
    frame = Frame([Column("user", user), Column("item", item)])
    stage(folder).bind(frame)
    assert [column.type for column in frame.columns] == ["int", "int", "float"]
    (only,) = frame.steps
    return only


def test_ratings_are_those_that_spark_gave(tmp_path: Path) -> None:
    only = ratings(recommender()(tmp_path / "a"))
    assert same([only.row(*pair) for pair in PAIRS], RATINGS)
    assert only.batch is not None
    (column,) = only.batch(*map(list, zip(*PAIRS, strict=True)))
    assert same(column, RATINGS)


@pytest.mark.parametrize("pair", [(7, 99), (99, 1), (99, 99)])
def test_a_cold_start_drops_the_row_or_says_nan(tmp_path: Path, pair: tuple[int, int]) -> None:
    assert math.isnan(ratings(recommender()(tmp_path / "a")).row(*pair))
    only = ratings(recommender("Drop")(tmp_path / "b"))
    with pytest.raises(Drop):
        only.row(*pair)
    assert only.batch is not None
    assert only.batch([7, pair[0]], [1, pair[1]]) is None
    assert only.batch([7, 7], [1, 1]) is not None


@pytest.mark.parametrize("pair", [(None, 1), (7, None), (2**31, 1), (7, -(2**31) - 1)])
def test_ids_are_whole_numbers_of_32_bits(tmp_path: Path, pair: tuple[Any, Any]) -> None:
    only = ratings(recommender()(tmp_path / "a"), "bigint", "smallint")
    with pytest.raises(Invalid):
        only.row(*pair)


def test_ids_that_are_doubles_are_left_to_spark(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="give it as one"):
        ratings(recommender()(tmp_path / "a"), "double")


def test_a_rank_must_be_known(tmp_path: Path) -> None:
    folder = recommender()(tmp_path / "a")
    path = folder / "metadata" / "part-00000"
    path.write_text(json.dumps({**json.loads(path.read_text()), "rank": "3"}))
    with pytest.raises(ArchiveError, match="rank"):
        stage(folder)


def test_a_stage_may_add_nothing(tmp_path: Path) -> None:
    for number, make in enumerate(
        [linear(predictionCol=""), glm(predictionCol=""), survival(predictionCol=""), mixture([*COVARIANCES])]
    ):
        frame = Frame([Column("features", "vector")])
        stage(make(tmp_path / str(number))).bind(frame)
        assert bool(frame.steps) == (number == 3)


def test_a_factorization_machine_must_fit(tmp_path: Path) -> None:
    folder = machine(tmp_path / "a")
    assert step(folder).row([0.0, 0.0, 0.0]) == 0.1
