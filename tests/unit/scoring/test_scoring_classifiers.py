"""Naive Bayes, support vectors, factorization machines, perceptrons, one against the rest: without Spark."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from bound_steps import INFINITY, NAN, as_blocks, same, stage, step, vector
from classifier_cases import ANSWERS, CASES, ROWS, bayes, machine, perceptron, rest, svc
from saved_by_hand import MATRIX, REGRESSOR, VECTOR, Leaf, Split, dense, matrix, save, tree

from wmlclient.scoring import ArchiveError, UnsupportedModel, parity
from wmlclient.scoring.blocks import DenseBlock, rows_of
from wmlclient.scoring.columns import Column, Frame, Invalid
from wmlclient.scoring.values import Sparse


def close(ours: Any, theirs: Any) -> bool:
    largest = parity._Largest()
    return parity._same(list(ours), list(theirs), largest)


@pytest.mark.parametrize("name", CASES)
def test_answers_are_those_that_spark_gave(tmp_path: Path, name: str) -> None:
    only = step(CASES[name](tmp_path / name))
    for row, wanted in zip(ROWS, ANSWERS[name], strict=True):
        assert close(only.row(vector(row)), wanted)


@pytest.mark.parametrize("name", [*CASES, "rest"])
@pytest.mark.parametrize("odd", [False, True])
def test_rows_and_columns_agree_to_the_last_bit(tmp_path: Path, name: str, odd: bool) -> None:
    chance = random.Random(name)
    if name == "bernoulli":
        values = [0.0, 1.0]
    elif name in ("multinomial", "complement"):
        values = [0.0, 1.0, 0.3, 7.5, *([INFINITY, 1e308] if odd else [])]
    else:
        values = [0.0, 1.0, -2.25, 0.1, *([INFINITY, NAN, -1e308, 1e308] if odd else [])]
    rows = [[chance.choice(values) for _ in range(3)] for _ in range(300)]
    only = step((CASES | {"rest": rest})[name](tmp_path / name))
    for block in as_blocks(rows):
        one_by_one = [only.row(row) for row in block.rows()]
        assert only.batch is not None
        columns = only.batch(block)
        if columns is None:
            assert name == "rest"
            assert odd  # NaN, which array_argmax passes over, is left to the row function
            continue
        out = list(zip(*map(rows_of, columns), strict=True))
        assert same([list(row) for row in out], [list(row) for row in one_by_one])


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        ("multinomial", [-1.0, 0.0, 0.0]),
        ("multinomial", [NAN, 0.0, 0.0]),
        ("multinomial", Sparse(3, [1], [-1.0])),
        ("complement", [0.0, -1e-300, 0.0]),
        ("bernoulli", [0.0, 2.0, 0.0]),
        ("bernoulli", Sparse(3, [1], [0.5])),
        ("bernoulli", [NAN, 0.0, 0.0]),
    ],
)
def test_values_that_bayes_does_not_take(tmp_path: Path, kind: str, bad: Any) -> None:
    only = step(bayes(kind)(tmp_path / "m"))
    with pytest.raises(Invalid, match="naive Bayes"):
        only.row(bad)
    rows = [bad] if isinstance(bad, list) else [[0.0] * 3, bad]
    assert only.batch is not None
    assert only.batch(rows) is None


@pytest.mark.parametrize("name", CASES)
def test_a_vector_of_another_size(tmp_path: Path, name: str) -> None:
    only = step(CASES[name](tmp_path / name))
    assert only.batch is not None
    for bad in ([0.0, 1.0], Sparse(2, [], [])):
        with pytest.raises(Invalid, match="the vector has 2 values, the model was fitted on 3"):
            only.row(bad)
        assert only.batch([bad]) is None
    longer = [1.0, 0.0, 1.0, 1.0]
    if name == "gaussian":  # which looks at the first three, as Spark's does
        assert only.row(longer) == only.row(longer[:3])
        assert only.batch([longer]) is not None
        return
    with pytest.raises(Invalid, match="the vector has 4 values"):
        only.row(longer)
    assert only.batch([longer]) is None


def test_probabilities_of_zero(tmp_path: Path) -> None:
    """Without smoothing a word may have no chance at all in a class."""
    data = {
        "pi": pa.array([dense([-0.4, -1.1])], VECTOR),
        "theta": pa.array([matrix([[0.0, -INFINITY], [-0.5, -1.0]])], MATRIX),
        "sigma": pa.array([matrix([[0.0, 0.0], [0.25, 3.0]])], MATRIX),
    }
    for kind, wanted in (
        ("multinomial", [-INFINITY, -1.1 - 1.0]),
        ("bernoulli", [-INFINITY, math.log1p(-math.exp(-0.5)) - 1.0 - 1.1]),
    ):
        folder = save(tmp_path / kind, "classification.NaiveBayesModel", {"modelType": kind}, data)
        raw, probability, prediction = step(folder).row(Sparse(2, [1], [1.0]))
        assert raw == pytest.approx(wanted, rel=1e-15)
        assert (probability, prediction) == ([0.0, 1.0], 1.0)
    gaussian = save(tmp_path / "g", "classification.NaiveBayesModel", {"modelType": "gaussian"}, data)
    only = step(gaussian)
    assert only.row([0.0, 1.0])[0][0] != only.row([0.0, 1.0])[0][0]
    assert only.batch is not None
    assert only.batch(DenseBlock([np.zeros(1), np.ones(1)], 1)) is not None


def test_sparse_bernoulli_changes_what_is_stored(tmp_path: Path) -> None:
    theta = {
        "type": 0, "numRows": 1, "numCols": 3, "colPtrs": [0, 0, 1, 1], "rowIndices": [0],
        "values": [-0.5], "isTransposed": False,
    }  # fmt: skip
    data = {
        "pi": pa.array([dense([-0.25])], VECTOR),
        "theta": pa.array([theta], MATRIX),
        "sigma": pa.array([matrix([[0.0]])], MATRIX),
    }
    only = step(save(tmp_path / "m", "classification.NaiveBayesModel", {"modelType": "bernoulli"}, data))
    absent = math.log1p(-math.exp(-0.5))
    assert only.row([1.0, 1.0, 1.0])[0] == [-0.25 + absent + (-0.5 - absent)]
    assert only.row([1.0, 0.0, 1.0])[0] == [-0.25 + absent]


def test_an_unknown_type_of_bayes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="modelType is 'poisson'"):
        stage(bayes("poisson")(tmp_path / "m"))


def test_svc_thresholds_are_for_the_margin(tmp_path: Path) -> None:
    at = [0.75, 0.0, 0.0]  # a margin of 0.25 exactly
    assert step(svc(tmp_path / "a")).row(at) == [[-0.25, 0.25], 0.0]
    assert step(svc(tmp_path / "b", threshold=0.2499)).row(at)[1] == 1.0
    assert step(svc(tmp_path / "c", rawPredictionCol="")).row(at) == 0.0
    assert step(svc(tmp_path / "d", predictionCol="")).row(at) == [-0.25, 0.25]
    frame = Frame([Column("features", "vector")])
    stage(svc(tmp_path / "e", predictionCol="", rawPredictionCol="")).bind(frame)
    assert frame.steps == []


def test_perceptrons_that_do_not_fit(tmp_path: Path) -> None:
    for layers, error in (([3, 2, 3], ArchiveError), ([3], UnsupportedModel), ([3, 0, 2], UnsupportedModel),
                          ("3", UnsupportedModel)):  # fmt: skip
        folder = perceptron(tmp_path / str(layers))
        metadata = folder / "metadata" / "part-00000"
        document = json.loads(metadata.read_text())
        document["paramMap"]["layers"] = layers
        metadata.write_text(json.dumps(document))
        with pytest.raises(error):
            stage(folder)


def test_a_perceptron_asked_for_the_prediction_alone_does_not_look_at_thresholds(tmp_path: Path) -> None:
    folder = perceptron(tmp_path / "m")
    metadata = folder / "metadata" / "part-00000"
    document = json.loads(metadata.read_text())
    document["paramMap"].update(thresholds=[1.0, 0.0001], rawPredictionCol="", probabilityCol="")
    metadata.write_text(json.dumps(document))
    assert step(folder).row([0.0, 0.0, 0.0]) == 0.0
    document["paramMap"].update(rawPredictionCol="raw")
    metadata.write_text(json.dumps(document))
    assert step(folder).row([0.0, 0.0, 0.0])[1] == 1.0


def test_factors_of_a_machine(tmp_path: Path) -> None:
    raw, _, prediction = step(machine(tmp_path / "m")).row([1.0, 2.0, 3.0])
    products = [[0.5, 0.1], [-0.5, 0.4], [4.5, -0.9]]
    pairs = sum(products[i][f] * products[j][f] for f in range(2) for i in range(3) for j in range(i + 1, 3))
    assert raw[1] == pytest.approx(0.25 + 0.5 - 2.0 + 0.375 + pairs, rel=1e-14)
    assert prediction == 0.0


def test_one_vs_rest_reads_the_second_raw_prediction_of_each(tmp_path: Path) -> None:
    only = step(rest(tmp_path / "m"))
    assert only.names == ("scores", "prediction")
    assert only.row([0.0, 0.0, 0.0]) == [[-0.125, -0.125, 1.0], 2.0]
    assert only.row([1.0, 0.0, 0.0]) == [[0.375, 0.375, 0.0625], 0.0]  # the first of equals
    assert only.row([NAN, 0.0, 0.0])[1] == 2.0  # NaN is passed over
    assert only.row([-INFINITY, 0.0, 0.0]) == [[-INFINITY, -INFINITY, 1.0], 2.0]
    assert only.row(Sparse(3, [], [])) == only.row([0.0] * 3)
    with pytest.raises(Invalid):
        only.row([0.0, 0.0])


def test_one_vs_rest_without_a_winner(tmp_path: Path) -> None:
    folder = save(
        tmp_path / "m", "classification.OneVsRestModel", {"probabilityCol": None}, numClasses=2, labelMetadata="{}"
    )  # fmt: skip
    svc(folder / "model_0")
    svc(folder / "model_1")
    only = step(folder)
    for value in (NAN, -INFINITY):
        rows = [[value, 0.0, 0.0]]
        assert only.row(rows[0])[1] == -1.0
        assert only.batch is not None
        assert only.batch(rows) is None


def test_one_vs_rest_of_what_is_no_classifier(tmp_path: Path) -> None:
    folder = save(
        tmp_path / "m", "classification.OneVsRestModel", {"probabilityCol": None}, numClasses=1, labelMetadata="{}"
    )  # fmt: skip
    tree(folder / "model_0", REGRESSOR, Split(0, Leaf(1.0), Leaf(2.0), 0.5), 1)
    with pytest.raises(UnsupportedModel, match="rawPredictionCol"):
        stage(folder)
    with pytest.raises(ArchiveError, match="number of classes"):
        stage(save(tmp_path / "n", "classification.OneVsRestModel", {"probabilityCol": None}))
    with pytest.raises(ArchiveError, match="model_0"):
        stage(save(tmp_path / "o", "classification.OneVsRestModel", {"probabilityCol": None}, numClasses=1))


@pytest.mark.parametrize("name", ["CrossValidatorModel", "TrainValidationSplitModel"])
def test_a_tuned_model_is_its_best_model(tmp_path: Path, name: str) -> None:
    params: dict[str, Any] = {"numFolds": 3, "seed": 1, "estimatorParamMaps": [[]]}
    columns = dict.fromkeys(
        ("featuresCol", "labelCol", "predictionCol", "rawPredictionCol", "probabilityCol"), None
    )
    folder = save(tmp_path / "m", f"tuning.{name}", {**params, **columns})
    svc(folder / "bestModel")
    best = stage(folder)
    assert [child.java_class.rpartition(".")[2] for child in best.children] == ["LinearSVCModel"]
    assert best.hints == {}
    assert step(folder).row([0.75, 0.0, 0.0]) == [[-0.25, 0.25], 0.0]
    with pytest.raises(ArchiveError, match="bestModel"):
        stage(save(tmp_path / "n", f"tuning.{name}", {**params, **columns}))
