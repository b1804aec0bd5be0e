"""The jars: pinned, fetched once, whole or not at all. Ivy is played by a shell script."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from wmlclient.runner import jars
from wmlclient.runner.jars import Jar, JarsUnavailable
from wmlclient.runner.java import Java, Pyspark

CONTENT = b"a jar\n"
PINNED = (Jar("org.a", "one", "1.0", hashlib.sha256(CONTENT).hexdigest()),)

# Finds the retrieve pattern among its arguments, makes the jar there, and notes that it ran.
IVY = """#!/bin/sh
echo run >> {log}
{body}
while [ $# -gt 0 ]; do
  if [ "$1" = "-retrieve" ]; then dir=$(dirname "$2"); mkdir -p "$dir"; printf '{content}' > "$dir/one-1.0.jar"; fi
  shift
done
echo '[SUCCESSFUL ] org.a#one;1.0!one.jar (5ms)'
"""


class Ivy:
    """Stands in for the Java that runs Ivy."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "runs"
        self.play()

    def play(self, body: str = "", content: str = r"a jar\n") -> None:
        program = self.folder / "java"
        program.write_text(IVY.format(log=self.log, body=body, content=content))
        program.chmod(0o755)

    @property
    def runs(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0


@pytest.fixture
def ivy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ivy:
    (tmp_path / "pyspark" / "jars").mkdir(parents=True)
    (tmp_path / "pyspark" / "jars" / "ivy-2.5.3.jar").touch()
    played = Ivy(tmp_path)
    monkeypatch.setattr(jars, "lock", lambda: {"set": PINNED, "connector-4.2": PINNED})
    monkeypatch.setattr(jars, "find_pyspark", lambda: Pyspark("4.2.0", tmp_path / "pyspark"))
    monkeypatch.setattr(jars, "find_java", lambda **_: Java(tmp_path / "java", tmp_path, 17, "17"))
    monkeypatch.setenv("WMLCLIENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("WMLCLIENT_IVY_SETTINGS", raising=False)
    return played


def test_fetched_once_then_local(ivy: Ivy) -> None:
    assert not jars.is_cached("set")
    [path] = jars.jar_set("set")
    assert path.read_bytes() == CONTENT
    assert path.parent.parent == jars.cache_dir() / "jars"
    assert jars.jar_set("set") == [path]
    assert jars.is_cached("set")
    assert ivy.runs == 1


def test_nothing_but_the_set_is_left(ivy: Ivy) -> None:
    jars.jar_set("set")
    left = {path.name for path in (jars.cache_dir() / "jars").iterdir() if not path.name.endswith(".lock")}
    assert left == {jars.set_dir("set").name}


def test_many_at_once_fetch_once(ivy: Ivy) -> None:
    ivy.play(body="sleep 0.3")
    threads = [threading.Thread(target=jars.jar_set, args=("set",)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ivy.runs == 1
    assert jars.is_cached("set")


def test_another_file_than_the_pinned_one_is_refused(ivy: Ivy) -> None:
    ivy.play(content="something else")
    with pytest.raises(JarsUnavailable, match=r"one-1.0.jar is not the pinned jar: sha256 is") as caught:
        jars.jar_set("set")
    assert caught.value.code == "jars_changed"
    assert not jars.is_cached("set")


def test_a_cached_jar_that_was_changed_is_refused(ivy: Ivy) -> None:
    [path] = jars.jar_set("set")
    path.write_bytes(b"evil")
    with pytest.raises(JarsUnavailable, match="Delete"):
        jars.jar_set("set")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("java.net.UnknownHostException: some.host", "the Maven repository cannot be reached"),
        ("Server access Error: Connection timed out", "the Maven repository cannot be reached"),
        ("module not found: org.a#one;1.0", "not found: one-1.0.jar"),
    ],
)
def test_offline_says_what_to_do(ivy: Ivy, line: str, reason: str) -> None:
    ivy.play(body=f"echo '{line}'; exit 1")
    with pytest.raises(JarsUnavailable) as caught:
        jars.jar_set("set")
    text = str(caught.value)
    assert caught.value.code == "jars_not_fetched"
    assert reason in text
    assert "wmlclient doctor --fetch" in text
    assert "WMLCLIENT_CACHE" in text
    assert "some.host" not in text
    # The next try is a real one.
    ivy.play()
    assert jars.jar_set("set")


def test_a_cache_that_cannot_be_written(ivy: Ivy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("WMLCLIENT_CACHE", str(tmp_path / "file"))
    with pytest.raises(JarsUnavailable, match="WMLCLIENT_CACHE"):
        jars.jar_set("set")


def test_a_mirror_of_ones_own(ivy: Ivy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WMLCLIENT_IVY_SETTINGS", str(tmp_path / "mine.xml"))
    ivy.play(body=f'echo "$@" > {tmp_path}/arguments')
    jars.jar_set("set")
    assert f"-settings {tmp_path}/mine.xml" in (tmp_path / "arguments").read_text()


def test_no_connector_for_a_version_names_those_there_are(ivy: Ivy) -> None:
    assert jars.connector_jars("4.2.1")
    with pytest.raises(JarsUnavailable, match=r"no Kafka connector for pyspark 4.9.0; there is for 4.2"):
        jars.connector_jars("4.9.0")


def test_the_lock_file_holds_what_must_match() -> None:
    sets = jars.lock()
    for minor in ("4.0", "4.1", "4.2"):
        by_name = {jar.name: jar for jar in sets[f"connector-{minor}"]}
        assert by_name["spark-sql-kafka-0-10_2.13"].rev.startswith(f"{minor}.")
        assert by_name["kafka-clients"].rev == "3.9.2"
        assert len(by_name) == 4
    broker = {jar.name: jar.rev for jar in sets["broker"]}
    assert broker["kafka_2.13"] == broker["kafka-server"] == broker["kafka-clients"] == "4.1.1"
    for name, pinned in sets.items():
        assert len({jar.file for jar in pinned}) == len(pinned), name
        assert all(len(jar.sha256) == 64 for jar in pinned)


def test_the_settings_name_no_host() -> None:
    assert "://" not in jars._SETTINGS + jars._MODULE
