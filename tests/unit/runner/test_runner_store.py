from __future__ import annotations

import errno
import io
import os
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
import saved_models
import sqlalchemy as sa
from attrs import evolve

from wmlclient.runner.engine.errors import Conflict, Invalid, NoRoom, NotFound
from wmlclient.runner.store import ArchiveStore, Deployment, Model, StorageFull, Store, Version
from wmlclient.runner.store.errors import Referenced, StoreError

MODEL = Model("m" * 36, {"name": "x", "framework": {"name": "mllib", "version": "4.2"}}, 1, 1)
VERSION = Version("v" * 36, MODEL.id, 1)
DIGEST = "sha256:" + "a" * 64


@pytest.fixture(autouse=True)
def unhurt_by_power_cuts() -> None:
    """Not here: this is about the disk."""


@pytest.fixture
def store(tmp_path: Path) -> Any:
    store = Store(tmp_path / "runner.db")
    yield store
    store.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_database_is_private_durable_and_checks_references(tmp_path: Path, store: Store) -> None:
    store.keep_setting("password", "s3cr3t")
    names = {path.name for path in tmp_path.iterdir()}
    assert "runner.db-wal" in names
    assert {mode(path) for path in tmp_path.iterdir()} == {0o600}
    with store.begin() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_home_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "a %20 ü?x=1#[y],z"
    folder.mkdir()
    Store(folder / "runner.db").keep_setting("a", "1")
    assert Store(folder / "runner.db").setting("a") == "1"
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_settings_are_kept_and_replaced(tmp_path: Path, store: Store) -> None:
    assert store.setting("a") is None
    store.keep_setting("a", "1")
    store.keep_setting("a", "2")
    store.close()
    assert Store(tmp_path / "runner.db").setting("a") == "2"


def test_a_model_without_content_is_there_and_not_listed(store: Store) -> None:
    store.models.add(MODEL, VERSION)
    assert store.models.get(MODEL.id) == MODEL
    assert store.models.latest_version(MODEL.id, with_content=False) == VERSION
    assert store.models.latest_version(MODEL.id, with_content=True) is None
    assert store.models.page(10).items == []
    assert store.models.set_content(VERSION.id, DIGEST, 7, {"state": "pending"}, 5)
    assert store.models.page(10).items == [evolve(MODEL, modified_at=5)]
    assert store.models.version(VERSION.id) == evolve(
        VERSION, digest=DIGEST, size=7, certificate={"state": "pending"}
    )
    assert store.digests() == {DIGEST}
    # A version never changes: the second content is refused.
    assert not store.models.set_content(VERSION.id, "sha256:" + "b" * 64, 7, {}, 6)


def test_pages_follow_each_other_and_do_not_slip(store: Store) -> None:
    ids = []
    for number in range(7):
        model = evolve(MODEL, id=f"{number:036d}")
        version = evolve(VERSION, id=f"9{number:035d}", model_id=model.id)
        store.models.add(model, version)
        store.models.set_content(version.id, DIGEST, 1, {}, 1)
        ids.append(model.id)
    seen: list[str] = []
    start = None
    while True:
        page = store.models.page(3, start)
        assert page.total == 7 - (1 if len(seen) > 3 else 0)
        seen += [model.id for model in page.items]
        if len(seen) == 3:
            start = page.next
            continue
        if page.next is None:
            break
        start = page.next
        if len(seen) == 6:
            store.models.delete(seen[0])  # what was seen already goes away: nothing is skipped
    assert seen == ids


def test_deployments_hold_their_model(store: Store) -> None:
    store.models.add(MODEL, VERSION)
    deployment = Deployment(
        "d" * 36, MODEL.id, VERSION.id, "stream", "n", None, "running", "RUNNING", 1, 1,
        body={"input": {"connection": {"password": "s3cr3t"}}}, spark_service={"tenant_secret": "s3cr3t"},
    )  # fmt: skip
    store.deployments.add(deployment)
    assert store.deployments.get(deployment.id) == deployment
    assert "s3cr3t" not in repr(deployment)
    with pytest.raises(Referenced):
        store.models.delete(MODEL.id)
    with pytest.raises(Referenced):
        store.deployments.add(evolve(deployment, id="e" * 36, model_id="gone"))
    store.deployments.update(deployment.id, desired="deleted")
    assert store.deployments.page(10).items == []
    assert len(store.deployments.all()) == 1
    assert store.deployments.counts() == {}
    store.deployments.delete(deployment.id)
    assert store.models.delete(MODEL.id)
    assert store.models.version(VERSION.id) is None


def test_a_failed_transaction_leaves_no_row(store: Store) -> None:
    with pytest.raises(Referenced):
        store.models.add(MODEL, evolve(VERSION, model_id="other"))
    assert store.models.get(MODEL.id) is None


