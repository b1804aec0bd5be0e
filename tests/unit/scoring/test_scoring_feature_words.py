"""Word vectors, encodings, hashes and R formulas, without Spark."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from feature_cases import load_feature, outputs
from scoring_models import FEATURE, assembler, indexer, schema, write_pipeline, write_stage

from wmlclient import scoring
from wmlclient.scoring import ArchiveError, InputError, UnsupportedModel
from wmlclient.scoring.java.hashing import hash_bytes, hash_many, hash_text
from wmlclient.scoring.stages.text import split_block, tokens

ONE = {"inputCol": "a", "outputCol": "o"}


def words(vectors: dict[str, list[float]]) -> dict[str, Any]:
    return {
        "word": pa.array(list(vectors)),
        "vector": pa.array(list(vectors.values()), pa.list_(pa.float32())),
    }


def test_a_sentence_is_the_mean_of_its_words(tmp_path: Path) -> None:
    data = words({"a": [1.0, 2.0], "b": [3.0, 0.1]})
    model = load_feature(tmp_path, "Word2VecModel", ONE | {"vectorSize": 2}, {"a": "array<string>"}, data)
    tenth = 0.10000000149011612  # 0.1 as a float of 32 bits
    rows: list[Any] = [[["a", "b"]], [["a", "new", "a", None]], [["b"]], [["new"]], [[]], [None]]
    found = outputs(model, rows)
    assert found[:5] == [[2.0, (2.0 + tenth) * 0.5], [0.5, 1.0], [3.0, tenth], [0.0, 0.0], [2, [], []]]
    assert found[5] == "the words are null"
    assert outputs(model, rows[:4])[0] == found[0]


def test_word_vectors_have_one_size(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="size 3"):
        load_feature(
            tmp_path, "Word2VecModel", ONE | {"vectorSize": 3}, {"a": "array<string>"}, words({"a": [1.0]})
        )


def encoder(folder: Path, **params: Any) -> Any:
    data = {
        "index": pa.array([0], pa.int32()),
        "categories": pa.array([[0.0, 1.0, -1.0, 2147483647.0]]),
        "counts": pa.array([[2.0, 6.0, 2.0, 10.0]]),
        "stats": pa.array([[1.0, 6.0, 0.0, 7.0]]),
    }
    return load_feature(folder, "TargetEncoderModel", ONE | params, {"a": "double"}, data)


def test_a_category_is_its_smoothed_mean(tmp_path: Path) -> None:
    plain = encoder(tmp_path / "1", handleInvalid="keep")
    rows: list[Any] = [[0.0], [-0.0], [1.0], [None], [9.0], ["NaN"], [-1.0], [2147483647.0]]
    assert outputs(plain, rows) == [0.5, 0.5, 1.0, 0.0, 0.7, 0.7, 0.7, 0.7]
    smooth = encoder(tmp_path / "2", smoothing=2.0)
    assert outputs(smooth, [[0.0]]) == [0.5 * 0.5 + 0.5 * 0.7]
    assert "was not seen" in outputs(smooth, [[9.0]])[0]
    means = encoder(tmp_path / "3", smoothing=2.0, targetType="continuous")
    assert outputs(means, [[1.0]]) == [0.75 * 6.0 + 0.25 * 7.0]


def test_an_encoder_knows_what_was_not_seen(tmp_path: Path) -> None:
    data = {
        "index": pa.array([0]),
        "categories": pa.array([[0.0]]),
        "counts": pa.array([[1.0]]),
        "stats": pa.array([[1.0]]),
    }
    with pytest.raises(ArchiveError, match="not seen"):
        load_feature(tmp_path, "TargetEncoderModel", ONE, {"a": "double"}, data)


def hasher(folder: Path, sources: list[str], types: dict[str, str], **params: Any) -> Any:
    return load_feature(folder, "FeatureHasher", {"inputCols": sources, "outputCol": "o", **params}, types)


def test_features_are_hashed_by_name_and_by_value(tmp_path: Path) -> None:
    size = 1 << 18
    types = {"x": "double", "s": "string", "t": "boolean", "n": "int"}
    model = hasher(tmp_path, list(types), types, categoricalCols=["n"])
    at = {text: hash_text(text) % size for text in ("x", "s=é", "t=true", "n=7")}
    (found, nulls) = outputs(model, [[2.5, "é", True, 7], [None, None, None, None]])
    assert dict(zip(found[1], found[2], strict=True)) == {
        at["x"]: 2.5, at["s=é"]: 1.0, at["t=true"]: 1.0, at["n=7"]: 1.0
    }  # fmt: skip
    assert nulls == [size, [], []]


def test_features_that_meet_are_added(tmp_path: Path) -> None:
    model = hasher(tmp_path, ["x", "y"], {"x": "double", "y": "string"}, numFeatures=1)
    assert outputs(model, [[2.5, "a"], [0.0, None], [-1.0, "b"]]) == [
        [1, [0], [3.5]],
        [1, [0], [0.0]],
        [1, [0], [0.0]],
    ]


def test_hashes_that_depend_on_the_java_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="double column 'x' by its text"):
        hasher(tmp_path / "1", ["x"], {"x": "double"}, categoricalCols=["x"])
    names = ["v", "w", "x", "y", "z"]
    with pytest.raises(UnsupportedModel, match="share a place"):
        hasher(tmp_path / "2", names, dict.fromkeys(names, "double"), numFeatures=1)


def test_a_set_is_hashed_by_its_least_index(tmp_path: Path) -> None:
    data = {"randCoefficients": pa.array([[1, 0, 2, 3]], pa.list_(pa.int32()))}
    model = load_feature(tmp_path, "MinHashLSHModel", ONE, {"a": "vector"}, data)
    rows: list[Any] = [
        [[0.0, 5.0, "NaN"]],
        [[9, [3, 8], [0.0, 1.0]]],
        [[2038074743, [2038074742], [1.0]]],
        [[0.0]],
    ]
    found = outputs(model, rows)
    assert found == [
        [[2.0], [7.0]],
        [[9.0], [21.0]],
        [[0.0], [3.0]],
        "the vector has no value other than zero",
    ]


def formula(folder: Path, label: str = "y", **inner: Any) -> Path:
    """``y ~ s + x``, as far as its pipeline goes without dummy columns."""
    none = pa.table({"columnsToPrune": pa.array([["i"]])})
    rewritten = pa.table({"vectorCol": ["features"]})
    stages = [
        indexer(["u", "v"], "s", "i", **inner),
        assembler(["i", "x"], "features"),
        (FEATURE + "VectorAttributeRewriter", {}, rewritten),
        (FEATURE + "ColumnPruner", {}, none),
    ]
    write_stage(folder, FEATURE + "RFormulaModel", "RFormula_0", {}, pa.table({"label": [label]}))
    write_pipeline(folder / "pipelineModel", stages)
    return folder


def test_a_formula_adds_features_and_the_label(tmp_path: Path) -> None:
    model = scoring.load(formula(tmp_path / "m"), schema(s="string", x="double", y="int"))
    assert model.output_fields() == ["s", "x", "y", "features", "label"]
    assert outputs(model, [["v", 3.0, 7], ["u", 2.5, None]], "features") == [[1.0, 3.0], [0.0, 2.5]]
    assert outputs(model, [["v", 3.0, 7], ["u", 2.5, None]], "label") == [7.0, None]
    assert model.output_fields(["x", "s"]) == ["x", "s", "features"]


def test_a_formula_without_a_schema_does_not_ask_for_the_label(tmp_path: Path) -> None:
    model = scoring.load(formula(tmp_path / "m"))
    assert [field["name"] for field in model.schema["fields"]] == ["s", "x"]
    assert model.score([{"s": "v", "x": 1.0}])[0]["features"] == [1.0, 1.0]


def test_columns_that_a_formula_adds_must_not_be_there(tmp_path: Path) -> None:
    path = formula(tmp_path / "m")
    with pytest.raises(InputError, match="'features' exists"):
        scoring.load(path, schema(s="string", x="double", features="vector"))
    with pytest.raises(InputError, match="'label' exists"):
        scoring.load(path, schema(s="string", x="double", label="string"))
    with pytest.raises(UnsupportedModel, match="label 'y' is string"):
        scoring.load(path, schema(s="string", x="double", y="string"))
    there = scoring.load(path, schema(s="string", x="double", y="int", label="double"))
    assert there.output_fields() == ["s", "x", "y", "label", "features"]


LETTERS = " \t\n\r\x0b\x0c  aAbBzZéÉΣσİß😀\x00\x1c\x85\u3000.,"


@pytest.mark.parametrize("letters", [LETTERS, LETTERS.encode("ascii", "ignore").decode(), "a  "])
def test_words_of_many_texts_at_once(letters: str) -> None:
    chance = random.Random(5)
    for _ in range(300):
        size = chance.choice([1, 2, 9, 30])
        texts = ["".join(chance.choices(letters, k=chance.choice([0, 0, 1, 2, 5, 150]))) for _ in range(size)]
        expected = [tokens(text) for text in texts]
        (block,) = split_block(texts) or pytest.fail("no block")
        text = block.text.tobytes()
        words = iter([text[start:end].decode() for start, end in zip(block.starts, block.ends, strict=True)])
        assert [[next(words) for _ in range(count)] for count in block.counts] == expected == block.rows()
        hashes = hash_many(block.text, block.starts, block.ends - block.starts)
        assert hashes.tolist() == [hash_text(word) for words in expected for word in words]


def test_hashes_of_long_texts() -> None:
    words = [bytes(range(97, 123)) * times for times in (0, 1, 4, 5, 6, 40)]
    text = np.frombuffer(b"".join(words), np.uint8)
    lengths = np.array(list(map(len, words)))
    found = hash_many(text, np.cumsum(lengths) - lengths, lengths)
    assert found.tolist() == [hash_bytes(word) for word in words]


def test_texts_that_are_split_one_by_one() -> None:
    assert split_block(["a", None]) is None
    assert split_block(["\ud800"]) is None
    assert split_block(["a" + " " * 1000, "b"]) is None
    assert split_block([]) is None
