"""Models that are made to harm: metadata that two readers take for two things, Parquet that unpacks without end."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from scoring_models import (
    FEATURE,
    VECTOR,
    indexer,
    sparse,
    text_model,
    tokenizer,
    write_pipeline,
    write_stage,
)

from wmlclient import scoring
from wmlclient.scoring import ArchiveError, footer, tables
from wmlclient.scoring.metadata import inspect, read_metadata


class Fired:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.mark,)


def test_pickles_and_programs_in_a_model_are_not_even_read(tmp_path: Path) -> None:
    folder = text_model(tmp_path / "m")
    mark = tmp_path / "fired"
    for place in (".", "stages", "stages/1_Tokenizer_1", "stages/3_IDFModel_3/data"):
        for name in ("model.pkl", "_SUCCESS.pickle", "setup.py", "sitecustomize.py"):
            (folder / place / name).write_bytes(pickle.dumps(Fired(str(mark))))
    scoring.load(folder).score([{"text": "what a day"}])
    scoring.describe(folder)
    assert not mark.exists()
    pickle.loads((folder / "model.pkl").read_bytes())
    assert mark.exists(), "the pickle is one"


@pytest.mark.parametrize("name", ["evil.txt", "PART-00000", "a", "part-00000.d/x"])
def test_another_file_beside_the_metadata(tmp_path: Path, name: str) -> None:
    """Spark reads the first line of whatever is there."""
    folder = write_pipeline(tmp_path / "m", [tokenizer()]) / "stages" / "0_Tokenizer_0"
    path = folder / "metadata" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"class": "com.example.Evil"}')
    with pytest.raises(ArchiveError, match="tampered"):
        inspect(tmp_path / "m")
    with pytest.raises(ArchiveError, match="tampered"):
        scoring.load(tmp_path / "m")


def test_two_parts_of_metadata(tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path / "m", [tokenizer()]) / "stages" / "0_Tokenizer_0" / "metadata"
    (folder / "part-00001").write_text("")  # an empty partition, as Spark may leave one
    (folder / "_SUCCESS").touch()
    (folder / ".part-00000.crc").write_bytes(b"crc\0")
    assert inspect(tmp_path / "m").foreign == ()
    (folder / "part-00001").write_text('{"class": "com.example.Evil"}')
    with pytest.raises(ArchiveError, match="2 files where Spark writes one"):
        inspect(tmp_path / "m")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"class": "org.apache.spark.ml.feature.Tokenizer", "class": "com.example.Evil"%s}', "a key twice"),
        ('{"class": "a"%s, "paramMap": {"x": 1, "x": 2}}', "a key twice"),
        ('{"class": "a"%s, "paramMap": {"x": 9223372036854775808}}', "beyond 64 bits"),
        ('{"class": "a"%s, "paramMap": {"x": -9223372036854775809}}', "beyond 64 bits"),
        ('{"class": "a"%s, "paramMap": {"x": ' + "9" * 10_000 + "}}", "beyond 64 bits"),
        ('{"class": "a"%s, "paramMap": {"x": ' + "[" * 100_000 + "]" * 100_000 + "}}", "not JSON"),
        ('{"class": "a"%s, "paramMap": ' + '{"x":' * 100_000 + "1" + "}" * 100_001, "not JSON"),
    ],
    ids=["class", "param", "2^63", "-2^63-1", "digits", "arrays", "objects"],
)
def test_json_that_is_not_what_it_seems(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "metadata").mkdir()
    part = tmp_path / "metadata" / "part-00000"
    part.write_text(text.replace("%s", ', "uid": "u", "sparkVersion": "4.2.0"'))
    with pytest.raises(ArchiveError, match=says):
        read_metadata(tmp_path)
    part.write_text(
        '{"class": "a", "uid": "u", "sparkVersion": "4.2.0", "paramMap": {"x": 9223372036854775807}}'
    )
    assert (read_metadata(tmp_path) or {})["paramMap"] == {"x": (1 << 63) - 1}


# -- Parquet ----------------------------------------------------------------------------------------------------------


def with_table(folder: Path, table: pa.Table, **how: Any) -> Path:
    """A StringIndexerModel whose data is this table."""
    write_pipeline(folder, [indexer(["a", "b"], "in", "out")])
    path = next(folder.glob("stages/*/data/*.parquet"))
    parquet.write_table(table, path, **how)
    assert path.stat().st_size < 1 << 20, "a bomb is small"
    return folder


def refused(folder: Path, says: str) -> None:
    before = pa.total_allocated_bytes()
    with pytest.raises(ArchiveError, match=f"larger than a model can be: {says}"):
        scoring.load(folder)
    assert pa.total_allocated_bytes() - before < 64 << 20
    found = scoring.describe(folder)
    assert says.split()[0] in (found.stages[0].reason or "")


def test_a_long_string_that_comes_often(tmp_path: Path) -> None:
    words = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), pa.array(["x" * 100_000]))
    refused(with_table(tmp_path / "m", pa.table({"labels": words})), "its strings unpack to 2000000000 bytes")


def test_a_long_string_in_nested_arrays(tmp_path: Path) -> None:
    words = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), pa.array(["x" * 100_000]))
    inner = pa.ListArray.from_arrays(pa.array([0, 20_000], pa.int32()), words)
    outer = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), inner)
    refused(with_table(tmp_path / "m", pa.table({"labelsArray": outer})), "its strings")


def test_more_values_than_its_bytes_can_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ANY_VALUES", 1 << 16)
    folder = with_table(tmp_path / "m", pa.table({"x": pa.array([0.0] * 1_000_000)}))
    refused(folder, "it holds 1000000 values")


def test_a_page_that_unpacks_to_a_multiple_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ANY_BYTES", 1 << 20)
    table = pa.table({"labels": pa.array(["x" * (5 << 20)])})
    folder = with_table(tmp_path / "m", table, compression="zstd", use_dictionary=False)
    refused(folder, "it unpacks to")


def test_a_page_that_says_more_than_the_footer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page claims is what is allocated for it, whatever the footer says."""
    monkeypatch.setattr(tables, "ANY_BYTES", 1 << 20)
    table = pa.table({"labels": pa.array(["x" * (5 << 20)])})
    folder = with_table(tmp_path / "m", table, compression="zstd", use_dictionary=False)
    path = next(folder.glob("stages/*/data/*.parquet"))
    honest = path.read_bytes()
    size = footer.read_footer(path).unpacked
    written = parquet.ParquetFile(path).metadata.row_group(0).column(0).total_uncompressed_size
    assert size == pytest.approx(written, abs=100)
    at = honest.rindex(varint(2 * written))  # zigzag, in the footer
    path.write_bytes(
        honest[:at] + varint(2 * 100, len(varint(2 * written))) + honest[at + len(varint(2 * written)) :]
    )
    assert footer.read_footer(path).unpacked == size
    refused(folder, "it unpacks to")


