"""The bill of materials: of what is supported, of what is not, and of what is foreign."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest
from scoring_models import (
    FEATURE,
    assembler,
    logistic,
    schema,
    text_model,
    tokenizer,
    write_pipeline,
    write_stage,
)

from wmlclient import scoring
from wmlclient.bill import Description, shown_size
from wmlclient.scoring import ArchiveError
from wmlclient.scoring.classes import is_known
from wmlclient.scoring.registry import supported


def columns(described: Description) -> tuple[dict[str, str], dict[str, str]]:
    return {c["name"]: c["type"] for c in described.input}, {c["name"]: c["type"] for c in described.output}


def test_a_supported_model(tmp_path: Path) -> None:
    folder = text_model(tmp_path / "model")
    part = folder / "metadata" / "part-00000"
    part.write_text(json.dumps(json.loads(part.read_text()) | {"timestamp": 1504785600123}))

    found = scoring.describe(folder)

    assert (found.kind, found.uid, found.spark_version) == ("PipelineModel", "PipelineModel_0", "4.2.0")
    assert (found.native, found.saved_at) == (True, "2017-09-07T12:00:00Z")
    names = ["StringIndexerModel", "Tokenizer", "HashingTF", "IDFModel", "LogisticRegressionModel"]
    assert [stage.name for stage in found.stages] == names
    assert all(stage.native and stage.reason is None for stage in found.stages)
    hashing = found.stages[2]
    assert (hashing.folder, hashing.inputs, hashing.outputs) == ("stages/2_HashingTF_2", ("words",), ("tf",))
    assert hashing.params == {"numFeatures": 32}
    assert columns(found)[0] == {"sentiment": "string", "text": "string"}
    assert columns(found)[1] | {"prediction": "double", "words": "array<string>"} == columns(found)[1]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert (found.files, found.size) == (len(files), sum(path.stat().st_size for path in files))
    assert found.size == sum(stage.size for stage in found.stages) + part.stat().st_size
    assert (found.archive_size, found.digest) == (None, None)


def test_an_archive_has_a_size_and_a_digest(tmp_path: Path) -> None:
    text_model(tmp_path / "model")
    path = tmp_path / "m.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(tmp_path / "model", arcname=".")
    found = scoring.describe(path)
    assert found.archive_size == path.stat().st_size
    assert found.digest == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert scoring.load(path).describe() == found


def test_a_schema_says_the_types(tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path / "m", [assembler(["a", "b"]), logistic([[1.0, 2.0]], [0.5])])
    given = schema(a="int", b="float", id="string")
    assert columns(scoring.describe(folder))[0] == {"a": "double", "b": "double"}
    assert columns(scoring.describe(folder, given))[0] == {"a": "int", "b": "float", "id": "string"}
    assert scoring.load(folder, given).describe() == scoring.describe(folder, given)


def test_a_stage_that_is_not_supported_is_named_and_the_others_are_described(tmp_path: Path) -> None:
    odd = FEATURE + "HashingTF", {"inputCol": "words", "outputCol": "tf", "numFeatures": 8, "salt": 1}, None
    last = "org.apache.spark.ml.fpm.FPGrowthModel", {"itemsCol": "words", "predictionCol": "next"}, None
    found = scoring.describe(write_pipeline(tmp_path / "m", [tokenizer(), odd, last]))
    assert [stage.native for stage in found.stages] == [True, False, False]
    assert found.stages[1].reason == "its parameter 'salt' is not known"
    assert found.stages[1].params == {"numFeatures": 8, "salt": 1}
    assert not found.native
    assert columns(found) == (
        {"text": None},
        {"text": None, "words": None, "tf": None, "next": None},
    )
    with_schema = scoring.describe(tmp_path / "m", schema(text="string"))
    assert columns(with_schema)[0] == {"text": "string"}


def test_a_schema_that_does_not_fit_is_a_reason(tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path / "m", [assembler(["a", "b"])])
    found = scoring.describe(folder, schema(a="int"))
    assert not found.native
    assert "'b'" in (found.stages[-1].reason or "")


@pytest.mark.parametrize("place", [".", "bestModel", "estimator/classifier", "data"])
def test_a_foreign_class_is_named_wherever_it_is(tmp_path: Path, place: str) -> None:
    folder = write_pipeline(tmp_path / "m", [tokenizer(), tokenizer("words", "more")])
    target = folder / "stages" / "0_Tokenizer_0" / place
    if place == ".":
        target = folder / "stages" / "0_Tokenizer_0"
        (target / "metadata" / "part-00000").unlink()
        (target / "metadata").rmdir()
        write_stage(target, "com.example.Evil", "Tokenizer_0", {})
    else:
        write_stage(target, "com.example.Evil", "Evil_1", {})
    found = scoring.describe(folder)
    assert [stage.native for stage in found.stages] == [False, place != "."] or place == "."
    assert "com.example.Evil" in (found.stages[0].reason or "")
    assert not found.native


def test_a_damaged_stage_is_a_reason_and_a_damaged_pipeline_an_error(tmp_path: Path) -> None:
    folder = text_model(tmp_path / "m")
    next(folder.glob("stages/3_*/data/*.parquet")).write_bytes(b"PAR1")
    found = scoring.describe(folder)
    assert [stage.native for stage in found.stages] == [True, True, True, False, True]
    assert "damaged" in (found.stages[3].reason or "")
    (folder / "stages" / "1_Tokenizer_1" / "metadata" / "part-00000").unlink()
    with pytest.raises(ArchiveError, match="1_Tokenizer_1"):
        scoring.describe(folder)
    with pytest.raises(FileNotFoundError):
        scoring.describe(tmp_path / "nothing")


def test_long_params_are_cut_and_json_can_hold_them(tmp_path: Path) -> None:
    words = [f"word{number}" for number in range(500)]
    remover = FEATURE + "StopWordsRemover", {"inputCol": "w", "outputCol": "o", "stopWords": words}, None
    vast = FEATURE + "Bucketizer", {"inputCol": "x", "outputCol": "b", "splits": ["-Inf", 0.5, "Inf"]}, None
    found = scoring.describe(write_pipeline(tmp_path / "m", [remover, vast]))
    assert found.stages[0].params["stopWords"] == [*words[:8], "... 500 in all"]
    assert found.stages[1].params["splits"] == ["-Inf", 0.5, "Inf"]
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert Description.from_dict(json.loads(text)) == found


def test_it_reads_well_and_its_html_is_escaped(tmp_path: Path) -> None:
    stop = FEATURE + "StopWordsRemover", {"inputCol": "<b>", "outputCol": "o", "locale": "<script>"}, None
    found = scoring.describe(write_pipeline(tmp_path / "m", [stop]))
    html = found._repr_html_()
    assert "<script>" not in html
    assert "&lt;b&gt;" in html
    text = str(scoring.describe(text_model(tmp_path / "t")))
    assert "HashingTF: words -> tf" in text
    assert "engine    native" in text
    assert shown_size(999) == "999 bytes"


def test_what_is_scored_natively_is_no_foreign_class() -> None:
    assert [name for name in supported() if not is_known(name)] == []
