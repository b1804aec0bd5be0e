"""Snapshots: the workspace and the files of a session as one zip, for the user who made it."""

from __future__ import annotations

import json
import logging
import os
import platform
import secrets
import shutil
import zipfile
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import IO, cast

from ..store import ArchiveStore, PendingArchive, Snapshot, StorageFull, Store
from . import workfiles
from .clock import new_id, now_ms
from .errors import Invalid, NoRoom, NotFound
from .sessions import Session, SessionService

logger = logging.getLogger("wmlclient.runner.sessions")

#: Bytes of files in one snapshot.
LARGEST = 4 << 30

_ABOUT, _WORKSPACE, _FILES = "snapshot.json", "workspace.dill", "files/"


class SnapshotService:
    """All snapshots.

    Args:
        store: Rows.
        archives: Where the zips are.
        sessions: Whose content they hold.
        clock: Milliseconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        archives: ArchiveStore,
        sessions: SessionService,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._archives = archives
        self._sessions = sessions
        self._clock = clock

    def create(self, session: Session, name: str | None) -> Future[Snapshot]:
        """Keep what a session has now."""

        def run() -> Snapshot:
            try:
                pending = self._archives.receive()
                try:
                    self._write(session, pending)
                    with self._archives.lock:
                        digest = self._archives.adopt(pending)
                        made = Snapshot(
                            new_id(),
                            name or secrets.token_hex(8)[:15],
                            session.owner,
                            session.runtime,
                            self._clock(),
                            digest,
                            pending.size,
                        )
                        self._store.snapshots.add(made)
                finally:
                    pending.discard()
            except StorageFull:
                raise NoRoom() from None
            return made

        return self._sessions.submit(session, run)

    def list(self, owner: str) -> list[Snapshot]:
        """A user's own, oldest first."""
        return self._store.snapshots.of(owner)

    def get(self, owner: str, id: str) -> Snapshot:
        """One of a user's own.

        Raises:
            NotFound: There is none.
        """
        found = self._store.snapshots.get(id)
        if found is None or found.owner != owner:
            raise NotFound("snapshot_not_found", "There is no such snapshot.")
        return found

    def path(self, snapshot: Snapshot) -> Path:
        """The zip."""
        return self._archives.path(snapshot.digest)

    def load(self, session: Session, snapshot: Snapshot) -> Future[None]:
        """Add a snapshot to a session.

        Raises:
            Invalid: It is of another language.
        """
        self.check(snapshot, session.runtime)
        return self._sessions.submit(session, lambda: self.apply(snapshot, session))

    @staticmethod
    def check(snapshot: Snapshot, runtime: str) -> None:
        """Return where a snapshot fits a language.

        Raises:
            Invalid: It does not.
        """
        if snapshot.runtime != runtime:
            raise Invalid(
                "other_runtime", f"The snapshot is of {snapshot.runtime}, and the session of {runtime}."
            )

    def apply(self, snapshot: Snapshot, session: Session) -> None:
        """Add a snapshot to a session, on the session's own thread."""
        part = session.folder / f"{secrets.token_hex(8)}.part"
        try:
            unpack(self.path(snapshot), session.work, part)
            session.kernel.load(part)
        except FileNotFoundError:
            raise NotFound("snapshot_not_found", "There is no such snapshot.") from None
        except IsADirectoryError as error:
            raise Invalid("invalid_file_name", f"A folder is in the way of {error.filename2!r}.") from None
        finally:
            part.unlink(missing_ok=True)

    def delete(self, owner: str, id: str) -> None:
        """Remove one.

        Raises:
            NotFound: There is none.
        """
        snapshot = self.get(owner, id)
        with self._archives.lock:
            self._store.snapshots.delete(id)
            if snapshot.digest not in self._store.snapshots.digests():
                self._archives.remove(snapshot.digest)

    def sweep(self) -> None:
        """Remove what a crash left behind."""
        with self._archives.lock:
            for digest in self._archives.sweep(self._store.snapshots.digests()):
                logger.info("removed the archive %s: no snapshot names it", digest)

    def _write(self, session: Session, pending: PendingArchive) -> None:
        saved = session.folder / f"{secrets.token_hex(8)}.part"
        try:
            session.kernel.save(saved)
            about = {"format": 1, "runtimeType": session.runtime, "python": platform.python_version()}
            with zipfile.ZipFile(cast("IO[bytes]", _Sink(pending)), "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(_ABOUT, json.dumps(about))
                with open(saved, "rb") as source, archive.open(_WORKSPACE, "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                self._write_files(session, archive)
        finally:
            saved.unlink(missing_ok=True)

    @staticmethod
    def _write_files(session: Session, archive: zipfile.ZipFile) -> None:
        size = 0
        for relative in workfiles.walk(session.work):
            with workfiles.open_file(session.work / relative) as source:
                with archive.open(_FILES + relative, "w", force_zip64=True) as target:
                    while piece := source.read(1 << 20):
                        size += len(piece)
                        if size > LARGEST:
                            raise Invalid(
                                "snapshot_too_large",
                                f"The files of the session are larger than {LARGEST >> 30} GiB: delete some.",
                            )
                        target.write(piece)


class _Sink:
    """An upload as a file that is only written to."""

    def __init__(self, pending: PendingArchive) -> None:
        self._pending = pending

    def write(self, data: bytes) -> int:
        self._pending.write(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass


def unpack(zip: Path, work: Path, workspace: Path) -> None:
    """Take a snapshot apart.

    Args:
        zip: The snapshot.
        work: Where its files go; those of the same name are replaced.
        workspace: Where its workspace goes.

    Raises:
        FileNotFoundError: There is no such zip.
        IsADirectoryError: A folder is in the way.
        Invalid: A file would leave the folder.
    """
    with zipfile.ZipFile(zip) as archive:
        for entry in archive.namelist():
            if entry.startswith(_FILES):
                target = workfiles.place(work, entry.removeprefix(_FILES))
                # Under its own name only once it is whole: a link of this name is replaced, not followed.
                _extract(archive, entry, workspace)
                os.replace(workspace, target)
        _extract(archive, _WORKSPACE, workspace)


def _extract(archive: zipfile.ZipFile, entry: str, target: Path) -> None:
    with archive.open(entry) as source, open(target, "wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
