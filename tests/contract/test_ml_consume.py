"""Consuming web services: what code gets, what it gives, what it may do, and what becomes of it when it goes wrong."""

from __future__ import annotations

import base64
import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from contract_service import Service
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ml_published import Published
from ml_service import MlUser, first_user, other_user
from runner_fakes import eventually

from wmlclient.runner.engine import consuming
from wmlclient.runner.kernels import guard


@pytest.fixture(scope="module")
def published(serve: Callable[..., Service]) -> Published:
    service = serve(services=consuming.Settings(workers=2, seconds=5.0, wait=20.0))
    return Published(first_user(service))


def test_the_answer(published: Published) -> None:
    name = published("y = 2 * x", [("x", "numeric")], [("y", "numeric")])
    assert published.result(name, x=5) == {
        "success": True,
        "errorMessage": "",
        "consoleOutput": "",
        "changedFiles": [],
        "outputFiles": {},
        "outputParameters": {"y": 10.0},
    }


def test_a_service_without_inputs_and_outputs(published: Published) -> None:
    name = published("print('done')")
    assert published.result(name)["consoleOutput"] == "done\n"
    assert published.raw(name).json()["success"]


@pytest.mark.parametrize(
    ("kind", "value", "seen", "back"),
    [
        ("logical", True, "bool", True),
        ("integer", 3, "int", 3),
        ("integer", 3.0, "int", 3),
        ("numeric", 3, "float", 3.0),
        ("character", "ü", "str", "ü"),
        ("vector", [7, 3.2], "ndarray", [7.0, 3.2]),
        ("vector", ["a", "b"], "ndarray", ["a", "b"]),
        ("vector", [], "ndarray", []),
        ("matrix", [[1, 2, 3], [4, 5, 6]], "matrix", [[1, 2, 3], [4, 5, 6]]),
        ("data.frame", {"name": ["p", "q"], "a": [1, 2]}, "DataFrame", {"name": ["p", "q"], "a": [1, 2]}),
        ("numeric", None, "NoneType", None),
    ],
)
def test_values(published: Published, kind: str, value: Any, seen: str, back: Any) -> None:
    name = published("kind = type(x).__name__\ny = x", [("x", kind)], [("kind", "character"), ("y", kind)])
    assert published.outputs(name, x=value) == {"kind": seen, "y": back}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("logical", 1),
        ("integer", 3.5),
        ("integer", True),
        ("numeric", "3"),
        ("character", 3),
        ("vector", 3),
        ("matrix", [[1, 2], [3]]),
        ("matrix", [1, 2]),
        ("data.frame", [[1]]),
        ("data.frame", {"a": [1], "b": [1, 2]}),
    ],
)
def test_values_of_other_types(published: Published, kind: str, value: Any) -> None:
    name = published("pass", [("x", kind)])
    status, error, message = published.failure(name, x=value)
    assert (status, error) == (400, "InvalidInputException")
    assert message.startswith("The input `x` is ")


@pytest.fixture(scope="module")
def name(published: Published) -> str:
    """A service that gives back an integer."""
    return published("y = x", [("x", "integer")], [("y", "integer")])


class TestBadInput:
    def test_missing_and_unknown(self, published: Published, name: str) -> None:
        missing = "The input `x` is missing; it is of the type integer."
        assert published.failure(name) == (400, "InvalidInputException", missing)
        unknown = "The service has no input 'z'."
        assert published.failure(name, x=1, z=2) == (400, "InvalidInputException", unknown)

    @pytest.mark.parametrize("body", ["", "{", "[]", "7", "null", '{"x": NaN}', b"\xff"])
    def test_no_object(self, published: Published, name: str, body: Any) -> None:
        assert published.raw(name, data=body).status_code == 400

    def test_nothing_there(self, published: Published) -> None:
        status, error, message = published.failure("nothing")
        assert (status, error) == (404, "ServiceNotFoundException")
        assert message == "There is no web service 'nothing' with the version '1.0'."

    def test_needs_a_token(self, published: Published, name: str) -> None:
        url = f"{published.user.service.url}/api/{name}/1.0"
        answer = requests.post(url, json={"x": 1}, timeout=10)
        assert (answer.status_code, answer.json()["message"]) == (401, "missing access token")

    def test_readers_consume(self, published: Published, name: str) -> None:
        reader = other_user(published.user.service, "a reader", "reader")
        assert published.result(name, reader, x=4)["outputParameters"] == {"y": 4}


