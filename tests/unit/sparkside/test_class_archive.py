"""Spark's classes, kept: where, what the JVM is told of them, and what is said where they cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from wmlclient.cli import doctor, main
from wmlclient.runner.java import Java, Pyspark
from wmlclient.runner.spark import class_archive
from wmlclient.runner.spark.class_archive import NotArchived
from wmlclient.runner.spark.settings import DriverFolder, spark_settings

JAVA, SPARK = Java(Path("/j/bin/java"), Path("/j"), 17, "17.0.15"), Pyspark("4.2.0", Path("/p"))
WORK = """
import pathlib, sys
{first}
pathlib.Path(sys.argv[2]).write_text("{made}")
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WMLCLIENT_CACHE", str(tmp_path / 'a "cache"'))
    monkeypatch.setattr(class_archive, "find_java", lambda: JAVA)
    monkeypatch.setattr(class_archive, "find_pyspark", lambda: SPARK)
    return tmp_path / 'a "cache"' / "classes"


def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str = "", made: str = "classes") -> None:
    """Stands in for the run of Spark."""
    (tmp_path / "some_work.py").write_text(WORK.format(first=first, made=made))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(class_archive, "_WORK", "some_work")


def test_each_java_and_each_spark_has_its_own(cache: Path) -> None:
    cache.mkdir(parents=True)
    pairs = [
        (java, spark)
        for java in (JAVA, Java(Path("/j/bin/java"), Path("/j"), 17, "17.0.16"))
        for spark in (SPARK, Pyspark("4.2.0", Path("/q")), Pyspark("4.0.1", Path("/p")))
    ]
    for number, pair in enumerate(pairs):
        name = class_archive._name(*pair)
        (cache / f"{name}-{number}.jsa").write_text("x" * number)
    found = [class_archive.kept(*pair) for pair in pairs]
    assert [file and file.stat().st_size for file in found] == [0, 1, 2, 3, 4, 5]


def test_it_is_made_whole_and_the_jvm_is_told_of_it(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(tmp_path, monkeypatch)
    assert class_archive.java_options(JAVA, SPARK) == []
    class_archive.make()
    work(tmp_path, monkeypatch, "", "more classes")
    file = class_archive.make()
    assert file == class_archive.kept(JAVA, SPARK)
    assert [path.name for path in cache.iterdir()] == [file.name]
    assert file.read_text() == "more classes"
    option, *_ = class_archive.java_options(JAVA, SPARK)
    assert option == f"-XX:SharedArchiveFile={file}"
    folder = DriverFolder.of(tmp_path, "local[2]")
    told = spark_settings(folder, "local[2]", [], "1g", None, [option])["spark.driver.extraJavaOptions"]
    escaped = option.replace('"', '\\"')
    assert told.startswith('"-Dlog4j2.configurationFile=file:')
    assert told.endswith(f' "{escaped}"')


def test_one_that_has_lost_its_end_is_none(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(tmp_path, monkeypatch)
    file = class_archive.make()
    file.write_text("class")
    assert class_archive.kept(JAVA, SPARK) is None
    assert class_archive.java_options(JAVA, SPARK) == []
    assert class_archive.make() == file
    assert file.read_text() == "classes"


@pytest.mark.parametrize("first", ["raise SystemExit('no room')", "raise SystemExit(0)"])
def test_a_run_that_fails_leaves_what_was_there(
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    first: str,
) -> None:
    work(tmp_path, monkeypatch)
    file = class_archive.make()
    work(tmp_path, monkeypatch, first)
    with pytest.raises(NotArchived, match="Spark starts without them") as caught:
        class_archive.make()
    assert caught.value.code == "classes_not_archived"
    assert ("no room" in caplog.text) == ("room" in first)
    assert [path.name for path in cache.iterdir()] == [file.name]
    assert file.read_text() == "classes"


def test_a_run_that_takes_too_long_is_given_up(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(tmp_path, monkeypatch, "import time; time.sleep(60)")
    monkeypatch.setattr(class_archive, "MAKE_SECONDS", 0.2)
    with pytest.raises(NotArchived, match="not done after"):
        class_archive.make()
    assert list(cache.iterdir()) == []


def test_a_folder_that_cannot_be(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.parent.write_text("a file")
    with pytest.raises(NotArchived, match="Set WMLCLIENT_CACHE"):
        class_archive.make()
    assert class_archive.java_options(JAVA, SPARK) == []


def test_doctor_keeps_them_when_asked(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wmlclient.runner import java

    monkeypatch.setattr(java, "find_java", lambda: JAVA)
    monkeypatch.setattr(java, "find_pyspark", lambda: SPARK)
    monkeypatch.setattr(doctor, "_jar_sets", lambda: iter(()))
    work(tmp_path, monkeypatch, "raise SystemExit('no room')")

    def found(*arguments: str) -> tuple[bool | None, str]:
        answer = CliRunner().invoke(main, ["--output", "json", "doctor", *arguments])
        [finding] = [each for each in json.loads(answer.stdout) if each["what"] == "Spark's classes"]
        return finding["ok"], finding["text"]

    assert found() == (
        None,
        "not kept; with wmlclient doctor --fetch they are, and Spark starts in 0.6 of the time",
    )
    ok, text = found("--fetch")
    assert ok is None
    assert text.startswith("The run of Spark whose classes were to be kept ended with 1;")
    work(tmp_path, monkeypatch)
    made = found("--fetch")
    assert made == found() == (True, f"in {class_archive.kept(JAVA, SPARK)}")
