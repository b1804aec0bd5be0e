"""Models saved by each Spark version give the answers of the Spark that saved them."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from wmlclient import scoring
from wmlclient.scoring import Table, UnsupportedModel, parity
from wmlclient.scoring.archive import unpack
from wmlclient.scoring.metadata import inspect
from wmlclient.scoring.registry import supported
from wmlclient.scoring.types import simple_type

CORPUS = Path(__file__).resolve().parents[2] / "corpus"
VERSIONS = ["3.4", "3.5", "4.0", "4.1", "4.2"]
# What Spark itself scores with chance.
REFUSED = {"topics_by_em": "random seed"}
# Only a Python-only part makes PySpark write these; FPGrowth answers from the transactions of its training.
NOT_IN_IT = {
    "org.apache.spark.ml.fpm.FPGrowthModel",
    "pyspark.ml.tuning.CrossValidatorModel",
    "pyspark.ml.tuning.TrainValidationSplitModel",
    "pyspark.ml.classification.OneVsRestModel",
}
SINCE_4 = {"org.apache.spark.ml.feature.TargetEncoderModel"}


@cache
def unpacked(version: str) -> Path:
    """The archive, unpacked as an upload is."""
    folder = Path(tempfile.mkdtemp(dir=_home()))
    unpack(CORPUS / f"spark-{version}.tar.gz", folder)
    return folder


@cache
def _home() -> str:
    folder = tempfile.mkdtemp(prefix="wmlclient-corpus-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def cases(version: str) -> Any:
    return json.loads(unpacked(version).joinpath("cases.json").read_text("utf-8"))


def plain(table: Table) -> Table:
    """The table with dense vectors. Spark before 4.1 made some sparse that are dense since: equal, in another form."""
    wide = [n for n, name in enumerate(table.fields) if table.dtypes[name] == "vector"]
    rows = [list(row) for row in table.values]
    for row in rows:
        for n in wide:
            value = row[n]
            if value is not None and len(value) == 3 and isinstance(value[1], list):
                dense = [0.0] * value[0]
                for at, number in zip(value[1], value[2], strict=True):
                    dense[at] = number
                row[n] = dense
    return Table(table.fields, rows, table.dtypes)


def expected(
    document: dict[str, Any], case: dict[str, Any]
) -> tuple[dict[str, Any], list[str], list[Any], Table]:
    """Schema, fields and rows of a case's input, and Spark's answer to them."""
    table = document["tables"][case["table"]]
    keep = [n for n, field in enumerate(table["schema"]["fields"]) if field["name"] not in case["without"]]
    columns = [table["schema"]["fields"][n] for n in keep]
    names = [field["name"] for field in columns]
    rows = [[row[n] for n in keep] for row in table["values"]]
    answers = []
    for number, added in zip(case["rows"], case["values"], strict=True):
        known = dict(zip(names, rows[number], strict=True)) | dict(zip(case["added"], added, strict=True))
        answers.append([known[name] for name in case["fields"]])
    dtypes = {f["name"]: simple_type(f["type"]) for f in columns} | case["dtypes"]
    return {"type": "struct", "fields": columns}, names, rows, Table(case["fields"], answers, dtypes)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_model_of_every_version(version: str) -> None:
    document = cases(version)
    assert document["spark"].startswith(version)
    wrong = {}
    for name, case in document["cases"].items():
        schema, names, rows, theirs = expected(document, case)
        if name in REFUSED:
            with pytest.raises(UnsupportedModel, match=REFUSED[name]):
                scoring.load(unpacked(version) / name, schema)
            continue
        ours = scoring.load(unpacked(version) / name, schema).transform_table(names, rows)
        assert list(ours.fields) == list(theirs.fields), name
        found = (
            parity.compare(plain(ours), plain(theirs)) if version < "4.1" else parity.compare(ours, theirs)
        )
        if found.mismatches:
            wrong[name] = found.examples[:2]
        assert found.rows == len(case["rows"]) > 20
    assert wrong == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_supported_class_is_in_it(version: str) -> None:
    found = set()
    for name in cases(version)["cases"]:
        info = inspect(unpacked(version) / name)
        assert info.foreign == ()
        assert info.spark_version == cases(version)["spark"]
        found |= {info.java_class, *(stage.java_class for stage in info.stages)}
    missing = set(supported()) - found - NOT_IN_IT
    assert missing == (SINCE_4 if version.startswith("3.") else set())


@pytest.mark.parametrize("version", VERSIONS)
def test_every_model_is_described(version: str) -> None:
    document = cases(version)
    for name, case in document["cases"].items():
        schema, *_ = expected(document, case)
        found = scoring.describe(unpacked(version) / name, schema)
        assert found.native == (name not in REFUSED), name
        assert (found.saved_at or "").startswith("20"), name
        assert all(stage.size and stage.files for stage in found.stages)