class TestFreshState:
    def test_of_the_workspace(self, published: Published) -> None:
        code = (
            "import math\nn = globals().get('n', 0) + 1\n"
            "m = math.__dict__.setdefault('m', []); m.append(n)\nm = len(m)"
        )
        name = published(code, [], [("n", "integer"), ("m", "integer")])
        assert [published.outputs(name) for _ in range(4)] == [{"n": 1, "m": 1}] * 4

    def test_of_the_files(self, published: Published) -> None:
        code = (
            "import os, tempfile\nfound = os.listdir('.') + os.listdir(tempfile.gettempdir())\n"
            "open('left', 'w').close(); tempfile.mkstemp()"
        )
        name = published(code, [], [("found", "vector")])
        assert [published.outputs(name) for _ in range(3)] == [{"found": []}] * 3

    def test_of_random_numbers(self, published: Published) -> None:
        code = "import random\nimport numpy as np\ny = [random.random(), np.random.random()]"
        name = published(code, [], [("y", "vector")])
        first, second = (published.outputs(name)["y"] for _ in range(2))
        assert first[0] != second[0]
        assert first[1] != second[1]

    def test_inputs_are_there_before_init_code_and_code_after_it(self, published: Published) -> None:
        name = published(
            "y = y + 1", [("x", "integer")], [("y", "integer")], initCode="y = x * 10\nprint('init')"
        )
        body = published.result(name, x=4)
        assert (body["outputParameters"], body["consoleOutput"]) == ({"y": 41}, "init\n")

    def test_processes_that_were_left_behind(self, published: Published) -> None:
        code = "import subprocess\npid = subprocess.Popen(['sleep', '1000'], start_new_session=where).pid"
        name = published(code, [("where", "logical")], [("pid", "integer")])
        service = published.user.service
        for where in (False, True):
            published.outputs(name, where=where)
            workers = service.engine.consumption.workers(service.engine.web_services.get(name, "1.0"))

            def sleeping(workers: Any = workers) -> bool:
                below = guard.descendants(workers._process.guard_pid)
                files = [Path(f"/proc/{pid}/cmdline") for pid in below]
                return any(b"sleep" in each.read_bytes() for each in files if each.exists())

            eventually(lambda: not sleeping())


class TestSnapshots:
    def test_objects_and_files(self, published: Published) -> None:
        user = published.user
        session = user.start()
        user.run(
            session,
            "import math\ndef double(v):\n    return factor * math.floor(v)\nfactor = 2\n"
            "class Model:\n    def predict(self, v):\n        return double(v) + 0.5\n"
            "model = Model()\nopen('rows.csv', 'w').write('1,2')",
        )
        snapshot = user.operation("CreateSnapshot", session, json={}).body["snapshotId"]
        user.operation("closeSession", session)
        name = published(
            "y = model.predict(x)\nrows = open('rows.csv').read()\nopen('rows.csv', 'w').write('changed')\nfactor = 3",
            [("x", "numeric")],
            [("y", "numeric"), ("rows", "character")],
            snapshotId=snapshot,
        )
        user.operation("DeleteSnapshot", snapshot)
        for _ in range(2):
            body = published.result(name, x=5.9)
            assert body["outputParameters"] == {"y": 10.5, "rows": "1,2"}, body
            assert body["changedFiles"] == ["rows.csv"]


class TestFiles:
    def test_are_base64_and_null_where_not_written(self, published: Published) -> None:
        name = published(
            "open('a.bin', 'wb').write(bytes([0, 255]))\nopen('other', 'w').close()",
            outputFileNames=["a.bin", "b.txt"],
        )
        body = published.result(name)
        assert body["outputFiles"] == {"a.bin": base64.b64encode(b"\x00\xff").decode(), "b.txt": None}
        assert body["changedFiles"] == ["a.bin", "other"]


