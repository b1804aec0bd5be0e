"""What is done inside of a session: code, files, objects."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import dill
import pytest
from contract_service import PASSWORD, USER
from ml_service import MlUser
from runner_fakes import eventually


class TestExecute:
    def test_the_example_of_the_documents(self, user: MlUser, session: str) -> None:
        done = user.run(session, "result = [s * 2 for s in species_1]", ["result"], species_1=[7, 3.2])
        assert done == {
            "success": True,
            "errorMessage": "",
            "outputParameters": [{"name": "result", "value": [14, 6.4]}],
            "consoleOutput": "",
            "changedFiles": [],
        }

    def test_outputs_come_in_the_order_asked(self, user: MlUser, session: str) -> None:
        done = user.run(session, "a, b = 1, 2", ["b", "a"])
        assert [each["name"] for each in done["outputParameters"]] == ["b", "a"]

    def test_state_stays(self, user: MlUser, session: str) -> None:
        user.run(session, "kept = 20")
        assert user.value(session, "kept + 1") == 21

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            ("p", "NameError: name 'p' is not defined"),
            ("1 / 0", "ZeroDivisionError: division by zero"),
            ("raise SystemExit", "SystemExit"),
            ("input()", "StdinNotImplementedError"),
        ],
    )
    def test_code_that_fails(self, user: MlUser, session: str, code: str, message: str) -> None:
        done = user.run(session, f"print('before')\n{code}", ["kept"])
        assert done["success"] is False
        assert done["errorMessage"].startswith(message)
        assert (done["outputParameters"], done["consoleOutput"]) == ([], "before\n")
        assert user.value(session, "1 + 1") == 2

    def test_an_output_that_is_not_there(self, user: MlUser, session: str) -> None:
        done = user.run(session, "1", ["nowhere"])
        assert (done["success"], done["errorMessage"]) == (False, "NameError: name 'nowhere' is not defined")

    @pytest.mark.parametrize(
        ("code", "value"),
        [
            ("(1, True, None, 'ü\\U0001f600')", [1, True, None, "ü😀"]),
            ("{1: float('nan'), 'b': float('inf')}", {"1": None, "b": None}),
            ("'\\ud800'", "???"),
            ("__import__('numpy').array([[1.5, 2], [3, float('nan')]])", [[1.5, 2.0], [3.0, None]]),
            ("__import__('numpy').int64(7)", 7),
            (
                "__import__('pandas').DataFrame({'b': [1, 2], 'a': ['x', None]})",
                {"b": [1, 2], "a": ["x", None]},
            ),
            ("__import__('pandas').Series([1.0, 2.0])", [1.0, 2.0]),
            ("__import__('datetime').date(2017, 10, 5)", "2017-10-05"),
            ("2**64 - 1", 2**64 - 1),
        ],
    )
    def test_values(self, user: MlUser, session: str, code: str, value: Any) -> None:
        got = user.value(session, code)
        assert got == value if value != "???" else set(got) == {"\ufffd"}

    @pytest.mark.parametrize(
        ("code", "why"),
        [
            ("object()", "`value` cannot be answered: object has no form in JSON."),
            ("2**64", "`value` cannot be answered: an integer of it has more than 64 bits."),
            ("[]\nfor _ in range(100): value = [value]", "`value` cannot be answered: it is nested deeper"),
        ],
    )
    def test_values_without_json(self, user: MlUser, session: str, code: str, why: str) -> None:
        done = user.run(session, f"value = {code}", ["value"])
        assert done["success"] is False
        assert done["errorMessage"].startswith(why)

    def test_console(self, user: MlUser, session: str) -> None:
        code = "import subprocess, sys\nprint('out')\nprint('err', file=sys.stderr)\n2 + 3"
        done = user.run(session, code)
        assert sorted(done["consoleOutput"].split()) == ["5", "err", "out"]
        told = user.operation("getSessionConsoleOutput", session).body
        assert told == {"consoleOutput": done["consoleOutput"]}

    def test_changed_files(self, user: MlUser, own: str) -> None:
        done = user.run(own, "for n in ('a', 'b'): open(n, 'w').write(n)\nimport os; os.mkdir('d')")
        assert done["changedFiles"] == ["a", "b"]
        assert user.run(own, "open('b', 'w').write('more')")["changedFiles"] == ["b"]
        assert user.run(own, "open('b').read()")["changedFiles"] == []

    def test_history(self, user: MlUser, own: str) -> None:
        for code in ("a = 1", "a / 0"):
            user.run(own, code)
        assert user.operation("listSessionHistory", own).body == ["a = 1", "a / 0"]

    @pytest.mark.parametrize(
        "body",
        [
            {"inputParameters": [{"name": "not a name", "value": 1}]},
            {"inputParameters": [{"value": 1}]},
            {"outputParameters": ["__import__('os')"]},
        ],
    )
    def test_names_are_names(self, user: MlUser, session: str, body: dict[str, Any]) -> None:
        assert user.operation("executeCode", session, json=body).failure[:2] == (
            400,
            "InvalidObjectNameException",
        )

    def test_absent_members(self, user: MlUser, session: str) -> None:
        nothing = {"code": None, "inputParameters": None, "outputParameters": None}
        for body in ({}, nothing):
            assert user.operation("executeCode", session, json=body).body["success"] is True

    def test_malformed(self, user: MlUser, session: str) -> None:
        for body in ({"code": 7}, {"inputParameters": {}}, []):
            assert user.operation("executeCode", session, json=body).status == 400


class TestFiles:
    def test_up_list_down_delete(self, user: MlUser, own: str) -> None:
        content = bytes(range(256)) * 5000
        for data in (b"old", content):
            answer = user.operation("uploadSessionFile", own, files={"file": ("data ü.bin", data)})
            assert (answer.status, answer.response.content) == (201, b"")
        assert user.value(own, "len(open('data ü.bin', 'rb').read())") == len(content)
        assert user.operation("listSessionFiles", own).body == ["data ü.bin"]
        assert user.operation("getSessionFile", own, "data ü.bin").body == content
        assert user.operation("deleteSessionFile", own, "data ü.bin").status == 200
        assert user.operation("listSessionFiles", own).body == []
        assert user.operation("deleteSessionFile", own, "data ü.bin").failure == (
            404,
            "FileNotFoundException",
            "The session has no file 'data ü.bin'.",
        )

    @pytest.mark.parametrize(
        "more",
        [
            {"files": {"other": ("a", b"")}},
            {"files": {"file": (None, b"no filename")}},
            {"files": {"file": ("..", b"")}},
            {"files": {"file": ("a\\b", b"")}},
            {"data": b"no form"},
            {"data": b"x", "headers": {"Content-Type": "multipart/form-data"}},
            {"data": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        ],
    )
    def test_malformed(self, user: MlUser, own: str, more: dict[str, Any]) -> None:
        assert user.operation("uploadSessionFile", own, **more).status == 400
        assert user.operation("listSessionFiles", own).body == []

    def test_links_lead_nowhere(self, user: MlUser, own: str, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("secret")
        user.run(
            own, f"import os; os.symlink({str(secret)!r}, 'link'); os.mkdir('folder'); os.mkfifo('pipe')"
        )
        assert user.operation("listSessionFiles", own).body == []
        for name in ("link", "folder", "pipe", "none"):
            assert user.operation("getSessionFile", own, name).status == 404
            assert user.operation("deleteSessionFile", own, name).status == 404
        assert user.operation("uploadSessionFile", own, files={"file": ("link", b"new")}).status == 201
        assert secret.read_text() == "secret"
        assert user.operation("uploadSessionFile", own, files={"file": ("folder", b"")}).status == 400


class TestWorkspace:
    def test_up_list_down_delete(self, user: MlUser, own: str) -> None:
        value = {"a": [1, 2.5, None], "b": b"\x00"}
        headers = {"Content-Type": "application/octet-stream"}
        put = user.operation("setWorkspaceObject", own, "model", data=dill.dumps(value), headers=headers)
        assert put.status == 200
        assert user.value(own, "model['a']") == [1, 2.5, None]
        user.operation("deleteWorkspaceObject", own, "value")
        assert user.operation("listWorkspaceObjects", own).body == ["model"]
        assert dill.loads(user.operation("getWorkspaceObject", own, "model").body) == value
        assert user.operation("deleteWorkspaceObject", own, "model").status == 200
        assert user.operation("listWorkspaceObjects", own).body == []
        for id in ("getWorkspaceObject", "deleteWorkspaceObject"):
            assert user.operation(id, own, "model").failure == (
                404,
                "ObjectNotFoundException",
                "The workspace has no object 'model'.",
            )

    def test_what_is_no_object(self, user: MlUser, session: str) -> None:
        status, kind, message = user.operation("setWorkspaceObject", session, "x", data=b"rubbish").failure
        assert (status, kind) == (400, "SessionRefusedException")
        assert "dill.dumps" in message
        user.run(session, "unsavable = (i for i in ())")
        failure = user.operation("getWorkspaceObject", session, "unsavable").failure
        assert failure[0] == 400
        assert failure[2].startswith("`unsavable` (generator) cannot be saved")
        user.run(session, "del unsavable")

    @pytest.mark.parametrize("name", ["a b", "1a", "_hidden", "class", "a.b"])
    def test_names_are_names(self, user: MlUser, session: str, name: str) -> None:
        for id in ("setWorkspaceObject", "getWorkspaceObject", "deleteWorkspaceObject"):
            more = {"data": dill.dumps(1)} if id == "setWorkspaceObject" else {}
            assert user.operation(id, session, name, **more).failure[:2] == (
                400,
                "InvalidObjectNameException",
            )

    def test_objects_are_not_unpickled_by_the_service(self, user: MlUser, own: str) -> None:
        class Told:
            def __reduce__(self) -> Any:
                return os.getpid, ()

        assert user.operation("setWorkspaceObject", own, "pid", data=dill.dumps(Told())).status == 200
        assert user.value(own, "pid == __import__('os').getpid()") is True
        assert user.value(own, "pid") != os.getpid()


def test_cancel_interrupts_and_the_session_stays(user: MlUser, own: str) -> None:
    done: list[Any] = []
    code = "import time\nprint('on it', flush=True)\ntime.sleep(600)"
    thread = threading.Thread(target=lambda: done.append(MlUser(user.service, USER, PASSWORD).run(own, code)))
    thread.start()

    def printed() -> bool:
        return bool(user.operation("getSessionConsoleOutput", own).body["consoleOutput"] == "on it\n")

    eventually(printed)
    assert user.operation("closeSession", own).failure[:2] == (409, "SessionBusyException")
    assert user.operation("cancelSession", own).status == 200
    thread.join(60)
    (answer,) = done
    assert (answer["success"], answer["errorMessage"]) == (False, "KeyboardInterrupt")
    assert answer["consoleOutput"] == "on it\n"
    assert user.value(own, "1") == 1
    assert user.operation("cancelSession", own).body == "Nothing runs."


def test_a_full_disk_is_507(user: MlUser, own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("wmlclient.runner.engine.workfiles.shutil.copyfileobj", full)
    answer = user.operation("uploadSessionFile", own, files={"file": ("a.txt", b"x")})
    assert answer.failure[:2] == (507, "StorageFullException")
    monkeypatch.undo()
    assert user.operation("listSessionFiles", own).body == []
    assert [path.name for path in user.kernel(own).folder.glob("*.part")] == []
