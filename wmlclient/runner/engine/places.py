"""The source and the target of a batch: read from a request's body, and held to what the server allows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from attrs import frozen

from .errors import Forbidden, Invalid, NotSupported, field_error, missing
from .sql_places import is_table, table_place
from .texts import is_address, is_text

Format = Literal["csv", "json", "parquet", "delta"]

_FORMATS: dict[str, Format] = {
    "csv": "csv",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
    "parquet": "parquet",
    "delta": "delta",
}
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


@frozen
class BatchPlaces:
    """Where a batch reads, writes, and puts the rows that it cannot score; JSON-ready, secrets included."""

    source: dict[str, Any]
    target: dict[str, Any]
    bad_rows: dict[str, Any]


@frozen
class Folders:
    """The folders of this machine whose files batches may use.

    Attributes:
        allowed: The folders; none, and batches use object storage alone.
        denied: A folder inside them that batches may not use: the runner's own.
    """

    allowed: tuple[Path, ...] = ()
    denied: Path | None = None

    def check(self, name: str, where: str) -> str:
        """The path of a file, links followed.

        Raises:
            Invalid: It is not absolute.
            Forbidden: ``path_not_allowed``.
        """
        path = Path(name)
        if not path.is_absolute():
            raise field_error(where, f"`{where}` is not an absolute path: {name[:200]!r}.")
        try:
            real = path.resolve()
        except (OSError, RuntimeError):
            raise field_error(where, f"`{where}` is no path: {name[:200]!r}.") from None
        inside = any(real.is_relative_to(folder.resolve()) for folder in self.allowed)
        if not inside or (self.denied is not None and real.is_relative_to(self.denied.resolve())):
            raise Forbidden(
                "path_not_allowed",
                f"`{where}`: {name[:200]!r} is in no folder that this service may use for batches. Use another, or "
                "have the server started with --data-folder.",
                {"type": "field", "name": where},
            )
        return str(real)


def batch_places(body: Mapping[str, Any], folders: Folders) -> BatchPlaces:
    """The places that a batch request names.

    Args:
        body: The request: ``input.source``, ``input.connection``, ``output.target``, ``output.connection``.
        folders: What the server allows.

    Raises:
        Invalid: ``invalid_request_payload``, naming the member.
        NotSupported: A storage that there is not.
        Forbidden: ``path_not_allowed``.
    """
    source = _place(body, "input", "source", folders)
    target = _place(body, "output", "target", folders)
    mode = body["output"]["target"].get("writemode", "write")
    if mode != "write":
        raise field_error("output.target.writemode", f"`writemode` is `write`, not {str(mode)[:80]!r}.")
    if target["kind"] == "table":
        bad_rows = {**target, "table": f"{target['table']}_bad_rows"}
    else:
        name = "path" if target["kind"] == "file" else "key"
        bad_rows = {**target, name: f"{target[name]}.bad-rows.jsonl", "format": "json"}
    if _same(source, target) or _same(source, bad_rows):
        raise field_error("output.target.filename", "The batch would write over its own source.")
    return BatchPlaces(source, target, bad_rows)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    where = ("kind", "path", "bucket", "key", "database", "table")
    if any(one.get(key) != other.get(key) for key in where):
        return False
    # Objects of one name in two storages are two; so are tables in two databases.
    places = [
        {k: each.get("connection", {}).get(k) for k in ("url", "host", "port", "db")} for each in (one, other)
    ]
    return places[0] == places[1]


def _place(body: Mapping[str, Any], side: str, end: str, folders: Folders) -> dict[str, Any]:
    part = body.get(side)
    if not isinstance(part, Mapping):
        raise missing(side)
    place = part.get(end)
    if not isinstance(place, Mapping):
        raise missing(f"{side}.{end}")
    where = f"{side}.{end}"
    if is_table(place):
        return table_place(part, side, end, folders.check)
    kind = str(place.get("type") or ("cloudobjectstorage" if part.get("connection") else "file"))
    name = place.get("filename")
    if not is_text(name):
        raise missing(f"{where}.filename")
    found: dict[str, Any] = {
        "format": _format(place, name, where),
        "header": _flag(place.get("firstlineheader", True), f"{where}.firstlineheader"),
    }
    if kind == "file":
        return {"kind": "file", "path": folders.check(name, f"{where}.filename"), **found}
    if kind not in ("cloudobjectstorage", "bluemixobjectstorage", "s3"):
        raise field_error(f"{where}.type", f"A batch reads and writes files and tables, not {kind[:80]!r}.")
    bucket = place.get("bucket") or place.get("container")
    if not isinstance(bucket, str) or not _BUCKET.fullmatch(bucket):
        raise missing(f"{where}.bucket")
    connection = _connection(part.get("connection"), f"{side}.connection")
    return {"kind": "s3", "bucket": bucket, "key": name.lstrip("/"), "connection": connection, **found}


def _connection(given: Any, where: str) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise missing(where)
    if "authurl" in given and "access_key" not in given:
        raise NotSupported(
            "not_supported",
            f"`{where}` is one of OpenStack Swift, which is not supported: give access_key, secret_key and url of an "
            "S3-compatible storage.",
        )
    found = {}
    for name in ("url", "access_key", "secret_key"):
        value = given.get(name)
        if not is_text(value):
            raise missing(f"{where}.{name}")
        found[name] = value
    if "://" not in found["url"]:
        found["url"] = f"https://{found['url']}"
    if not is_address(found["url"]):
        raise field_error(
            f"{where}.url", f"`{where}.url` is not an http(s) address without user and password."
        )
    return found


def _format(place: Mapping[str, Any], name: str, where: str) -> Format:
    given = place.get("fileformat")
    word = str(given) if given else name.removesuffix(".gz").rpartition(".")[2]
    found = _FORMATS.get(word.lower())
    if found is None:
        raise field_error(
            f"{where}.fileformat",
            f"`{where}.fileformat` is one of csv, json, parquet and delta, not {word[:40]!r}.",
        )
    return found


def _flag(value: Any, where: str) -> bool:
    found = {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())
    if found is None:
        raise field_error(where, f'`{where}` is "true" or "false".')
    return found


def data_folders(names: Sequence[str | Path]) -> tuple[Path, ...]:
    """Folders as the command line names them, made absolute.

    Raises:
        Invalid: One is no folder.
    """
    found = []
    for name in names:
        path = Path(name).expanduser().absolute()
        if not path.is_dir():
            raise Invalid("invalid_data_folder", f"{str(path)!r} is no folder.")
        found.append(path)
    return tuple(found)
