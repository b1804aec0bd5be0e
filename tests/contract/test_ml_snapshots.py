"""Snapshots: made, listed, loaded, downloaded, deleted; only their creator's."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from contract_service import USER
from ml_service import UNKNOWN, MlUser

NO_SNAPSHOT = (404, "SnapshotNotFoundException", "There is no such snapshot.")


class TestSnapshots:
    @pytest.fixture
    def snapshot(self, user: MlUser, own: str) -> str:
        user.run(
            own,
            "import math, os\nbase = 3\nshared = [1]\nboth = (shared, shared)\n"
            "def add(x):\n    return x + base\n"
            "os.mkdir('d')\nopen('d/deep.txt', 'w').write('deep')\nopen('a.txt', 'w').write('a')\n"
            "os.symlink('/etc/hostname', 'link')",
        )
        made = user.operation("CreateSnapshot", own, json={"name": "Iris Snapshot"})
        assert made.status == 201
        return str(made.body["snapshotId"])

    def test_list_and_download(self, user: MlUser, snapshot: str) -> None:
        (found,) = (each for each in user.operation("ListSnapshots").body if each["id"] == snapshot)
        content = user.operation("GetSnapshotContent", snapshot).body
        assert (found["name"], found["owner"], found["contentSize"]) == ("Iris Snapshot", USER, len(content))
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.testzip() is None
            names = archive.namelist()
            assert names == ["snapshot.json", "workspace.dill", "files/a.txt", "files/d/deep.txt"]
            assert json.loads(archive.read("snapshot.json"))["runtimeType"] == "Python"
            assert archive.read("files/d/deep.txt") == b"deep"

    def test_load_into_a_new_session(self, user: MlUser, snapshot: str) -> None:
        id = user.start(snapshotId=snapshot)
        assert user.operation("listWorkspaceObjects", id).body == [
            "add", "base", "both", "math", "os", "shared",
        ]  # fmt: skip
        assert user.value(id, "[add(1), both[0] is both[1] is shared, math.pi > 3, open('d/deep.txt').read()]") == [
            4, True, True, "deep",
        ]  # fmt: skip
        user.operation("closeSession", id)

    def test_load_merges_and_replaces(self, user: MlUser, own: str, snapshot: str) -> None:
        user.run(
            own, "base = 100\nmine = 1\nopen('a.txt', 'w').write('changed')\nopen('m.txt', 'w').write('m')"
        )
        assert user.operation("LoadSnapshot", own, snapshot).status == 200
        assert user.value(own, "[base, mine, add(1), open('a.txt').read(), open('m.txt').read()]") == [
            3, 1, 4, "a", "m",
        ]  # fmt: skip

    def test_load_of_none(self, user: MlUser, own: str) -> None:
        assert user.operation("LoadSnapshot", own).failure == NO_SNAPSHOT
        answer = user.operation("createSession", json={"runtimeType": "Python", "snapshotId": UNKNOWN})
        assert answer.failure == NO_SNAPSHOT

    def test_load_does_not_leave_the_working_directory(
        self, user: MlUser, own: str, snapshot: str, tmp_path: Path
    ) -> None:
        user.run(own, f"import shutil; shutil.rmtree('d'); os.symlink({str(tmp_path)!r}, 'd')")
        assert user.operation("LoadSnapshot", own, snapshot).failure[:2] == (400, "InvalidFileNameException")
        assert list(tmp_path.iterdir()) == []

    def test_load_needs_the_same_runtime(self, user: MlUser, snapshot: str) -> None:
        answer = user.operation("createSession", json={"runtimeType": "R", "snapshotId": snapshot})
        assert answer.failure == (
            400,
            "OtherRuntimeException",
            "The snapshot is of Python, and the session of R.",
        )

    def test_delete(self, user: MlUser, snapshot: str) -> None:
        assert user.operation("DeleteSnapshot", snapshot).status == 200
        assert snapshot not in [each["id"] for each in user.operation("ListSnapshots").body]
        for id in ("DeleteSnapshot", "GetSnapshotContent"):
            assert user.operation(id, snapshot).failure == NO_SNAPSHOT

    def test_only_its_creator_sees_it(self, user: MlUser, stranger: MlUser, snapshot: str) -> None:
        assert stranger.operation("ListSnapshots").body == []
        for id in ("GetSnapshotContent", "DeleteSnapshot"):
            assert stranger.operation(id, snapshot).failure == NO_SNAPSHOT
        session = stranger.start()
        assert stranger.operation("LoadSnapshot", session, snapshot).failure == NO_SNAPSHOT
        stranger.operation("closeSession", session)
        assert user.operation("GetSnapshotContent", snapshot).status == 200

    def test_a_name_is_made_up(self, user: MlUser, own: str) -> None:
        for body in ({}, {"name": None}):
            id = user.operation("CreateSnapshot", own, json=body).body["snapshotId"]
            (found,) = (each for each in user.operation("ListSnapshots").body if each["id"] == id)
            assert len(found["name"]) == 15
            assert user.operation("DeleteSnapshot", id).status == 200

    def test_what_cannot_be_saved_is_named(self, user: MlUser, own: str) -> None:
        user.run(own, "fine = 1\nunsavable = (i for i in ())")
        status, kind, message = user.operation("CreateSnapshot", own, json={}).failure
        assert (status, kind) == (400, "SessionRefusedException")
        assert message.startswith("`unsavable` (generator) cannot be saved")

    def test_malformed(self, user: MlUser, session: str) -> None:
        assert user.operation("CreateSnapshot", session, json={"name": 7}).status == 400
