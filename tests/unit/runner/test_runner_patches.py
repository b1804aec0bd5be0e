from __future__ import annotations

from typing import Any

import pytest

from wmlclient.runner.engine import patches
from wmlclient.runner.engine.errors import Invalid

CURRENT = {"name": "old", "description": None}


def op(path: str, value: Any = None, kind: str = "replace") -> dict[str, Any]:
    return {"op": kind, "path": path, "value": value}


def test_the_documented_patch_of_a_stream() -> None:
    assert patches.stream_status([op("/status", "STOPPED")]) == "STOPPED"
    assert patches.stream_status([op("/status", "RUNNING")]) == "RUNNING"


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ([], "patch_multiple_ops"),
        ([op("/status", "STOPPED"), op("/status", "RUNNING")], "patch_multiple_ops"),
        ([op("/status", "STOPPED", "add")], "patch_multiple_ops"),
        ([op("/status", "STOPPED", "test")], "patch_multiple_ops"),
        ([op("/name", "x")], "wrong_stream_patch_path"),
        ([op("/status/", "STOPPED")], "wrong_stream_patch_path"),
        ([op("", {})], "wrong_stream_patch_path"),
        ([op("/status", "PAUSED")], "invalid_request_payload"),
        ([op("/status", None)], "invalid_request_payload"),
        ([op("/status", ["STOPPED"])], "invalid_request_payload"),
        ([{"op": "replace", "path": "/status"}], "invalid_request_payload"),
        ([op("status", "STOPPED")], "deserialization_error"),
        ([{"op": "explode", "path": "/status"}], "deserialization_error"),
        ([{"path": "/status", "value": "STOPPED"}], "deserialization_error"),
        ([{"op": "replace", "value": "STOPPED"}], "deserialization_error"),
        ([{"op": "replace", "path": 7, "value": "STOPPED"}], "deserialization_error"),
        (["x"], "deserialization_error"),
        ([None], "deserialization_error"),
        ({}, "deserialization_error"),
        ("x", "deserialization_error"),
    ],
)
def test_other_patches_of_a_stream_are_refused_by_code(operations: Any, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        patches.stream_status(operations)
    assert caught.value.code == code


def test_the_refused_path_is_named_as_documented() -> None:
    with pytest.raises(
        Invalid, match=r"^Path `/input` is not allowed\. Only allowed path for patch stream is `/status`$"
    ):
        patches.stream_status([op("/input", {})])


def test_an_online_deployment_takes_name_and_description() -> None:
    assert patches.online_changes([op("/name", "new")], CURRENT) == {"name": "new", "description": None}
    both = [op("/name", "new"), op("/description", "d")]
    assert patches.online_changes(both, CURRENT) == {"name": "new", "description": "d"}
    assert CURRENT["name"] == "old"


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ([], "patch_multiple_ops"),
        ([op("/name", "a"), op("/name", "b")], "patch_multiple_ops"),
        ([op("/name", "a"), op("/description", "b"), op("/status", "c")], "patch_multiple_ops"),
        ([op("/name", None, "remove")], "patch_multiple_ops"),
        ([op("/status", "STOPPED")], "patch_not_supported"),
        ([op("/name/0", "x")], "patch_not_supported"),
        ([op("/name", "")], "invalid_request_payload"),
        ([op("/name", 7)], "invalid_request_payload"),
        ([op("/description", ["x"])], "invalid_request_payload"),
        ([{"op": "replace", "path": "/name"}], "deserialization_error"),
        ("x", "deserialization_error"),
    ],
)
def test_other_patches_of_an_online_deployment_are_refused_by_code(operations: Any, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        patches.online_changes(operations, CURRENT)
    assert caught.value.code == code
