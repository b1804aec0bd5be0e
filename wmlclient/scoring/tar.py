"""A reader of tar streams that knows two things: regular files and directories.

Python's :mod:`tarfile` also makes links, devices and sparse files, reads extended headers of any size into
memory, and its extraction filters have been bypassed (CVE-2025-4517, CVE-2026-11940). A saved model needs none
of that, so this reader refuses it instead of filtering it. It reads what the usual writers write: ustar, the old
v7 format, PAX headers and GNU long names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from attrs import frozen

from wmlclient.scoring.errors import ArchiveError

BLOCK = 512
MAX_EXTENDED_HEADER = 64 * 1024
"""Bytes of one PAX or long-name header; real ones hold a path."""


class Readable(Protocol):
    """What the reader needs of its source."""

    def read(self, size: int, /) -> bytes: ...


@frozen
class Member:
    """One entry: its name as written, whether it is a directory, and its size in bytes."""

    name: str
    is_dir: bool
    size: int


_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a named pipe",
    b"S": "a sparse file",
}


class TarReader:
    """Iterates over the members of a tar stream; :meth:`data` gives the bytes of the current one.

    Args:
        stream: The uncompressed tar bytes.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        overrides: dict[str, str] = {}
        while (header := self._header()) is not None:
            kind = header[156:157]
            size = _number(header[124:136], "size")
            if kind in (b"x", b"g", b"L", b"K"):
                text = self._extended(size)
                if kind == b"x":
                    overrides.update(_pax(text))
                elif kind == b"L":
                    overrides["path"] = _text(text.rstrip(b"\0"))
                continue  # a global header or a long link target changes nothing that is read here
            name = overrides.get("path") or _name(header)
            if "size" in overrides:
                size = _decimal(overrides["size"])
            if "GNU.sparse.major" in overrides or "GNU.sparse.map" in overrides:
                raise ArchiveError(f"the archive holds a sparse file: {name[:200]!r}")
            overrides = {}
            if kind not in (b"0", b"\0", b"7", b"5"):
                what = _KINDS.get(kind, f"an entry of type {kind!r}")
                raise ArchiveError(
                    f"the archive holds {what}: {name[:200]!r}; only files and folders are read"
                )
            is_dir = kind == b"5" or name.endswith("/")
            if is_dir and size:
                raise ArchiveError(f"the archive's folder {name[:200]!r} has a size")
            self._open(size)
            yield Member(name, is_dir, size)
            for _ in self.data():
                pass
            self._exactly(self._padding)

    def data(self, chunk: int = 1 << 16) -> Iterator[bytes]:
        """The bytes of the member that was yielded last."""
        while self._left:
            piece = self._exactly(min(chunk, self._left))
            self._left -= len(piece)
            yield piece

    def _open(self, size: int) -> None:
        self._left = size
        self._padding = -size % BLOCK

    def _extended(self, size: int) -> bytes:
        if size > MAX_EXTENDED_HEADER:
            raise ArchiveError(f"the archive has an extended header of {size} bytes")
        text = self._exactly(size)
        self._exactly(-size % BLOCK)
        return text

    def _exactly(self, size: int) -> bytes:
        pieces: list[bytes] = []
        while size:
            piece = self._stream.read(size)
            if not piece:
                raise ArchiveError("the archive is truncated: it ends in the middle of a file")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _header(self) -> bytes | None:
        header = b""
        while len(header) < BLOCK:
            piece = self._stream.read(BLOCK - len(header))
            if not piece:
                if header:
                    raise ArchiveError("the archive is truncated: it ends in the middle of a header")
                return None
            header += piece
        if not header.strip(b"\0"):
            return None
        blanked = header[:148] + b" " * 8 + header[156:]
        if _number(header[148:156], "checksum") != sum(blanked):
            raise ArchiveError(
                "the archive is not a tar file, or it is damaged: a header's checksum is wrong"
            )
        return header


def _name(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0]
    if header[257:263] == b"ustar\0":  # GNU's "ustar  " uses the prefix field for times
        prefix = header[345:500].split(b"\0", 1)[0]
        if prefix:
            name = prefix + b"/" + name
    return _text(name)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ArchiveError(f"the archive has a name that is not UTF-8: {raw[:200]!r}") from None


def _number(raw: bytes, what: str) -> int:
    if raw[:1] == b"\x80":  # GNU's binary form, for what octal digits cannot hold
        return int.from_bytes(raw[1:], "big")
    digits = raw.split(b"\0", 1)[0].strip()
    try:
        number = int(digits or b"0", 8)
    except ValueError:
        number = -1
    if number < 0:
        raise ArchiveError(f"the archive is not a tar file, or it is damaged: bad {what} in a header")
    return number


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ArchiveError(f"the archive has an extended header with the size {text[:40]!r}")
    return int(text)


def _pax(raw: bytes) -> dict[str, str]:
    records: dict[str, str] = {}
    while raw:
        digits, space, _ = raw.partition(b" ")
        if not space or not digits.isdigit() or len(digits) > 6:
            raise ArchiveError("the archive has a damaged extended header")
        length = int(digits)
        record, raw = raw[len(digits) + 1 : length], raw[length:]
        key, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise ArchiveError("the archive has a damaged extended header")
        name = _text(key)
        if name in ("path", "size") or name.startswith("GNU.sparse"):
            records[name] = _text(value[:-1])
    return records
