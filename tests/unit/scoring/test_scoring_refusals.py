"""What the scorer refuses, and the errors it does so with."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from scoring_models import (
    FEATURE,
    assembler,
    hashing,
    idf,
    logistic,
    text_model,
    tokenizer,
    write_pipeline,
    write_stage,
)

from wmlclient import scoring
from wmlclient.scoring import ArchiveError, InputError, RowDropped, RowError, UnsupportedModel


def test_an_unknown_class_is_refused_by_name(tmp_path: Path) -> None:
    write_pipeline(tmp_path / "m", [tokenizer(), ("com.example.Custom", {}, None)])
    with pytest.raises(
        UnsupportedModel, match=r"stage Custom_1 \(Custom\) is not scored natively: the class"
    ) as caught:
        scoring.load(tmp_path / "m")
    assert (caught.value.stage, caught.value.java_class) == ("Custom_1", "com.example.Custom")


def test_an_unknown_param_is_refused_by_name(tmp_path: Path) -> None:
    java_class, params, _ = tokenizer()
    write_pipeline(tmp_path / "m", [(java_class, {**params, "newInSpark5": 1}, None)])
    with pytest.raises(UnsupportedModel, match="its parameter 'newInSpark5' is not known"):
        scoring.load(tmp_path / "m")


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        ((FEATURE + "Tokenizer", {"inputCol": 5, "outputCol": "w"}, None), "'inputCol' is not a string"),
        ((FEATURE + "NGram", {"inputCol": "w", "outputCol": "x", "n": 2.5}, None), "'n' is not a whole number"),
        ((FEATURE + "RegexTokenizer", {"inputCol": "t", "outputCol": "w", "pattern": r"\b"}, None),
         r"pattern uses \\b"),
        ((FEATURE + "StopWordsRemover", {"inputCol": "w", "outputCol": "x", "stopWords": [], "locale": "tr"}, None),
         "locale 'tr'"),
        (logistic([[1.0]], [0.0], thresholds=[0.1, 0.2, 0.3]), "3 thresholds for 2 classes"),
        (assembler(["a"], handleInvalid="maybe"), "handleInvalid is 'maybe'"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, stage: Any, says: str) -> None:
    with pytest.raises(UnsupportedModel, match=says):
        scoring.load(write_pipeline(tmp_path / "m", [stage]))


def test_models_of_other_sparks(tmp_path: Path) -> None:
    for version in ("3.0.1", "3.5.3", "4.0.0", "4.3.0-SNAPSHOT"):
        scoring.load(write_pipeline(tmp_path / version, [tokenizer()], spark=version))
    for version in ("2.4.8", "5.0.0"):
        with pytest.raises(UnsupportedModel, match=f"saved by Spark {version}"):
            scoring.load(write_pipeline(tmp_path / version, [tokenizer()], spark=version))
    with pytest.raises(ArchiveError, match="unknown Spark"):
        scoring.load(write_pipeline(tmp_path / "x", [tokenizer()], spark="new"))


def test_damaged_models(tmp_path: Path) -> None:
    def model(name: str) -> Path:
        return text_model(tmp_path / name)

    data = "stages/3_IDFModel_3/data/part-00000.snappy.parquet"
    (model("gone") / data).unlink()
    (model("junk") / data).write_bytes(b"PAR1 but no more")
    whole = (model("short") / data).read_bytes()
    (tmp_path / "short" / data).write_bytes(whole[: len(whole) // 2])
    for name in ("gone", "junk", "short"):
        with pytest.raises(ArchiveError, match="IDFModel_3 is damaged"):
            scoring.load(tmp_path / name)
    (model("stage") / "stages/2_HashingTF_2/metadata/part-00000").unlink()
    with pytest.raises(ArchiveError, match="no metadata"):
        scoring.load(tmp_path / "stage")
    (model("renamed") / "stages/2_HashingTF_2").rename(tmp_path / "renamed/stages/2_Other")
    with pytest.raises(ArchiveError, match="'HashingTF_2' has no folder"):
        scoring.load(tmp_path / "renamed")


def test_a_model_that_names_folders_outside(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    write_stage(folder, "org.apache.spark.ml.PipelineModel", "P", {"stageUids": ["../../../evil"]})
    write_stage(tmp_path / "evil", *tokenizer()[:1], "x", {})
    with pytest.raises(ArchiveError, match="has no folder"):
        scoring.load(folder)


def test_wrong_sizes(tmp_path: Path) -> None:
    stages = [tokenizer(), hashing(size=8), idf([1.0] * 8), logistic([[1.0] * 9], [0.0])]
    model = scoring.load(write_pipeline(tmp_path / "m", stages))
    with pytest.raises(RowError, match="the vector has 8 values, the model was fitted on 9"):
        model.score([{"text": "a"}])


# -- errors -------------------------------------------------------------------------------------------------------

ERRORS = [
    ArchiveError("the archive is empty"),
    UnsupportedModel("ALS_1", "the class is not supported", "org.apache.spark.ml.recommendation.ALSModel"),
    InputError("wrong_type", "age", 3, "row 3, field 'age': expected a number"),
    RowError(3, "label", "unseen", "StringIndexer_1"),
    RowDropped(4, "label", "null"),
]


@pytest.mark.parametrize("error", ERRORS)
def test_errors_pickle(error: scoring.ScoringError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.__dict__ == error.__dict__
    assert isinstance(again, scoring.ScoringError)