def test_a_full_disk_in_the_database_has_its_own_error(store: Store) -> None:
    with store.begin() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(Exception, match="full"):
            connection.exec_driver_sql("CREATE TABLE filler (x TEXT)")
    big = evolve(MODEL, body={**MODEL.body, "description": "x" * 1_000_000})
    with pytest.raises(StorageFull):
        store.models.add(big, VERSION)
    assert store.models.get(MODEL.id) is None


def test_errors_of_the_database_show_no_values(store: Store) -> None:
    query = sa.text("SELECT missing FROM settings WHERE name = :name")
    with (
        store.begin() as connection,
        pytest.raises(sa.exc.OperationalError, match="no such column") as caught,
    ):
        connection.execute(query, {"name": "s3cr3t"})
    assert "s3cr3t" not in str(caught.value)


# -- archives


def test_an_archive_is_whole_or_not_there(tmp_path: Path) -> None:
    archives = ArchiveStore(tmp_path)
    pending = archives.receive()
    pending.write(b"half")
    digest = pending.digest
    assert not archives.path(digest).exists()
    # The process dies here; the next one cleans up.
    pending._file.close()
    after = ArchiveStore(tmp_path)
    assert [path for path in (tmp_path / "archives").rglob("*") if path.is_file()] == []
    again = after.receive()
    again.write(b"ha")
    again.write(b"lf")
    assert after.adopt(again) == digest
    assert after.path(digest).read_bytes() == b"half"
    assert mode(after.path(digest)) == 0o600


def test_the_same_bytes_are_one_archive(tmp_path: Path) -> None:
    archives = ArchiveStore(tmp_path)
    digests = set()
    for _ in range(2):
        pending = archives.receive()
        pending.write(b"same")
        digests.add(archives.adopt(pending))
        pending.discard()
    assert len(digests) == 1
    assert len([path for path in (tmp_path / "archives").rglob("*") if path.is_file()]) == 1


def test_archives_that_no_row_names_are_swept(tmp_path: Path) -> None:
    archives = ArchiveStore(tmp_path)
    digests = []
    for content in (b"kept", b"orphan"):
        pending = archives.receive()
        pending.write(content)
        digests.append(archives.adopt(pending))
        archives.unpack(digests[-1], archives.path(digests[-1]), lambda source, target: None)
    assert archives.sweep({digests[0]}) == [digests[1]]
    assert archives.path(digests[0]).exists()
    assert archives.folder(digests[0]).exists()
    assert not archives.path(digests[1]).exists()
    assert not archives.folder(digests[1]).exists()


def test_digests_are_no_paths(tmp_path: Path) -> None:
    archives = ArchiveStore(tmp_path)
    for wrong in ("../x", "sha256:../../x", "sha256:" + "A" * 64, "sha256:" + "a" * 63):
        with pytest.raises(StoreError):
            archives.path(wrong)
        with pytest.raises(StoreError):
            archives.folder(wrong)


def test_half_an_unpacked_model_is_never_used(tmp_path: Path) -> None:
    archives = ArchiveStore(tmp_path)

    def dies(source: Path, target: Path) -> None:
        (target / "one").write_text("1")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        archives.unpack(DIGEST, tmp_path, dies)
    assert not archives.folder(DIGEST).exists()
    assert list((tmp_path / "unpacked").iterdir()) == []
    (tmp_path / "unpacked" / "x.part").mkdir()
    ArchiveStore(tmp_path)
    assert list((tmp_path / "unpacked").iterdir()) == []


# -- publishing with a full disk, and crashes between the steps


