"""JSON Patch on deployments: which operations the v3 API lets through, and with which code it refuses the rest."""

from __future__ import annotations

from typing import Any, Literal

import jsonpatch

from .errors import Invalid, field_error

Status = Literal["RUNNING", "STOPPED"]

_ONLINE_PATHS = ("/name", "/description")


def parse(operations: Any) -> list[dict[str, Any]]:
    """The operations of a patch, in form.

    Raises:
        Invalid: ``deserialization_error`` where it is not a JSON Patch.
    """
    if not isinstance(operations, list):
        raise Invalid("deserialization_error", "Incorrect input: (a JSON Patch is an array of operations)")
    try:
        jsonpatch.JsonPatch(operations)
    except (
        jsonpatch.JsonPatchException,
        jsonpatch.JsonPointerException,
        TypeError,
        AttributeError,
        KeyError,
    ):
        raise Invalid("deserialization_error", "Incorrect input: (not a JSON Patch)") from None
    return operations


def stream_status(operations: Any) -> Status:
    """The status that a patch of a stream asks for.

    Raises:
        Invalid: ``patch_multiple_ops``, ``wrong_stream_patch_path``, ``invalid_request_payload``.
    """
    parsed = parse(operations)
    if len(parsed) != 1 or parsed[0]["op"] != "replace":
        raise Invalid("patch_multiple_ops", "Patch operation expects exactly one replace operation.")
    path, value = parsed[0]["path"], parsed[0].get("value")
    if path != "/status":
        raise Invalid(
            "wrong_stream_patch_path",
            f"Path `{str(path)[:100]}` is not allowed. Only allowed path for patch stream is `/status`",
        )
    if value not in ("RUNNING", "STOPPED"):
        raise field_error(
            "value", "The given payload is corrupted: a stream's `/status` is RUNNING or STOPPED."
        )
    status: Status = value
    return status


def online_changes(operations: Any, current: dict[str, Any]) -> dict[str, Any]:
    """What a patch of an online deployment changes: its name, its description, or both.

    Args:
        operations: The patch.
        current: ``{"name": ..., "description": ...}``.

    Returns:
        The same two members, patched.

    Raises:
        Invalid: ``patch_multiple_ops``, ``patch_not_supported``, ``invalid_request_payload``.
    """
    parsed = parse(operations)
    paths = [operation["path"] for operation in parsed]
    replaces = all(operation["op"] == "replace" for operation in parsed)
    if not parsed or not replaces or len(set(paths)) != len(paths) or len(parsed) > len(_ONLINE_PATHS):
        raise Invalid(
            "patch_multiple_ops",
            "Patch operation expects exactly one replace operation (or two: one of `/name`, one of `/description`).",
        )
    if any(path not in _ONLINE_PATHS for path in paths):
        raise Invalid(
            "patch_not_supported",
            "Patch operation is not allowed for instance of type `online` but on `/name` and `/description`.",
        )
    try:
        changed: dict[str, Any] = jsonpatch.apply_patch(current, parsed)
    except jsonpatch.JsonPatchException:
        raise Invalid("deserialization_error", "Incorrect input: (not a JSON Patch)") from None
    if not isinstance(changed["name"], str) or not changed["name"].strip():
        raise field_error("value", "`/name` is a text that is not empty.")
    if changed["description"] is not None and not isinstance(changed["description"], str):
        raise field_error("value", "`/description` is a text or null.")
    return changed