def varint(number: int, width: int = 0) -> bytes:
    """As Thrift writes it; wider than it has to be, if asked."""
    out = bytearray()
    while number > 127 or len(out) + 1 < width:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


FLIPS = """
import sys
from pathlib import Path
from wmlclient import scoring
folder = Path(sys.argv[1])
path = next(folder.glob("stages/*/data/*.parquet"))
good = path.read_bytes()
failed = 0
for at in range(len(good)):
    for flip in (0x01, 0x80, 0xFF):
        damaged = bytearray(good)
        damaged[at] ^= flip
        path.write_bytes(bytes(damaged))
        try:
            scoring.load(folder)
        except (scoring.ArchiveError, scoring.UnsupportedModel):
            failed += 1
print(failed)
"""


def test_no_damaged_byte_of_a_parquet_file_ends_the_process(tmp_path: Path) -> None:
    """In a process of its own: pyarrow aborts on some footers, if it is let near them."""
    folder = write_pipeline(tmp_path / "m", [indexer(["a", "b"], "in", "out")])
    done = subprocess.run(
        [sys.executable, "-c", FLIPS, str(folder)], capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 500


def test_a_sparse_vector_of_a_size_that_no_file_pays_for(tmp_path: Path) -> None:
    table = pa.table({"idf": pa.array([sparse((1 << 31) - 1, [], [])], VECTOR)})
    folder = write_pipeline(
        tmp_path / "m", [(FEATURE + "IDFModel", {"inputCol": "a", "outputCol": "b"}, table)]
    )
    with pytest.raises(ArchiveError, match="a vector of the size 2147483647"):
        scoring.load(folder)


def test_a_name_that_only_looks_like_sparks(tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path / "m", [tokenizer()])
    for number, name in enumerate(
        (
            "org.apache.spark.ml.Evil",
            "org.apache.spark.ml.feature.Tokenizer$",
            "pyspark.ml.connect.pipeline.X",
        )
    ):
        write_stage(folder / f"x{number}", name, f"E_{number}", {})
    assert len(inspect(folder).foreign) == 3


def test_an_older_model_among_the_data_is_no_stage(tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path / "m", [tokenizer()])
    older = folder / "stages" / "0_Tokenizer_0" / "data" / "metadata"
    older.mkdir(parents=True)
    about = {"class": "org.apache.spark.mllib.clustering.BisectingKMeansModel", "version": "3.0"}
    (older / "part-00000").write_text(json.dumps(about))
    assert [stage.uid for stage in inspect(folder).stages] == ["Tokenizer_0"]
    (older / "part-00000").write_text(json.dumps(about | {"class": "org.apache.spark.mllib.Evil"}))
    with pytest.raises(ArchiveError, match="no 'uid'"):
        inspect(folder)