@pytest.mark.parametrize("step", ["write", "fsync", "replace", "open", "row"])
def test_a_full_disk_while_publishing_leaves_nothing(
    world: Any, content: bytes, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    model, version = world.engine.models.create(saved_models.request())
    before = world.files()

    def full(*args: Any, **kwargs: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if step == "open":
            patch.setattr("wmlclient.runner.store.archives._private", full)
        elif step == "write":
            patch.setattr("wmlclient.runner.store.archives.open", _FullFile, raising=False)
        elif step == "row":
            patch.setattr(world.engine.store.models, "set_content", _raise(StorageFull("full")))
        else:
            patch.setattr(f"wmlclient.runner.store.archives.os.{step}", full)
        with pytest.raises((NoRoom, StorageFull)):
            world.put(model.id, version.id, content)
    assert world.files() == before == set()
    assert world.engine.models.page(10, None).items == []
    # With room again the same upload goes through.
    world.put(model.id, version.id, content)
    assert len(world.engine.models.page(10, None).items) == 1


class _FullFile(io.FileIO):
    """A file on a disk that is full after its first bytes."""

    def __init__(self, path: Path, mode: str, buffering: int, opener: Any) -> None:
        super().__init__(path, mode, opener=opener)

    def write(self, data: Any) -> int:
        if self.tell() >= 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(bytes(data)[:10])


def _raise(error: Exception) -> Any:
    def raises(*args: Any, **kwargs: Any) -> Any:
        raise error

    return raises


def test_a_crash_between_archive_and_row_shows_no_model(
    world: Any, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, version = world.engine.models.create(saved_models.request())

    class Killed(BaseException):
        pass

    # As kill -9 would: no clean-up runs, the archive is in its place, the row has not been written.
    monkeypatch.setattr(world.engine.store.models, "set_content", _raise(Killed()))
    monkeypatch.setattr(world.engine.contents, "forget", lambda digest: None)
    with pytest.raises(Killed):
        world.put(model.id, version.id, content)
    assert world.files() != set()
    monkeypatch.undo()
    engine = world.restart()
    assert engine.models.page(10, None).items == []
    assert world.files() == set()
    assert engine.models.get(model.id)[1].digest is None
    with pytest.raises(NotFound):
        engine.models.published(model.id)
    world.put(model.id, version.id, content)
    assert engine.models.published(model.id)[0].id == model.id


def test_the_same_content_again_is_fine_and_other_content_is_not(
    world: Any, content: bytes, tmp_path: Path
) -> None:
    model, version = world.engine.models.create(saved_models.request())
    world.put(model.id, version.id, content)
    world.put(model.id, version.id, content)
    other = saved_models.archive(saved_models.text_pipeline(tmp_path / "other", weight=0.5))
    with pytest.raises(Conflict) as caught:
        world.put(model.id, version.id, other)
    assert caught.value.code == "content_already_uploaded"
    assert len(world.engine.store.digests()) == 1
    assert sum(name.endswith(".tar.gz") for name in world.files()) == 1


def test_two_models_share_an_archive_until_both_are_gone(world: Any, content: bytes) -> None:
    first, second = world.upload(content), world.upload(content)
    archived = world.engine.contents.path(world.engine.store.models.version(first.id).digest)
    world.engine.delete_model(first.model_id)
    assert archived.exists()
    world.engine.delete_model(second.model_id)
    assert world.files() == set()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"not an archive", "not a gzip file"),
        (saved_models.hostile(), r"with '\.\.'"),
        (saved_models.hostile("/etc/evil"), "absolute"),
        (saved_models.hostile("metadata/part-0", link="/etc/passwd"), "link"),
    ],
    ids=["empty", "text", "parent", "absolute", "link"],
)
def test_what_is_no_model_is_refused(world: Any, content: bytes, reason: str) -> None:
    model, version = world.engine.models.create(saved_models.request())
    with pytest.raises(Invalid, match=reason) as caught:
        world.put(model.id, version.id, content)
    assert caught.value.code == "invalid_model_content"
    assert world.files() == set()
    assert world.engine.models.page(10, None).items == []


def test_a_truncated_archive_is_refused(world: Any, content: bytes) -> None:
    model, version = world.engine.models.create(saved_models.request())
    with pytest.raises(Invalid, match="truncated"):
        world.put(model.id, version.id, content[: len(content) // 2])
    assert world.files() == set()


def test_only_fitted_pipelines_of_sparks_own_classes_are_models(world: Any, tmp_path: Path) -> None:
    unfitted = saved_models.archive(saved_models.text_pipeline(tmp_path / "a", fitted=False))
    foreign = saved_models.archive(saved_models.text_pipeline(tmp_path / "b", last="com.evil.Runtime"))
    stage = saved_models.archive(
        saved_models.write_stage(tmp_path / "c", "org.apache.spark.ml.feature.Tokenizer", "T_1", {})
    )
    model, version = world.engine.models.create(saved_models.request())
    for content, reason in (
        (unfitted, "PipelineModel"),
        (foreign, r"'LogisticRegression_3'.*com\.evil\.Runtime.*--allow-foreign-classes"),
        (stage, "not a saved Spark ML pipeline"),
    ):
        with pytest.raises(Invalid, match=reason):
            world.put(model.id, version.id, content)
    assert world.files() == set()


def test_a_definition_takes_an_unfitted_pipeline(world: Any, content: bytes, tmp_path: Path) -> None:
    body = {"name": "p", "framework": {"name": "mllib", "version": "4.2"}}
    definition = world.engine.definitions.create(body)
    assert world.engine.definitions.page(10, None).items == []
    pending = world.engine.contents.receive()
    pending.write(content)
    with pytest.raises(Invalid, match="Pipeline"):
        world.engine.definitions.upload(definition.id, definition.version_id, pending)
    pending = world.engine.contents.receive()
    pending.write(saved_models.archive(saved_models.text_pipeline(tmp_path / "p", fitted=False)))
    world.engine.definitions.upload(definition.id, definition.version_id, pending)
    assert [found.id for found in world.engine.definitions.page(10, None).items] == [definition.id]
    world.engine.definitions.delete(definition.id)
    assert world.files() == set()


def test_rows_survive_without_a_clean_end(tmp_path: Path) -> None:
    store = Store(tmp_path / "runner.db")
    store.models.add(MODEL, VERSION)
    # As after kill -9: another connection opens the files as they are now.
    with sqlite3.connect(f"file:{tmp_path}/runner.db?mode=ro", uri=True) as connection:
        assert connection.execute("SELECT id FROM models").fetchall() == [(MODEL.id,)]
    connection.close()
    store.close()
