"""Archives from anywhere: what is safe is unpacked, everything else is refused and leaves nothing behind."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scoring_models import text_model, tokenizer, write_pipeline, write_stage

from wmlclient.scoring import ArchiveError, Limits
from wmlclient.scoring.archive import safe_parts, unpack
from wmlclient.scoring.metadata import find_root, inspect

Member = tuple[tarfile.TarInfo, bytes]


def member(
    name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = len(data) if kind == tarfile.REGTYPE else 0
    return info, data if kind == tarfile.REGTYPE else b""


def packed(*members: Member, form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=form) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def refused(archive: bytes, tmp_path: Path, says: str, limits: Limits | None = None) -> None:
    """The archive is refused with that text, and nothing exists anywhere that was not there before."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ArchiveError, match=says):
        unpack(io.BytesIO(archive), tmp_path / "target", limits)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_tar_writes_is_unpacked(tmp_path: Path, form: int) -> None:
    files = {"a/b.txt": b"1" * 5000, "empty": b"", "d/" * 8 + "deep": b"2" * 512, "a/" + "n" * 99: b"3"}
    if form != tarfile.USTAR_FORMAT:
        files["l" * 120 + "/" + "m" * 200] = b"4"
        files["naïve/名"] = b"5"
    archive = packed(member("a", b"", tarfile.DIRTYPE), *(member(n, d) for n, d in files.items()), form=form)
    unpack(io.BytesIO(archive), tmp_path / "target")
    found = {
        str(p.relative_to(tmp_path / "target")): p.read_bytes()
        for p in (tmp_path / "target").rglob("*")
        if p.is_file()
    }
    assert found == files


def test_a_path_and_a_folder_of_contents(tmp_path: Path) -> None:
    text_model(tmp_path / "model")
    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "model", arcname=".")
    unpack(tmp_path / "m.tar.gz", tmp_path / "out")
    assert inspect(tmp_path / "out") == inspect(tmp_path / "model")


def test_modes_and_owners_of_the_archive_are_ignored(tmp_path: Path) -> None:
    info, data = member("run.sh", b"#!/bin/sh")
    info.mode = 0o6777
    unpack(io.BytesIO(packed((info, data))), tmp_path / "target")
    assert stat.S_IMODE((tmp_path / "target" / "run.sh").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../evil", r"'\.\.'"),
        ("a/../../evil", r"'\.\.'"),
        ("a/..", r"'\.\.'"),
        ("/etc/evil", "absolute"),
        ("//etc/evil", "absolute"),
        ("C:/evil", "Windows"),
        ("a\\..\\evil", "Windows"),
        ("a\nb", "control"),
        ("x/" * 40 + "y", "deeper"),
        ("n" * 256, "too long"),
    ],
)
def test_names_that_leave_the_target(tmp_path: Path, name: str, says: str) -> None:
    refused(packed(member("good"), member(name)), tmp_path, says)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "character device"),
        (tarfile.BLKTYPE, "block device"),
        (tarfile.FIFOTYPE, "named pipe"),
    ],
)
def test_what_is_no_file(tmp_path: Path, kind: bytes, says: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = packed(member("good"), member("x", b"", kind, str(outside)), member("x/evil"))
    refused(archive, tmp_path, says)


def test_sparse_files_of_both_kinds(tmp_path: Path) -> None:
    info, data = member("x")
    info.type = b"S"
    refused(packed((info, data), form=tarfile.GNU_FORMAT), tmp_path, "sparse file")
    info, data = member("x")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    refused(packed((info, data)), tmp_path, "sparse file")


def test_a_name_that_comes_twice(tmp_path: Path) -> None:
    refused(packed(member("a"), member("a")), tmp_path, "twice")
    refused(packed(member("a"), member("a/b")), tmp_path, "twice")
    refused(packed(member("a/b"), member("a")), tmp_path, "twice")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a/Model", "a/model"),
        ("Stages/x", "stages/y"),
        ("caf\u00e9", "cafe\u0301"),
        ("stra\u00dfe", "STRASSE"),
        ("\u212a", "k"),
    ],
    ids=["case", "folder", "form", "sharp-s", "kelvin"],
)
def test_names_that_are_one_on_another_file_system(tmp_path: Path, one: str, other: str) -> None:
    refused(packed(member(one), member(other)), tmp_path, "differ only in case or in form")


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    archive = packed(member("a", os.urandom(3000)), member("b", b"x" * 700))
    for length in {1, 5, 10, 11, 200, len(archive) // 2, len(archive) - 9, len(archive) - 1}:
        refused(archive[:length], tmp_path, "truncated|not a gzip")


def test_a_tar_that_ends_in_a_file(tmp_path: Path) -> None:
    inner = gzip.decompress(packed(member("a", b"x" * 3000)))
    refused(gzip.compress(inner[:1500]), tmp_path, "truncated")
    refused(gzip.compress(inner[:100]), tmp_path, "truncated")


def test_damage_and_other_formats(tmp_path: Path) -> None:
    archive = bytearray(packed(member("a", os.urandom(5000))))
    archive[len(archive) // 2] ^= 0xFF
    refused(bytes(archive), tmp_path, "damaged")
    refused(b"PK\x03\x04 a zip file", tmp_path, "not a gzip file")
    refused(b"", tmp_path, "empty|not a gzip|truncated")
    refused(gzip.compress(b"no tar file" * 100), tmp_path, "checksum")
    refused(gzip.compress(b""), tmp_path, "empty")
    wrong = bytearray(gzip.compress(gzip.decompress(packed(member("a")))))
    wrong[-8] ^= 1  # the checksum at the end of the gzip stream
    refused(bytes(wrong), tmp_path, "damaged")


def test_a_bomb_of_one_file(tmp_path: Path) -> None:
    info = tarfile.TarInfo("zeros")
    info.size = 64 << 20
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar, open("/dev/zero", "rb") as zeros:
        tar.addfile(info, zeros)
    refused(buffer.getvalue(), tmp_path, "200 times its size")
    refused(buffer.getvalue(), tmp_path, "more than 1000 bytes", Limits(total=1000))


def test_a_bomb_of_many_members(tmp_path: Path) -> None:
    archive = packed(*(member(f"f{number}", b"") for number in range(120)))
    refused(archive, tmp_path, "more than 100 members", Limits(count=100))


def test_a_header_that_claims_a_huge_size(tmp_path: Path) -> None:
    block = bytearray(gzip.decompress(packed(member("a", b"x"), form=tarfile.GNU_FORMAT)))
    block[124:136] = b"\x80" + (1 << 60).to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block[:512]):06o}\0 ".encode()
    refused(gzip.compress(bytes(block)), tmp_path, "bytes")


