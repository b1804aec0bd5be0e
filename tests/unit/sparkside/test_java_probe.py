"""Finding Java and pyspark: what is there, and one clear line where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from wmlclient.runner import java as java_module
from wmlclient.runner.java import JavaNotFound, PysparkMissing, find_java, find_pyspark


def make_java(
    home: Path, version: str, *, release: bool = True, modules: str = "java.base jdk.incubator.vector"
) -> Path:
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    program.chmod(0o755)
    if release:
        (home / "release").write_text(f'IMPLEMENTOR="X"\nJAVA_VERSION="{version}"\nMODULES="{modules}"\n')
    return home


def test_java_home_comes_first(tmp_path: Path) -> None:
    home, other = make_java(tmp_path / "a", "21.0.2"), make_java(tmp_path / "b", "17.0.9")
    found = find_java({"JAVA_HOME": str(home), "PATH": str(other / "bin")})
    assert (found.version, found.home, found.full_version) == (21, home, "21.0.2")


def test_an_old_java_home_is_passed_over(tmp_path: Path) -> None:
    old, good = make_java(tmp_path / "a", "1.8.0_392"), make_java(tmp_path / "b", "17.0.9")
    assert find_java({"JAVA_HOME": str(old), "PATH": str(good / "bin")}).version == 17


def test_without_a_release_file_java_is_asked(tmp_path: Path) -> None:
    home = make_java(tmp_path / "a", "17.0.9", release=False)
    assert find_java({"JAVA_HOME": str(home), "PATH": ""}).full_version == "17.0.9"


def test_a_jre_without_the_vector_module_runs_kafka_but_not_spark(tmp_path: Path) -> None:
    home = make_java(tmp_path / "a", "17.0.9", modules="java.base")
    env = {"JAVA_HOME": str(home), "PATH": ""}
    assert find_java(env, for_spark=False).version == 17
    with pytest.raises(JavaNotFound, match="lacks the module jdk.incubator.vector"):
        find_java(env)


def test_none_at_all_says_where_was_looked_and_what_to_do(tmp_path: Path) -> None:
    old = make_java(tmp_path / "a", "11.0.2")
    with pytest.raises(JavaNotFound) as caught:
        find_java({"JAVA_HOME": str(old), "PATH": str(tmp_path)})
    assert caught.value.code == "java_not_found"
    text = str(caught.value)
    assert f"JAVA_HOME={old}: Java 11.0.2, too old" in text
    assert "PATH: no java there" in text
    assert "JAVA_HOME to its folder" in text
    assert "\n" not in text


def test_an_empty_environment_finds_nothing() -> None:
    with pytest.raises(JavaNotFound):
        find_java({})


def test_a_broken_java_is_no_java(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(JavaNotFound, match="does not run"):
        find_java({"JAVA_HOME": str(tmp_path), "PATH": ""})


def test_missing_pyspark_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PysparkMissing, match=r"pip install 'wmlclient\[local\]'"):
        find_pyspark()
