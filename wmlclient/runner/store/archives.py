"""Archives, each under the digest of its bytes, and their unpacked form.

An archive is written beside its place, flushed to the disk and renamed: it is there as a whole or not at all.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import StorageFull, StoreError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@contextmanager
def _full_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("no room on the disk for the archive") from None
        raise


class PendingArchive:
    """An upload under way: bytes go in, then it is adopted by :meth:`ArchiveStore.adopt` or discarded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._hash = hashlib.sha256()
        with _full_disk():
            self._file = open(path, "xb", buffering=0, opener=_private)  # noqa: SIM115 - closed by finish or discard

    @property
    def digest(self) -> str:
        """``sha256:...`` of the bytes so far."""
        return "sha256:" + self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            StorageFull: No room; the upload is discarded.
        """
        try:
            with _full_disk():
                view = memoryview(data)
                while view:
                    view = view[self._file.write(view) :]
        except BaseException:
            self.discard()
            raise
        self._hash.update(data)
        self.size += len(data)

    def finish(self) -> None:
        """Flush everything to the disk."""
        try:
            with _full_disk():
                if not self._file.closed:
                    os.fsync(self._file.fileno())
                    self._file.close()
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Forget the upload. Twice is fine, also after it was adopted."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class ArchiveStore:
    """A folder of archives, and the folder ``unpacked/`` beside it.

    Args:
        home: The runner's folder.
        folder: The folder's name in it.
        suffix: What the archives' names end with.
    """

    def __init__(
        self, home: str | os.PathLike[str], folder: str = "archives", suffix: str = ".tar.gz"
    ) -> None:
        self._archives = Path(home) / folder
        self._suffix = suffix
        self._unpacked = Path(home) / ("unpacked" if folder == "archives" else f"unpacked-{folder}")
        self._incoming = self._archives / "incoming"
        #: Held between "this digest gets a row" and "no row names this digest any more".
        self.lock = threading.RLock()
        shutil.rmtree(self._incoming, ignore_errors=True)
        for path in (self._archives / "sha256", self._incoming, self._unpacked):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for half in self._unpacked.glob("*.part"):
            shutil.rmtree(half, ignore_errors=True)

    def receive(self) -> PendingArchive:
        """Start an upload."""
        return PendingArchive(self._incoming / uuid.uuid4().hex)

    def path(self, digest: str) -> Path:
        """Where an archive is."""
        if not _DIGEST.fullmatch(digest):
            raise StoreError("not a digest")
        name = digest.partition(":")[2]
        return self._archives / "sha256" / name[:2] / f"{name}{self._suffix}"

    def folder(self, digest: str) -> Path:
        """Where the unpacked archive is, or would be."""
        if not _DIGEST.fullmatch(digest):
            raise StoreError("not a digest")
        return self._unpacked / digest.partition(":")[2]

    def adopt(self, pending: PendingArchive) -> str:
        """Put an upload in its place for good; returns its digest. The same bytes twice are one archive.

        Raises:
            StorageFull: No room; the upload is discarded.
        """
        pending.finish()
        target = self.path(pending.digest)
        try:
            with _full_disk():
                target.parent.mkdir(mode=0o700, exist_ok=True)
                os.replace(pending.path, target)
                for folder in (target.parent, target.parent.parent):
                    _flush_folder(folder)
        except BaseException:
            pending.discard()
            raise
        return pending.digest

    def unpack(self, digest: str, source: Path, unpack: Callable[[Path, Path], None]) -> Path:
        """The unpacked form of an archive, made on first use.

        Args:
            digest: The archive's digest.
            source: The archive's file: in its place, or still an upload.
            unpack: Called with the file and an empty folder, which it fills.

        Raises:
            StorageFull: No room.
        """
        folder = self.folder(digest)
        if folder.is_dir():
            return folder
        part = folder.with_name(f"{folder.name}-{uuid.uuid4().hex[:8]}.part")
        try:
            with _full_disk():
                part.mkdir(mode=0o700)
                unpack(source, part)
                _flush_tree(part)
                try:
                    os.rename(part, folder)
                except OSError:
                    if not folder.is_dir():
                        raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return folder

    def remove(self, digest: str) -> None:
        """Remove an archive and its unpacked form; missing is fine."""
        self.path(digest).unlink(missing_ok=True)
        shutil.rmtree(self.folder(digest), ignore_errors=True)

    def sweep(self, wanted: set[str]) -> list[str]:
        """Remove what no row names, left by a crash; returns the digests."""
        swept = []
        for path in (self._archives / "sha256").glob(f"*/*{self._suffix}"):
            digest = "sha256:" + path.name.partition(".")[0]
            if digest not in wanted:
                self.remove(digest)
                swept.append(digest)
        for folder in self._unpacked.iterdir():
            if f"sha256:{folder.name}" not in wanted:
                shutil.rmtree(folder, ignore_errors=True)
        return swept


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _flush_tree(top: Path) -> None:
    """Without it a power cut could leave files of a folder that was already renamed empty."""
    for folder, _, files in os.walk(top):
        for name in files:
            handle = os.open(os.path.join(folder, name), os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        _flush_folder(Path(folder))


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
