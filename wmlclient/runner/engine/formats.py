"""The formats of a stream's records: read from a request's body, checked against the model's columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from .errors import field_error, missing
from .texts import is_address

_TYPES = ("json", "text", "csv", "avro", "json_schema")
_WITH_REGISTRY = ("avro", "json_schema")


@frozen
class StreamFormats:
    """What a stream reads and writes; None for JSON with all that came in.

    Attributes:
        source: As ``RecordFormat`` in the contract, with every default filled in. A registry's password may be in it.
        target: Likewise.
    """

    source: dict[str, Any] | None = field(default=None, repr=False)
    target: dict[str, Any] | None = field(default=None, repr=False)


def stream_formats(body: Mapping[str, Any], schema: Mapping[str, Any] | None) -> StreamFormats:
    """The formats that a stream request names.

    Args:
        body: The request.
        schema: The JSON of the model's input, where it is known.

    Raises:
        Invalid: ``invalid_request_payload``, naming the member.
    """
    source = _format(body, "input", "source")
    target = _format(body, "output", "target")
    kinds = {each["name"]: each["type"] for each in (schema or {}).get("fields", ())}
    if source is not None:
        if source.get("output"):
            raise field_error("input.source.format.output", "`output` is of a target, not of a source.")
        if source["type"] == "text":
            source["column"] = _text_column(source.get("column"), kinds)
        unknown = [name for name in source.get("columns") or () if kinds and name not in kinds]
        if len(set(source.get("columns") or ())) != len(source.get("columns") or ()):
            raise field_error("input.source.format.columns", "`columns` names a column twice.")
        if unknown and len(unknown) == len(source["columns"]):
            raise field_error("input.source.format.columns", "None of these `columns` is one of the model's.")
    if target is not None and target["type"] == "text":
        raise field_error(
            "output.target.format.type",
            "A scored record has more than one column: write json, csv, avro or json_schema.",
        )
    return StreamFormats(source, target)


def _format(body: Mapping[str, Any], side: str, end: str) -> dict[str, Any] | None:
    place = (body.get(side) or {}).get(end) or {}
    given = place.get("format")
    if given is None:
        return None
    where = f"{side}.{end}.format"
    if not isinstance(given, Mapping):
        raise field_error(where, f"`{where}` is an object.")
    found = {name: value for name, value in given.items() if value is not None}
    kind = found.setdefault("type", "json")
    if kind not in _TYPES:
        raise field_error(f"{where}.type", f"`{where}.type` is one of {', '.join(_TYPES)}.")
    if found.get("output", "full") not in ("full", "scores"):
        raise field_error(f"{where}.output", f"`{where}.output` is full or scores.")
    delimiter = found.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise field_error(f"{where}.delimiter", f"`{where}.delimiter` is one character, and no quote.")
    if kind in _WITH_REGISTRY:
        _check_registry(found.get("registry"), f"{where}.registry")
    elif "registry" in found:
        raise field_error(f"{where}.registry", "A registry is for the types avro and json_schema.")
    if kind == "json" and found.get("output", "full") == "full":
        return None
    return found


def _check_registry(given: Any, where: str) -> None:
    if not isinstance(given, Mapping):
        raise missing(where)
    if not is_address(given.get("url")):
        raise field_error(
            f"{where}.url", f"`{where}.url` is an address, http or https, without a login in it."
        )


def _text_column(named: Any, kinds: Mapping[str, Any]) -> str:
    where = "input.source.format.column"
    texts = [name for name, kind in kinds.items() if kind == "string"]
    if named is None and len(texts) == 1:
        return texts[0]
    if named not in texts:
        raise field_error(
            where, f"`{where}` names a column of type string: one of {', '.join(texts) or 'none'}."
        )
    return str(named)