class TestFailures:
    def test_of_the_code(self, published: Published) -> None:
        name = published(
            "print('so far')\nraise ValueError('no luck')", [], [("y", "numeric")], outputFileNames=["f"]
        )
        assert published.result(name) == {
            "success": False,
            "errorMessage": "ValueError: no luck",
            "consoleOutput": "so far\n  <code>, line 2, in <module>\n",
            "changedFiles": [],
            "outputFiles": {"f": None},
            "outputParameters": {},
        }

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            ("y = (", "SyntaxError: '(' was never closed (<code>, line 1)"),
            ("pass", "NameError: name 'y' is not defined"),
            ("y = object()", "`y` cannot be answered: object has no form in JSON."),
            ("raise SystemExit(3)", "SystemExit: 3"),
            ("import os; os._exit(0)", "The request was ended: its process exited with 0."),
            (
                "import os; os.kill(os.getpid(), 9)",
                "The request was ended: its process was killed by SIGKILL.",
            ),
            ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
            ("while True: pass", "The request was ended: it used more than 5 s of CPU."),
        ],
    )
    def test_ways_to_fail(self, published: Published, code: str, message: str) -> None:
        body = published.result(published(code, [], [("y", "numeric")]))
        assert (body["success"], body["outputParameters"]) == (False, {})
        late = "The request was ended: it took longer than 5 s."
        assert body["errorMessage"] in ((message, late) if "CPU" in message else (message,))

    def test_a_request_that_takes_too_long(self, published: Published) -> None:
        name = published("import time; time.sleep(1000)")
        assert published.result(name)["errorMessage"] == "The request was ended: it took longer than 5 s."
        assert published.outputs(published("y = 1", [], [("y", "integer")])) == {"y": 1}

    def test_what_is_no_answer(self, published: Published) -> None:
        code = (
            "import os, struct\nfor fd in range(3, 20):\n"
            "    try: os.write(fd, struct.pack('!Q', 2) + b'[]')\n    except OSError: pass\n"
        )
        assert (
            published.result(published(code))["errorMessage"]
            == "The request has failed: the answer is no result."
        )

    def test_a_process_that_was_killed_is_started_again(self, published: Published) -> None:
        name = published("y = 1", [], [("y", "integer")])
        assert published.outputs(name) == {"y": 1}
        service = published.user.service
        workers: Any = service.engine.consumption.workers(service.engine.web_services.get(name, "1.0"))
        os.kill(workers._process.pid, signal.SIGKILL)
        eventually(lambda: published.result(name)["success"])

    def test_too_much_memory(self, published: Published) -> None:
        body = published.result(published("x = bytearray(20 << 30)"))
        assert body["errorMessage"] == "MemoryError"


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("xyz"), inner),
        max_leaves=8,
    )
)
def test_any_body_has_an_answer(published: Published, name: str, body: Any) -> None:
    answer = published.raw(name, data=json.dumps(body))
    assert answer.status_code in (200, 400)
    if answer.status_code == 200 and answer.json()["success"]:
        assert answer.json()["outputParameters"] == {"y": body["x"]}
    elif answer.status_code == 200:  # a whole number that is written as 1e300
        assert "64 bits" in answer.json()["errorMessage"]


def test_many_at_once(published: Published) -> None:
    name = published("import time; time.sleep(0.01); y = x", [("x", "integer")], [("y", "integer")])
    found: list[Any] = []

    def ask(number: int) -> None:
        user = MlUser(published.user.service, published.user.name, published.user.password)
        user.token = published.user.token
        found.extend(Published(user).outputs(name, x=each) for each in range(number, number + 5))

    threads = [threading.Thread(target=ask, args=(10 * i,)) for i in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert sorted(each["y"] for each in found) == sorted(10 * i + k for i in range(8) for k in range(5))


def test_what_is_patched_is_what_runs(published: Published) -> None:
    name = published("y = 1", [], [("y", "integer")])
    assert published.outputs(name) == {"y": 1}
    published.user.operation("patchWebServiceVersion", name, "1.0", json={"code": "y = 2"})
    assert published.outputs(name) == {"y": 2}
    published.user.operation("deleteWebServiceVersion", name, "1.0")
    assert published.failure(name)[0] == 404


def test_sees_nothing_of_the_runner(published: Published) -> None:
    code = "import os\nseen = sorted(os.environ)\nfound = [os.path.exists(os.path.join(home, 'runner.db'))]"
    name = published(code, [("home", "character")], [("seen", "vector"), ("found", "vector")])
    home = str(published.user.service.engine.consumption._folder.parent)
    seen = published.outputs(name, home=home)
    assert not [each for each in seen["seen"] if "WMLCLIENT" in each or "SECRET" in each]
    workers: Any = published.user.service.engine.consumption.workers(
        published.user.service.engine.web_services.get(name, "1.0")
    )
    assert seen["found"] == [not workers._process.apart]
