"""JSON Patch on deployments: which operations the v3 API lets through, and with which code it refuses the rest."""

from __future__ import annotations

import re
from typing import Any, Literal

import jsonpatch

from .errors import Invalid, field_error

Status = Literal["RUNNING", "STOPPED"]

_ONLINE_PATHS = ("/name", "/description")
_VERSION_PATH = "/deployed_version/url"
_VERSION_URL = re.compile(r".*/models/([A-Za-z0-9-]{1,64})/versions/([A-Za-z0-9-]{1,64})/?")


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


def names_version(operations: Any) -> bool:
    """Whether a patch is to move something to another version."""
    return any(operation["path"] == _VERSION_PATH for operation in parse(operations))


def model_version(operations: Any, model_id: str) -> str:
    """The version that a patch of a model, or of a deployment of it, moves to.

    Args:
        operations: The patch.
        model_id: The model.

    Raises:
        Invalid: ``patch_multiple_ops``, ``patch_model_path_not_allowed``, ``invalid_request_payload``.
    """
    parsed = parse(operations)
    if len(parsed) != 1 or parsed[0]["op"] != "replace":
        raise Invalid("patch_multiple_ops", "Patch operation expects exactly one replace operation.")
    path, value = str(parsed[0]["path"]), parsed[0].get("value")
    if path != _VERSION_PATH:
        raise Invalid(
            "patch_model_path_not_allowed",
            f"Path `{path[:100]}` is not allowed. Only allowed path for patch model is `{_VERSION_PATH}`",
        )
    match = _VERSION_URL.fullmatch(value) if isinstance(value, str) else None
    if match is None or match.group(1) != model_id:
        raise field_error("value", f"`{_VERSION_PATH}` is the address of a version of this model.")
    return match.group(2)


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
            "Patch operation expects exactly one replace operation. Or two: one of `/name`, one of `/description`.",
        )
    if any(path not in _ONLINE_PATHS for path in paths):
        raise Invalid(
            "patch_not_supported",
            "Patch operation is not allowed for instance of type `online`; `/name`, `/description` and "
            "`/deployed_version/url` can be replaced.",
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