def test_an_extended_header_of_megabytes(tmp_path: Path) -> None:
    info, data = member("a")
    info.pax_headers = {"comment": "x" * 100_000}
    refused(packed((info, data)), tmp_path, "extended header")


def test_a_target_that_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        unpack(io.BytesIO(packed(member("a"))), tmp_path)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_is_no_archive_error(tmp_path: Path) -> None:
    class Full(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        unpack(Full(), tmp_path / "target")
    assert not isinstance(caught.value, ArchiveError)
    assert not (tmp_path / "target").exists()


NAMES = st.text(st.sampled_from("ab./\\:\0\n~é"), min_size=1, max_size=12)
KINDS = st.sampled_from(
    [tarfile.REGTYPE] * 6 + [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(NAMES, KINDS, st.binary(max_size=20)), max_size=5))
def test_nothing_is_ever_written_outside(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, bytes, bytes]]
) -> None:
    home = tmp_path_factory.mktemp("fuzz")
    archive = packed(*(member(name, data, kind, "../../outside") for name, kind, data in entries))
    target = home / "a" / "target"
    target.mkdir(parents=True)
    try:
        unpack(io.BytesIO(archive), target)
    except ArchiveError:
        assert not list(target.iterdir())
    assert [p for p in home.rglob("*") if target not in p.parents] == [home / "a", target]
    assert not [p for p in target.rglob("*") if p.is_symlink() or not (p.is_file() or p.is_dir())]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2048))
def test_any_bytes_are_refused_or_unpacked(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    target = tmp_path_factory.mktemp("junk") / "target"
    for archive in (junk, gzip.compress(junk), gzip.compress(struct.pack("100s", junk[:100]) + junk)):
        with pytest.raises(ArchiveError):
            unpack(io.BytesIO(archive), target)
        assert not target.exists()


def test_safe_parts_keeps_what_is_harmless() -> None:
    assert safe_parts("./a//b/./c") == ("a", "b", "c")
    assert safe_parts("..a/b..") == ("..a", "b..")


# -- what is inside ---------------------------------------------------------------------------------------------------


def test_inspect_names_every_stage(tmp_path: Path) -> None:
    info = inspect(text_model(tmp_path / "model"))
    assert (info.kind, info.uid, info.spark_version) == ("PipelineModel", "PipelineModel_0", "4.2.0")
    names = ["StringIndexerModel", "Tokenizer", "HashingTF", "IDFModel", "LogisticRegressionModel"]
    assert [stage.java_class.rpartition(".")[2] for stage in info.stages] == names
    assert info.foreign == ()


def test_inspect_finds_foreign_classes_at_any_depth(tmp_path: Path) -> None:
    write_pipeline(tmp_path / "model", [tokenizer()])
    write_stage(
        tmp_path / "model" / "stages" / "0_Tokenizer_0" / "bestModel", "com.example.Evil", "Evil_1", {}
    )
    assert [stage.java_class for stage in inspect(tmp_path / "model").foreign] == ["com.example.Evil"]


def test_inspect_of_an_unfitted_pipeline(tmp_path: Path) -> None:
    write_stage(tmp_path / "p", "org.apache.spark.ml.Pipeline", "Pipeline_1", {"stageUids": []})
    assert inspect(tmp_path / "p").kind == "Pipeline"


def test_the_model_may_be_in_a_folder_of_the_archive(tmp_path: Path) -> None:
    write_pipeline(tmp_path / "x" / "y" / "model", [tokenizer()])
    assert find_root(tmp_path / "x") == tmp_path / "x" / "y" / "model"
    (tmp_path / "x" / "other").mkdir()
    with pytest.raises(ArchiveError, match="not a saved Spark ML pipeline"):
        find_root(tmp_path / "x")


def test_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="not a saved Spark ML pipeline"):
        inspect(tmp_path)
    write_stage(tmp_path / "stage", tokenizer()[0], "Tokenizer_1", {})
    with pytest.raises(ArchiveError, match="it holds a Tokenizer"):
        inspect(tmp_path / "stage")
    write_stage(tmp_path / "gone", "org.apache.spark.ml.PipelineModel", "P", {"stageUids": ["a_1"]})
    with pytest.raises(ArchiveError, match="'a_1' has no folder"):
        inspect(tmp_path / "gone")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"uid": "a", "sparkVersion": "4.2.0"}', "no 'class'"),
        ('{"class": 1, "uid": "a", "sparkVersion": "4.2.0"}', "no 'class'"),
        ('{"class": "a", "uid": "a", "sparkVersion": "4.2.0", "paramMap": []}', "paramMap"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_damaged_metadata(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "part-00000").write_text(text)
    with pytest.raises(ArchiveError, match=says):
        inspect(tmp_path)
