"""Certificates as they travel: digests that anyone can compute, and what is wrong with one that does not hold."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from certificate_maker import made
from scoring_models import schema, text_model

from wmlclient import scoring
from wmlclient.scoring import certificates, digests

TYPES = schema(text="string", sentiment="string")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return text_model(tmp_path / "model")


@pytest.fixture
def certificate(model: Path) -> dict[str, Any]:
    return made(model, TYPES, rows=30)


# -- digests


def test_a_folder_and_its_archives_have_one_digest(model: Path, tmp_path: Path) -> None:
    digest = scoring.model_digest(model)
    for name, top in (("a.tar.gz", "."), ("b.tar.gz", "sentiment")):
        with tarfile.open(tmp_path / name, "w:gz") as tar:
            tar.add(model, arcname=top)
        assert scoring.model_digest(tmp_path / name) == digest
    shutil.copytree(model, tmp_path / "copy")
    os.utime(tmp_path / "copy" / "metadata" / "part-00000", (1, 1))
    (tmp_path / "copy" / "metadata" / ".part-00000.crc").write_bytes(b"crc\0")
    (tmp_path / "copy" / "metadata" / "_SUCCESS").touch()
    assert scoring.model_digest(tmp_path / "copy") == digest


def test_every_file_that_is_read_counts(model: Path) -> None:
    seen = {scoring.model_digest(model)}
    files = sorted(path for path in model.rglob("part-*"))
    assert len(files) == 9
    for path in files:
        content = path.read_bytes()
        path.write_bytes(content + b" ")
        seen.add(scoring.model_digest(model))
        path.write_bytes(content)
    files[0].rename(files[0].with_name("part-00001"))
    seen.add(scoring.model_digest(model))
    assert len(seen) == len(files) + 2


@pytest.mark.skipif(not (shutil.which("sha256sum") and shutil.which("find")), reason="needs the usual tools")
def test_the_usual_tools_give_the_same(model: Path) -> None:
    assert digests.__doc__ is not None
    command = (
        digests.__doc__.partition("::\n")[2].strip().replace("\\\n", "").replace("cd model", f"cd {model}")
    )
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60)
    assert f"sha256:{done.stdout.split()[0]}" == scoring.model_digest(model)


def test_the_digest_of_the_scorer_is_of_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "scoring"
    shutil.copytree(Path(scoring.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(digests, "__file__", str(copy / "digests.py"))
    fresh = digests.scorer_digest.__wrapped__
    assert fresh() == scoring.scorer_digest()
    (copy / "stages" / "trees.py").write_text("# other\n")
    assert fresh() != scoring.scorer_digest()


# -- what does not hold


def resealed(certificate: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return certificates.sealed({**certificate, **changes})


def test_a_certificate_survives_json(certificate: dict[str, Any], model: Path) -> None:
    again = json.loads(json.dumps(certificate, indent=4))
    assert certificates.flaw(again, scoring.model_digest(model), certificate["input"]) is None
    # Members that say nothing may come and go.
    again |= {"examples": [], "unknown": 1}
    assert certificates.flaw(again, scoring.model_digest(model)) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_digest": "sha256:" + "0" * 64}, "another model"),
        ({"scorer_digest": "sha256:" + "0" * 64}, "another version of the native scorer"),
        ({"format": 2}, "its format is 2"),
        ({"format": None}, "its format is None"),
        ({"format": True}, "its format is True"),
        ({"state": "pending"}, "proves nothing"),
        ({"engine": "magic"}, "proves nothing"),
        ({"mismatches": 3}, "no mismatch"),
        ({"rows": 0}, "no mismatch"),
        ({"rows": "many"}, "damaged"),
        ({"columns": {"prediction": "0"}}, "damaged"),
        ({"examples": [{"column": "x"}]}, "damaged"),
        ({"input": {"text": "int"}}, "made for the input text int"),
    ],
)
def test_what_does_not_hold_says_why(
    certificate: dict[str, Any], model: Path, changes: dict[str, Any], reason: str
) -> None:
    flaw = certificates.flaw(
        resealed(certificate, **changes), scoring.model_digest(model), certificate["input"]
    )
    assert flaw is not None
    assert reason in flaw


@pytest.mark.parametrize("changes", [{"mismatches": 0}, {"engine": "native"}, {"rows": 7}, {"seal": None}])
def test_an_edited_certificate_is_seen(model: Path, changes: dict[str, Any]) -> None:
    honest = made(model, TYPES, rows=30, skew=1.0)
    assert certificates.flaw(honest, honest["model_digest"]) is None
    flaw = certificates.flaw({**honest, **changes}, honest["model_digest"])
    assert flaw is not None
    assert "changed after it was made" in flaw


@pytest.mark.parametrize("given", [None, [], "x", 1, {}, {"format": 1}, {"format": 1, "columns": []}])
def test_anything_may_come(given: Any) -> None:
    assert isinstance(certificates.flaw(given, "sha256:0"), str)
