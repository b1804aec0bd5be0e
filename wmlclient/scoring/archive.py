"""Archives of saved models, unpacked safely.

A saved Spark ML model is a folder of JSON and Parquet; it travels as a ``.tar.gz`` of that folder. Nothing in an
archive is trusted: see :func:`unpack` for what is refused.
"""

from __future__ import annotations

import gzip
import logging
import os
import shutil
import unicodedata
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from attrs import frozen

from wmlclient.scoring.errors import ArchiveError
from wmlclient.scoring.tar import TarReader

__all__ = ["Limits", "safe_parts", "unpack"]

_log = logging.getLogger("wmlclient.scoring.archive")


@frozen
class Limits:
    """How much an archive may hold.

    Attributes:
        count: Members, folders included.
        total: Bytes of all files, unpacked.
        ratio: Unpacked bytes for one packed byte, looked at once ``ratio_floor`` bytes are unpacked.
        ratio_floor: Bytes that any archive may unpack to.
        depth: Folders in one name.
    """

    count: int = 50_000
    total: int = 4 << 30
    ratio: int = 200
    ratio_floor: int = 16 << 20
    depth: int = 32


class _Counted:
    """A reader that counts what it gave."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._raw.read(size)
        self.count += len(piece)
        return piece


class _Unzipped:
    """The unpacked bytes of a gzip stream, within limits, with gzip's errors made clear."""

    def __init__(self, raw: IO[bytes], limits: Limits) -> None:
        self._packed = _Counted(raw)
        self._gzip = gzip.GzipFile(fileobj=self._packed, mode="rb")  # type: ignore[call-overload]
        self._limits = limits
        self._count = 0

    def read(self, size: int, /) -> bytes:
        try:
            piece: bytes = self._gzip.read(min(size, 1 << 16))
        except EOFError:
            raise ArchiveError("the archive is truncated: the compressed data ends early") from None
        except (OSError, zlib.error) as error:
            if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
                raise
            what = "damaged" if self._count else "not a gzip file (.tar.gz)"
            raise ArchiveError(f"the archive is {what}: {error}") from None
        self._count += len(piece)
        limits = self._limits
        # Headers and padding count too: an archive of a million empty members is as bad as a large file.
        if self._count > limits.total + limits.count * 2048:
            raise ArchiveError(f"the archive unpacks to more than {limits.total} bytes")
        if self._count > max(limits.ratio_floor, limits.ratio * self._packed.count):
            raise ArchiveError(f"the archive unpacks to more than {limits.ratio} times its size")
        return piece


def unpack(
    source: str | os.PathLike[str] | IO[bytes],
    target_dir: str | os.PathLike[str],
    limits: Limits | None = None,
) -> None:
    """Unpacks a ``.tar.gz`` into a folder, or raises and leaves nothing behind.

    Only regular files and folders are written. Refused, by name: links, devices, pipes, sparse files; absolute
    names, ``..``, backslashes, drive letters, control characters; a name that comes twice, or again in other case
    or another form of Unicode; more members, bytes, depth or compression than ``limits`` allow. Files get mode 0600,
    folders 0700, whatever the archive says.

    Args:
        source: The archive: a path, or an open binary file.
        target_dir: A folder that does not exist or is empty.
        limits: See :class:`Limits`.

    Raises:
        ArchiveError: The archive is unsafe, damaged or too large.
        FileExistsError: The target is not empty.
        OSError: The disk is full, or the target cannot be written.
    """
    target = Path(target_dir)
    existed = target.exists()
    if existed and any(target.iterdir()):
        raise FileExistsError(f"{target} is not empty: an archive is unpacked into a new folder")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        if isinstance(source, (str, os.PathLike)):
            with open(source, "rb") as file:
                _unpack(file, target, limits or Limits())
        else:
            _unpack(source, target, limits or Limits())
    except BaseException:
        for entry in list(target.iterdir()):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        if not existed:
            target.rmdir()
        raise


def _unpack(file: IO[bytes], target: Path, limits: Limits) -> None:
    stream = _Unzipped(file, limits)
    reader = TarReader(stream)
    spellings: dict[str, str] = {}
    count = total = 0
    for member in reader:
        count += 1
        total += member.size
        if count > limits.count:
            raise ArchiveError(f"the archive has more than {limits.count} members")
        if total > limits.total:
            raise ArchiveError(f"the archive unpacks to more than {limits.total} bytes")
        parts = safe_parts(member.name, limits.depth)
        if not parts:  # "./", the folder itself
            if not member.is_dir:
                raise ArchiveError(f"the archive has a file without a name: {member.name!r}")
            continue
        _check_spelling(parts, spellings)
        path = target.joinpath(*parts)
        try:
            if member.is_dir:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            else:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _write(path, reader.data())
        except (FileExistsError, NotADirectoryError):
            raise ArchiveError(f"the archive has the name {member.name[:200]!r} twice") from None
    while stream.read(1 << 16):  # the rest of the gzip stream, so that its checksum is verified
        pass
    if not count:
        raise ArchiveError("the archive is empty")
    _log.debug("unpacked %d members, %d bytes", count, total)


def safe_parts(name: str, depth: int = Limits().depth) -> tuple[str, ...]:
    """The folders and file of a member's name, or an :class:`ArchiveError` if it could leave the target."""
    shown = repr(name[:200])
    if name.startswith("/") or "\\" in name or name[1:2] == ":":
        raise ArchiveError(f"the archive has an absolute or Windows name: {shown}")
    if any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise ArchiveError(f"the archive has a name with control characters: {shown}")
    parts = tuple(part for part in PurePosixPath(name).parts if part != ".")
    if ".." in parts:
        raise ArchiveError(f"the archive has a name with '..': {shown}")
    if len(parts) > depth:
        raise ArchiveError(f"the archive has a name deeper than {depth} folders: {shown}")
    if any(len(part.encode()) > 255 for part in parts):
        raise ArchiveError(f"the archive has a name that is too long: {shown}")
    return parts


def _check_spelling(parts: tuple[str, ...], spellings: dict[str, str]) -> None:
    """Two names that are one on another file system: which of the two files is read would depend on the machine."""
    for end in range(1, len(parts) + 1):
        name = "/".join(parts[:end])
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        known = spellings.setdefault(folded, name)
        if known != name:
            raise ArchiveError(
                f"the archive has two names that differ only in case or in form: {known[:200]!r}, {name[:200]!r}"
            )


def _write(path: Path, pieces: Iterator[bytes]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        for piece in pieces:
            file.write(piece)
