"""Web services that say that they are stateless: what a process keeps between requests, and when it is replaced."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from contract_service import Service
from ml_published import Published
from ml_service import first_user

from wmlclient.runner.engine import consuming

PID = "import os\npid = os.getpid()\n"


@pytest.fixture(scope="module")
def published(serve: Callable[..., Service]) -> Published:
    return Published(first_user(serve(services=consuming.Settings(workers=1, seconds=5.0, wait=20.0))))


def stateless(published: Published, code: str, outputs: list[tuple[str, str]], **more: Any) -> str:
    inputs = more.pop("inputs", [])
    return published(code, inputs, outputs, stateless=True, **more)


def test_one_process_runs_many_requests(published: Published) -> None:
    name = stateless(
        published, PID + "y = 2 * x", [("pid", "integer"), ("y", "numeric")], inputs=[("x", "numeric")]
    )
    answers = [published.outputs(name, x=x) for x in range(5)]
    assert [each["y"] for each in answers] == [0, 2, 4, 6, 8]
    assert len({each["pid"] for each in answers}) == 1


def test_without_it_each_request_has_its_own(published: Published) -> None:
    for more in ({}, {"stateless": False}, {"stateless": None}):
        name = published(PID, [], [("pid", "integer")], **more)
        assert len({published.outputs(name)["pid"] for _ in range(3)}) == 3


def test_names_of_a_request_are_gone_and_those_of_init_code_stay(published: Published) -> None:
    name = stateless(
        published,
        "n = globals().get('n', 0) + 1\nkept.append(n)\nmany, init = len(kept), started\nstarted = 'changed'",
        [("n", "integer"), ("many", "integer"), ("init", "character")],
        initCode="kept, started = [], 'once'\nprint('not in any answer')",
    )
    assert [published.outputs(name) for _ in range(3)] == [
        {"n": 1, "many": many, "init": "once"} for many in (1, 2, 3)
    ]
    assert published.result(name)["consoleOutput"] == ""


def test_inputs_and_printed_lines_of_another_request_are_gone(published: Published) -> None:
    name = stateless(published, "print(x)\ny = x", [("y", "character")], inputs=[("x", "character")])
    first, second = published.result(name, x="secret"), published.result(name, x=None)
    assert (first["consoleOutput"], second["consoleOutput"]) == ("secret\n", "None\n")
    assert second["outputParameters"] == {"y": None}


@pytest.mark.parametrize(
    "left",
    [
        "open('left', 'w').close()",
        "os.mkdir('left')",
        "import tempfile; tempfile.mkstemp()",
        "os.chdir('..')",
        "os.environ['LEFT'] = '1'",
        "import subprocess; subprocess.Popen(['sleep', '1000'], start_new_session=True)",
        "import threading, time; threading.Thread(target=time.sleep, args=(100,), daemon=True).start()",
        "os.rmdir(os.environ['TMPDIR'])",
    ],
)
def test_what_leaves_something_is_replaced(published: Published, left: str) -> None:
    code = PID + "found = os.listdir('.')\nif not x:\n    " + left
    name = stateless(published, code, [("pid", "integer"), ("found", "vector")], inputs=[("x", "logical")])
    calm, leaving, after, again = (published.outputs(name, x=x) for x in (True, False, True, True))
    assert calm["pid"] == leaving["pid"]
    assert after["pid"] != leaving["pid"]
    assert after == again == {"pid": after["pid"], "found": []}


def test_code_that_fails_and_code_that_ends_its_process(published: Published) -> None:
    name = stateless(
        published,
        PID + "if x == 1: 1 / 0\nif x == 2: os._exit(3)\n",
        [("pid", "integer")],
        inputs=[("x", "integer")],
    )
    first = published.outputs(name, x=0)
    failed = published.result(name, x=1)
    assert (failed["success"], failed["errorMessage"]) == (False, "ZeroDivisionError: division by zero")
    assert published.outputs(name, x=0) == first
    ended = published.result(name, x=2)
    assert (ended["success"], "ended" in ended["errorMessage"]) == (False, True)
    assert published.outputs(name, x=0) != first


def test_init_code_that_fails_says_so_in_each_answer(published: Published) -> None:
    name = stateless(published, "y = 1", [("y", "integer")], initCode="y = missing")
    for _ in range(2):
        assert published.result(name)["errorMessage"] == "NameError: name 'missing' is not defined"


def test_each_request_has_the_whole_time_for_itself(published: Published) -> None:
    code = PID + (
        "import resource, time\n"
        "left = resource.getrlimit(resource.RLIMIT_CPU)[0] - time.process_time()\n"
        "until = time.process_time() + 1.2\n"
        "while time.process_time() < until: pass"
    )
    name = stateless(published, code, [("pid", "integer"), ("left", "numeric")])
    answers = [published.outputs(name) for _ in range(3)]
    assert len({each["pid"] for each in answers}) == 1
    assert all(4 <= each["left"] <= 5 for each in answers)


def test_those_who_wait_get_the_process_one_after_another(published: Published) -> None:
    name = stateless(
        published,
        PID + "import time\ntime.sleep(0.05)\ny = x",
        [("pid", "integer"), ("y", "integer")],
        inputs=[("x", "integer")],
    )
    published.outputs(name, x=0)
    answers: dict[int, Any] = {}
    threads = [
        threading.Thread(target=lambda x=x: answers.__setitem__(x, published.outputs(name, x=x)))
        for x in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {x: each["y"] for x, each in answers.items()} == {x: x for x in range(8)}
    assert len({each["pid"] for each in answers.values()}) == 1


def test_it_is_shown_where_it_was_said_and_can_be_taken_back(published: Published) -> None:
    user = published.user
    plain, kept = published("y = 1"), stateless(published, PID, [("pid", "integer")])
    assert "stateless" not in user.operation("getWebServiceVersion", plain, "1.0").body[0]
    assert user.operation("getWebServiceVersion", kept, "1.0").body[0]["stateless"] is True
    user.operation("patchWebServiceVersion", kept, "1.0", json={"stateless": False})
    assert len({published.outputs(kept)["pid"] for _ in range(3)}) == 3
