"""Each stage on values whose answers are Spark 4.2.0's own, taken from it once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from scoring_models import (
    FEATURE,
    LOGISTIC,
    MATRIX,
    VECTOR,
    assembler,
    dense,
    indexer,
    logistic,
    schema,
    sparse,
    tokenizer,
    write_pipeline,
)

from wmlclient import scoring
from wmlclient.scoring import RowError
from wmlclient.scoring.plan import COLUMNS_FROM

FAILS = object()


Cases = list[tuple[Any, Any]]


def check(folder: Path, stage: Any, kind: str | dict[str, str], cases: Cases, output: str = "out") -> None:
    """Each input alone, and all of them in a table, give the output; ``FAILS`` where Spark fails."""
    types = {"in": kind} if isinstance(kind, str) else kind
    stages = stage if isinstance(stage, list) else [stage]
    model = scoring.load(write_pipeline(folder / "m", stages), schema(**types))
    rows = [[value] if len(types) == 1 else list(value) for value, _ in cases]
    place = model.output_fields(list(types)).index(output)
    for row, (_, expected) in zip(rows, cases, strict=True):
        if expected is FAILS:
            with pytest.raises(RowError):
                model.score_table(list(types), [row])
        else:
            found = model.score_table(list(types), [row])[1][0][place]
            assert (found, repr(found)) == (expected, repr(expected)), row
    good = [
        (row, want) for row, (_, want) in zip(rows, cases, strict=True) if want is not FAILS
    ] * COLUMNS_FROM
    values = model.score_table(list(types), [row for row, _ in good])[1]
    assert repr([row[place] for row in values]) == repr([want for _, want in good])


def stage(name: str, data: pa.Table | None = None, **params: Any) -> Any:
    return FEATURE + name, {"inputCol": "in", "outputCol": "out", **params}, data


def test_tokenizer(tmp_path: Path) -> None:
    cases = [
        ("", [""]), (" ", []), (" A  b ", ["", "a", "", "b"]), ("a\tb\nc\x0bd", ["a", "b", "c", "d"]),
        ("a\u00a0b", ["a\u00a0b"]), ("ΣΑΣ", ["σας"]), (None, FAILS),
    ]  # fmt: skip
    check(tmp_path, tokenizer("in", "out"), "string", cases)


def test_regex_tokenizer(tmp_path: Path) -> None:
    cases = [("", []), ("Don't  GO", ["don", "t", "go"]), ("naïve", ["na", "ve"]), (None, FAILS)]
    check(tmp_path, stage("RegexTokenizer", pattern=r"\W", gaps=True), "string", cases)
    cases = [("😀 ab a é", ["😀", "ab"])]  # two UTF-16 units count as two
    check(
        tmp_path / "2", stage("RegexTokenizer", pattern=r"\S+", gaps=False, minTokenLength=2), "string", cases
    )
    cases = [("a,,B,", ["a", "", "B"]), ("", [""]), (",", [])]
    keep = stage("RegexTokenizer", pattern=",", minTokenLength=0, toLowercase=False)
    check(tmp_path / "3", keep, "string", cases)


def test_stop_words_remover(tmp_path: Path) -> None:
    cases: list[tuple[Any, Any]] = [(["The", "a", None, "x"], [None, "x"]), ([], []), (None, FAILS)]
    check(tmp_path, stage("StopWordsRemover", stopWords=["the", "A"]), "array<string>", cases)
    cases = [(["The", "the", "a", "A"], ["The", "a"])]
    exact = stage("StopWordsRemover", stopWords=["the", "A"], caseSensitive=True)
    check(tmp_path / "2", exact, "array<string>", cases)


def test_ngram(tmp_path: Path) -> None:
    cases = [(["a", None, "b"], ["a null", "null b"]), (["a"], []), ([], []), (None, FAILS)]
    check(tmp_path, stage("NGram", n=2), "array<string>", cases)


def test_count_vectorizer(tmp_path: Path) -> None:
    data = pa.table({"vocabulary": pa.array([["b", "a", "c"]])})
    words = ["a", "b", "a", "zebra", None]
    for number, (params, expected) in enumerate(
        [
            ({}, [3, [0, 1], [1.0, 2.0]]),
            ({"binary": True}, [3, [0, 1], [1.0, 1.0]]),
            ({"minTF": 2.0}, [3, [1], [2.0]]),
            ({"minTF": 0.3}, [3, [1], [2.0]]),  # 0.3 of all five words, unknown ones too
        ]
    ):
        cases = [(words, expected), ([], [3, [], []]), (None, FAILS)]
        check(tmp_path / str(number), stage("CountVectorizerModel", data, **params), "array<string>", cases)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0], [0.0]),
        ([0.0, 0.0], [0.0, 0.0]),
        ([0.0] * 3, [3, [], []]),
        ([1.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
        ([0.0, 1.0, 0.0, 0.0], [4, [1], [1.0]]),
        ([1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]),
        ([1.0, 0.0, 0.0, 0.0, 0.0], [5, [0], [1.0]]),
        ([1.0, 1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0, 0.0]),
        ([-0.0, 1.0], [0.0, 1.0]),
    ],
)
def test_vector_assembler_is_sparse_where_spark_is(
    tmp_path: Path, values: list[float], expected: Any
) -> None:
    names = [f"c{i}" for i in range(len(values))]
    check(
        tmp_path,
        assembler(names, "out"),
        dict.fromkeys(names, "double"),
        [(values if len(values) > 1 else values[0], expected)],
    )


def test_vector_assembler_of_what_is_missing(tmp_path: Path) -> None:
    kinds = {"x": "double", "b": "boolean", "v": "vector"}
    good = ((1.5, True, [2, [1], [0.0]]), [1.5, 1.0, 0.0, 0.0])
    nothing = [
        ((None, True, [1.0, 2.0]), FAILS),
        (("NaN", True, [1.0, 2.0]), FAILS),
        ((1.0, None, [1.0, 2.0]), FAILS),
    ]
    inside = ((1.0, False, ["NaN", -0.0]), [1.0, 0.0, "NaN", 0.0])  # NaN inside a vector is let through
    check(tmp_path, assembler(["x", "b", "v"], "out"), kinds, [good, inside, *nothing])
    keep = assembler(["x", "b"], "out", handleInvalid="keep")
    check(
        tmp_path / "2",
        keep,
        {"x": "double", "b": "boolean"},
        [((None, None), ["NaN", "NaN"]), (("NaN", True), ["NaN", 1.0])],
    )


@pytest.mark.parametrize(
    ("drop", "invalid"), [(True, "error"), (True, "keep"), (False, "error"), (False, "keep")]
)
def test_one_hot_encoder(tmp_path: Path, drop: bool, invalid: str) -> None:
    size = 3 - drop + (invalid == "keep")
    last: Any = [size, [2], [1.0]] if size > 2 else [size, [], []]
    unseen: Any = FAILS if invalid == "error" else [size, [3], [1.0]] if size > 3 else [size, [], []]
    cases = [(0.0, [size, [0], [1.0]]), (-0.0, [size, [0], [1.0]]), (1.5, [size, [1], [1.0]]), (2.0, last)]
    cases += [(3.0, unseen), (-1.0, unseen), ("NaN", unseen), (None, None)]
    data = pa.table({"categorySizes": pa.array([[3]])})
    check(tmp_path, stage("OneHotEncoderModel", data, dropLast=drop, handleInvalid=invalid), "double", cases)


def test_index_to_string(tmp_path: Path) -> None:
    cases = [
        (0.0, "a"),
        (1.9, "b"),
        (-0.5, "a"),
        (2.0, FAILS),
        (None, FAILS),
        ("NaN", FAILS),
        ("Infinity", FAILS),
    ]
    check(tmp_path, stage("IndexToString", labels=["a", "b"]), "double", cases)
    chain = [
        indexer(["x", "y"], "in", "i", handleInvalid="keep"),
        (FEATURE + "IndexToString", {"inputCol": "i", "outputCol": "out"}, None),
    ]
    check(tmp_path / "2", chain, "string", [("y", "y"), ("z", "__unknown"), (None, "__unknown")])


@pytest.mark.parametrize(
    ("kind", "labels", "cases"),
    [
        (
            "double",
            ["0.0", "1.0E7", "NaN"],
            [(0, 0.0), (1e7, 1.0), ("NaN", 2.0), (-0.0, FAILS), (1.0, FAILS)],
        ),
        ("double", ["1", "-0.0"], [(1.0, FAILS), (-0.0, 1.0), (0.0, FAILS)]),
        ("double", ["-1.61304845894623136E17"], [(-1.6130484589462314e17, 0.0)]),  # as Java 17 writes it
        ("float", ["0.1"], [(0.1, 0.0)]),
        ("int", ["1", "2.0"], [(1, 0.0), (2, FAILS)]),
        ("bigint", ["9223372036854775807"], [((1 << 63) - 1, 0.0)]),
    ],
)
def test_string_indexer_of_numbers(tmp_path: Path, kind: str, labels: list[str], cases: list[Any]) -> None:
    check(tmp_path, indexer(labels, "in", "out"), kind, [*cases, (None, FAILS)])


def test_standard_scaler(tmp_path: Path) -> None:
    data = pa.table(
        {
            "std": pa.array([dense([2.0, 0.0, 0.5])], VECTOR),
            "mean": pa.array([dense([1.0, 1.0, 0.0])], VECTOR),
        }
    )
    wide, thin = [3.0, 5.0, 1.0], [3, [0, 2], [3.0, 0.0]]
    for number, (mean, std, first, second) in enumerate(
        [
            (False, True, [1.5, 0.0, 2.0], [3, [0, 2], [1.5, 0.0]]),
            (True, True, [1.0, 0.0, 2.0], [1.0, -0.0, 0.0]),
            (True, False, [2.0, 4.0, 1.0], [2.0, -1.0, 0.0]),
            (False, False, wide, thin),
        ]
    ):
        scaler = stage("StandardScalerModel", data, withMean=mean, withStd=std)
        bad: Cases = (
            [([1.0] * 4, FAILS), (None, FAILS)] if mean or std else [([1.0] * 4, [1.0] * 4), (None, None)]
        )
        check(tmp_path / str(number), scaler, "vector", [(wide, first), (thin, second), *bad])


@pytest.mark.parametrize(
    ("params", "margin", "expected"),
    [
        ({}, 0.0, 0.0),
        ({}, 1e-9, 1.0),
        ({"threshold": 0.0}, -700.0, 1.0),
        ({"threshold": 1.0}, 700.0, 0.0),
        ({"thresholds": [0.2, 0.8]}, 1.0, 0.0),
        ({"thresholds": [0.2, 0.8]}, 1.5, 1.0),
        ({"rawPredictionCol": ""}, 1e-9, 1.0),
        ({"rawPredictionCol": "", "probabilityCol": ""}, 1e-9, 1.0),
    ],
)
def test_thresholds_of_two_classes(
    tmp_path: Path, params: dict[str, Any], margin: float, expected: float
) -> None:
    names = dict.fromkeys(["in"], "double")
    check(
        tmp_path,
        [assembler(["in"]), logistic([[1.0]], [0.0], **params)],
        names,
        [(margin, expected)],
        "prediction",
    )


@pytest.mark.parametrize(
    ("params", "expected"),
    [({}, 1.0), ({"thresholds": [0.1, 0.9, 0.9]}, 0.0), ({"thresholds": [0.5, 0.5, 0.0]}, 2.0)],
)
def test_thresholds_of_three_classes(tmp_path: Path, params: dict[str, Any], expected: float) -> None:
    model = logistic([[1.0], [1.5], [0.5]], [0.0, 0.0, 0.0], **params)
    check(tmp_path, [assembler(["in"]), model], {"in": "double"}, [(1.0, expected)], "prediction")


def test_large_margins(tmp_path: Path) -> None:
    model = [assembler(["in"]), logistic([[1.0], [0.0], [-1.0]], [0.0, 0.0, 0.0])]
    check(
        tmp_path,
        model,
        {"in": "double"},
        [(1000.0, [1.0, 0.0, 0.0]), (-1000.0, [0.0, 0.0, 1.0])],
        "probability",
    )


def test_an_infinite_margin(tmp_path: Path) -> None:
    model = [assembler(["in"]), logistic([[1.0], [0.0], [-1.0]], [0.0, 0.0, 0.0])]
    check(tmp_path, model, {"in": "double"}, [("Infinity", [1.0, "NaN", "NaN"])], "probability")
    check(
        tmp_path / "2",
        model,
        {"in": "double"},
        [("Infinity", ["Infinity", "NaN", "-Infinity"])],
        "rawPrediction",
    )


ROWS = [[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]]
FORMS = {
    "row-major": {"type": 1, "values": [0.0, 2.0, 0.0, 1.0, 0.0, 3.0], "isTransposed": True},
    "column-major": {"type": 1, "values": [0.0, 1.0, 2.0, 0.0, 0.0, 3.0], "isTransposed": False},
    "by row": {
        "type": 0, "colPtrs": [0, 1, 3], "rowIndices": [1, 0, 2], "values": [2.0, 1.0, 3.0], "isTransposed": True,
    },
    "by column": {
        "type": 0, "colPtrs": [0, 1, 2, 3], "rowIndices": [1, 0, 1], "values": [1.0, 2.0, 3.0], "isTransposed": False,
    },
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_matrices_in_all_forms(tmp_path: Path, form: str) -> None:
    cell = {"numRows": 2, "numCols": 3, "colPtrs": None, "rowIndices": None, **FORMS[form]}
    table = pa.table(
        {
            "numClasses": pa.array([2]),
            "numFeatures": pa.array([3]),
            "interceptVector": pa.array([sparse(2, [1], [0.5])], VECTOR),
            "coefficientMatrix": pa.array([cell], MATRIX),
            "isMultinomial": pa.array([True]),
        }
    )
    params = {"featuresCol": "in", "rawPredictionCol": "out", "probabilityCol": "p", "predictionCol": "y"}
    cases: list[tuple[Any, Any]] = [
        ([1.0, 10.0, 100.0], [20.0, 301.5]), ([3, [1, 2], [10.0, 100.0]], [20.0, 300.5]), ([3, [], []], [0.0, 0.5]),
    ]  # fmt: skip
    # What is not stored is not multiplied: an infinite feature does no harm there.
    stored = FORMS[form]["type"] == 0
    cases.append((["Infinity", 0.0, 0.0], [0.0 if stored else "NaN", "Infinity"]))
    check(tmp_path, (LOGISTIC, params, table), "vector", cases)
